"""Builds the upgrade-gate under test, for this machine's architecture or another; also as a program, so that it can be done beside the guests."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from .arch import ARCHES, Arch, host
from .cache import Unavailable, wants_root, work_folder
from .image import debootstrap, die_with_parent, run
from .progress import say

PROJECT = Path(__file__).resolve().parent.parent.parent
# its Rust has the standard library of both architectures; what is older does not build the dependencies
CROSS_RELEASE = "forky"
GUEST_RELEASE = "trixie"


class Binaries:
    """The programs for the architectures: those given, and those that one process builds in turn while we do something else."""

    def __init__(self, given: dict[str, Path], cache: Path) -> None:
        self.found: dict[str, Path | Exception] = dict(given)
        self.cache = cache
        self.builder: subprocess.Popen | None = None

    def begin(self, names: list[str]) -> None:
        """Begins to build what is not given."""
        wanted = [name for name in names if name not in self.found]
        if wanted:
            command = [sys.executable, "-B", "-m", "driver.binary", str(self.cache), *wanted]
            self.builder = subprocess.Popen(die_with_parent(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)

    def get(self, arch: Arch) -> Path:
        """The path of the program for `arch`; waits for it, and raises what became of it else."""
        while arch.name not in self.found:
            line = self.builder.stdout.readline() if self.builder else ""
            name, _, rest = line.strip().partition(" ")
            word, _, text = rest.partition(" ")
            kinds = {"built": Path, "unavailable": Unavailable, "failed": RuntimeError}
            self.found[name or arch.name] = kinds[word](text) if word in kinds else RuntimeError("the builder has died")
        found = self.found[arch.name]
        if isinstance(found, Exception):
            raise found
        return found


def build(arch: Arch, cache: Path) -> str:
    """What became of it, as `Binaries.get` reads it."""
    say(f"building upgrade-gate for {arch.name}")
    try:
        path = native() if arch.name == host() else cross(arch, cache)
        say(f"built upgrade-gate for {arch.name}")
        return f"{arch.name} built {path}"
    except Unavailable as why:
        return f"{arch.name} unavailable {why}"
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        say(f"upgrade-gate for {arch.name}: {error}")
        return f"{arch.name} failed {str(error).splitlines()[0]}"


def native() -> Path:
    # the compiler's processes are cargo's children: in a namespace of their own they end with it
    alone = ["unshare", "--pid", "--fork", "--kill-child"] if os.geteuid() == 0 else []
    cargo([*alone, "packaging/build"], cwd=PROJECT)
    target = Path(os.environ.get("CARGO_TARGET_DIR", PROJECT / "target"))
    return target / "release/upgrade-gate"


def cargo(command: list[str], **options) -> None:
    done = subprocess.run(die_with_parent(["nice", "-n", "10", *command]), stdout=subprocess.DEVNULL, **options)
    if done.returncode:
        raise RuntimeError(f"`{' '.join(command)}` failed with {done.returncode}")


def cross(arch: Arch, cache: Path) -> Path:
    """Built in a chroot with a foreign standard library, linked against the guest's own C library."""
    wants_root("a cross build")
    chroot = toolchain(arch, cache)
    sysroot = guest_sysroot(arch, cache)
    work = cache / f"cross-{arch.name}"
    work.mkdir(exist_ok=True)
    vendor(work)
    triple = f"{arch.name}-linux-gnu"
    variable = arch.rust.upper().replace("-", "_")
    script = f"""
        . packaging/lib.sh && mount -t proc proc {chroot}/proc && mount --bind {PROJECT} {chroot}/src && mount --bind {work} {chroot}/work &&
        mount --bind {sysroot} {chroot}/sysroot &&
        exec chroot {chroot} env -i PATH=/usr/bin:/bin HOME=/work SOURCE_DATE_EPOCH="$SOURCE_DATE_EPOCH" CARGO_HOME=/work/cargo CARGO_TARGET_DIR=/work/target \
            CARGO_TARGET_{variable}_LINKER={triple}-gcc CC_{arch.rust.replace('-', '_')}={triple}-gcc \
            CARGO_TARGET_{variable}_RUSTFLAGS='-Clink-arg=--sysroot=/sysroot -Clink-arg=-B/sysroot/usr/lib/{triple} -Clink-arg=-L/sysroot/usr/lib/{triple}' \
            sh -c 'cd /src && exec cargo build --release --offline --locked --target {arch.rust}'
    """
    # mounts and processes live in namespaces of their own, and end with them
    command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script]
    cargo(command, cwd=PROJECT)
    binary = work / "target" / arch.rust / "release/upgrade-gate"
    refuse_newer_symbols(binary, sysroot, triple)
    return binary


