"""Debian's apt-daily.service without a network: ungated, it succeeds and the day counts as done; with the shipped drop-ins, it is skipped on resume, and the lists are downloaded when the network returns."""
# machine: laptop

# NixOS has no apt
if laptop.execute("test -x /usr/lib/apt/apt.systemd.daily && apt-get check -qq")[0] != 0:
    skip("this system has no apt, or none that knows its own packages")
cable(laptop)
laptop.succeed("mkdir -p /run/lab/www/debian; : > /run/lab/www/debian/Packages")
write(laptop, "/etc/apt/sources.list", "deb [trusted=yes] http://cache.test/debian ./\n")
write(laptop, "/etc/apt/apt.conf.d/99lab", 'APT::Periodic::Update-Package-Lists "1";\n')
laptop.succeed("rm -f /etc/apt/sources.list.d/*")
lists = "ls /var/lib/apt/lists | grep cache.test"
stamp = "/var/lib/apt/periodic/update-stamp"

with subtest("ungated and offline: success, no lists, and no other attempt today"):
    laptop.succeed("systemctl start apt-daily")
    finished(laptop, "apt-daily.service")
    laptop.fail(lists)
    laptop.succeed(f"test -e {stamp}")

with subtest("gated: skipped on resume without a network, and the day does not count as done"):
    laptop.succeed(f"rm {stamp}; cd /usr/share/upgrade-gate/drop-ins; "
                   "cp -r apt-daily.service.d upgrade-gate-online.target.d /run/systemd/system/", "systemctl daemon-reload")
    for name in "apt-daily", "default":
        profile(laptop, name)
    static_address(laptop)
    unplug(laptop)
    suspend(laptop, 12, due=["apt-daily"])
    laptop.wait_until_succeeds("journalctl -u apt-daily | grep exec-condition", timeout=90)
    laptop.fail(f"test -e {stamp}")

with subtest("the network is proven: the target starts it, and the lists are downloaded"):
    laptop.succeed("systemctl start --no-block upgrade-gate-watch")
    plug(laptop)
    laptop.wait_until_succeeds(lists, timeout=240)
    laptop.wait_until_succeeds(f"test -e {stamp}", timeout=60)
    never_failed(laptop, "apt-daily.service")
