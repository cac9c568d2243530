"""A booted guest kept on disk, so that a scenario begins seconds after it is asked for."""

import hashlib
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .cache import drop_others, work_folder
from .progress import say
from .qemu import PAYLOAD_MB, STATE_DISK, Guest, Qemu, anonymous_file, copy_sparse


@dataclass(frozen=True)
class Snapshot:
    """A saved machine: its memory, and the disk that belongs to it."""

    folder: Path

    @property
    def memory(self) -> Path:
        return self.folder / "memory"

    @property
    def state(self) -> Path:
        return self.folder / "state"


def snapshot_of(guest: Guest, cache: Path, network: str) -> Snapshot:
    """A saved machine of `guest`, made if there is none of this recipe yet. One with NetworkManager running is kept as well:
    starting it again in every scenario costs more than a second image."""
    kind = network if network == "networkmanager" else "plain"
    final = cache / f"booted-{guest.arch.name}-{kind}-{key(guest)}"
    if not final.is_dir():
        before = snapshot_of(guest, cache, "") if kind != "plain" else None
        say(f"starting NetworkManager in the {guest.arch.name} guest once" if before else
            f"booting the {guest.arch.name} guest once, to go on from later ({guest.accel})")
        with work_folder(cache) as work:
            saved = work / "booted"
            saved.mkdir()
            with first_machine(guest, before, work) as machine:
                warm_up(machine, kind)
                save(machine, Snapshot(saved))
            saved.rename(final)
        drop_others(cache, f"booted-{guest.arch.name}-{kind}-", final)
    return Snapshot(final)


def key(guest: Guest) -> str:
    version = subprocess.check_output([guest.arch.qemu, "--version"])
    shape = Qemu.command_line(guest, 0, 0, [0, 0, 0], "", 0)
    own = Path(__file__).read_bytes()
    text = version + repr((shape, guest.append(""), STATE_DISK)).encode() + own
    return hashlib.sha256(text).hexdigest()[:16]


@contextmanager
def first_machine(guest: Guest, before: Snapshot | None, work: Path) -> Iterator:
    """A machine that is nobody's yet."""
    from .machine import Machine

    payload = anonymous_file(work, PAYLOAD_MB << 20)
    machine = Machine("guest", 1, guest, before, loader="", network="", payload=payload, lan_port=20000 + os.getpid() % 20000,
                      folder=work, log=lambda _line: None)
    try:
        machine.start_as_nobody()
        yield machine
    except Exception as error:
        serial = machine.serial_log().decode(errors="replace")
        raise RuntimeError(f"the guest does not boot: {error}\n{serial[-3000:]}") from error
    finally:
        machine.release()
        os.close(payload)


def warm_up(machine, kind: str) -> None:
    if kind == "networkmanager":
        machine.succeed("systemctl start wpa_supplicant NetworkManager; systemctl is-active NetworkManager; "
                        "nmcli general; udevadm settle; sync")
        return
    # the commands of most scenarios, translated by the emulator and in the page cache from then on
    machine.wait_until_succeeds("systemctl is-system-running --wait", timeout=600)
    machine.succeed(
        "udevadm settle; modprobe -a mac80211_hwsim veth; rmmod mac80211_hwsim; "
        "curl --version > /dev/null; python3 -c 'import http.server, ssl'; "
        "systemd-run --quiet --wait true; journalctl --rotate --vacuum-size=1 2>&1; sync")


def save(machine, snapshot: Snapshot) -> None:
    """Writes the machine down as it is; it does not run on."""
    machine.qemu.save(snapshot.memory)
    with open(snapshot.state, "wb") as out:
        copy_sparse(Path(f"/proc/self/fd/{machine.state}"), out.fileno())
