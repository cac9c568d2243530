"""The cache folder: who builds in it, and what a killed builder left."""

import fcntl
import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

PREFIX = "build-"
# removes the folder once nobody holds the other end of its input, which is when we are dead, however we died; those that we had started
# die then, too, and could still write
JANITOR = 'cat; sleep 0.3; until rm -rf "$1"; do sleep 0.3; done'


class Unavailable(Exception):
    """This machine cannot have what a scenario needs, and why: the scenario is skipped."""


def wants_root(what: str) -> None:
    if os.geteuid() != 0:
        raise Unavailable(f"{what} needs root")


@contextmanager
def work_folder(cache: Path):
    """A folder to build in, locked while we live, gone afterwards; what is to stay is renamed out of it."""
    work = Path(tempfile.mkdtemp(prefix=PREFIX, dir=cache))
    lock = os.open(work, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    fcntl.flock(lock, fcntl.LOCK_EX)
    janitor = subprocess.Popen(["sh", "-c", JANITOR, "janitor", str(work)], stdin=subprocess.PIPE,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        yield work
    finally:
        janitor.stdin.close()
        janitor.wait()
        os.close(lock)


def remove_abandoned(cache: Path) -> None:
    """Removes the build folders whose builder no longer runs."""
    for left in cache.glob(f"{PREFIX}*"):
        try:
            lock = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left, ignore_errors=True)
        except BlockingIOError:
            pass
        finally:
            os.close(lock)


def drop_others(cache: Path, prefix: str, keep: Path) -> None:
    """Removes what an older recipe made."""
    for path in cache.glob(f"{prefix}*"):
        if path != keep:
            shutil.rmtree(path, ignore_errors=True)
