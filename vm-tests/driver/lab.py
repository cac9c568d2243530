"""The lab's command line: which scenarios, on which architectures, and what became of them."""

import argparse
import fcntl
import os
import shutil
import signal
import sys
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from . import payload, scenario
from .arch import ARCHES, Arch, host, missing_tools, other
from .binary import Binaries
from .cache import Unavailable, remove_abandoned
from .image import Images
from .jobs import Interrupted, Jobs, end_on_signals
from .machine import Machine
from .progress import say
from .qemu import Guest, kvm_works
from .scenario import Node, Scenario
from .snapshot import Snapshot, snapshot_of

HERE = Path(__file__).resolve().parent.parent
COMMON = HERE / "common.py"


@dataclass(frozen=True)
class Case:
    """A scenario on an architecture: for a mixed one, that of the machines that are not `on other`."""

    scenario: Scenario
    arch: Arch

    @property
    def where(self) -> str:
        return f"{self.arch.name}+{other(self.arch).name}" if self.scenario.mixed else self.arch.name

    def arch_of(self, node: Node) -> Arch:
        return other(self.arch) if node.other else self.arch

    def kinds(self) -> set[tuple[str, str]]:
        """The architectures of its machines, each with whose network it is."""
        return {(self.arch_of(node).name, node.network) for node in self.scenario.nodes}


class Lab:
    """Guests, binaries and saved machines, each made when first wanted."""

    def __init__(self, cache: Path, options: argparse.Namespace) -> None:
        self.cache, self.options = cache, options
        self.images = Images(cache)
        self.binaries = Binaries(options.binary, cache)
        self.guests: dict[str, Guest] = {}
        self.payloads: dict[str, int] = {}

    def guest(self, arch: Arch) -> Guest:
        if arch.name not in self.guests:
            missing = missing_tools(arch)
            if missing:
                raise Unavailable(f"this machine lacks {', '.join(missing)}")
            files = self.images.get(arch)
            accel = self.options.accel or ("kvm" if kvm_works(files, arch) else "tcg")
            self.guests[arch.name] = Guest(arch, files, accel)
        return self.guests[arch.name]

    def saved(self, arch: Arch, network: str) -> Snapshot | None:
        guest = self.guest(arch)
        return None if self.options.cold else snapshot_of(guest, self.cache, network)

    def payload(self, arch: Arch) -> int:
        """A disk with the package that is tested."""
        if arch.name not in self.payloads:
            program = self.binaries.get(arch)
            # man pages and completions are the same for all, and made by a program that runs here
            generator = program if arch.name == host() else self.binaries.get(ARCHES[host()])
            self.payloads[arch.name] = payload.disk(program, generator, arch, self.cache)
        return self.payloads[arch.name]

    def prepare(self, case: Case) -> None:
        for arch, network in sorted(case.kinds()):
            self.saved(ARCHES[arch], network)
            self.payload(ARCHES[arch])

    def machines(self, case: Case, log) -> list[Machine]:
        # machines of one run share a cable; other runs on this host have other ports
        port = 20000 + os.getpid() % 20000
        result = []
        for number, node in enumerate(case.scenario.nodes, start=1):
            arch = case.arch_of(node)
            result.append(Machine(node.name, number, self.guest(arch), self.saved(arch, node.network), loader=node.loader, network=node.network,
                                  payload=self.payload(arch), lan_port=port, folder=self.cache, log=log))
        return result


class Log:
    """What the driver did, with times; kept for a scenario that failed."""

    def __init__(self, case: Case, verbose: bool) -> None:
        self.case, self.verbose, self.begin, self.lines = case, verbose, time.monotonic(), []

    def __call__(self, message: str) -> None:
        line = f"[{time.monotonic() - self.begin:7.2f}] {message}"
        self.lines.append(line)
        if self.verbose:
            # as others run beside it
            print(f"{self.case.scenario.name} ({self.case.where}) {line}", flush=True)


