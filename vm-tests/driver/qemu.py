"""One QEMU process and its wires: every file it uses is a descriptor of ours, so nothing is left when we are killed."""

import json
import os
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from .arch import Arch
from .image import die_with_parent

STATE_MB = 3072
PAYLOAD_MB = 64
MEMORY_MB = 1024
KERNEL_ARGS = ("quiet loglevel=4 panic=-1 audit=0 apparmor=0 mitigations=off nokaslr net.ifnames=0 "
               "random.trust_cpu=on systemd.show_status=0 systemd.log_color=0 cryptomgr.notests "
               "systemd.firstboot=off")


@dataclass(frozen=True)
class Guest:
    """The files of a built guest, and how its machine is accelerated."""

    arch: Arch
    files: Path
    accel: str

    def append(self, machine_id: str) -> str:
        return f"console={self.arch.console} {KERNEL_ARGS} {self.arch.kernel_args} systemd.machine_id={machine_id}"


def anonymous_file(folder: Path, size: int) -> int:
    """A file without a name, of `size` bytes and as yet no blocks: gone when its last user is."""
    fd = os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o600)
    os.set_inheritable(fd, True)
    os.ftruncate(fd, size)
    return fd


def copy_sparse(source: Path, fd: int) -> None:
    """Copies `source` into the file behind `fd`; what is a hole stays one."""
    with open(source, "rb") as file:
        end, position = os.fstat(file.fileno()).st_size, 0
        os.ftruncate(fd, end)
        while position < end:
            try:
                position = os.lseek(file.fileno(), position, os.SEEK_DATA)
            except OSError:
                return
            hole = os.lseek(file.fileno(), position, os.SEEK_HOLE)
            while position < hole:
                chunk = os.pread(file.fileno(), min(1 << 20, hole - position), position)
                os.pwrite(fd, chunk, position)
                position += len(chunk)


