"""A real systemd and a real Nix: a good system is kept, and one that is worse, hangs or is cut off by a kill or a power cut is undone."""
# machine: laptop
# limit: 1500 s

if laptop.execute("test -e /etc/NIXOS")[0] == 0:
    skip("it puts stand-ins in the place of the running system")

SSHD = SERVICE.format(laptop.succeed("command -v sshd").strip() + " -D -e -p 2222 -f /var/lib/lab-sshd/config") + "RuntimeDirectory=sshd\n"


def with_sshd(name, activate=":", **units):
    return system(laptop, name, activate, **{"lab_sshd": SSHD, **units})


def tried(candidate, words="", code=0):
    """Tries it: what was said, and how long it took."""
    before = float(laptop.succeed("cut -d' ' -f1 /proc/uptime"))
    said = guard(laptop, f"try {candidate} --within {GRACE} --settle-after 5s {words}", code)
    took = float(laptop.succeed("cut -d' ' -f1 /proc/uptime")) - before
    print(f"guard: try {candidate} {words}: exit {code} after {took:.1f} s")
    return said


def wholly(path):
    """This system runs, is the profile and boots; nothing of the guard is left, nothing has failed."""
    assert booting(laptop) == [path] * 3, (path, booting(laptop), guard(laptop, "status"))
    left = laptop.succeed("systemctl list-units --all --no-legend 'upgrade-gate-guard-[dftu]*'; ls /nix/var/nix/gcroots/upgrade-gate 2> /dev/null || true")
    assert left.strip() == "", left
    said = guard(laptop, "status")
    assert said.startswith("guard: idle") and f"now: boots {path}" in said, said
    laptop.wait_until_succeeds("sleep 1 | busybox nc -w 2 127.0.0.1 2222 | grep SSH-", timeout=60)


# an activation takes seconds in an emulated machine, and many on a busy host
GRACE = "40s"
laptop.succeed("mkdir -p /run/sshd /var/empty /var/lib/lab-sshd; id sshd > /dev/null 2>&1 || useradd --system sshd; "
               "ssh-keygen -q -t ed25519 -N '' -f /var/lib/lab-sshd/key; "
               "printf 'HostKey /var/lib/lab-sshd/key\\nPidFile none\\nUsePAM no\\n' > /var/lib/lab-sshd/config")
base = with_sshd("base")
run_system(laptop, base)
wholly(base)

with subtest("a drill: systemd undoes it by itself"):
    guard(laptop, "drill --within 40s")
    wholly(base)

with subtest("a good one is kept, and is the boot default only then; its files outlive the garbage collector meanwhile"):
    good = with_sshd("good", lab_more=SERVICE.format("/bin/sleep infinity"))
    background(laptop, "lab-try", f"upgrade-gate guard try {good} --within {GRACE} --settle-after 5s")
    guard_phase(laptop, "verifying")
    assert f"now: boots {base} (the baseline)" in guard(laptop, "status")
    laptop.succeed("nix-store --gc > /dev/null; for i in $(seq 20); do systemctl daemon-reload; done; systemctl daemon-reexec")
    guard_phase(laptop, "idle")
    laptop.succeed(f"test -e {base}/init -a -e {good}/init")
    wholly(good)

with subtest("sshd that does not start, or that fails 8 s later"):
    for name, command in {"sshd": "/bin/false", "late": "/bin/sh -c 'sleep 8; exit 1'"}.items():
        bad = with_sshd(name, lab_sshd=SERVICE.format(command))
        tried(bad, code=80)
        assert guard_ended(laptop)[1] == "unhealthy", guard_ended(laptop)[1]
        wholly(good)
        assert "denied" in guard(laptop, f"try {bad}", 75)

with subtest("a unit that fails and is the same in both is not the candidate's fault"):
    unit(laptop, "other.service", SERVICE.format("/bin/false"))
    fine = with_sshd("fine", lab_more=SERVICE.format(f"{shell(laptop)} -c 'systemctl start other; systemctl start other; exec sleep infinity'")
                  .replace("ExecStart", f"Environment=PATH={found(laptop)[2]}\nExecStart"))
    tried(fine)
    laptop.succeed("journalctl -u other.service | grep 'Failed with result'")
    laptop.succeed("systemctl reset-failed")
    wholly(fine)

