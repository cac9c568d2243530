"""Debian's apt-daily.service without a network: ungated it ends well and counts the day as done; under the shipped drop-in it waits through a resume, and the lists arrive."""
# machine: laptop

if laptop.execute("test -x /usr/lib/apt/apt.systemd.daily")[0] != 0:
    skip("this system has no apt")
cable(laptop)
laptop.succeed("mkdir -p /run/lab/www/debian; : > /run/lab/www/debian/Packages")
write(laptop, "/etc/apt/sources.list", "deb [trusted=yes] http://cache.test/debian ./\n")
write(laptop, "/etc/apt/apt.conf.d/99lab", 'APT::Periodic::Update-Package-Lists "1";\n')
# the guest's own is masked, so that it does not elapse by itself
laptop.succeed("rm -f /etc/apt/sources.list.d/* /etc/systemd/system/apt-daily.timer")
lists = "ls /var/lib/apt/lists | grep cache.test"
stamp = "/var/lib/apt/periodic/update-stamp"

with subtest("ungated and offline: success, no lists, and it will not try again today"):
    laptop.succeed("systemctl start apt-daily")
    finished(laptop, "apt-daily.service")
    laptop.fail(lists)
    laptop.succeed(f"test -e {stamp}")

with subtest("gated and offline after a resume: it waits"):
    laptop.succeed(f"rm {stamp}; cp -r /usr/share/upgrade-gate/drop-ins/apt-daily.service.d /run/systemd/system/",
                   "systemctl daemon-reload")
    static_address(laptop)
    timer(laptop, "apt-daily", 8)
    unplug(laptop)
    suspend(laptop, 12)
    held(laptop, "(no_network|no_route|dns|unreachable|settling)")
    laptop.fail(f"test -e {stamp}")

with subtest("online: the lists arrive"):
    plug(laptop)
    finished(laptop, "apt-daily.service", times=2, timeout=240)
    laptop.succeed(lists, f"test -e {stamp}")
