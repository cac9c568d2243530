"""A real firmware and a real systemd-boot: a system is tried by the next boot, once, and what panics, ends in emergency mode, is worse or loses power is followed by the one before."""
# machine: laptop by systemd-boot
# limit: 2400 s

if laptop.execute("test -e /etc/NIXOS")[0] == 0:
    skip("it puts stand-ins in the place of the running system")

# as NixOS's builder: an entry for each generation, then the default, by way of a file that must not be there
SYSTEMD_BOOT = r"""#!/bin/sh
set -eu
for link in /nix/var/nix/profiles/system-*-link; do
    system=$(readlink $link); name=nixos-generation-$(basename $link | tr -dc 0-9).conf
    printf 'title NixOS\nlinux /EFI/nixos/linux.efi\ninitrd /EFI/nixos/initrd.efi\noptions init=%s/init %s %s\n' \
        $system "$(cat /var/lib/lab-params)" "$(cat $system/kernel-params)" > /boot/loader/entries/$name.tmp
    mv /boot/loader/entries/$name.tmp /boot/loader/entries/$name
    [ $system != $1 ] || default=$name
done
set -C
printf 'timeout 0\ndefault %s\n' ${default:-nixos-*} > /boot/loader/loader.tmp
mv /boot/loader/loader.tmp /boot/loader/loader.conf
sync --file-system /boot
"""
BOOTS = "sed -n 's,^options init=\\(.*\\)/init .*,\\1,p' /boot/loader/entries/$(sed -n 's/^default //p' /boot/loader/loader.conf)"


def guard(words, code=0, timeout=240):
    found_code, said = laptop.execute(f"timeout {timeout} upgrade-gate guard {words} 2>&1")
    assert found_code == code, (words, found_code, said)
    return said


def phase(wanted, timeout=180):
    laptop.wait_until_succeeds(f"upgrade-gate guard status --json | grep '\"phase\":\"{wanted}\"'", timeout=timeout)


def last():
    return laptop.succeed("upgrade-gate guard status --json | grep -o '\"history\".*' | grep -o '\"cause\":\"[a-z_]*\"' | tail -n 1").split('"')[3]


def runs(path):
    assert laptop.succeed("readlink /run/booted-system").strip() == path, laptop.succeed("cat /proc/cmdline; upgrade-gate guard status")


def wholly(path):
    """This system was booted, is the profile and boots; nothing of the guard is left."""
    runs(path)
    assert laptop.succeed(f"readlink -f /nix/var/nix/profiles/system; {BOOTS}").split() == [path] * 2
    said = guard("status")
    assert said.startswith("guard: idle") and f"now: boots {path}" in said, said
    never_failed(laptop, "upgrade-gate-guard.service")


def staged(path, words=""):
    """Nothing but the next boot has changed."""
    guard(f"try {path} --mode reboot --within {GRACE} --settle-after 5s {words}")
    said = guard("status")
    assert said.startswith("guard: staged") and f"now: boots {path} (the candidate)" in said, said


def power_cut():
    laptop.crash()
    laptop.start()


GRACE = "30s"
MORE = {"lab_more": SERVICE.format("/bin/sleep infinity")}

with subtest("the machine is booted by its firmware and systemd-boot from now on"):
    write(laptop, "/etc/systemd/system/boot.mount", "[Mount]\nWhat=/dev/vdd\nWhere=/boot\nType=vfat\nOptions=umask=0077\n")
    laptop.succeed("mkdir -p /etc/systemd/system/local-fs.target.wants; ln -s ../boot.mount /etc/systemd/system/local-fs.target.wants/; "
                   "systemctl enable upgrade-gate-guard.service upgrade-gate-guard-boot.timer; sync")
    power_cut()
    laptop.succeed("test -d /sys/firmware/efi/efivars; tr ' ' '\\n' < /proc/cmdline | grep -v '^initrd=' | tr '\\n' ' ' > /var/lib/lab-params")
    boot_loader(laptop, SYSTEMD_BOOT)
    base = system(laptop, "base")
    laptop.succeed(f"nix-env -p /nix/var/nix/profiles/system --set {base}; {base}/bin/switch-to-configuration boot; sync")
    power_cut()
    wholly(base)

with subtest("staged through a garbage collection, tried by a boot, and kept after the grace of that boot"):
    good = system(laptop, "good", **MORE)
    laptop.succeed("touch /boot/loader/loader.tmp")
    staged(good)
    laptop.succeed("nix-store --gc > /dev/null")
    power_cut()
    runs(good)
    assert f"now: boots {base} (the baseline)" in guard("status")
    phase("idle")
    wholly(good)
    power_cut()
    wholly(good)

with subtest("taken back before the boot"):
    other = system(laptop, "other", **MORE)
    staged(other)
    guard("disarm")
    power_cut()
    wholly(good)

with subtest("power is lost in the grace"):
    cut = system(laptop, "cut", lab_more=SERVICE.format("/bin/sleep 5000"))
    staged(cut, "--confirm")
    power_cut()
    runs(cut)
    phase("verifying")
    power_cut()
    phase("idle")
    assert last() == "lost", last()
    wholly(good)

with subtest("a unit fails: a reboot brings the one before back"):
    worse = system(laptop, "worse", lab_more=SERVICE.format("/bin/false"))
    staged(worse)
    power_cut()
    laptop.wait_for_shutdown()
    laptop.start()
    phase("idle")
    assert last() == "unhealthy", last()
    wholly(good)
    assert "denied" in guard(f"try {worse} --mode reboot", 75)

with subtest("the kernel panics"):
    panics = system(laptop, "panics", params="rdinit=/nowhere")
    staged(panics)
    power_cut()
    laptop.wait_for_shutdown()
    laptop.start()
    phase("idle")
    assert last() == "did_not_boot", last()
    wholly(good)

with subtest("emergency mode"):
    emergency = system(laptop, "emergency", params="systemd.unit=emergency.target")
    staged(emergency)
    power_cut()
    laptop.wait_for_shutdown()
    laptop.start()
    phase("idle")
    assert last() == "unhealthy", last()
    wholly(good)
