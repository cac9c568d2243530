"""A laptop on battery: held below the configured level, or off mains power; released at that level, and when plugged in."""
# machine: laptop

# a battery as smart batteries are, whose registers a driver of the kernel reads on an I2C bus that exists in memory
if laptop.execute("modprobe -a i2c-dev sbs-battery && modprobe i2c-stub chip_addr=0x0b")[0] != 0:
    skip("a virtual machine's kernel needs i2c-stub to have a battery, and this one is built without")
write(laptop, "/run/lab/battery.py", """
import ctypes, fcntl, glob, os, sys
class Access(ctypes.Structure):
    _fields_ = [("write", ctypes.c_uint8), ("register", ctypes.c_uint8), ("size", ctypes.c_uint32), ("data", ctypes.c_void_p)]
I2C_SLAVE_FORCE, I2C_SMBUS, WORD = 0x0706, 0x0720, 3
bus = next(p for p in glob.glob("/sys/bus/i2c/devices/i2c-*") if open(p + "/name").read().startswith("SMBus stub"))
device = os.open("/dev/" + os.path.basename(bus), os.O_RDWR)
fcntl.ioctl(device, I2C_SLAVE_FORCE, 0x0b)
percent, discharging = int(sys.argv[1]), sys.argv[2] == "discharging"
registers = {0x08: 2981, 0x09: 11400, 0x0a: 0xfc18 if discharging else 1000, 0x0d: percent, 0x0e: percent, 0x0f: percent * 40,
             0x10: 4000, 0x16: 0x40 if discharging else 0, 0x18: 4000, 0x19: 11400, 0x1a: 0x11}
for register, value in registers.items():
    word = ctypes.c_uint16(value)
    fcntl.ioctl(device, I2C_SMBUS, Access(0, register, WORD, ctypes.addressof(word)))
if not os.path.exists(bus + "/" + os.path.basename(bus)[4:] + "-000b"):
    open(bus + "/new_device", "w").write("sbs-battery 0x0b")
""")


def battery(percent, state):
    # a driver of the kernel that is told by its hardware sends this event itself
    laptop.succeed(f"python3 /run/lab/battery.py {percent} {state}; udevadm trigger --action=change --subsystem-match=power_supply")


cable(laptop)
static_address(laptop)
battery(20, "discharging")
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
    battery(60, "discharging")
    finished(laptop, "level.service")
    assert (runs(laptop, "level"), runs(laptop, "mains")) == (1, 0)

with subtest("plugged in"):
    battery(60, "charging")
    finished(laptop, "mains.service")
    assert runs(laptop, "mains") == 1