def run_case(lab: Lab, case: Case, log: Log) -> None:
    """Runs one scenario to its end, or raises what went wrong; no machine outlives it."""
    machines = lab.machines(case, log)

    @contextmanager
    def subtest(name: str):
        log(f"subtest: {name}")
        try:
            yield
        except Exception as error:
            raise Exception(f"{name}: {error}") from error

    symbols = {machine.name: machine for machine in machines}
    symbols |= {"machines": machines, "subtest": subtest, "log": log,
                "start_all": lambda: [machine.start() for machine in machines],
                "join_all": lambda: [machine.wait_for_shutdown() for machine in machines]}
    if len(machines) == 1:
        symbols["machine"] = machines[0]
    script = COMMON.read_text() + case.scenario.path.read_text()
    try:
        signal.alarm(lab.options.limit or case.scenario.limit)
        exec(compile(script, str(case.scenario.path), "exec"), symbols)
        signal.alarm(0)
        if lab.options.keep:
            keep_logs(lab, case, machines, log)
    except SystemExit as end:
        # common.py's skip()
        raise Unavailable(getattr(end, "reason", "the scenario ended itself")) from end
    except Exception as error:
        signal.alarm(0)
        log(f"failed: {error}")
        keep_logs(lab, case, machines, log)
        raise
    finally:
        signal.alarm(0)
        for machine in machines:
            machine.release()


def logs_of(lab: Lab, case: Case) -> Path:
    return lab.cache / "logs" / f"{case.scenario.name}-{case.where}"


def keep_logs(lab: Lab, case: Case, machines: list[Machine], log: Log) -> None:
    folder = logs_of(lab, case)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for machine in machines:
        (folder / f"{machine.name}.serial").write_bytes(machine.serial_log())
        (folder / f"{machine.name}.journal").write_text(machine.journal())
    (folder / "driver").write_text("\n".join(log.lines) + "\n")


OUTCOMES = ("passed", "failed", "skipped")


def problem_with(lab: Lab, case: Case) -> Exception | None:
    """Makes what `case` needs; what went wrong is for its own line."""
    try:
        lab.prepare(case)
    except Exception as error:
        return error
    return None


def judge(lab: Lab, case: Case, problem: Exception | None) -> int:
    """Runs `case` unless there is a problem already, prints its line, and returns which of OUTCOMES it had."""
    title = f"{case.scenario.name} ({case.where})"
    begin = time.monotonic()
    try:
        if problem:
            raise problem
        run_case(lab, case, Log(case, lab.options.verbose))
    except Unavailable as why:
        print(f"SKIP  {title:<44} {time.monotonic() - begin:6.1f} s  {why}", flush=True)
        return OUTCOMES.index("skipped")
    except Exception as error:
        print(f"FAIL  {title:<44} {time.monotonic() - begin:6.1f} s  {error}\n      logs: {logs_of(lab, case)}", flush=True)
        return OUTCOMES.index("failed")
    if not lab.options.keep:
        shutil.rmtree(logs_of(lab, case), ignore_errors=True)
    print(f"ok    {title:<44} {time.monotonic() - begin:6.1f} s", flush=True)
    return OUTCOMES.index("passed")


def cases(scenarios: list[Scenario], arch: str | None) -> list[Case]:
    result = []
    for name in ARCHES:
        result += [Case(s, ARCHES[name]) for s in scenarios if not s.mixed and arch in (None, name)]
    for name in ARCHES:
        result += [Case(s, ARCHES[name]) for s in scenarios if s.mixed and arch in (None, "mixed")]
    return result


def default_jobs() -> int:
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(1, min(os.cpu_count() or 1, memory >> 32))


