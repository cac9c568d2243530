"""`Machine`: the verbs of NixOS's test driver, with the same meaning (nixos/lib/test-driver)."""

import base64
import os
import re
import select
import shlex
import socket
import time
from contextlib import contextmanager
from pathlib import Path

from .firmware import Firmware
from .payload import PACKAGE
from .qemu import STATE_MB, Guest, Qemu, anonymous_file, copy_sparse, make_state_disk, serial_file
from .snapshot import Snapshot

READY = "Spawning backdoor root shell..."
# seconds; no suspend of a scenario is so long
SILENCE = 60


class Shell:
    """A root shell of the guest at the other end of a socket."""

    def __init__(self, sock: socket.socket, on_silence=lambda: None) -> None:
        self.sock, self.on_silence = sock, on_silence
        self.buffer = b""
        # no output has it
        self.mark = os.urandom(16).hex()

    def send(self, text: str) -> None:
        self.sock.sendall(text.encode())

    def until(self, text: str) -> str:
        """What comes before the line `text`, which is taken as well."""
        end = f"{text}\n".encode()
        while end not in self.buffer:
            if not select.select([self.sock], [], [], SILENCE)[0]:
                self.on_silence()
                continue
            chunk = self.sock.recv(65536)
            if not chunk:
                raise EOFError("the machine has ended")
            self.buffer += chunk
        before, _, self.buffer = self.buffer.partition(end)
        return before.decode(errors="replace")

    def wait_ready(self) -> None:
        self.until(READY)

    def run(self, command: str, timeout: int | None) -> tuple[int, str]:
        script = shlex.quote(f"set -euo pipefail; {command}")
        # a program less to start, which is what costs time in an emulated machine
        body = f"(eval {script})" if timeout is None else f"timeout {timeout} bash -c {script}"
        self.send(f"echo {self.mark}; {body}; echo {self.mark} $?; echo {self.mark}\n")
        self.until(self.mark)
        output, _, status = self.until(f"\n{self.mark}").rpartition(f"{self.mark} ")
        return int(status), output


