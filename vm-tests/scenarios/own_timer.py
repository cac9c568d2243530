"""Your own timer, gated by one line in its unit: ExecStartPre= waits, ExecCondition= skips; neither runs the command offline."""
# machine: laptop

cable(laptop)
profile(laptop)
for name, line in {
    "waits": f"ExecStartPre={gate(laptop)} --wait-online --profile lab\nTimeoutStartSec=infinity",
    "skips": f"ExecCondition={gate(laptop)} check --exec-condition --profile lab",
}.items():
    service(laptop, name, upgrade(name), gated=None, extra=line)
    timer(laptop, name, 10)

with subtest("offline: one waits, the other is skipped, none fails"):
    laptop.wait_until_succeeds("test $(systemctl show -P ActiveState waits) = activating", timeout=60)
    laptop.wait_until_succeeds("journalctl -u skips | grep exec-condition", timeout=60)
    laptop.fail("systemctl is-failed waits skips")
    assert runs(laptop, "waits") == runs(laptop, "skips") == 0

with subtest("online: the waiting one runs, the other one runs at its next elapse"):
    static_address(laptop)
    laptop.wait_until_succeeds("test -s /run/lab/waits.runs", timeout=60)
    laptop.succeed("systemctl start skips")
    finished(laptop, "waits.service")
    never_failed(laptop, "skips.service")
    assert runs(laptop, "waits") == runs(laptop, "skips") == 1

with subtest("a wrong configuration fails the unit instead of skipping it indefinitely"):
    laptop.succeed("echo 'settel = 1' >> /run/upgrade-gate/upgrade-gate.d/lab.toml")
    laptop.fail("systemctl start skips")
    laptop.succeed("systemctl is-failed skips")
    assert runs(laptop, "skips") == 1
