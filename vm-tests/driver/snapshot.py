"""A booted guest kept on disk, so that a scenario begins seconds after it is asked for."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .qemu import Guest, Qemu


@dataclass(frozen=True)
class Snapshot:
    """A saved machine: its memory and the disk that belongs to it."""

    folder: Path

    @property
    def memory(self) -> Path:
        return self.folder / "memory"

    @property
    def state(self) -> Path:
        return self.folder / "state.img"


def snapshot_of(guest: Guest, cache: Path, say) -> Snapshot:
    """The saved machine for `guest`, booted and saved if there is none of this recipe yet."""
    final = cache / f"booted-{guest.arch.name}-{key(guest)}"
    if not final.is_dir():
        say(f"booting the {guest.arch.name} guest once, to go on from later ({guest.accel})")
        work = Path(tempfile.mkdtemp(prefix="build-", dir=cache))
        try:
            boot_and_save(guest, work)
            work.rename(final)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        for path in cache.glob(f"booted-{guest.arch.name}-*"):
            if path != final:
                shutil.rmtree(path, ignore_errors=True)
    return Snapshot(final)


def key(guest: Guest) -> str:
    version = subprocess.check_output([guest.arch.qemu, "--version"])
    shape = Qemu.command_line(guest, 0, 0, [0, 0, 0], "", 0)
    own = Path(__file__).read_bytes()
    text = version + repr((shape, guest.append(""))).encode() + own
    return hashlib.sha256(text).hexdigest()[:16]


def boot_and_save(guest: Guest, work: Path) -> None:
    from .machine import Machine
    from .qemu import PAYLOAD_MB, anonymous_file

    payload = anonymous_file(work, PAYLOAD_MB << 20)
    lines: list[str] = []
    machine = Machine("guest", 1, guest, None, networkmanager=True, payload=payload, lan_port=1, folder=work,
                      log=lines.append)
    machine.lan_port = 20000 + os.getpid() % 20000
    try:
        machine.start()
        machine.shell.wait_ready()
        machine.connected = True
        machine.wait_until_succeeds("systemctl is-system-running", timeout=600)
        # loaded here once instead of in every scenario; the journal begins with the scenario
        machine.succeed("udevadm settle; systemctl is-active NetworkManager; journalctl --rotate --vacuum-size=1 2>&1; sync")
        machine.qemu.save(work / "memory")
        machine.qemu.kill()
        machine.qemu = None
        with open(work / "state.img", "wb") as out:
            sparse_copy(machine.state, out.fileno())
    except Exception as error:
        raise RuntimeError(f"the guest does not boot: {error}\n{machine.serial_log().decode(errors='replace')[-3000:]}")
    finally:
        machine.release()
        os.close(payload)


def sparse_copy(source: int, target: int) -> None:
    from .qemu import copy_sparse

    copy_sparse(Path(f"/proc/self/fd/{source}"), target)