def retry(attempt, timeout: int, what: str) -> None:
    """Calls `attempt` about once a second until it is true; as in NixOS's driver, once more at the end."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if attempt(False):
            return
        time.sleep(1)
    if not attempt(True):
        raise Exception(f"action timed out after {timeout} seconds: {what}")


class Machine:
    """One guest. `start` goes on from the saved machine the first time and boots after that; its disk stays."""

    def __init__(self, name: str, number: int, guest: Guest, snapshot: Snapshot | None, *, loader: str, network: str,
                 payload: int, lan_port: int, folder: Path, log) -> None:
        self.name, self.number, self.guest, self.snapshot = name, number, guest, snapshot
        self.loader, self.firmware = loader, None
        self.network, self.payload, self.lan_port, self.folder = network, payload, lan_port, folder
        self.write_log = log
        self.machine_id = os.urandom(16).hex()
        self.mac = f"52:54:00:12:01:{number:02x}"
        self.qemu: Qemu | None = None
        self.shell: Shell | None = None
        self.connected = False
        self.number_of_starts = 0
        self.state: int | None = None
        self.serial = serial_file(folder)

    def __repr__(self) -> str:
        return f"<Machine '{self.name}'>"

    # starting and ending

    @property
    def booted(self) -> bool:
        return self.qemu is not None

    def start(self, allow_reboot: bool = False) -> None:
        if self.booted:
            return
        if self.state is None:
            self.state = anonymous_file(self.folder, STATE_MB << 20)
            if self.snapshot:
                self._go_on(self.snapshot)
                self._become_oneself()
                return
            make_state_disk(self.state)
        self.log("booting")
        self._launch(None)

    def start_as_nobody(self) -> None:
        """Boots, or goes on, and stops there: the machine is to be saved."""
        self.state = anonymous_file(self.folder, STATE_MB << 20)
        if self.snapshot:
            self._go_on(self.snapshot)
            return
        make_state_disk(self.state)
        self._launch(None)
        self.shell.wait_ready()
        self.connected = True

    def _launch(self, incoming: int | None) -> None:
        assert self.state is not None
        os.lseek(self.serial, 0, os.SEEK_END)
        if self.loader and self.number_of_starts and not self.firmware:
            self.firmware = Firmware(self.guest, self.loader, self.machine_id, self.folder)
        self.qemu = Qemu(self.guest, state=self.state, payload=self.payload, machine_id=self.machine_id, mac=self.mac,
                         lan_port=self.lan_port, serial=self.serial, incoming=incoming, firmware=self.firmware)
        self.shell = Shell(self.qemu.shell, self._wake)
        self.connected = False
        self.number_of_starts += 1

    def _wake(self) -> None:
        """An alarm that goes off after the processes are frozen and before the machine sleeps wakes nobody."""
        if self.qemu.asleep():
            self.log("asleep without an alarm: waking it")
            self.qemu.monitor("system_wakeup")

    def _go_on(self, snapshot: Snapshot) -> None:
        self.log("going on from the saved machine")
        copy_sparse(snapshot.state, self.state)
        with open(snapshot.memory, "rb") as memory:
            os.set_inheritable(memory.fileno(), True)
            self._launch(memory.fileno())
            self.qemu.wait_incoming()
        self.connected = True

    def _become_oneself(self) -> None:
        """A saved machine wakes with an old clock and another's name, address and random numbers: replace them all."""
        seed = base64.b64encode(os.urandom(64)).decode()
        self.succeed(
            f"date -s @{time.time() + 0.3:.2f}; hostname {self.name}; "
            f"echo {self.machine_id} | tee /run/machine-id > /etc/machine-id; systemctl restart systemd-journald; reseed {seed}; ip link set dev eth1 down; ip link set dev eth1 address {self.mac}; "
            + self._settling_in())

    def _settling_in(self) -> str:
        """What a machine is given at its first start: its address, the program under test, the network of its kind."""
        start = {"networkmanager": "systemctl enable --now wpa_supplicant NetworkManager >&2",
                 "networkd": "systemctl enable --now systemd-networkd >&2"}
        if self.snapshot and self.network == "networkmanager":
            # it runs already; for the next boot
            start["networkmanager"] = ("ln -s /usr/lib/systemd/system/NetworkManager.service "
                                       "/etc/systemd/system/multi-user.target.wants/")
        return (f"ip link set dev eth1 up; ip addr replace 192.168.1.{self.number}/24 dev eth1; "
                f"tar -xf /dev/vdc -C /; dpkg --install {PACKAGE} >&2; "
                f"{start.get(self.network, 'true')}")

    def connect(self) -> None:
        if self.connected:
            return
        if not self.booted:
            self.start()
            if self.connected:
                return
        self.shell.wait_ready()
        self.connected = True
        if self.number_of_starts == 1:
            self.succeed(self._settling_in())
        else:
            # udev may not have given it its name yet
            self.succeed("timeout 60 sh -c 'until [ -e /sys/class/net/eth1 ]; do sleep 0.2; done'")
            self.succeed(f"ip link set dev eth1 up; ip addr replace 192.168.1.{self.number}/24 dev eth1")

    def shutdown(self) -> None:
        if not self.booted:
            return
        self.connect()
        self.shell.send("poweroff\n")
        self.wait_for_shutdown()

    def crash(self) -> None:
        if not self.booted:
            return
        self.log("forced crash")
        self.qemu.process.kill()
        self.wait_for_shutdown()

    def wait_for_shutdown(self) -> None:
        if not self.booted:
            return
        with self.nested("waiting for the machine to power off"):
            self.qemu.process.wait()
            self.qemu.close()
            self.qemu, self.shell, self.connected = None, None, False

    def release(self) -> None:
        """Ends the machine and gives back all it held."""
        if self.qemu:
            self.qemu.kill()
            self.qemu = None
        for fd in (self.state, self.serial):
            if fd is not None:
                os.close(fd)

    # commands

    def execute(self, command: str, check_return: bool = True, check_output: bool = True,
                timeout: int | None = 900) -> tuple[int, str]:
        self.connect()
        try:
            if not check_output or not check_return:
                script = shlex.quote(f"set -euo pipefail; {command}")
                self.shell.send(f"bash -c {script} > /dev/null\n")
                return (-2 if not check_output else -1, "")
            return self.shell.run(command, timeout)
        except (EOFError, ConnectionError) as error:
            raise Exception(f"the machine has ended: {self.qemu.ending()}") from error

    def succeed(self, *commands: str, timeout: int | None = None) -> str:
        output = ""
        for command in commands:
            with self.nested(f"must succeed: {command}"):
                status, out = self.execute(command, timeout=timeout)
                if status != 0:
                    self.log(f"output: {out}")
                    raise Exception(f"command `{command}` failed (exit code {status})")
                output += out
        return output

    def fail(self, *commands: str, timeout: int | None = None) -> str:
        output = ""
        for command in commands:
            with self.nested(f"must fail: {command}"):
                status, out = self.execute(command, timeout=timeout)
                if status == 0:
                    raise Exception(f"command `{command}` unexpectedly succeeded")
                output += out
        return output

    def wait_until_succeeds(self, command: str, timeout: int = 900) -> str:
        output = ""

        def check(_last: bool) -> bool:
            nonlocal output
            status, output = self.execute(command, timeout=timeout)
            return status == 0

        with self.nested(f"waiting for success: {command}"):
            retry(check, timeout, command)
            return output

    def wait_until_fails(self, command: str, timeout: int = 900) -> str:
        output = ""

        def check(_last: bool) -> bool:
            nonlocal output
            status, output = self.execute(command, timeout=timeout)
            return status != 0

        with self.nested(f"waiting for failure: {command}"):
            retry(check, timeout, command)
            return output

    def sleep(self, secs: int) -> None:
        # the guest's time, not ours
        self.succeed(f"sleep {secs}")

    # units

    def systemctl(self, q: str, user: str | None = None) -> tuple[int, str]:
        if user is not None:
            return self.execute(f"su -l {user} --shell /bin/sh -c "
                                f"{shlex.quote(f'XDG_RUNTIME_DIR=/run/user/`id -u` systemctl --user {q}')}")
        return self.execute(f"systemctl {q}")

    def get_unit_info(self, unit: str, user: str | None = None) -> dict[str, str]:
        status, lines = self.systemctl(f'--no-pager show "{unit}"', user)
        if status != 0:
            raise Exception(f'retrieving systemctl info for unit "{unit}" failed with exit code {status}')
        pairs = (re.match(r"^([^=]+)=(.*)$", line) for line in lines.split("\n"))
        return {m[1]: m[2] for m in pairs if m}

    def get_unit_property(self, unit: str, property: str, user: str | None = None) -> str:
        status, lines = self.systemctl(f'--no-pager show "{unit}" --property="{property}"', user)
        match = re.match(r"^([^=]+)=(.*)$", lines)
        if status != 0 or not match or match[1] != property:
            raise Exception(f'no property "{property}" of unit "{unit}" (exit code {status}): {lines}')
        return match[2]

    def require_unit_state(self, unit: str, require_state: str = "active") -> None:
        state = self.get_unit_info(unit)["ActiveState"]
        if state != require_state:
            raise Exception(f"Expected unit '{unit}' to be in state '{require_state}' but it is in state '{state}'")

    def wait_for_unit(self, unit: str, user: str | None = None, timeout: int = 900) -> None:
        def check(_last: bool) -> bool:
            state = self.get_unit_property(unit, "ActiveState", user)
            if state == "failed":
                raise Exception(f'unit "{unit}" reached state "{state}"')
            if state == "inactive":
                _, jobs = self.systemctl("list-jobs --full 2>&1", user)
                if "No jobs" in jobs and self.get_unit_info(unit, user)["ActiveState"] == state:
                    raise Exception(f'unit "{unit}" is inactive and there are no pending jobs')
            return state == "active"

        with self.nested(f"waiting for unit {unit}"):
            retry(check, timeout, unit)

    def start_job(self, jobname: str, user: str | None = None) -> tuple[int, str]:
        return self.systemctl(f"start {jobname}", user)

    def stop_job(self, jobname: str, user: str | None = None) -> tuple[int, str]:
        return self.systemctl(f"stop {jobname}", user)

    # files and sockets

    def wait_for_file(self, filename: str, timeout: int = 900) -> None:
        self.wait_until_succeeds(f"test -e {filename}", timeout)

    def wait_for_open_port(self, port: int, addr: str = "localhost", timeout: int = 900) -> None:
        self.wait_until_succeeds(f"(: < /dev/tcp/{addr}/{port}) 2> /dev/null", timeout)

    def wait_for_closed_port(self, port: int, addr: str = "localhost", timeout: int = 900) -> None:
        self.wait_until_fails(f"(: < /dev/tcp/{addr}/{port}) 2> /dev/null", timeout)

    def copy_from_host_via_shell(self, source: str, target: str) -> None:
        data = base64.b64encode(Path(source).read_bytes()).decode()
        self.succeed(f"mkdir -p $(dirname {target})", f"echo -n {data} | base64 -d > {target}")

    copy_from_host = copy_from_host_via_shell

    # the machine itself

    def send_monitor_command(self, command: str) -> str:
        if not self.booted:
            self.start()
        return self.qemu.monitor(command)

    def block(self) -> None:
        self.send_monitor_command("set_link lan off")

    def unblock(self) -> None:
        self.send_monitor_command("set_link lan on")

    # what is written down

    def log(self, msg: str) -> None:
        self.write_log(f"{self.name}: {msg}")

    @contextmanager
    def nested(self, msg: str, attrs: dict | None = None):
        self.log(msg)
        begin = time.monotonic()
        yield
        self.log(f"(finished: {msg[:120]}, in {time.monotonic() - begin:.2f} seconds)")

    def serial_log(self) -> bytes:
        return os.pread(self.serial, os.fstat(self.serial).st_size, 0)

    def journal(self, seconds: int = 90) -> str:
        """The journal by the second shell, as the first may be in the middle of a command."""
        if not self.booted or self.qemu.process.poll() is not None:
            return "the machine is not running\n"
        self.qemu.rescue.settimeout(seconds)
        try:
            return Shell(self.qemu.rescue).run("journalctl --no-pager -o short-monotonic", seconds)[1]
        except (OSError, ValueError) as error:
            return f"the journal could not be read: {error}\n"
