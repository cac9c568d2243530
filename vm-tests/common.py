"""What the scenarios share. It is put before each of them, here and in NixOS's test driver, and knows neither.

Facts it relies on, true of both: a root shell with `upgrade-gate`, `curl`, `dnsmasq`, `hostapd`, `iw`, `ip`, `nmcli`,
`busybox`, `python3`, `nix`, `openssl` and `sshd` in PATH; units in /run/systemd/system are read, and those in `boot_units(m)` at boot too;
an RTC that wakes the machine; eth1 at 192.168.1.N for the Nth machine, which NetworkManager leaves alone. The files of units/ are
installed by the distribution's package: units and tmpfiles.d are installed, none is enabled; drop-ins and the example are in `share(m)`.
"""

import shlex

WIFI = "lab"
# the Internet: beyond the access point, by a route, by a name
ROUTER, CACHE = "10.77.0.1", "10.88.0.1"
TARGET = "nix-cache:http://cache.test"


class Skipped(SystemExit):
    """The end of a scenario that this machine cannot have: `vm-tests/run` counts it, NixOS's driver ends with 0 and its log says why."""

    def __init__(self, reason):
        super().__init__(0)
        self.reason = reason


def skip(reason):
    print(f"SKIPPED: {reason}", flush=True)
    raise Skipped(reason)


def write(machine, path, text):
    machine.succeed(f"mkdir -p $(dirname {path}); printf %s {shlex.quote(text)} > {path}")


def unit(machine, name, text):
    """A new unit until the next boot; systemd finds it without a daemon-reload, as long as it has not looked for it before."""
    write(machine, f"/run/systemd/system/{name}", text)


def boot_units(machine):
    """The folder of units that are there at the next boot; NixOS's own is read-only."""
    return machine.succeed("test -e /etc/NIXOS && echo /etc/systemd-mutable/system || echo /etc/systemd/system").strip()


def environment(machine):
    """A unit's [Service] lines that make it find what the root shell finds."""
    return f"Environment=PATH={found(machine)[2]}\nEnvironment=HOME=/root"


def share(machine):
    """The folder with `drop-ins/UNIT.service.d/upgrade-gate.conf` and `example/`, without effect until copied or linked."""
    return machine.succeed(f"echo $(dirname $(dirname $(readlink -f {gate(machine)})))/share/upgrade-gate").strip()


def debian_package(machine):
    """The path of the Debian package that is installed."""
    path = "/var/cache/upgrade-gate.deb"
    if machine.execute(f"test -e {path}")[0] != 0:
        skip("upgrade-gate is not installed by a Debian package here")
    return path


def gate(machine):
    return found(machine)[0]


def shell(machine):
    return found(machine)[1]


FOUND = {}


def found(machine):
    """The paths of upgrade-gate and of a shell, and the PATH."""
    if machine.name not in FOUND:
        FOUND[machine.name] = machine.succeed('command -v upgrade-gate; command -v sh; echo "$PATH"').split("\n")
    return FOUND[machine.name]


def profile(machine, name="lab", **settings):
    """A profile whose target is the lab's cache unless told otherwise."""
    settings = {"targets": [TARGET], **settings}
    lines = [f"[profile.{name}]"] + [f"{key} = {toml(value)}" for key, value in settings.items()]
    write(machine, f"/run/upgrade-gate/upgrade-gate.d/{name}.toml", "\n".join(lines) + "\n")


