"""What a scenario file says of itself: its story and its machines."""

import re
from dataclasses import dataclass
from pathlib import Path

MACHINE = re.compile(r"# machine: ([a-z_]+)( on other)?( with networkmanager| with networkd)?$")
LIMIT = re.compile(r"# limit: ([0-9]+) s$")


@dataclass(frozen=True)
class Node:
    """A machine of a scenario; `other` is of the other architecture than the test's, `network` is who cares for its cards."""

    name: str
    other: bool
    network: str


@dataclass(frozen=True)
class Scenario:
    """One file of scenarios/."""

    name: str
    story: str
    nodes: tuple[Node, ...]
    limit: int
    path: Path

    @property
    def mixed(self) -> bool:
        return any(node.other for node in self.nodes)


def read(path: Path) -> Scenario:
    """The scenario in `path`; a file that does not say what it must is an error that names it."""
    lines = path.read_text().splitlines()
    story = re.fullmatch(r'"""(.*)"""', lines[0]) if lines else None
    header = [line for line in lines[1:] if line.startswith("# ")]
    machines = [m for m in map(MACHINE.match, header) if m]
    bad = [line for line in header if line.startswith("# machine:") and not MACHINE.match(line)]
    if not story or not machines or bad:
        raise ValueError(f"{path}: wants its story as a docstring on line 1 and `# machine: NAME [on other] "
                         f"[with networkmanager|networkd]` below it{f', not {bad[0]!r}' if bad else ''}")
    limits = [int(m[1]) for m in map(LIMIT.match, header) if m]
    nodes = tuple(Node(m[1], bool(m[2]), (m[3] or "").removeprefix(" with ")) for m in machines)
    return Scenario(path.stem, story[1], nodes, limits[0] if limits else 600, path)
