"""What differs between the architectures a guest can have."""

import os
import shutil
from dataclasses import dataclass


@dataclass(frozen=True)
class Arch:
    """One architecture: its names for Debian, QEMU and Rust, and the machine QEMU makes of it."""

    name: str
    debian: str
    rust: str
    console: str
    machine: tuple[str, ...]
    # UEFI: the name of its programs, and the firmware with an empty file for its variables
    efi: str
    firmware: str
    variables: str
    native_cpu: str = "max"
    kernel_args: str = ""

    @property
    def qemu(self) -> str:
        return f"qemu-system-{self.name}"

    def hardware(self, accel: str) -> list[str]:
        """QEMU's options for the machine; `accel` is `kvm` or `tcg`."""
        cpu = "host" if accel == "kvm" else self.native_cpu
        accel_arg = "kvm" if accel == "kvm" else "tcg,thread=multi"
        return [*self.machine, "-accel", accel_arg, "-cpu", cpu]


ARCHES = {
    "x86_64": Arch(
        name="x86_64",
        debian="amd64",
        rust="x86_64-unknown-linux-gnu",
        console="ttyS0",
        # without disable_s3=0 the firmware offers no S3, and suspend is only s2idle
        machine=("-machine", "q35", "-global", "ICH9-LPC.disable_s3=0"),
        efi="x64",
        firmware="/usr/share/OVMF/OVMF_CODE_4M.fd",
        variables="/usr/share/OVMF/OVMF_VARS_4M.fd",
        # the emulated TSC stands still after S3, and time with it; the timer's interrupts come late on a busy host, and the kernel's test of
        # them then ends in a panic
        kernel_args="tsc=unstable clocksource=hpet no_timer_check",
    ),
    "aarch64": Arch(
        name="aarch64",
        debian="arm64",
        rust="aarch64-unknown-linux-gnu",
        console="ttyAMA0",
        machine=("-machine", "virt"),
        efi="aa64",
        firmware="/usr/share/AAVMF/AAVMF_CODE.fd",
        variables="/usr/share/AAVMF/AAVMF_VARS.fd",
        # `max` emulates pointer authentication, which is slow
        native_cpu="cortex-a72",
    ),
}


def other(arch: Arch) -> Arch:
    """The architecture that a mixed scenario's second machine has."""
    return next(a for a in ARCHES.values() if a != arch)


def host() -> str:
    """The name of this machine's architecture."""
    return {"arm64": "aarch64", "amd64": "x86_64"}.get(os.uname().machine, os.uname().machine)


def missing_tools(arch: Arch) -> list[str]:
    """The programs a guest of `arch` needs and this machine lacks."""
    tools = [arch.qemu, "mmdebstrap", "mke2fs", "depmod", "setpriv", "unshare", "xz", "dh", "dpkg-buildpackage"]
    return [tool for tool in tools if not shutil.which(tool)]
