"""What is tested, as people install it: a Debian package, on a disk of the guest's."""

import os
import tarfile
from pathlib import Path

from .arch import Arch
from .binary import PROJECT
from .cache import work_folder
from .image import run
from .qemu import PAYLOAD_MB, anonymous_file

# in the guest
PACKAGE = "/var/cache/upgrade-gate.deb"


def disk(program: Path, generator: Path, arch: Arch, folder: Path) -> int:
    """A file without a name that holds a tar archive with the package of `program`; `generator` is a build of it that runs here."""
    fd = anonymous_file(folder, 0)
    with work_folder(folder) as work:
        environment = {**os.environ, "BINARY": str(program), "GENERATOR": str(generator), "OUT": str(work / "out"), "TMPDIR": str(work)}
        run([str(PROJECT / "packaging/deb"), arch.debian], env=environment)
        with os.fdopen(os.dup(fd), "wb") as file, tarfile.open(fileobj=file, mode="w") as tar:
            tar.add(next((work / "out").glob("*.deb")), PACKAGE.lstrip("/"))
    os.ftruncate(fd, PAYLOAD_MB << 20)
    return fd