def vendor(work: Path) -> None:
    """The dependencies' sources, fetched outside the chroot, where the registry's settings are."""
    (work / "cargo").mkdir(exist_ok=True)
    lock = (PROJECT / "Cargo.lock").read_bytes()
    mark = work / "vendored.lock"
    if not mark.exists() or mark.read_bytes() != lock:
        shutil.rmtree(work / "vendor", ignore_errors=True)
        run(["cargo", "vendor", "--locked", str(work / "vendor")], cwd=PROJECT,
            env={"CARGO_NET_RETRY": "10", **os.environ})
        mark.write_bytes(lock)
    (work / "cargo/config.toml").write_text(
        '[source.crates-io]\nreplace-with = "vendored"\n[source.vendored]\ndirectory = "/work/vendor"\n')


def toolchain(arch: Arch, cache: Path) -> Path:
    final = cache / f"toolchain-{arch.name}"
    if final.is_dir():
        return final
    say(f"making the cross toolchain for {arch.name}: Debian {CROSS_RELEASE}, once, some minutes")
    native_name = "amd64" if host() == "x86_64" else "arm64"
    foreign = arch.debian
    packages = ["rustc", "cargo", "gcc", "libc6-dev", "libstd-rust-dev", "ca-certificates", f"gcc-{arch.name.replace('_', '-')}-linux-gnu",
                f"libc6-dev:{foreign}", f"libstd-rust-dev:{foreign}"]
    return bootstrap(cache, final, CROSS_RELEASE, f"{native_name},{foreign}", packages, "minbase",
                     [f"{d}" for d in ("src", "work", "sysroot")])


def guest_sysroot(arch: Arch, cache: Path) -> Path:
    # base-files has /lib, which the linker scripts in libc6-dev name
    final = cache / f"sysroot-{arch.name}"
    if final.is_dir():
        return final
    return bootstrap(cache, final, GUEST_RELEASE, arch.debian, ["base-files", "libc6", "libc6-dev", "libgcc-14-dev"], "extract", [])


def bootstrap(cache: Path, final: Path, release: str, arches: str, packages: list[str], variant: str,
              folders: list[str]) -> Path:
    with work_folder(cache) as work:
        debootstrap(work / "root", release, arches, variant, packages, [])
        for folder in folders:
            (work / "root" / folder).mkdir()
        (work / "root").rename(final)
    return final


def refuse_newer_symbols(binary: Path, sysroot: Path, triple: str) -> None:
    """A binary that wants a newer C library than the guest's would only fail there, and say little."""
    def versions(text: str) -> set[tuple[int, ...]]:
        return {tuple(map(int, v.split("."))) for v in re.findall(r"GLIBC_(\d+(?:\.\d+)+)", text)}

    wanted = versions(subprocess.check_output(["readelf", "-V", str(binary)], text=True))
    there = versions(subprocess.check_output(["readelf", "-V", str(sysroot / f"usr/lib/{triple}/libc.so.6")], text=True))
    if max(wanted) > max(there):
        raise RuntimeError(f"{binary} wants GLIBC {max(wanted)}, the guest has {max(there)}")


if __name__ == "__main__":
    for wanted in sys.argv[2:]:
        print(build(ARCHES[wanted], Path(sys.argv[1])), flush=True)
