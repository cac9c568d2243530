"""A laptop on battery: held below the configured level, or off mains power; released at that level, and when plugged in."""
# machine: laptop

has_battery(laptop) or skip("a virtual machine's kernel needs i2c-stub to have a battery, and this one is built without")
cable(laptop)
static_address(laptop)
battery(laptop, 20, "discharging")
laptop.wait_until_succeeds("grep -x Discharging /sys/class/power_supply/*/status", timeout=30)
profile(laptop, "level", power={"battery_at_least": 40})
profile(laptop, "mains", power="mains")
for name in "level", "mains":
    service(laptop, name, upgrade(name), gated=name)

with subtest("20 percent: both are held, each for its own reason"):
    laptop.succeed("systemctl start --no-block level mains")
    held(laptop, "battery_low", name="level")
    held(laptop, "on_battery", name="mains")
    laptop.sleep(3)
    assert runs(laptop, "level") == runs(laptop, "mains") == 0

with subtest("60 percent: enough for one, the other still needs mains power"):
    battery(laptop, 60, "discharging")
    finished(laptop, "level.service")
    assert (runs(laptop, "level"), runs(laptop, "mains")) == (1, 0)

with subtest("plugged in"):
    battery(laptop, 60, "charging")
    finished(laptop, "mains.service")
    assert runs(laptop, "mains") == 1
