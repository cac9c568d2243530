"""A real systemd and a real Nix: a good system is kept, and one that is worse, hangs or is cut off by a kill or a power cut is undone."""
# machine: laptop
# limit: 1500 s

if laptop.execute("test -e /etc/NIXOS")[0] == 0:
    skip("it puts stand-ins in the place of the running system")

# As NixOS's, in its order: lock, boot loader, stop, activation script, units, exit code. Systems are store paths, the boot loader's menu is
# extlinux's, and a unit at boot starts what it names.
SWITCH = r"""#!/bin/sh
self=$(dirname $(dirname $(readlink -f "$0"))); profiles=/nix/var/nix/profiles; units=/etc/systemd/system
mkdir -p /run/nixos; exec 9> /run/nixos/switch-to-configuration.lock
flock -n 9 || { echo "Could not acquire lock" >&2; exit 1; }
echo "$(basename $self) $1" >> /var/lib/lab-switches
case $1 in boot|switch)
    mkdir -p /boot/extlinux
    { echo "DEFAULT $(basename $self)"
      for link in $profiles/system-*-link; do
          system=$(readlink $link); printf 'LABEL %s\n  APPEND init=%s/init\n' $(basename $system) $system
      done; } > /boot/extlinux/new
    sync /boot/extlinux/new; mv /boot/extlinux/new /boot/extlinux/extlinux.conf;;
esac
[ "$1" = boot ] && exit 0
old=$(readlink -f /run/current-system)
. $self/activate
ln -sfn $self /run/current-system
for unit in $(ls $old/etc/systemd/system | grep ^lab-); do
    cmp -s $old/etc/systemd/system/$unit $self/etc/systemd/system/$unit || systemctl stop $unit
    rm -f /run/systemd/system/$unit
done
ln -sf $self/etc/systemd/system/lab-* /run/systemd/system/
systemctl daemon-reload
systemctl reset-failed
for unit in $(ls $self/etc/systemd/system | grep ^lab-); do systemctl start $unit || failed=4; done
[ -z "$(systemctl list-units --failed --no-legend)" ] || failed=4
exit ${failed:-0}
"""
BOOT = r"""#!/bin/sh
menu=/boot/extlinux/extlinux.conf; label=$(awk '$1 == "DEFAULT" { print $2 }' $menu)
ln -sfn /nix/store/$label /run/current-system
ln -sf /nix/store/$label/etc/systemd/system/lab-* /run/systemd/system/
"""
SERVICE = "[Service]\nExecStart={}\n"
SSHD = SERVICE.format(laptop.succeed("command -v sshd").strip() + " -D -e -p 2222 -f /var/lib/lab-sshd/config") + "RuntimeDirectory=sshd\n"


def system(name, activate=":", **units):
    """A NixOS system as far as it is activated: a store path."""
    units = {"lab-sshd": SSHD, "upgrade-gate-guard": "[Service]\n", **units}
    folder = f"/run/lab/systems/{name}"
    for unit_name, text in units.items():
        write(laptop, f"{folder}/etc/systemd/system/{unit_name.replace('_', '-')}.service", text)
    write(laptop, f"{folder}/activate", activate + "\n")
    write(laptop, f"{folder}/bin/switch-to-configuration", SWITCH)
    return laptop.succeed(
        f"cd {folder}; mkdir -p sw/bin; touch init; chmod +x bin/switch-to-configuration; for program in nix-env systemctl; do "
        f"ln -sf $(command -v $program) sw/bin/; done; nix-store --add {folder}").strip()


def guard(words, code=0, timeout=240):
    found_code, said = laptop.execute(f"timeout {timeout} upgrade-gate guard {words} 2>&1")
    assert found_code == code, (words, found_code, said)
    return said


def tried(candidate, words="", code=0):
    """Tries it: what was said, and how long it took."""
    before = float(laptop.succeed("cut -d' ' -f1 /proc/uptime"))
    said = guard(f"try {candidate} --within {GRACE} --settle-after 5s {words}", code)
    took = float(laptop.succeed("cut -d' ' -f1 /proc/uptime")) - before
    print(f"guard: try {candidate} {words}: exit {code} after {took:.1f} s")
    return said


def phase(wanted, timeout=120):
    laptop.wait_until_succeeds(f"upgrade-gate guard status --json | grep '\"phase\":\"{wanted}\"'", timeout=timeout)


def wholly(path):
    """This system runs, is the profile and boots; nothing of the guard is left, nothing has failed."""
    facts = "readlink -f /run/current-system /nix/var/nix/profiles/system; awk '$1 == \"DEFAULT\" { print \"/nix/store/\" $2 }' /boot/extlinux/extlinux.conf"
    assert laptop.succeed(facts).split() == [path] * 3, (path, laptop.succeed(facts), guard("status"))
    left = laptop.succeed("systemctl list-units --all --no-legend 'upgrade-gate-guard-[dftu]*'; ls /nix/var/nix/gcroots/upgrade-gate 2> /dev/null || true")
    assert left.strip() == "", left
    said = guard("status")
    assert said.startswith("guard: idle") and f"now: boots {path}" in said, said
    laptop.wait_until_succeeds("sleep 1 | busybox nc -w 2 127.0.0.1 2222 | grep SSH-", timeout=60)


def last():
    return laptop.succeed("upgrade-gate guard status --json | grep -o '\"history\".*' | grep -o '\"cause\":\"[a-z_]*\"' | tail -n 1").split('"')[3]


