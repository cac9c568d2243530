"""A real firmware and a real systemd-boot: a system is tried by the next boot, once, and what panics, ends in emergency mode, is worse or loses power is followed by the one before."""
# machine: laptop by systemd-boot
# limit: 2400 s

if laptop.execute("test -e /etc/NIXOS")[0] == 0:
    skip("it puts stand-ins in the place of the running system")

MORE = {"lab_more": SERVICE.format("/bin/sleep infinity")}

with subtest("the machine is booted by its firmware and systemd-boot from now on"):
    boot_partition(laptop)
    base = first_system(laptop, SYSTEMD_BOOT)
    wholly_booted(laptop, base)

with subtest("staged through a garbage collection, tried by a boot, and kept after the grace of that boot"):
    good = system(laptop, "good", **MORE)
    laptop.succeed("touch /boot/loader/loader.tmp")
    staged(laptop, good)
    laptop.succeed("nix-store --gc > /dev/null")
    kept_by_a_boot(laptop, base, good)

with subtest("taken back before the boot"):
    staged(laptop, system(laptop, "other", **MORE))
    guard(laptop, "disarm")
    power_cut(laptop)
    wholly_booted(laptop, good)

with subtest("power is lost in the grace"):
    cut = system(laptop, "cut", lab_more=SERVICE.format("/bin/sleep 5000"))
    staged(laptop, cut, "--confirm")
    power_cut(laptop)
    booted(laptop, cut)
    guard_phase(laptop, "verifying")
    power_cut(laptop)
    guard_phase(laptop, "idle")
    wholly_booted(laptop, good)
    assert guard_ended(laptop) == ("undone", "lost"), guard_ended(laptop)

with subtest("a unit fails, the kernel panics, emergency mode"):
    worse = system(laptop, "worse", lab_more=SERVICE.format("/bin/false"))
    ends = {worse: ("undone", "unhealthy"),
            system(laptop, "panics", params="rdinit=/nowhere"): ("candidate_did_not_boot", "did_not_boot"),
            system(laptop, "emergency", params="systemd.unit=emergency.target"): ("undone", "unhealthy")}
    each_comes_back(laptop, good, ends)
    assert "denied" in guard(laptop, f"try {worse} --mode reboot", 75)
