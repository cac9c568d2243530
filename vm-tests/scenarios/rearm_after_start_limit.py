"""A unit hits its start limit in an outage and is started again when the network is proven; a unit that failed for another reason is left alone."""
# machine: laptop
# limit: 600 s


def state(name, wanted, timeout=90):
    laptop.wait_until_succeeds(f"test $(systemctl show -P ActiveState {name}) = {wanted}", timeout=timeout)


def attempts(name):
    return int(laptop.succeed(f"touch /run/lab/{name}.attempts; wc -l < /run/lab/{name}.attempts"))


cable(laptop)
profile(laptop)
write(laptop, "/run/upgrade-gate/upgrade-gate.d/watch.toml",
      '[watch]\nprofile = "lab"\nrearm = ["job.service", "broken.*"]\nrearm_spread = "2s"\n')
limit = "Restart=on-failure\nRestartSec=100ms\n[Unit]\nStartLimitIntervalSec=1h\nStartLimitBurst=3\n[Service]"
for name in ("job", "unnamed"):
    # without a name server a look-up takes its time
    quick = "curl -fsS --max-time 2 http://cache.test/nix-cache-info >&2; echo run >> /run/lab/{0}.runs"
    service(laptop, name, f"echo attempt >> /run/lab/{name}.attempts; " + quick.format(name), gated=None, extra=limit)
service(laptop, "broken", "echo attempt >> /run/lab/broken.attempts; exit 1", gated=None)

with subtest("both hit the limit during the outage"):
    laptop.succeed("systemctl start upgrade-gate-watch")
    held(laptop, "(no_network|no_route|connecting|dns|unreachable)")
    laptop.succeed("systemctl start --no-block job unnamed")
    for name in ("job", "unnamed"):
        state(name, "failed")
        laptop.wait_until_succeeds(f"journalctl --no-pager -o cat -u {name} | grep 'Start request repeated too quickly'", timeout=60)
    assert runs(laptop, "job") == 0

with subtest("proven: the configured unit is started once, and does its work"):
    static_address(laptop)
    state("upgrade-gate-online.target", "active")
    state("job", "inactive")
    assert runs(laptop, "job") == 1
    state("unnamed", "failed")
    assert runs(laptop, "unnamed") == 0

with subtest("a unit that fails while everything is proven stays failed, now and after the next outage"):
    laptop.execute("systemctl start broken")
    state("broken", "failed")
    # a transfer that breaks in the second before a loss is told of would count as broken by it
    laptop.sleep(5)
    laptop.succeed("ip link set wan0 down")
    state("upgrade-gate-online.target", "inactive")
    static_address(laptop)
    state("upgrade-gate-online.target", "active")
    laptop.sleep(5)
    assert attempts("broken") == 1
    state("broken", "failed")
    assert runs(laptop, "job") == 1

with subtest("a unit that fails during the outage gets one more attempt"):
    laptop.succeed("ip link set wan0 down")
    state("upgrade-gate-online.target", "inactive")
    laptop.execute("systemctl reset-failed broken; systemctl start broken")
    assert attempts("broken") == 2
    static_address(laptop)
    laptop.wait_until_succeeds("test $(wc -l < /run/lab/broken.attempts) = 3", timeout=60)
    laptop.sleep(5)
    assert attempts("broken") == 3
    state("broken", "failed")