GRACE = "20s"
laptop.succeed("mkdir -p /run/sshd /var/empty /var/lib/lab-sshd; id sshd > /dev/null 2>&1 || useradd --system sshd; "
               "ssh-keygen -q -t ed25519 -N '' -f /var/lib/lab-sshd/key; "
               "printf 'HostKey /var/lib/lab-sshd/key\\nPidFile none\\nUsePAM no\\n' > /var/lib/lab-sshd/config")
base = system("base")
laptop.succeed(f"mkdir -p /boot/extlinux /run/nixos /nix/var/nix/profiles; nix-env -p /nix/var/nix/profiles/system --set {base}; "
               f"ln -sfn {base} /run/current-system; {base}/bin/switch-to-configuration switch")
write(laptop, "/usr/local/sbin/lab-boot", BOOT)
write(laptop, f"{boot_units(laptop)}/lab-boot.service",
      f"[Unit]\nDefaultDependencies=no\nAfter=local-fs.target\nBefore=sysinit.target\n[Service]\nType=oneshot\nExecStart={shell(laptop)} /usr/local/sbin/lab-boot\n")
laptop.succeed(f"mkdir -p {boot_units(laptop)}/sysinit.target.wants; ln -sf ../lab-boot.service {boot_units(laptop)}/sysinit.target.wants/")
laptop.succeed("systemctl daemon-reload; systemctl enable upgrade-gate-guard.service upgrade-gate-guard-boot.timer")
wholly(base)

with subtest("a drill: systemd undoes it by itself"):
    guard("drill --within 15s")
    wholly(base)

with subtest("a good one is kept, and is the boot default only then; its files outlive the garbage collector meanwhile"):
    good = system("good", lab_more=SERVICE.format("/bin/sleep infinity"))
    background(laptop, "lab-try", f"upgrade-gate guard try {good} --within {GRACE} --settle-after 5s")
    phase("verifying")
    assert f"now: boots {base} (the baseline)" in guard("status")
    laptop.succeed("nix-store --gc > /dev/null; for i in $(seq 20); do systemctl daemon-reload; done; systemctl daemon-reexec")
    phase("idle")
    laptop.succeed(f"test -e {base}/init -a -e {good}/init")
    wholly(good)

with subtest("sshd that does not start, or that fails 8 s later"):
    for name, command in {"sshd": "/bin/false", "late": "/bin/sh -c 'sleep 8; exit 1'"}.items():
        bad = system(name, lab_sshd=SERVICE.format(command))
        tried(bad, code=80)
        assert last() == "unhealthy", last()
        wholly(good)
        assert "denied" in guard(f"try {bad}", 75)

with subtest("a unit that fails and is the same in both is not the candidate's fault"):
    unit(laptop, "other.service", SERVICE.format("/bin/false"))
    fine = system("fine", lab_more=SERVICE.format(f"{shell(laptop)} -c 'systemctl start other; systemctl start other; exec sleep infinity'")
                  .replace("ExecStart", f"Environment=PATH={found(laptop)[2]}\nExecStart"))
    tried(fine)
    laptop.succeed("journalctl -u other.service | grep 'Failed with result'")
    laptop.succeed("systemctl reset-failed")
    wholly(fine)

with subtest("a unit that is restarted again and again, and never fails for good"):
    loops = system("loops", lab_more="[Service]\nRestart=always\nRestartSec=4s\nExecStart=/bin/false\n")
    tried(loops, code=80)
    assert last() == "unhealthy", last()
    wholly(fine)

with subtest("unattended: gated first, then tried, both in one unit"):
    cable(laptop)
    profile(laptop)
    static_address(laptop)
    night = system("night", activate=f"echo nameserver {ROUTER} > /etc/resolv.conf", lab_more=SERVICE.format("/bin/sleep 7000"))
    unit(laptop, "night.service", f"[Service]\nType=oneshot\nTimeoutStartSec=infinity\nSuccessExitStatus=75 80\n{environment(laptop)}\n"
         f"ExecStart={gate(laptop)} run --profile lab -- ln -sfn {night} /run/lab/result\n"
         f"ExecStart={gate(laptop)} guard try /run/lab/result --within {GRACE} --settle-after 5s\n")
    laptop.succeed("systemctl start night")
    never_failed(laptop, "night.service")
    wholly(night)
    fine = night

with subtest("DNS that no longer answers: a check says so, and it answers again"):
    dns = system("dns", activate="echo nameserver 127.0.0.9 > /etc/resolv.conf")
    tried(dns, "--check 'getent hosts cache.test'", code=80)
    laptop.succeed("getent hosts cache.test")
    wholly(fine)

with subtest("an activation that hangs is stopped at the deadline"):
    hangs = system("hangs", activate="sleep 1000")
    tried(hangs, code=80)
    wholly(fine)

with subtest("killed in the middle of the grace, with nobody to confirm it: the deadline undoes it"):
    alone_now = system("killed", lab_more=SERVICE.format("/bin/sleep 5000"))
    background(laptop, "lab-try", f"upgrade-gate guard try {alone_now} --within {GRACE} --confirm")
    phase("verifying")
    laptop.succeed("systemctl kill -s KILL lab-try.service")
    phase("idle")
    assert last() == "not_confirmed", last()
    wholly(fine)

with subtest("a power cut in the grace: it is the baseline that boots, and the unit at boot says what was"):
    cut = system("cut", lab_more=SERVICE.format("/bin/sleep 6000"))
    background(laptop, "lab-try", f"upgrade-gate guard try {cut} --within 30min")
    phase("verifying")
    laptop.crash()
    laptop.start()
    phase("idle", timeout=300)
    assert last() == "lost", last()
    laptop.succeed("systemctl start lab-sshd")
    wholly(fine)
    never_failed(laptop, "upgrade-gate-guard.service")