def arguments(argv: list[str], known: dict[str, Path]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="vm-tests/run", description="Runs the scenarios in Debian guests under QEMU.")
    parser.add_argument("scenario", nargs="*", help="names of scenarios; all if none is given")
    parser.add_argument("--arch", choices=[*ARCHES, "mixed"], help="only on this architecture; everywhere if not given")
    parser.add_argument("--list", action="store_true", help="name the scenarios and their stories")
    parser.add_argument("--keep", action="store_true", help="keep the logs of scenarios that pass, too")
    parser.add_argument("--binary", action="append", default=[], metavar="ARCH=PATH",
                        help="an upgrade-gate for ARCH; without it one is built")
    parser.add_argument("--accel", choices=["kvm", "tcg"], help="what QEMU shall use; found out if not given")
    parser.add_argument("--cold", action="store_true", help="boot each machine instead of going on from a saved one")
    parser.add_argument("--jobs", "-j", type=int, default=default_jobs(), metavar="N",
                        help="so many scenarios at once; if not given one for each processor, and for each 4 GB of memory")
    parser.add_argument("--limit", type=int, metavar="SECONDS", help="end a scenario after so long; else as its file says")
    parser.add_argument("--verbose", "-v", action="store_true", help="print what the driver does")
    options = parser.parse_args(argv)
    unknown = [name for name in options.scenario if name not in known]
    if unknown:
        parser.error(f"no scenario {unknown[0]!r}; there are {', '.join(known)}")
    if options.jobs < 1:
        parser.error(f"--jobs wants a number from 1 on, not {options.jobs}")
    pairs = [entry.partition("=") for entry in options.binary]
    for name, _, path in pairs:
        if name not in ARCHES or not os.access(path, os.X_OK):
            parser.error(f"--binary wants ARCH=PATH of a program, not {name}={path}")
    options.binary = {name: Path(path).resolve() for name, _, path in pairs}
    return options


def open_cache() -> Path:
    """The cache folder, locked: a second run waits for the first; what a killed one left half-built goes."""
    base = os.environ.get("UPGRADE_GATE_VM_CACHE")
    cache = Path(base) if base else HERE / ".cache"
    cache.mkdir(parents=True, exist_ok=True)
    lock = os.open(cache / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("another run holds the cache: waiting for it")
        fcntl.flock(lock, fcntl.LOCK_EX)
    remove_abandoned(cache)
    return cache


def on_alarm(_number, _frame):
    raise TimeoutError("the scenario's time limit is over")


def main(argv: list[str]) -> int:
    known = {path.stem: path for path in sorted((HERE / "scenarios").glob("*.py"))}
    options = arguments(argv, known)
    try:
        scenarios = [scenario.read(known[name]) for name in options.scenario or known]
    except scenario.Malformed as why:
        print(f"vm-tests/run: {why}", file=sys.stderr)
        return 1
    if options.list:
        for one in scenarios:
            print(f"{one.name:24} {'mixed  ' if one.mixed else ''}{one.story}")
        return 0
    end_on_signals()
    signal.signal(signal.SIGALRM, on_alarm)
    lab = Lab(open_cache(), options)
    chosen = cases(scenarios, options.arch)
    tested = sorted({arch for case in chosen for arch, _ in case.kinds()}, reverse=True)
    lab.binaries.begin(list(dict.fromkeys([*tested, host()])))
    jobs = Jobs(options.jobs)
    try:
        for case in chosen:
            jobs.begin(partial(judge, lab, case, problem_with(lab, case)))
        jobs.finish()
        interrupted = None
    except Interrupted as why:
        jobs.interrupt()
        interrupted = why
    # a process that ended otherwise than by a return has failed
    counts = Counter(OUTCOMES[code] if code in range(len(OUTCOMES)) else "failed" for code in jobs.codes)
    if interrupted:
        print(f"interrupted by {interrupted}: {len(chosen) - counts.total()} of {len(chosen)} did not come to their end", flush=True)
    print(", ".join(f"{counts[what]} {what}" for what in OUTCOMES), flush=True)
    if interrupted:
        return 130
    return 1 if counts["failed"] or not counts["passed"] else 0
