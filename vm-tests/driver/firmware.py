"""UEFI with its variables, and the boot partition of a machine that is started by a boot loader."""

import os
from pathlib import Path

from .image import run
from .qemu import Guest, anonymous_file, copy_sparse

ESP_MB = 256
SYSTEMD_BOOT = """timeout 0
default first.conf
"""
FIRST = """title first
linux /EFI/nixos/linux.efi
initrd /EFI/nixos/initrd.efi
options {append}
"""
# its own folder has what finds ours
GRUB = """set prefix=($root)/grub
configfile ($root)/grub/grub.cfg
"""
FIRST_OF_GRUB = """set timeout=0
menuentry "first" {{
  linux /EFI/nixos/linux.efi {append}
  initrd /EFI/nixos/initrd.efi
}}
"""


class Firmware:
    """What outlives a start: the variables of the firmware, and the boot partition, which the guest finds as its fourth disk."""

    def __init__(self, guest: Guest, loader: str, machine_id: str, folder: Path) -> None:
        self.arch = guest.arch
        self.variables = anonymous_file(folder, 0)
        copy_sparse(Path(self.arch.variables), self.variables)
        self.partition = anonymous_file(folder, ESP_MB << 20)
        self.image = f"/proc/self/fd/{self.partition}"
        append = guest.append(machine_id)
        texts = {
            "systemd-boot": {"loader/loader.conf": SYSTEMD_BOOT, "loader/entries/first.conf": FIRST.format(append=append)},
            "grub": {"EFI/debian/grub.cfg": GRUB, "grub/grub.cfg": FIRST_OF_GRUB.format(append=append)},
        }[loader]
        self._run(["mkfs.vfat", "-F", "32", self.image])
        self._folders(["EFI", "EFI/BOOT", "EFI/nixos", *sorted({str(Path(name).parent) for name in texts}), "loader", "loader/entries", "grub"])
        files = {f"EFI/BOOT/BOOT{self.arch.efi.upper()}.EFI": f"{loader}.efi", "EFI/nixos/linux.efi": "vmlinuz", "EFI/nixos/initrd.efi": "initrd"}
        for name, source in files.items():
            self._run(["mcopy", "-i", self.image, str(guest.files / source), f"::{name}"])
        for name, text in texts.items():
            self._write(folder, name, text)

    @property
    def files(self) -> list[int]:
        return [self.variables, self.partition]

    def options(self) -> list[str]:
        """QEMU's options for it."""
        return [
            "-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={self.arch.firmware}",
            "-drive", f"if=pflash,format=raw,unit=1,file=/proc/self/fd/{self.variables},file.locking=off",
            "-drive", f"file={self.image},if=none,id=esp,format=raw,cache=unsafe,file.locking=off",
            "-device", "virtio-blk-pci,drive=esp,bootindex=1",
        ]

    def _run(self, command: list[str]) -> None:
        run(command, pass_fds=[self.partition])

    def _folders(self, names: list[str]) -> None:
        for name in dict.fromkeys(names):
            # a folder that is there is no error
            self._run(["mmd", "-D", "s", "-i", self.image, f"::{name}"])

    def _write(self, folder: Path, name: str, text: str) -> None:
        source = anonymous_file(folder, 0)
        os.write(source, text.encode())
        run(["mcopy", "-i", self.image, f"/proc/self/fd/{source}", f"::{name}"], pass_fds=[self.partition, source])
        os.close(source)
