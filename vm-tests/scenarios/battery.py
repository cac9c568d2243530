"""On battery the upgrade waits for the mains, and goes on as soon as it is plugged in."""
# machine: laptop

cable(laptop)
static_address(laptop)
laptop.succeed("modprobe test_power", "udevadm settle", "echo off > /sys/module/test_power/parameters/ac_online",
               "echo discharging > /sys/module/test_power/parameters/battery_status")
profile(laptop, power="mains")
service(laptop, "job", upgrade("job"))

with subtest("held on battery"):
    laptop.succeed("systemctl start --no-block job")
    held(laptop, "on_battery")
    laptop.sleep(3)
    assert runs(laptop, "job") == 0

with subtest("released on mains"):
    laptop.succeed("echo on > /sys/module/test_power/parameters/ac_online",
                   "echo charging > /sys/module/test_power/parameters/battery_status")
    finished(laptop, "job.service")
    assert runs(laptop, "job") == 1