class Qmp:
    """QEMU's machine protocol on a connected socket."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.file = sock.makefile("rw", encoding="utf-8")
        self.events: list[dict] = []
        self._read()
        self.command("qmp_capabilities")

    def _read(self) -> dict:
        line = self.file.readline()
        if not line:
            raise EOFError("QEMU has ended")
        return json.loads(line)

    def remaining_events(self) -> list[str]:
        """The last events of one that has ended, each with its data."""
        try:
            while True:
                self.events.append(self._read())
        except (EOFError, OSError, ValueError):
            return [f"{event['event']} {event.get('data', '')}".strip() for event in self.events[-4:]]

    def command(self, name: str, **arguments):
        json.dump({"execute": name, "arguments": arguments}, self.file)
        self.file.write("\n")
        self.file.flush()
        while True:
            answer = self._read()
            if "event" in answer:
                self.events.append(answer)
            elif "error" in answer:
                raise RuntimeError(f"QEMU refuses {name}: {answer['error']['desc']}")
            else:
                return answer["return"]


class Qemu:
    """A running machine. `incoming` is a saved one to go on from."""

    def __init__(self, guest: Guest, *, state: int, payload: int, machine_id: str, mac: str, lan_port: int,
                 serial: int, incoming: int | None = None, firmware=None) -> None:
        ours, theirs = zip(*(socket.socketpair() for _ in range(3)))
        fds = [state, payload, *(s.fileno() for s in theirs)] + ([incoming] if incoming is not None else [])
        command = self.command_line(guest, state, payload, [s.fileno() for s in theirs], mac, lan_port)
        if firmware:
            command += firmware.options()
            fds += firmware.files
        else:
            command += ["-kernel", str(guest.files / "vmlinuz"), "-initrd", str(guest.files / "initrd"),
                        "-append", guest.append(machine_id)]
        if incoming is not None:
            os.lseek(incoming, 0, os.SEEK_SET)
            command += ["-incoming", f"fd:{incoming}"]
        self.process = subprocess.Popen(die_with_parent(["nice", "-n", "10", *command]), stdin=subprocess.DEVNULL,
                                        stdout=serial, stderr=serial, pass_fds=fds)
        for sock in theirs:
            sock.close()
        self.shell, self.rescue = ours[0], ours[1]
        self.qmp = Qmp(ours[2])

    @staticmethod
    def command_line(guest: Guest, state: int, payload: int, wires: list[int], mac: str, lan_port: int) -> list[str]:
        files = guest.files
        return [
            guest.arch.qemu, *guest.arch.hardware(guest.accel), "-nodefaults", "-no-user-config", "-display", "none",
            "-no-reboot", "-m", str(MEMORY_MB),
            "-chardev", "stdio,id=serial,signal=off", "-serial", "chardev:serial",
            "-drive", f"file={files / 'root.img'},if=none,id=root,format=raw,readonly=on,file.locking=off",
            "-device", "virtio-blk-pci,drive=root",
            "-drive", f"file=/proc/self/fd/{state},if=none,id=state,format=raw,cache=unsafe,discard=unmap,file.locking=off",
            "-device", "virtio-blk-pci,drive=state",
            "-drive", f"file=/proc/self/fd/{payload},if=none,id=payload,format=raw,cache=unsafe,file.locking=off",
            "-device", "virtio-blk-pci,drive=payload",
            "-device", "virtio-rng-pci",
            "-netdev", f"socket,id=lan,mcast=230.0.0.1:{lan_port},localaddr=127.0.0.1",
            "-device", f"virtio-net-pci,netdev=lan,mac={mac},romfile=",
            "-device", "virtio-serial-pci",
            "-chardev", f"socket,id=shell,fd={wires[0]}", "-device", "virtconsole,chardev=shell",
            "-chardev", f"socket,id=rescue,fd={wires[1]}", "-device", "virtconsole,chardev=rescue",
            "-chardev", f"socket,id=qmp,fd={wires[2]}", "-mon", "chardev=qmp,mode=control",
        ]

    def monitor(self, command: str) -> str:
        """A command of the human monitor, as NixOS's `send_monitor_command` gives them."""
        return self.qmp.command("human-monitor-command", **{"command-line": command})

    def asleep(self) -> bool:
        """In S3; QEMU knows nothing of s2idle."""
        return self.qmp.command("query-status")["status"] == "suspended"

    def save(self, path: Path) -> None:
        """Stops the machine and writes it to `path`; the disks are the caller's to keep."""
        self.qmp.command("stop")
        self.qmp.command("migrate-set-parameters", **{"max-bandwidth": 1 << 34})
        self.qmp.command("migrate", uri=f"exec:cat > '{path}'")
        while (status := self.qmp.command("query-migrate")["status"]) in ("setup", "active", "device"):
            time.sleep(0.1)
        if status != "completed":
            raise RuntimeError(f"saving the machine ended as {status}")

    def wait_incoming(self, deadline: float = 120) -> None:
        """Until a machine begun from a saved one is whole; then it runs."""
        end = time.monotonic() + deadline
        while self.qmp.command("query-status")["status"] == "inmigrate":
            if time.monotonic() > end:
                raise RuntimeError("the saved machine does not come up")
            time.sleep(0.05)
        self.qmp.command("cont")

    def ending(self) -> str:
        """How it ended, for a person: its exit code (a signal's number below zero) and what it said last."""
        code, said = self.process.wait(), self.qmp.remaining_events()
        return f"QEMU has exited with {code}, after {', '.join(said) or 'no event'}"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.close()

    def close(self) -> None:
        for sock in (self.shell, self.rescue, self.qmp.sock):
            sock.close()


def serial_file(folder: Path) -> int:
    return anonymous_file(folder, 0)


def kvm_works(guest_files: Path, arch: Arch) -> bool:
    """Whether a stock kernel really runs under KVM: `/dev/kvm` can open, and yet fail at the first instruction."""
    if arch.name != os.uname().machine or not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    command = [arch.qemu, *arch.hardware("kvm"), "-nodefaults", "-display", "none", "-no-reboot", "-m", "256",
               "-serial", "stdio", "-kernel", str(guest_files / "vmlinuz"),
               "-append", f"console={arch.console} panic=-1 quiet"]
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(die_with_parent(command), stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        try:
            # without a root the kernel panics, and with panic=-1 and -no-reboot QEMU ends: that is success
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            return False
        finally:
            process.kill()
            process.wait()
        out.seek(0)
        text = out.read()
    return b"Kernel panic" in text and b"KVM internal error" not in text


# a power cut must leave it as it leaves a real one, so it has a journal
STATE_DISK = ["mke2fs", "-q", "-F", "-t", "ext4", "-O", "^metadata_csum", "-J", "size=8", "-E", "lazy_itable_init=1", "-m", "0"]


def make_state_disk(fd: int) -> None:
    """An empty ext4 file system in the file behind `fd`."""
    from .image import run

    run([*STATE_DISK, f"/proc/self/fd/{fd}"], pass_fds=[fd])
