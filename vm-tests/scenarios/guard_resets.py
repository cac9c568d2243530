"""Power is cut at twenty points of a try, from its arming to its commit: one whole system boots, and the guard says truly which."""
# machine: laptop by systemd-boot
# limit: 3600 s

import time

if laptop.execute("test -e /etc/NIXOS")[0] == 0:
    skip("it puts stand-ins in the place of the running system")

POINTS = 20
TRY = "try {} --within 20s --settle-after 0s --allow denied,paused"

boot_partition(laptop)
runs_now = first_system(laptop, SYSTEMD_BOOT)
others = [system(laptop, name, lab_more=SERVICE.format(f"/bin/sleep {9000 + number}")) for number, name in enumerate(("one", "two"))]

with subtest("uncut"):
    begin = time.monotonic()
    guard(laptop, TRY.format(others[0]))
    whole = time.monotonic() - begin
    runs_now = others[0]

kept = 0
for point in range(POINTS):
    with subtest(f"cut at {point + 1} of {POINTS}"):
        candidate = next(path for path in others if path != runs_now)
        background(laptop, "lab-try", f"upgrade-gate guard {TRY.format(candidate)}")
        time.sleep(whole * point / (POINTS - 1))
        power_cut(laptop)
        guard_phase(laptop, "idle")
        phase, cause = guard_ended(laptop)
        if phase == "confirmed" and laptop.succeed("readlink -f /nix/var/nix/profiles/system").strip() == candidate:
            runs_now, kept = candidate, kept + 1
            # cut off in the commit, which is finished by the boot into the system before: the next one boots it
            if laptop.succeed("readlink /run/booted-system").strip() != candidate:
                assert f"{candidate} boots from now on" in journal(laptop, "upgrade-gate-guard")
                power_cut(laptop)
        log(f"cut at {whole * point / (POINTS - 1):.1f} s of {whole:.1f}: {phase}, {cause}")
        wholly_booted(laptop, runs_now)
print(f"guard: {POINTS} cuts, {kept} after the commit")
