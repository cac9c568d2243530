"""systemd-networkd, and the cable is unplugged during a suspend: the upgrade waits for it and runs once."""
# machine: laptop with networkd

cable(laptop)
write(laptop, "/run/systemd/network/05-wan0.network", "[Match]\nName=wan0\n[Network]\nDHCP=ipv4\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n")
laptop.succeed("systemctl restart systemd-networkd", "ip link set wan0 up",
               f"rm -f /etc/resolv.conf; echo nameserver {ROUTER} > /etc/resolv.conf")
online(laptop)
profile(laptop)
service(laptop, "job", upgrade("job"))
service(laptop, "ungated", upgrade("ungated"), gated=None)

with subtest("the cable is unplugged during the suspend"):
    unplug(laptop)
    suspend(laptop, 9, due=["job", "ungated"])
    laptop.wait_until_succeeds("test $(systemctl show -P ActiveState ungated) = failed", timeout=60)
    held(laptop, "(no_network|no_route|connecting|dns|unreachable)")
    assert begun(laptop, "job") == 0

with subtest("the cable is plugged in again"):
    plug(laptop)
    finished(laptop, "job.service")
    assert begun(laptop, "job") == runs(laptop, "job") == 1
