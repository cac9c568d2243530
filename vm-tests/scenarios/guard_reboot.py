"""A real firmware and a real systemd-boot: a system is tried by the next boot, once, and what panics, ends in emergency mode, is worse or loses power is followed by the one before."""
# machine: laptop by systemd-boot
# limit: 2400 s

if laptop.execute("test -e /etc/NIXOS")[0] == 0:
    skip("it puts stand-ins in the place of the running system")

MORE = {"lab_more": SERVICE.format("/bin/sleep infinity")}

with subtest("the machine is booted by its firmware and systemd-boot from now on"):
    boot_partition(laptop)
    base = first_system(laptop, SYSTEMD_BOOT)
    # a network that is up as soon as the machine is
    ip = laptop.succeed("command -v ip").strip()
    write(laptop, "/etc/systemd/system/wan.service", "[Unit]\nDefaultDependencies=no\n[Service]\nType=oneshot\nRemainAfterExit=yes\n" + "".join(
        f"ExecStart={ip} {words}\n" for words in ("link add wan0 type dummy", "link set wan0 up", "addr add 10.1.1.2/24 dev wan0", "route add default via 10.1.1.1")))
    laptop.succeed("mkdir -p /etc/systemd/system/sysinit.target.wants; ln -s ../wan.service /etc/systemd/system/sysinit.target.wants/; sync; "
                   "systemctl daemon-reload; systemctl start wan")
    wholly_booted(laptop, base)

with subtest("staged for a week, through a garbage collection: somebody is told once; tried by a boot, and kept after the grace of that boot"):
    good = system(laptop, "good", **MORE)
    laptop.succeed("touch /boot/loader/loader.tmp")
    write(laptop, "/var/lib/lab-tell", "#!/bin/sh\necho $UPGRADE_GATE_EVENT >> /var/lib/lab-told\n")
    laptop.succeed("chmod +x /var/lib/lab-tell")
    staged(laptop, good, "--notify /var/lib/lab-tell")
    laptop.succeed("nix-store --gc > /dev/null; date -s '+8 days'; busybox hwclock -w -u")
    # what the timer of each day does, with a CLOCK_MONOTONIC that is eight days ahead
    for _ in range(2):
        laptop.succeed(f"unshare --time --monotonic {8 * 24 * 3600} --fork upgrade-gate guard act")
    laptop.wait_until_succeeds("grep -x staged /var/lib/lab-told", timeout=60)
    assert guard(laptop, "status").startswith("guard: staged")
    assert laptop.succeed("cat /var/lib/lab-told").split() == ["staged"]
    kept_by_a_boot(laptop, base, good)

with subtest("taken back before the boot"):
    staged(laptop, system(laptop, "other", **MORE))
    guard(laptop, "disarm")
    power_cut(laptop)
    wholly_booted(laptop, good)

with subtest("what is started when it is staged reboots into it, also when it was staged before"):
    later = system(laptop, "later", **MORE)
    staged(laptop, later)
    write(laptop, "/var/lib/lab-reboot", "#!/bin/sh\nsleep 5\nsystemctl reboot\n")
    laptop.succeed("chmod +x /var/lib/lab-reboot")
    staged(laptop, later, "--on-staged /var/lib/lab-reboot")
    laptop.wait_for_shutdown()
    laptop.start()
    booted(laptop, later)
    guard_phase(laptop, "idle")
    wholly_booted(laptop, later)
    good = later

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

with subtest("a unit fails, the network is gone, the kernel panics, emergency mode"):
    worse = system(laptop, "worse", lab_more=SERVICE.format("/bin/false"))
    ends = {worse: ("undone", "unhealthy"),
            system(laptop, "offline", lab_more=SERVICE.format(f"{ip} route del default")): ("undone", "unhealthy"),
            system(laptop, "panics", params="rdinit=/nowhere"): ("candidate_did_not_boot", "did_not_boot"),
            system(laptop, "emergency", params="systemd.unit=emergency.target"): ("undone", "unhealthy")}
    each_comes_back(laptop, good, ends)
    assert "denied" in guard(laptop, f"try {worse} --mode reboot", 75)
