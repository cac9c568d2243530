"""upgrade-gate-online.target stops before a suspend and when the cable is unplugged, starts when proven, and the units it wants run each time."""
# machine: laptop with networkd
# limit: 600 s

target = "upgrade-gate-online.target"


def is_target(state, timeout=60):
    laptop.wait_until_succeeds(f"test $(systemctl show -P ActiveState {target}) = {state}", timeout=timeout)


def news(times):
    laptop.wait_until_succeeds(f"test $(wc -l < /run/lab/news.runs) = {times}", timeout=60)


cable(laptop)
write(laptop, "/run/systemd/network/05-wan0.network", "[Match]\nName=wan0\n[Network]\nDHCP=ipv4\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n")
laptop.succeed("systemctl restart systemd-networkd", "ip link set wan0 up",
               f"rm -f /etc/resolv.conf; echo nameserver {ROUTER} > /etc/resolv.conf")
profile(laptop)
write(laptop, "/run/upgrade-gate/upgrade-gate.d/watch.toml", '[watch]\nprofile = "lab"\n')
service(laptop, "news", upgrade("news"), gated=None, extra=f"[Unit]\nAfter={target}\n[Service]")
laptop.succeed(f"mkdir -p /run/systemd/system/{target}.wants; ln -s ../news.service /run/systemd/system/{target}.wants/news.service")
# what the target is when the machine sleeps, and when the first unit can run after it
asked = f"{shell(laptop)} -c 'systemctl show -P ActiveState {target} > /run/lab/at-{{}}'"
write(laptop, "/run/systemd/system/systemd-suspend.service.d/target.conf",
      f"[Service]\n{environment(laptop)}\nExecStartPre={asked.format('sleep')}\nExecStartPost={asked.format('resume')}\n")
laptop.succeed("systemctl daemon-reload; touch /run/lab/news.runs")

with subtest("proven: it is active, and the units it wants have run"):
    online(laptop)
    laptop.succeed("systemctl start upgrade-gate-watch")
    is_target("active")
    news(1)
    laptop.succeed("systemd-inhibit --list --no-legend | grep upgrade-gate | grep sleep | grep delay")

with subtest("stopped before suspend, and still inactive on resume"):
    suspend(laptop, 10)
    laptop.wait_until_succeeds("test -e /run/lab/at-resume", timeout=60)
    for moment in ("sleep", "resume"):
        assert laptop.succeed(f"cat /run/lab/at-{moment}").strip() == "inactive", moment

with subtest("started when proven, and the units it wants run again"):
    is_target("active")
    news(2)

with subtest("stopped without the cable, started with it"):
    unplug(laptop)
    is_target("inactive")
    held(laptop, "(no_network|no_route|connecting|dns|unreachable)")
    laptop.sleep(5)
    news(2)
    plug(laptop)
    is_target("active")
    news(3)

with subtest("systemd re-executes itself, and the watch continues"):
    laptop.succeed("systemctl daemon-reexec")
    unplug(laptop)
    is_target("inactive")
    plug(laptop)
    is_target("active")
    news(4)

with subtest("a restart of the watch, as by an update, is no return of the network"):
    since = laptop.get_unit_property(target, "ActiveEnterTimestampMonotonic")
    laptop.succeed("systemctl restart upgrade-gate-watch")
    laptop.wait_until_succeeds("journalctl -u upgrade-gate-watch | grep 'stays active across the restart'", timeout=60)
    laptop.wait_until_succeeds("systemctl show -P StatusText upgrade-gate-watch | grep ^open", timeout=60)
    assert laptop.get_unit_property(target, "ActiveEnterTimestampMonotonic") == since
    news(4)

with subtest("a watch that is killed is restarted, and the target is active if it is true"):
    pid = laptop.succeed("systemctl show -P MainPID upgrade-gate-watch").strip()
    unplug(laptop)
    is_target("inactive")
    plug(laptop)
    is_target("active")
    news(5)
    laptop.succeed("systemctl kill -s KILL upgrade-gate-watch")
    laptop.wait_until_succeeds("pid=$(systemctl show -P MainPID upgrade-gate-watch); "
                               f"test $pid != 0 && test $pid != {pid}", timeout=60)
    is_target("active")

with subtest("a watch that is stopped before it is restarted leaves no target behind"):
    laptop.succeed("systemctl kill -s KILL upgrade-gate-watch")
    laptop.wait_until_succeeds("test $(systemctl show -P SubState upgrade-gate-watch) != running", timeout=60)
    laptop.succeed("systemctl stop upgrade-gate-watch")
    is_target("inactive")
    laptop.succeed("systemctl start upgrade-gate-watch")
    is_target("active")

with subtest("a watch that has failed takes the target with it"):
    write(laptop, "/run/systemd/system/upgrade-gate-watch.service.d/lab.conf", "[Service]\nRestartPreventExitStatus=SIGKILL\n")
    laptop.succeed("systemctl daemon-reload; systemctl kill -s KILL upgrade-gate-watch")
    is_target("inactive")
    assert laptop.get_unit_property("upgrade-gate-watch.service", "ActiveState") == "failed"
    assert laptop.get_unit_property("upgrade-gate-offline.target", "ActiveState") == "inactive"
    laptop.succeed("rm -r /run/systemd/system/upgrade-gate-watch.service.d; systemctl daemon-reload; systemctl start upgrade-gate-watch")
    is_target("active")

with subtest("stopping the watch stops the target"):
    laptop.succeed("systemctl stop upgrade-gate-watch")
    is_target("inactive")
    assert laptop.get_unit_property("upgrade-gate-watch.service", "ActiveState") == "inactive"
