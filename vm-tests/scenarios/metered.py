"""On metered Wi-Fi the upgrade waits, and continues as soon as the connection is no longer metered."""
# machine: laptop with networkmanager

access_point(laptop)
wifi(laptop)
laptop.succeed(f"nmcli connection modify {WIFI} connection.metered yes", "nmcli device reapply wlan0")
profile(laptop, metered="hold")
service(laptop, "job", upgrade("job"))

with subtest("held"):
    laptop.succeed("systemctl start --no-block job")
    held(laptop, "metered")
    laptop.sleep(3)
    assert begun(laptop, "job") == 0

with subtest("released"):
    laptop.succeed(f"nmcli connection modify {WIFI} connection.metered no", "nmcli device reapply wlan0")
    finished(laptop, "job.service")
    assert runs(laptop, "job") == 1
