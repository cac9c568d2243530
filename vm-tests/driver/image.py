"""Builds a guest's files (kernel, initramfs, root image) once per recipe, atomically."""

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

from .arch import ARCHES, Arch
from .cache import drop_others, wants_root, work_folder
from .mirror import debian_mirror
from .progress import say

# another one: scenarios then run with its systemd and kernel
RELEASE = os.environ.get("UPGRADE_GATE_VM_RELEASE", "trixie")
MIRROR = debian_mirror()
# a server that does not answer at once is asked again, and a release in the making may be past its date
APT_OPTIONS = ['--aptopt=Acquire::Retries "5"', '--aptopt=Acquire::Check-Valid-Until "false"']
# needed before the root is there, or at every boot: loaded in stage 1, so that udev need not find them
EARLY_MODULES = ["crc32c_generic", "virtio_pci", "virtio_blk", "ext4", "overlay", "virtio_console", "virtio_net",
                 "virtio_rng"]
# in stage 1, too, and loaded by the scenario that has a btrfs
BTRFS_MODULES = ["loop", "btrfs"]


def guest_dir() -> Path:
    return Path(__file__).resolve().parent.parent / "guest"


def die_with_parent(command: list[str]) -> list[str]:
    """`command`, ended by the kernel when we end, however we end."""
    return ["setpriv", "--pdeathsig", "KILL", *command]


def recipe_hash(arch: Arch, *files: Path) -> str:
    """A name for what the given files (by default: all that is in guest/, and this one) make of `arch`."""
    digest = hashlib.sha256(f"{RELEASE} {MIRROR} {arch.debian}".encode())
    for path in files or (*sorted(guest_dir().iterdir()), Path(__file__)):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


