"""The cache folder: who builds in it, and what a killed builder left."""

import fcntl
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

PREFIX = "build-"


@contextmanager
def work_folder(cache: Path):
    """A folder to build in, locked while we live, gone afterwards; what is to stay is renamed out of it."""
    work = Path(tempfile.mkdtemp(prefix=PREFIX, dir=cache))
    lock = os.open(work, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
        os.close(lock)


def remove_abandoned(cache: Path) -> None:
    """Removes the build folders whose builder is no more."""
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
