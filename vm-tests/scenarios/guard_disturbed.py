"""A suspend in the grace, a hundred reloads, a killed activation, an undo that the baseline refuses: each ends as the guard says; and what is refused at once."""
# machine: laptop
# limit: 1800 s

import json

if laptop.execute("test -e /etc/NIXOS")[0] == 0:
    skip("it puts stand-ins in the place of the running system")

CLOCKS = "python3 -c 'import time; print(*(time.clock_gettime(clock) for clock in (time.CLOCK_MONOTONIC, time.CLOCK_BOOTTIME)))'"
numbers = iter(range(7000, 8000))


def clocks():
    """Awake time, and all time, since the boot."""
    return [float(seconds) for seconds in laptop.succeed(CLOCKS).split()]


def candidate(name, activate=":"):
    return system(laptop, name, activate, lab_more=SERVICE.format(f"/bin/sleep {next(numbers)}"))


def in_the_grace(path, within):
    """It is tried, and wants somebody's word; the clocks as its grace begins."""
    background(laptop, "lab-try", f"upgrade-gate guard try {path} --within {within}s --confirm --allow paused")
    guard_phase(laptop, "verifying")
    return clocks()


def deadlines():
    """When systemd looks at the end of the grace, and after it."""
    name = laptop.succeed("systemctl list-units --full --no-legend --plain 'upgrade-gate-guard-deadline-*.timer'").split()[0]
    path = "/org/freedesktop/systemd1/unit/" + "".join(c if c.isalnum() else f"_{ord(c):02x}" for c in name)
    said = laptop.succeed(f"busctl --json=short get-property org.freedesktop.systemd1 {path} org.freedesktop.systemd1.Timer TimersMonotonic")
    return sorted(due for _base, _span, due in json.loads(said)["data"] if due > 3000 * 1_000_000)


def undone(cause, timeout=240):
    guard_phase(laptop, "idle", timeout)
    assert guard_ended(laptop) == ("undone", cause), guard_ended(laptop)
    wholly(base)


def wholly(path):
    assert booting(laptop) == [path] * 3, (path, booting(laptop), guard(laptop, "status"))
    laptop.wait_until_fails("systemctl list-units --all --no-legend 'upgrade-gate-guard-[dftu]*' | grep .", timeout=60)
    failed = laptop.succeed("systemctl list-units --failed --no-legend")
    assert failed.strip() == "", failed


base = system(laptop, "base")
run_system(laptop, base)
wholly(base)

with subtest("refused before anything is done: a state that a reboot forgets, a system without the guard"):
    other = candidate("other")
    laptop.succeed("mkdir -p /var/lib/upgrade-gate; mount -t tmpfs tmpfs /var/lib/upgrade-gate")
    said = guard(laptop, f"try {other}", 78)
    assert "is in memory" in said, said
    laptop.succeed("umount /var/lib/upgrade-gate")
    without = laptop.succeed("cd /run/lab/systems; cp -r other bare; rm bare/etc/systemd/system/upgrade-gate-guard.service; nix-store --add bare").strip()
    assert "bare" in guard(laptop, f"try {without}", 75)
    wholly(base)

with subtest("a suspend in the grace does not use it up"):
    awake, all_time = in_the_grace(candidate("asleep"), 60)
    suspend(laptop, 20)
    undone("not_confirmed")
    now_awake, now = clocks()
    print(f"guard: undone {now_awake - awake:.1f} s awake after the grace began, {now - all_time:.1f} s in all")
    assert now_awake - awake >= 58
    # with s2idle, which is all that QEMU's aarch64 has, CLOCK_MONOTONIC goes on
    stops = laptop.execute("grep -q '\\[deep\\]' /sys/power/mem_sleep")[0] == 0
    assert not stops or now - all_time >= now_awake - awake + 10

with subtest("a hundred reloads and ten reexecs do not move the deadline"):
    in_the_grace(candidate("reloaded"), 3600)
    before = deadlines()
    laptop.succeed("for i in $(seq 10); do for j in $(seq 10); do systemctl daemon-reload; done; systemctl daemon-reexec; done", timeout=600)
    after = deadlines()
    # a reload reads them from a file, which has milliseconds
    assert len(before) == 4 and all(abs(a - b) < 1000 for a, b in zip(before, after, strict=True)), (before, after)
    guard(laptop, "extend 10s")
    undone("not_confirmed")

with subtest("the unit of the activation is killed"):
    background(laptop, "lab-try", f"upgrade-gate guard try {candidate('stuck', 'sleep 1000')} --within 10min --allow paused")
    laptop.wait_until_succeeds("pgrep -x sleep -a | grep 1000", timeout=60)
    laptop.succeed("systemctl kill -s KILL 'upgrade-gate-guard-try-*'")
    undone("activation_failed")

with subtest("the baseline refuses to be switched to: a reboot is the way back"):
    in_the_grace(candidate("one-way"), 20)
    write(laptop, "/run/lab/refused", base)
    laptop.wait_for_shutdown()
    laptop.start()
    undone("not_confirmed")

with subtest("an exit code of 4 is routine: a unit that no system changed has failed, and fails again"):
    unit(laptop, "other.service", "[Service]\nType=oneshot\nExecStart=/bin/false\n")
    systemctl = laptop.succeed("command -v systemctl").strip()
    fine = system(laptop, "fine", lab_more=f"[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=-{systemctl} start other\n")
    guard(laptop, f"try {fine} --within 20s --settle-after 5s --allow paused")
    laptop.succeed("journalctl -o cat | grep 'upgrade-gate-guard-try-.*status=4'")
    laptop.succeed("systemctl reset-failed")
    wholly(fine)
