"""A unit changed only by Requires= and After= waits for its companion: when started, and on resume without a cable."""
# machine: laptop with networkd
# limit: 600 s

cable(laptop)
write(laptop, "/run/systemd/network/05-wan0.network", "[Match]\nName=wan0\n[Network]\nDHCP=ipv4\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n")
laptop.succeed("systemctl restart systemd-networkd", "ip link set wan0 up",
               f"rm -f /etc/resolv.conf; echo nameserver {ROUTER} > /etc/resolv.conf")
online(laptop)
# the companion's instance is the profile
profile(laptop, "foreign")
service(laptop, "foreign", upgrade("foreign") + "\nwhile test -e /run/lab/stay; do sleep 1; done", gated=None)
service(laptop, "ungated", upgrade("ungated"), gated=None)
companion = "upgrade-gate@foreign.service"
write(laptop, "/run/systemd/system/foreign.service.d/gate.conf", f"[Unit]\nRequires={companion}\nAfter={companion}\n")
networkless = "(no_network|no_route|connecting|dns|unreachable)"

with subtest("without a cable it waits, and has not started"):
    unplug(laptop)
    laptop.succeed("systemctl start --no-block foreign")
    held(laptop, networkless, "foreign")
    assert runs(laptop, "foreign") == 0
    assert laptop.get_unit_property("foreign.service", "ActiveState") == "inactive"
    assert laptop.get_unit_property(companion, "ActiveState") == "activating"

with subtest("with the cable, it runs under the companion's lock, and both succeed"):
    laptop.succeed("touch /run/lab/stay")
    plug(laptop)
    laptop.wait_until_succeeds("test $(wc -l < /run/lab/foreign.runs) = 1", timeout=60)
    laptop.succeed("systemd-inhibit --list --no-legend | grep upgrade-gate | grep shutdown")
    laptop.succeed("rm /run/lab/stay")
    finished(laptop, "foreign.service")
    laptop.wait_until_succeeds(f"test $(systemctl show -P ActiveState {companion}) = inactive", timeout=30)
    laptop.fail("systemd-inhibit --list --no-legend | grep upgrade-gate")

with subtest("its timer elapses during the suspend, and the cable is unplugged meanwhile"):
    unplug(laptop)
    suspend(laptop, 12, due=("foreign", "ungated"))
    laptop.wait_until_succeeds("test $(systemctl show -P ActiveState ungated) = failed", timeout=60)
    held(laptop, networkless, "foreign")
    assert runs(laptop, "foreign") == 1

with subtest("and plugged in again"):
    plug(laptop)
    finished(laptop, "foreign.service", times=2)
    assert runs(laptop, "foreign") == 2
    never_failed(laptop, companion)

with subtest("a companion stops when the network is no longer proven; its unit keeps running, and the next start waits again"):
    laptop.succeed("touch /run/lab/stay; systemctl start --no-block foreign")
    laptop.wait_until_succeeds("test $(wc -l < /run/lab/foreign.runs) = 3", timeout=60)
    unplug(laptop)
    laptop.wait_until_succeeds(f"test $(systemctl show -P ActiveState {companion}) = inactive", timeout=60)
    assert laptop.get_unit_property("foreign.service", "ActiveState") == "activating"
    laptop.succeed("rm /run/lab/stay")
    finished(laptop, "foreign.service", times=3)
    laptop.succeed("systemctl start --no-block foreign")
    held(laptop, networkless, "foreign")
    plug(laptop)
    finished(laptop, "foreign.service", times=4)
    never_failed(laptop, companion)