def toml(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


def service(machine, name, command, gated="lab", extra=""):
    """A unit NAME.service that runs `command` in a shell, gated by a profile or (None) not at all."""
    before = f"{gate(machine)} run --profile {gated} -- " if gated else ""
    kind = "Type=exec\nSuccessExitStatus=75" if gated else "Type=oneshot"
    write(machine, f"/run/lab/{name}.sh", command + "\n")
    unit(machine, f"{name}.service",
         f"[Service]\n{kind}\n{environment(machine)}\n{extra}\nExecStart={before}{shell(machine)} -eu /run/lab/{name}.sh\n")


def upgrade(name):
    """A stand-in for an upgrade: wants the cache, and leaves a line for each time it began, and for each time it got it."""
    return (f"echo begun >> /run/lab/{name}.begun\n"
            f"curl -fsS --max-time 10 http://cache.test/nix-cache-info >&2\necho run >> /run/lab/{name}.runs")


def runs(machine, name):
    return int(machine.succeed(f"touch /run/lab/{name}.runs; wc -l < /run/lab/{name}.runs"))


def begun(machine, name):
    """How often `upgrade` began: a gate that lets it run too early would only have it repeated."""
    return int(machine.succeed(f"touch /run/lab/{name}.begun; wc -l < /run/lab/{name}.begun"))


def timer(machine, name, seconds):
    """NAME.timer elapses once on the calendar, `seconds` from now; a time that is past when it starts would never come. See `suspend` for
    one that is to elapse in the sleep."""
    machine.succeed(f"printf '[Timer]\\nOnCalendar=@%s\\nAccuracySec=1us\\n' $(($(date +%s) + {seconds})) "
                    f"> /run/systemd/system/{name}.timer; systemctl start {name}.timer")


def journal(machine, name):
    return machine.succeed(f"journalctl --no-pager -o cat -u {name}")


def held(machine, reason, name="lab", timeout=60):
    """Waits until a gate of the profile says it is held for `reason`."""
    gate = f'"profile":"{name}","verdict":"held","reason":"{reason}"'
    machine.wait_until_succeeds(f"upgrade-gate status --json | grep -E '{gate}'", timeout=timeout)


def endings(name):
    """A command that counts how often the unit ended well; its properties are gone once systemd has unloaded it."""
    return f"$(journalctl --no-pager -o cat -u {name} | grep -c 'Deactivated successfully')"


def finished(machine, name, times=1, timeout=90):
    """Waits until the unit has ended so many times, and says that it never failed."""
    machine.wait_until_succeeds(f"test {endings(name)} -ge {times}", timeout=timeout)
    never_failed(machine, name)


def never_failed(machine, name):
    machine.fail(f"journalctl --no-pager -o cat -u {name} | grep -E 'Failed with result|Scheduled restart job'")


# The alarm is put off until the kernel stops this loop, too: on a slow machine one that was set before would ring before it sleeps, and
# wake nobody. `+=` moves an alarm that is set, so that there is one at every moment.
ALARM = """rtc=/sys/class/rtc/rtc0
while :; do
    now=$(cat $rtc/since_epoch) alarm=$(cat $rtc/wakealarm)
    if [ -z "$alarm" ]; then echo +$1 > $rtc/wakealarm
    elif [ $((now + $1)) -gt $alarm ]; then echo +=$((now + $1 - alarm)) > $rtc/wakealarm
    fi
    sleep 1
done
"""


def suspend(machine, seconds, due=()):
    """A real suspend, ended after some `seconds` (6 or more) by the machine's own clock; the units `due` have timers that elapse in its midst."""
    count = "/sys/power/suspend_stats/success"
    lines = ["set -eu", f"before=$(cat {count})"]
    for name in due:
        timer_unit = f"due-$before-{name}.timer"
        # the time is read just before its timer starts: one that is past by then never comes
        lines += [f"printf '[Timer]\\nUnit={name}.service\\nOnCalendar=@%s\\nAccuracySec=1us\\n' $(($(date +%s) + {seconds * 2 // 3})) "
                  f"> /run/systemd/system/{timer_unit}", f"systemctl start {timer_unit}"]
    # the service may not have set one yet when all is stopped; if it has in between, this one is refused
    lines += [f"systemctl start lab-alarm@{seconds}", "cd /sys/class/rtc/rtc0", "echo 0 > wakealarm", f"echo +{seconds} > wakealarm || true"]
    sh, path = shell(machine), environment(machine)
    files = {
        "/run/lab/alarm": ALARM,
        "/run/lab/before-sleep": "\n".join(lines) + "\n",
        "/run/systemd/system/lab-alarm@.service": f"[Service]\n{path}\nExecStart={sh} /run/lab/alarm %i\n",
        # by systemd's own unit, and not before it is asked for: logind can take its time
        "/run/systemd/system/systemd-suspend.service.d/lab.conf":
            f"[Service]\n{path}\nExecStartPre={sh} /run/lab/before-sleep\nExecStopPost={sh} -c 'systemctl stop lab-alarm@*'\n"}
    # at one go, as it can be urgent; what is there stays, as systemd would want a daemon-reload
    writes = "; ".join(f"[ -e {name} -a {name} != /run/lab/before-sleep ] || printf %s {shlex.quote(text)} > {name}" for name, text in files.items())
    # logind refuses while the sleep before is not over for it
    asked = "tries=0; until systemctl suspend; do [ $((tries += 1)) -lt 30 ]; sleep 1; done"
    before = int(machine.succeed(
        f"cat {count}; mkdir -p /run/lab /run/systemd/system/systemd-suspend.service.d; {writes}; {asked}"))
    machine.wait_until_succeeds(f"test $(cat {count}) -gt {before}", timeout=180)


def background(machine, name, command, netns=None):
    """A process that stays, seen by no gate."""
    where = f"-p NetworkNamespacePath=/run/netns/{netns} " if netns else ""
    machine.succeed(f'systemd-run --quiet --collect --unit={name} -E PATH="$PATH" -E HOME=/root {where}'
                    f"{shell(machine)} -c {shlex.quote('exec ' + command)}")


def internet(machine, netns, device):
    """In `netns`: a router on `device` with DHCP and DNS, and behind it a binary cache."""
    machine.succeed(
        f"ip -n {netns} addr add {ROUTER}/24 dev {device}; ip -n {netns} link set {device} up; "
        f"ip -n {netns} link set lo up; ip -n {netns} addr add {CACHE}/32 dev lo; "
        "mkdir -p /run/lab/www; printf 'StoreDir: /nix/store\\nWantMassQuery: 1\\n' > /run/lab/www/nix-cache-info")
    names(machine, netns, device)
    background(machine, "lab-cache", f"busybox httpd -f -p {CACHE}:80 -h /run/lab/www", netns)
    machine.wait_until_succeeds(f"ip netns exec {netns} curl -fsS http://{CACHE}/nix-cache-info", timeout=60)


def names(machine, netns, device, answer=f"--address=/cache.test/{CACHE}", unit="lab-dns"):
    """DHCP and DNS on `device`."""
    background(machine, unit, "dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts --user=root --group=root "
               f"{answer} --interface={device} --except-interface=lo --bind-interfaces --pid-file= "
               "--dhcp-range=10.77.0.10,10.77.0.99,1h --dhcp-leasefile=/run/lab/leases --dhcp-authoritative", netns)


def alone(machine):
    """Removes the network cards of the test framework: they would be a route."""
    machine.succeed("for card in /sys/class/net/eth*; do ip link set ${card##*/} down; done")


def access_point(machine):
    """Wi-Fi in the air: the second radio is an access point in a namespace of its own.

    It asks for no key: the kernel gives an access point some 100 ms to answer, an emulated one takes longer now and then and is asked again,
    and then a handshake starts again and fails. NetworkManager assumes a wrong key, and asks the user.
    """
    alone(machine)
    machine.succeed("modprobe mac80211_hwsim radios=2; ip netns add ap; mkdir -p /run/lab; udevadm settle")
    machine.succeed("iw phy $(cat /sys/class/net/wlan1/phy80211/name) set netns name ap; ip -n ap link set wlan1 name ap0")
    write(machine, "/run/lab/hostapd.conf",
          f"interface=ap0\ndriver=nl80211\nssid={WIFI}\nchannel=1\nhw_mode=g\n")
    radio(machine)
    internet(machine, "ap", "ap0")


def radio(machine):
    """The access point transmits; being in the machine it falls silent with a suspend, until it is told again."""
    machine.succeed("systemctl stop lab-hostapd.service 2> /dev/null || true")
    background(machine, "lab-hostapd", "hostapd /run/lab/hostapd.conf", "ap")


def wifi(machine):
    """Joins the access point, and is on the Internet when it returns."""
    machine.wait_for_unit("NetworkManager.service")
    machine.succeed(f"nmcli connection add type wifi con-name {WIFI} ifname wlan0 ssid {WIFI} ipv6.method disabled "
                    "connection.autoconnect-retries 0")
    online(machine)


def online(machine, timeout=120):
    machine.wait_until_succeeds("curl -fsS --max-time 5 http://cache.test/nix-cache-info", timeout=timeout)


def cable(machine):
    """A cable wan0 to a router in the namespace `isp`; nobody has configured our end yet."""
    alone(machine)
    machine.succeed("ip netns add isp; mkdir -p /run/lab; ip link add wan0 type veth peer name isp0 netns isp")
    internet(machine, "isp", "isp0")


def plug(machine):
    machine.succeed("ip -n isp link set isp0 up")


def unplug(machine):
    machine.succeed("ip -n isp link set isp0 down")


def static_address(machine):
    """Our end of the cable as a person would set it by hand."""
    machine.succeed("ip link set wan0 up; ip addr replace 10.77.0.2/24 dev wan0; "
                    f"ip route replace default via {ROUTER} dev wan0", f"rm -f /etc/resolv.conf; echo nameserver {ROUTER} > /etc/resolv.conf")


# a battery as smart batteries are, whose registers a driver of the kernel reads on an I2C bus that exists in memory
BATTERY = """
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
"""


def has_battery(machine):
    """Whether the machine can be given a battery; from then on `battery` says what it is like."""
    write(machine, "/run/lab/battery.py", BATTERY)
    return machine.execute("modprobe -a i2c-dev sbs-battery && modprobe i2c-stub chip_addr=0x0b")[0] == 0


def battery(machine, percent, state):
    # a driver of the kernel that is told by its hardware sends this event itself
    machine.succeed(f"python3 /run/lab/battery.py {percent} {state}; udevadm trigger --action=change --subsystem-match=power_supply")


# both versions in a repository at http://cache.test/debian; the newer one has nothing else that is new
REPOSITORY = """
mkdir -p /run/lab/www/debian /run/lab/unpacked; cd /run/lab/www/debian
cp $1 old.deb
dpkg-deb -R old.deb /run/lab/unpacked
sed -i "s/^Version: .*/&+newer/" /run/lab/unpacked/DEBIAN/control
dpkg-deb --root-owner-group -Zgzip -z1 -b /run/lab/unpacked new.deb
for deb in old.deb new.deb; do
    dpkg-deb -f $deb
    echo "Filename: ./$deb"
    echo "Size: $(stat -c %s $deb)"
    echo "SHA256: $(sha256sum < $deb | cut -d ' ' -f 1)"
    echo
done > Packages
echo 'deb [trusted=yes] http://cache.test/debian ./' > /etc/apt/sources.list
rm -f /etc/apt/sources.list.d/*
"""
APT = "DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0"


def newer_package(machine):
    """Has apt's only repository offer a newer upgrade-gate; returns the versions, the installed one first."""
    package = debian_package(machine)
    write(machine, "/run/lab/repository.sh", REPOSITORY)
    machine.succeed(f"sh -eu /run/lab/repository.sh {package} >&2")
    old = installed_version(machine)
    return old, f"{old}+newer"


def installed_version(machine):
    return machine.succeed("dpkg-query -W -f '${Version}' upgrade-gate").strip()


# As NixOS's, in its order: lock, boot loader, stop, activation script, units, exit code. Systems are store paths.
SWITCH = r"""#!/bin/sh
self=$(dirname $(dirname $(readlink -f "$0"))); units=/etc/systemd/system
grep -qsx $self /run/lab/refused && { echo "Pre-switch checks failed" >&2; exit 1; }
[ "$1" = check ] && exit 0
mkdir -p /run/nixos; exec 9> /run/nixos/switch-to-configuration.lock
flock -n 9 || { echo "Could not acquire lock" >&2; exit 1; }
echo "$(basename $self) $1" >> /var/lib/lab-switches
case $1 in boot|switch) /usr/local/sbin/lab-boot-loader $self || exit 1;; esac
[ "$1" = boot ] && exit 0
old=$(readlink -f /run/current-system)
. $self/activate
ln -sfn $self /run/current-system
for unit in $(ls $old/etc/systemd/system | grep ^lab-); do
    cmp -s $old/etc/systemd/system/$unit $self/etc/systemd/system/$unit || systemctl stop $unit
    rm -f /run/systemd/system/$unit
done
ln -sf $self/etc/systemd/system/lab-* /run/systemd/system/
systemctl daemon-reload
systemctl reset-failed
for unit in $(ls $self/etc/systemd/system | grep ^lab-); do systemctl start $unit || failed=4; done
[ -z "$(systemctl list-units --failed --no-legend)" ] || failed=4
exit ${failed:-0}
"""
# stage 2: what a boot activates
INIT = r"""#!/bin/sh
self=$(dirname $(readlink -f "$0"))
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/systemd/system/multi-user.target.wants
ln -sfn $self /run/current-system
ln -sfn $self /run/booted-system
ln -sf $self/etc/systemd/system/lab-* /run/systemd/system/
ln -sf $self/etc/systemd/system/lab-* /run/systemd/system/multi-user.target.wants/
. $self/activate
exec /lib/systemd/systemd
"""
# the menu of a machine without a boot loader, whose unit at boot starts what it names
EXTLINUX = r"""#!/bin/sh
mkdir -p /boot/extlinux
{ echo "DEFAULT $(basename $1)"
  for link in /nix/var/nix/profiles/system-*-link; do
      system=$(readlink $link); printf 'LABEL %s\n  APPEND init=%s/init\n' $(basename $system) $system
  done; } > /boot/extlinux/new
sync /boot/extlinux/new; mv /boot/extlinux/new /boot/extlinux/extlinux.conf
"""
BOOT = r"""#!/bin/sh
menu=/boot/extlinux/extlinux.conf; label=$(awk '$1 == "DEFAULT" { print $2 }' $menu)
ln -sfn /nix/store/$label /run/current-system
ln -sf /nix/store/$label/etc/systemd/system/lab-* /run/systemd/system/
"""
SERVICE = "[Service]\nExecStart={}\n"


def system(machine, name, activate=":", params="", **units):
    """A NixOS system as far as it is activated and booted: a store path. `params` are of its kernel."""
    folder = f"/run/lab/systems/{name}"
    for unit_name, text in {"upgrade-gate-guard": "[Service]\n", **units}.items():
        write(machine, f"{folder}/etc/systemd/system/{unit_name.replace('_', '-')}.service", text)
    write(machine, f"{folder}/activate", activate + "\n")
    write(machine, f"{folder}/kernel-params", params)
    write(machine, f"{folder}/init", INIT)
    write(machine, f"{folder}/bin/switch-to-configuration", SWITCH)
    return machine.succeed(
        f"cd {folder}; mkdir -p sw/bin; chmod +x init bin/switch-to-configuration; for program in nix-env systemctl bootctl; do "
        f"ln -sf $(command -v $program) sw/bin/; done; nix-store --add {folder}").strip()


def boot_loader(machine, installer):
    write(machine, "/usr/local/sbin/lab-boot-loader", installer)
    machine.succeed("chmod +x /usr/local/sbin/lab-boot-loader")


def run_system(machine, base):
    """`base` runs, is the system profile, and boots; the guard's units are enabled."""
    boot_loader(machine, EXTLINUX)
    machine.succeed(f"mkdir -p /run/nixos /nix/var/nix/profiles; nix-env -p /nix/var/nix/profiles/system --set {base}; "
                    f"ln -sfn {base} /run/current-system; {base}/bin/switch-to-configuration switch")
    write(machine, "/usr/local/sbin/lab-boot", BOOT)
    write(machine, f"{boot_units(machine)}/lab-boot.service",
          f"[Unit]\nDefaultDependencies=no\nAfter=local-fs.target\nBefore=sysinit.target\n[Service]\nType=oneshot\nExecStart={shell(machine)} /usr/local/sbin/lab-boot\n")
    machine.succeed(f"mkdir -p {boot_units(machine)}/sysinit.target.wants; ln -sf ../lab-boot.service {boot_units(machine)}/sysinit.target.wants/")
    machine.succeed("systemctl daemon-reload; systemctl enable upgrade-gate-guard.service upgrade-gate-guard-boot.timer")


def booting(machine):
    """The systems that run, that the profile names, and that boot next."""
    return machine.succeed("readlink -f /run/current-system /nix/var/nix/profiles/system; "
                           "awk '$1 == \"DEFAULT\" { print \"/nix/store/\" $2 }' /boot/extlinux/extlinux.conf").split()


def guard(machine, words, code=0, timeout=240):
    """What a command of the guard says, with this exit code."""
    found_code, said = machine.execute(f"timeout {timeout} upgrade-gate guard {words} 2>&1")
    assert found_code == code, (words, found_code, said)
    return said


def guard_phase(machine, wanted, timeout=180):
    machine.wait_until_succeeds(f"upgrade-gate guard status --json | grep '\"phase\":\"{wanted}\"'", timeout=timeout)


def guard_ended(machine):
    """How the last try ended: its phase and its cause."""
    end = machine.succeed("upgrade-gate guard status --json").rsplit('"phase":"', 1)[1]
    return end.split('"')[0], end.split('"cause":')[1].split(",")[0].strip('"')


# as NixOS's builder: an entry for each generation, then the default, by way of a file that must not be there
SYSTEMD_BOOT = r"""#!/bin/sh
set -eu
for link in /nix/var/nix/profiles/system-*-link; do
    system=$(readlink $link); name=nixos-generation-$(basename $link | tr -dc 0-9).conf
    printf 'title NixOS\nlinux /EFI/nixos/linux.efi\ninitrd /EFI/nixos/initrd.efi\noptions init=%s/init %s %s\n' \
        $system "$(cat /var/lib/lab-params)" "$(cat $system/kernel-params)" > /boot/loader/entries/$name.tmp
    mv /boot/loader/entries/$name.tmp /boot/loader/entries/$name
    [ $system != $1 ] || default=$name
done
set -C
printf 'timeout 0\ndefault %s\n' ${default:-nixos-*} > /boot/loader/loader.tmp
mv /boot/loader/loader.tmp /boot/loader/loader.conf
sync --file-system /boot
"""


# of a machine whose boot loader lists the generations of the profile: what its first start prepares, and its second
def boot_partition(machine):
    """The boot partition is /boot from the next start on, and the guard's units are enabled."""
    write(machine, "/etc/systemd/system/boot.mount", "[Mount]\nWhat=/dev/vdd\nWhere=/boot\nType=vfat\nOptions=umask=0077\n")
    machine.succeed("mkdir -p /etc/systemd/system/local-fs.target.wants; ln -s ../boot.mount /etc/systemd/system/local-fs.target.wants/; "
                    "systemctl enable upgrade-gate-guard.service upgrade-gate-guard-boot.timer; sync")
    power_cut(machine)
    machine.succeed("test -d /sys/firmware/efi/efivars; tr ' ' '\\n' < /proc/cmdline | grep -v '^initrd=\\|^BOOT_IMAGE=' | tr '\\n' ' ' > /var/lib/lab-params")


def power_cut(machine):
    machine.crash()
    machine.start()


def first_system(machine, installer):
    """The system that the boot loader starts from the next start on."""
    boot_loader(machine, installer)
    base = system(machine, "base")
    machine.succeed(f"nix-env -p /nix/var/nix/profiles/system --set {base}; {base}/bin/switch-to-configuration boot; sync")
    power_cut(machine)
    return base


def booted(machine, path):
    """This system runs since the boot."""
    assert machine.succeed("readlink /run/booted-system").strip() == path, machine.succeed("cat /proc/cmdline; upgrade-gate guard status")


def wholly_booted(machine, path):
    """This system was booted, is the profile and boots; nothing of the guard is left."""
    booted(machine, path)
    assert machine.succeed("readlink -f /nix/var/nix/profiles/system").strip() == path
    said = guard(machine, "status")
    assert said.startswith("guard: idle") and f"now: boots {path}" in said, said
    never_failed(machine, "upgrade-gate-guard.service")


def staged(machine, path, words=""):
    """The next boot tries this system, and nothing else has changed."""
    guard(machine, f"try {path} --mode reboot --within 30s --settle-after 5s {words}")
    said = guard(machine, "status")
    assert said.startswith("guard: staged") and f"now: boots {path} (the candidate)" in said, said


def reboots_back(machine, path):
    """The candidate boots, does not stay, and is followed by the system before: how it ended."""
    power_cut(machine)
    machine.wait_for_shutdown()
    machine.start()
    guard_phase(machine, "idle")
    wholly_booted(machine, path)
    return guard_ended(machine)


def kept_by_a_boot(machine, base, path):
    """A staged system is tried by a boot, and kept after the grace of that boot."""
    power_cut(machine)
    booted(machine, path)
    assert f"now: boots {base} (the baseline)" in guard(machine, "status")
    guard_phase(machine, "idle")
    wholly_booted(machine, path)
    power_cut(machine)
    wholly_booted(machine, path)


def each_comes_back(machine, good, ends):
    """Each of these systems is tried by a boot, and followed by the one before; it ends so."""
    for path, end in ends.items():
        staged(machine, path, "--allow paused")
        found_end = reboots_back(machine, good)
        assert found_end == end, (path, found_end)
