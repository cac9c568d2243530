"""A timer elapses while the laptop is suspended; on resume the upgrade starts before Wi-Fi is back: ungated, it fails; gated, it runs once."""
# machine: laptop with networkmanager

access_point(laptop)
wifi(laptop)
profile(laptop, "nixos-upgrade")
service(laptop, "nixos-upgrade", upgrade("nixos-upgrade"), gated="nixos-upgrade")
service(laptop, "ungated-upgrade", upgrade("ungated-upgrade"), gated=None)

with subtest("both elapse during the suspend"):
    suspend(laptop, 9, due=["nixos-upgrade", "ungated-upgrade"])

with subtest("the ungated one fails"):
    laptop.wait_until_succeeds("test $(systemctl show -P ActiveState ungated-upgrade) = failed", timeout=60)
    assert runs(laptop, "ungated-upgrade") == 0

with subtest("the gated one waits, and runs once when the cache answers"):
    assert begun(laptop, "nixos-upgrade") == 0
    radio(laptop)
    finished(laptop, "nixos-upgrade.service")
    assert begun(laptop, "nixos-upgrade") == runs(laptop, "nixos-upgrade") == 1