with subtest("a unit that is restarted again and again, and never fails for good"):
    loops = with_sshd("loops", lab_more="[Service]\nRestart=always\nRestartSec=4s\nExecStart=/bin/false\n")
    tried(loops, code=80)
    assert guard_ended(laptop)[1] == "unhealthy", guard_ended(laptop)[1]
    wholly(fine)

with subtest("unattended: run builds behind the gate, and has the guard try what was built"):
    cable(laptop)
    profile(laptop, guard={"enable": True, "within": GRACE, "settle_after": "5s"})
    static_address(laptop)
    night = with_sshd("night", activate=f"echo nameserver {ROUTER} > /etc/resolv.conf", lab_more=SERVICE.format("/bin/sleep 7000"))
    unit(laptop, "night.service", f"[Service]\nType=oneshot\nTimeoutStartSec=infinity\nWorkingDirectory=/run/lab\n{environment(laptop)}\n"
         f"ExecStart={gate(laptop)} run --profile lab -- ln -sfn {night} result\n")
    laptop.succeed("systemctl start night")
    never_failed(laptop, "night.service")
    wholly(night)
    fine = night

with subtest("DNS that no longer answers, and does again with the baseline"):
    dns = with_sshd("dns", activate="echo nameserver 127.0.0.9 > /etc/resolv.conf")
    said = tried(dns, code=80)
    assert "nothing listens on the name server 127.0.0.9" in said, said
    laptop.succeed("getent hosts cache.test")
    wholly(fine)

def push(path):
    """As nixos-rebuild --target-host does it on the target: the profile first, then the switch in a unit of its own."""
    return (f"nix-env -p /nix/var/nix/profiles/system --set {path} && systemd-run --quiet --collect --pipe --wait "
            f"-E PATH=\"$PATH\" --unit=nixos-rebuild-switch-to-configuration {path}/bin/switch-to-configuration switch")


with subtest("a push: undone while it still switches, once it has ended; then confirmed from a new session, and kept"):
    locked_out = with_sshd("lockedout", activate="sleep 15", lab_more=SERVICE.format("/bin/sleep 8000"))
    told = guard(laptop, "arm --within 5min --confirm --notify '/usr/bin/touch /run/lab/told'").split()[-1]
    write(laptop, "/run/lab/push.sh", push(locked_out) + "\n")
    background(laptop, "lab-push", f"{shell(laptop)} /run/lab/push.sh")
    guard_phase(laptop, "verifying")
    guard(laptop, "rollback")
    assert guard_ended(laptop)[1] == "asked", guard_ended(laptop)[1]
    wholly(fine)
    laptop.wait_until_succeeds("test -e /run/lab/told", timeout=60)
    pushed = with_sshd("pushed", lab_more=SERVICE.format("/bin/sleep 9000"))
    token = guard(laptop, "arm --within 5min --confirm").split()[-1]
    laptop.succeed(push(pushed))
    guard_phase(laptop, "verifying")
    assert "not a login session" in guard(laptop, f"confirm {token}", 75)
    assert "another try" in guard(laptop, f"confirm {told} --here", 75)
    guard(laptop, f"confirm {token} --here")
    wholly(pushed)
    fine = pushed

with subtest("an activation that hangs is stopped at the deadline"):
    hangs = with_sshd("hangs", activate="sleep 1000")
    tried(hangs, code=80)
    wholly(fine)

with subtest("killed in the middle of the grace, with nobody to confirm it: the deadline undoes it"):
    alone_now = with_sshd("killed", lab_more=SERVICE.format("/bin/sleep 5000"))
    background(laptop, "lab-try", f"upgrade-gate guard try {alone_now} --within {GRACE} --confirm")
    guard_phase(laptop, "verifying")
    laptop.succeed("systemctl kill -s KILL lab-try.service")
    guard_phase(laptop, "idle")
    assert guard_ended(laptop)[1] == "not_confirmed", guard_ended(laptop)[1]
    wholly(fine)

with subtest("a power cut in the grace: it is the baseline that boots, and the unit at boot says what was"):
    cut = with_sshd("cut", lab_more=SERVICE.format("/bin/sleep 6000"))
    background(laptop, "lab-try", f"upgrade-gate guard try {cut} --within 30min")
    guard_phase(laptop, "verifying")
    power_cut(laptop)
    guard_phase(laptop, "idle", timeout=300)
    assert guard_ended(laptop)[1] == "lost", guard_ended(laptop)[1]
    laptop.succeed("systemctl start lab-sshd")
    wholly(fine)
    never_failed(laptop, "upgrade-gate-guard.service")