class Images:
    """The cache of guests; one builder at a time holds its lock (see lab.open_cache)."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache

    def get(self, arch: Arch) -> Path:
        """The folder with `vmlinuz`, `initrd` and `root.img` of a guest of `arch`, built if need be."""
        final = self.cache / f"guest-{arch.name}-{recipe_hash(arch)}"
        if final.is_dir():
            return final
        wants_root("building a guest")
        unpacked = self._root(arch)
        say(f"making the {arch.name} guest's image")
        with work_folder(self.cache) as work:
            root, made = work / "root", work / "guest"
            made.mkdir()
            run(["cp", "-a", "--reflink=auto", str(unpacked), str(root)])
            run([str(guest_dir() / "configure"), str(root)])
            self._finish(arch, root, made)
            made.rename(final)
        drop_others(self.cache, f"guest-{arch.name}-", final)
        return final

    def _root(self, arch: Arch) -> Path:
        """A Debian root of `arch`: installed by apt for x86_64, put together for a foreign one."""
        final = self.cache / f"root-{arch.name}-{recipe_hash(arch, guest_dir() / 'packages')}"
        if final.is_dir():
            return final
        say(f"unpacking Debian {RELEASE} for {arch.name}, once, some minutes")
        with work_folder(self.cache) as work:
            root = work / "root"
            if arch.name == "x86_64":
                self._debootstrap(arch, root, "minbase", [])
            else:
                self._foreign(arch, root)
            root.rename(final)
        drop_others(self.cache, f"root-{arch.name}-", final)
        return final

    def _debootstrap(self, arch: Arch, root: Path, variant: str, more: list[str]) -> None:
        packages = (guest_dir() / "packages").read_text().replace("@ARCH@", arch.debian).split("\n")
        names = [*(p for p in packages if p and not p.startswith("#")), *more]
        excludes = [f"--dpkgopt=path-exclude=/usr/share/{d}/*" for d in ("man", "locale", "doc", "i18n")]
        debootstrap(root, RELEASE, arch.debian, variant, names, excludes)

    def _foreign(self, arch: Arch, root: Path) -> None:
        """What maintainer scripts leave in /etc and /var is the same everywhere: no foreign code need run here."""
        configured = self._root(ARCHES["x86_64"])
        # mmdebstrap adds them only where it installs
        self._debootstrap(arch, root, "extract", essential(configured))
        for name in ("etc", "var"):
            shutil.rmtree(root / name)
            run(["cp", "-a", str(configured / name), str(root / name)])
        rename_packages(root / "var/lib/dpkg", ARCHES["x86_64"], arch)
        (root / "etc/ld.so.cache").unlink(missing_ok=True)
        for link in ("bin", "sbin", "lib"):
            if not (root / link).is_symlink():
                run(["cp", "-a", f"{root / link}/.", str(root / "usr" / link)]) if (root / link).is_dir() else None
                shutil.rmtree(root / link, ignore_errors=True)
                (root / link).symlink_to(f"usr/{link}")
        # /bin/awk and its like, made by update-alternatives
        for folder in ("usr/bin", "usr/sbin"):
            for link in (configured / folder).iterdir():
                target = root / folder / link.name
                if link.is_symlink() and os.readlink(link).startswith("/etc/alternatives/"):
                    target.unlink(missing_ok=True)
                    target.symlink_to(os.readlink(link))
        # compiled by python3's maintainer script, the same for all architectures
        for compiled in (configured / "usr/lib").glob("python3*/**/__pycache__"):
            target = root / compiled.relative_to(configured)
            if target.parent.is_dir() and not target.exists():
                shutil.copytree(compiled, target)
        for path in ("usr/lib/dbus-1.0/dbus-daemon-launch-helper",):
            run(["chown", "--reference", str(configured / path), str(root / path)])
            run(["chmod", "--reference", str(configured / path), str(root / path)])

    def _finish(self, arch: Arch, root: Path, work: Path) -> None:
        modules = next((root / "usr/lib/modules").iterdir())
        run(["depmod", "-b", str(root / "usr" if not (root / "lib").is_symlink() else root), modules.name])
        shutil.copy(next((root / "boot").glob("vmlinuz-*")), work / "vmlinuz")
        efi = arch.efi
        shutil.copy(root / f"usr/lib/systemd/boot/efi/systemd-boot{efi}.efi", work / "systemd-boot.efi")
        shutil.copy(next((root / "usr/lib/grub").glob(f"*-efi/monolithic/grub{efi}.efi")), work / "grub.efi")
        self._initramfs(root, modules, work)
        size = int(subprocess.check_output(["du", "-sm", "--apparent-size", str(root)]).split()[0]) * 5 // 4 + 64
        run(["nice", "-n", "10", "mke2fs", "-q", "-t", "ext4", "-O", "^has_journal,^metadata_csum", "-m", "0",
             "-d", str(root), str(work / "root.img"), f"{size}M"])

    def _initramfs(self, root: Path, modules: Path, work: Path) -> None:
        stage = work / "stage1"
        for name in ("bin", "dev", "proc", "sys", "lower", "state", "subvolume", "root", "modules"):
            (stage / name).mkdir(parents=True)
        shutil.copy(root / "usr/bin/busybox", stage / "bin/busybox")
        shutil.copy(guest_dir() / "init", stage / "init")
        early = module_order(modules, EARLY_MODULES)
        later = [module for module in module_order(modules, BTRFS_MODULES) if module not in early]
        for listed, order in {"order": early, "btrfs": later}.items():
            for module in order:
                packed = modules / module
                opener = ["xz", "-dc", str(packed)] if packed.suffix == ".xz" else ["cat", str(packed)]
                (stage / "modules" / packed.name.removesuffix(".xz")).write_bytes(subprocess.check_output(opener))
            names = [Path(m).name.removesuffix(".xz") for m in order]
            (stage / "modules" / listed).write_text("\n".join(names) + "\n")
        (work / "initrd").write_bytes(newc(stage))
        shutil.rmtree(stage)


def debootstrap(root: Path, release: str, arches: str, variant: str, packages: list[str], options: list[str]) -> None:
    """Has mmdebstrap make `root` of a Debian release."""
    keys = ",".join(map(str, sorted(Path("/usr/share/keyrings").glob("debian-archive-*.gpg"))))
    source = root.parent / "apt.list"
    source.write_text(f"deb {f'[signed-by={keys}] ' if keys else ''}{MIRROR} {release} main\n")
    command = ["mmdebstrap", f"--variant={variant}", f"--architectures={arches}", f"--include={','.join(packages)}",
               "--skip=check/qemu", *APT_OPTIONS, *options, release, str(root), str(source)]
    # in a mount and a PID namespace of its own, and with a folder for its keys that goes with ours: nothing stays when it is killed
    run(["nice", "-n", "10", "unshare", "--mount", "--pid", "--fork", "--kill-child", *command],
        env={**os.environ, "INITRD": "No", "DEBIAN_FRONTEND": "noninteractive", "TMPDIR": str(root.parent)})


def essential(configured: Path) -> list[str]:
    """The packages of an installed root that every Debian has and no dependency names."""
    stanzas = (configured / "var/lib/dpkg/status").read_text().split("\n\n")
    return [re.search(r"^Package: (.*)$", s, re.M)[1] for s in stanzas if re.search(r"^Essential: yes$", s, re.M)]


def rename_packages(database: Path, theirs: Arch, ours: Arch) -> None:
    """Has dpkg's `database` name the same packages of another architecture."""
    status = database / "status"
    status.write_text(status.read_text().replace(f"Architecture: {theirs.debian}\n", f"Architecture: {ours.debian}\n"))
    for path in (database / "info").glob(f"*:{theirs.debian}.*"):
        path.rename(path.with_name(path.name.replace(f":{theirs.debian}.", f":{ours.debian}.")))


def module_order(modules: Path, wanted: list[str]) -> list[str]:
    """The files of `wanted` and what they need, each after its needs; what is built in is left out."""
    needs: dict[str, tuple[str, list[str]]] = {}
    for line in (modules / "modules.dep").read_text().splitlines():
        path, _, rest = line.partition(":")
        name = Path(path).name.split(".")[0].replace("-", "_")
        needs[name] = (path, rest.split())
    order: list[str] = []
    for name in wanted:
        path, deps = needs.get(name, ("", []))
        # modules.dep lists the nearest need first
        order += [p for p in [*reversed(deps), path] if p and p not in order]
    return order


def newc(tree: Path) -> bytes:
    """`tree` as an uncompressed cpio archive, which the kernel unpacks fastest."""
    out = bytearray()

    def entry(name: str, mode: int, data: bytes) -> None:
        fields = [0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
        out.extend(b"070701" + b"".join(b"%08X" % f for f in fields) + name.encode() + b"\0")
        out.extend(b"\0" * (-len(out) % 4))
        out.extend(data + b"\0" * (-len(data) % 4))

    for path in sorted(tree.rglob("*")):
        name = str(path.relative_to(tree))
        entry(name, 0o40755, b"") if path.is_dir() else entry(name, 0o100755, path.read_bytes())
    entry("TRAILER!!!", 0, b"")
    return bytes(out)


def run(command: list[str], **options) -> None:
    """Runs `command` to its end; its output is shown only if it fails."""
    done = subprocess.run(die_with_parent(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", **options)
    if done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-25:])
        raise RuntimeError(f"`{' '.join(command)[:200]}` failed with {done.returncode}:\n{tail}")
