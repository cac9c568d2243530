"""What is tested, as a guest is given it: the program and the files of units/, where a distribution installs them."""

import os
import tarfile
from pathlib import Path

from .binary import PROJECT
from .qemu import PAYLOAD_MB, anonymous_file

# what of units/ goes where below the guest's /usr
PLACES = [*((f"*.{kind}", "lib/systemd/system") for kind in ("service", "target", "timer", "path")),
          ("user/*.service", "lib/systemd"), ("tmpfiles.d/*.conf", "lib"),
          ("drop-ins/**/*.conf", "share/upgrade-gate"), ("example/*", "share/upgrade-gate")]


def files(units: Path) -> list[tuple[Path, str]]:
    """The files of `units`, each with its path below /usr; none if there is no such folder yet."""
    found = []
    for pattern, place in PLACES:
        found += [(path, f"{place}/{path.relative_to(units)}") for path in sorted(units.glob(pattern)) if path.is_file()]
    return found


def disk(program: Path, folder: Path) -> int:
    """A file without a name that holds a tar archive for the guest's /usr."""
    fd = anonymous_file(folder, 0)
    with os.fdopen(os.dup(fd), "wb") as file, tarfile.open(fileobj=file, mode="w") as tar:
        add(tar, program, "bin/upgrade-gate", 0o755)
        for path, name in files(PROJECT / "units"):
            add(tar, path, name, 0o644)
    os.ftruncate(fd, PAYLOAD_MB << 20)
    return fd


def add(tar: tarfile.TarFile, path: Path, name: str, mode: int) -> None:
    def plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
        info.mode, info.uid, info.gid = mode, 0, 0
        return info

    # a link in the repository is the file it names
    tar.add(path.resolve(), name, filter=plain)
