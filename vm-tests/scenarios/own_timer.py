"""Somebody's own timer, gated by a line in its unit: ExecStartPre waits, ExecCondition skips; neither lets the command run offline."""
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

with subtest("online: the one that waits runs, the other does at its next time"):
    static_address(laptop)
    laptop.wait_until_succeeds("test -s /run/lab/waits.runs", timeout=60)
    laptop.succeed("systemctl start skips")
    finished(laptop, "waits.service")
    never_failed(laptop, "skips.service")
    assert runs(laptop, "waits") == runs(laptop, "skips") == 1

with subtest("a wrong configuration is a failure, and not a skip for ever"):
    laptop.succeed("echo 'settel = 1' >> /run/upgrade-gate/upgrade-gate.d/lab.toml")
    laptop.fail("systemctl start skips")
    laptop.succeed("systemctl is-failed skips")
    assert runs(laptop, "skips") == 1
