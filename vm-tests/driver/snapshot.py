"""A booted guest kept on disk, so that a scenario begins seconds after it is asked for."""

import hashlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .cache import drop_others, work_folder
from .qemu import PAYLOAD_MB, Guest, Qemu, anonymous_file, copy_sparse


# whose network it is when the machine is saved: starting it anew in every scenario costs more than a second image
NETWORKS = ["", "networkmanager"]


@dataclass(frozen=True)
class Snapshot:
    """The saved machines of a guest: for each kind of network its memory and the disk that belongs to it."""

    folder: Path

    def memory(self, network: str) -> Path:
        return self.folder / f"memory-{self.kind(network)}"

    def state(self, network: str) -> Path:
        return self.folder / f"state-{self.kind(network)}"

    @staticmethod
    def kind(network: str) -> str:
        return network if network in NETWORKS and network else "plain"


def snapshot_of(guest: Guest, cache: Path, say) -> Snapshot:
    """The saved machines for `guest`, booted and saved if there are none of this recipe yet."""
    final = cache / f"booted-{guest.arch.name}-{key(guest)}"
    if not final.is_dir():
        say(f"booting the {guest.arch.name} guest once, to go on from later ({guest.accel})")
        with work_folder(cache) as work:
            saved = work / "booted"
            saved.mkdir()
            boot_and_save(guest, saved)
            saved.rename(final)
        drop_others(cache, f"booted-{guest.arch.name}-", final)
    return Snapshot(final)


def key(guest: Guest) -> str:
    version = subprocess.check_output([guest.arch.qemu, "--version"])
    shape = Qemu.command_line(guest, 0, 0, [0, 0, 0], "", 0)
    own = Path(__file__).read_bytes()
    text = version + repr((shape, guest.append(""))).encode() + own
    return hashlib.sha256(text).hexdigest()[:16]


def boot_and_save(guest: Guest, work: Path) -> None:
    from .machine import Machine

    payload = anonymous_file(work, PAYLOAD_MB << 20)
    lines: list[str] = []
    machine = Machine("guest", 1, guest, None, network="", payload=payload, lan_port=20000 + os.getpid() % 20000,
                      folder=work, log=lines.append)
    try:
        machine.start()
        machine.shell.wait_ready()
        machine.connected = True
        # the commands of most scenarios, translated by the emulator and in the page cache from then on
        machine.wait_until_succeeds("systemctl is-system-running --wait", timeout=600)
        machine.succeed(
            "udevadm settle; modprobe -a mac80211_hwsim veth; rmmod mac80211_hwsim; "
            "curl --version > /dev/null; python3 -c 'import http.server, ssl'; "
            "systemd-run --quiet --wait true; journalctl --rotate --vacuum-size=1 2>&1; sync")
        for network in NETWORKS:
            if network:
                machine.succeed("systemctl start wpa_supplicant NetworkManager; systemctl is-active NetworkManager; "
                                "nmcli general; udevadm settle; sync")
            save(machine, Snapshot(work), network)
    except Exception as error:
        serial = machine.serial_log().decode(errors="replace")
        raise RuntimeError(f"the guest does not boot: {error}\n{serial[-3000:]}") from error
    finally:
        machine.release()
        os.close(payload)


def save(machine, snapshot: Snapshot, network: str) -> None:
    """Writes the machine down as it is, and lets it run on."""
    machine.qemu.save(snapshot.memory(network))
    with open(snapshot.state(network), "wb") as out:
        copy_sparse(Path(f"/proc/self/fd/{machine.state}"), out.fileno())
    machine.qemu.qmp.command("cont")
