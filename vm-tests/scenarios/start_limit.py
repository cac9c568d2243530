"""A long outage with the common 100/5/20 restart settings and with systemd's default limit: ungated, what the arithmetic predicts; gated, no restart."""
# machine: laptop
# limit: 600 s

cable(laptop)
profile(laptop)
hack = "Restart=on-failure\nRestartSec={}\n[Unit]\nStartLimitIntervalSec={}\nStartLimitBurst={}\n[Service]"
service(laptop, "hack", upgrade("hack"), gated=None, extra=hack.format(20, 100, 5))
# systemd's default in all but the window, which is 10 s: an attempt of a busy emulated machine can take more than a fifth of that
service(laptop, "default", upgrade("default"), gated=None, extra=hack.format("100ms", 60, 5))
service(laptop, "gated", upgrade("gated"), extra=hack.format(20, 100, 5))

# the property Result tells of the last attempt
limit_hit = "journalctl --no-pager -o cat -u {} | grep 'Start request repeated too quickly'"

laptop.succeed("systemctl start --no-block hack gated")
with subtest("the default limit is reached after five quick attempts"):
    write(laptop, "/run/lab/default.sh", "exit 1\n")
    laptop.execute("systemctl start default")
    laptop.wait_until_succeeds(limit_hit.format("default"), timeout=60)
    assert laptop.get_unit_property("default.service", "ActiveState") == "failed"
    assert laptop.get_unit_property("default.service", "NRestarts") == "5"

with subtest("the 100/5/20 limit is never reached: it still restarts after its window"):
    laptop.wait_until_succeeds("test $(systemctl show -P NRestarts hack) -ge 6", timeout=240)
    laptop.fail(limit_hit.format("hack"))

with subtest("the gated one has not started, and its restart counter is 0"):
    assert laptop.get_unit_property("gated.service", "NRestarts") == "0"
    assert laptop.get_unit_property("gated.service", "ActiveState") == "active"
    static_address(laptop)
    finished(laptop, "gated.service")
    assert runs(laptop, "gated") == 1
    assert laptop.get_unit_property("gated.service", "NRestarts") == "0"
