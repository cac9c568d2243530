"""What a scenario file says of itself: its story and its machines."""

import re
from dataclasses import dataclass
from pathlib import Path

MACHINE = re.compile(r"# machine: ([a-z_]+)( on other)?( by systemd-boot| by grub)?( with networkmanager| with networkd)?$")
LIMIT = re.compile(r"# limit: ([0-9]+) s$")


@dataclass(frozen=True)
class Node:
    """A machine of a scenario; `other` is of the other architecture than the test's, `loader` is what boots it from its second start
    on, `network` is who cares for its cards."""

    name: str
    other: bool
    loader: str
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


class Malformed(ValueError):
    """A scenario file that does not say what it must; the text names the file and the line."""


def read(path: Path) -> Scenario:
    """The scenario in `path`."""
    try:
        text = path.read_text(encoding="utf-8")
        compile(text, str(path), "exec")
    except (OSError, UnicodeDecodeError) as error:
        raise Malformed(f"{path}: cannot be read: {error}") from error
    except (SyntaxError, ValueError) as error:
        raise Malformed(f"{path}:{getattr(error, 'lineno', None) or 1}: not Python: {error.args[0]}") from error
    lines = text.splitlines()
    story = re.fullmatch(r'"""(.*)"""', lines[0]) if lines else None
    if not story:
        raise Malformed(f"{path}:1: expected the story, a docstring of one line")
    machines = values(path, lines, "machine", MACHINE, "NAME [on other] [by systemd-boot|by grub] [with networkmanager|with networkd]")
    limits = values(path, lines, "limit", LIMIT, "NUMBER s")
    if not machines:
        raise Malformed(f"{path}: expected a line `# machine: NAME`")
    nodes = tuple(Node(m[1], bool(m[2]), (m[3] or "").removeprefix(" by "), (m[4] or "").removeprefix(" with ")) for m in machines)
    if len({node.name for node in nodes}) < len(nodes):
        raise Malformed(f"{path}: two machines have the same name")
    return Scenario(path.stem, story[1], nodes, int(limits[0][1]) if limits else 600, path)


def values(path: Path, lines: list[str], key: str, form: re.Pattern, expected: str) -> list[re.Match]:
    """The lines `# KEY: VALUE` of the header."""
    found = [(number, line, form.match(line)) for number, line in enumerate(lines, 1) if line.startswith(f"# {key}:")]
    for number, line, match in found:
        if not match:
            raise Malformed(f"{path}:{number}: expected `# {key}: {expected}`, not {line!r}")
    return [match for _, _, match in found]
