"""Debian on a btrfs: apt's upgrade is kept if it is good; one that is worse, and one that is cut off by a power cut, are taken back by a snapshot and a reboot."""
# machine: laptop
# limit: 1500 s

if laptop.execute("test -e /usr/share/upgrade-gate/example/apt-guard && command -v mkfs.btrfs && apt-get check -qq")[0] != 0:
    skip("this system is not Debian on a btrfs")

# a package whose service runs, fails after a while, or is installed for long
BUILD = """
mkdir -p /var/lib/lab-apt/www/debian; cd /var/lib/lab-apt/www/debian
package() {
    rm -rf tree; mkdir -p tree/DEBIAN tree/lib/systemd/system
    printf 'Package: lab-app\\nVersion: %s\\nArchitecture: all\\nMaintainer: lab <lab@localhost>\\nDescription: lab\\n' $1 > tree/DEBIAN/control
    printf '[Service]\\nExecStart=/bin/sh -c "%s"\\n' "$2" > tree/lib/systemd/system/lab-app.service
    printf '#!/bin/sh\\nset -e\\n%s\\nsystemctl daemon-reload\\nsystemctl restart lab-app\\n' "$3" > tree/DEBIAN/postinst
    chmod 755 tree/DEBIAN/postinst
    dpkg-deb --root-owner-group -Zgzip -z1 -b tree lab-app_$1.deb
    dpkg-deb -f lab-app_$1.deb > entry
    printf 'Filename: ./lab-app_%s.deb\\nSize: %s\\nSHA256: %s\\n\\n' $1 $(stat -c %s lab-app_$1.deb) $(sha256sum < lab-app_$1.deb | cut -d ' ' -f 1) >> entry
    cat entry > Packages
}
"""
GUARD = "/usr/local/sbin/apt-guard"


def offers(version, command="exec sleep infinity", postinst=":"):
    write(laptop, "/run/lab/build.sh", BUILD + f"package {version} {shlex.quote(command)} {shlex.quote(postinst)}\n")
    laptop.succeed("sh -eu /run/lab/build.sh >&2")


def installed():
    return laptop.succeed("dpkg-query -W -f '${Version}' lab-app; systemctl is-active lab-app").strip()


def night(code):
    """The upgrade of a night, as its unit runs it; none: it does not come to its end in this boot."""
    laptop.succeed("systemctl reset-failed apt-upgrade 2> /dev/null || true")
    laptop.execute("systemctl start --no-block apt-upgrade")
    if code is not None:
        # 80 and 75 are failures of the unit, which the machine may not live to see
        laptop.wait_until_succeeds(f"test $(systemctl show -P ExecMainStatus apt-upgrade) = {code} && "
                                   "! systemctl is-active apt-upgrade | grep activ", timeout=300)


def goes_back():
    """The guard reboots the machine, and is done after that."""
    laptop.wait_for_shutdown()
    laptop.start()
    guard_phase(laptop, "idle", timeout=300)
    return guard_ended(laptop)


with subtest("the machine moves to a btrfs; the guard's state has a subvolume of its own"):
    write(laptop, "/etc/default/apt-guard", "DEVICE=/dev/loop0\nSUBVOLUME=@rootfs\n")
    units = boot_units(laptop)
    for name, where in {"@guard": "/var/lib/upgrade-gate", "@apt": "/var/lib/lab-apt"}.items():
        mount = where.strip("/").replace("-", "\\x2d").replace("/", "-")
        laptop.succeed(f"printf '[Mount]\\nWhat=/dev/loop0\\nWhere={where}\\nType=btrfs\\nOptions=subvol={name}\\n' > '{units}/{mount}.mount'; "
                       f"mkdir -p {where} {units}/local-fs.target.wants; ln -sf '../{mount}.mount' {units}/local-fs.target.wants/")
    unit_text = ("[Service]\nType=exec\nTimeoutStartSec=infinity\nExecStart=/usr/bin/upgrade-gate run --profile apt-upgrade -- "
                 "/bin/sh -c 'apt-get --quiet update && apt-get --yes --quiet --download-only upgrade'\n")
    write(laptop, f"{units}/apt-upgrade.service", unit_text)
    guarded = {"enable": True, "within": "40s", "settle_after": "5s",
               **{key: f"{GUARD} {key}" for key in ("identify", "offer", "snapshot", "activate", "rollback")}}
    write(laptop, "/etc/upgrade-gate/upgrade-gate.d/apt.toml",
          "[profile.apt-upgrade.guard]\n" + "".join(f"{key} = {toml(value)}\n" for key, value in guarded.items()))
    write(laptop, "/etc/apt/sources.list", "deb [trusted=yes] file:/var/lib/lab-apt/www/debian ./\n")
    laptop.succeed("rm -f /etc/apt/sources.list.d/*; systemctl enable upgrade-gate-guard.service upgrade-gate-guard-boot.timer",
                   f"install -m 755 /usr/share/upgrade-gate/example/apt-guard {GUARD}",
                   "mkdir /run/state /run/top; mount /dev/vdb /run/state; truncate -s 1200M /run/state/btrfs.new; mkfs.btrfs -q /run/state/btrfs.new",
                   "modprobe -a loop btrfs; mount -o loop /run/state/btrfs.new /run/top; cd /run/top; "
                   "for name in @rootfs @guard @apt; do btrfs -q subvolume create $name; done; chmod 700 @guard; mkdir @rootfs/work; "
                   "cp -a /run/state/upper @rootfs/upper; cd /; umount /run/top; sync; mv /run/state/btrfs.new /run/state/btrfs; sync")
    power_cut(laptop)
    laptop.succeed("findmnt /var/lib/upgrade-gate")

with subtest("a good upgrade is kept at the end of the grace"):
    offers("1")
    laptop.succeed("apt-get -qq update; apt-get -qq install -y lab-app >&2")
    offers("2")
    night(0)
    assert installed() == "2active", installed()
    assert guard_ended(laptop)[0] == "confirmed", guard_ended(laptop)
    night(0)
    assert guard_ended(laptop)[1] == "unchanged", guard_ended(laptop)

with subtest("one whose service ends after 8 s is taken back with the whole root subvolume, and its offer is denied"):
    offers("3", "sleep 8; exit 1", "rm /usr/bin/upgrade-gate; touch /etc/worse")
    night(None)
    assert goes_back() == ("undone", "unhealthy"), guard_ended(laptop)
    laptop.fail("test -e /etc/worse")
    laptop.succeed("systemctl start lab-app")
    assert installed() == "2active", installed()
    night(75)
    assert "denied" in journal(laptop, "apt-upgrade")

with subtest("a power cut in the middle of apt: half an upgrade is taken back"):
    offers("4", "exec sleep infinity", "sleep 1000")
    night(None)
    laptop.wait_until_succeeds("dpkg-query -W -f '${Status}' lab-app | grep half-configured", timeout=120)
    power_cut(laptop)
    assert goes_back() == ("undone", "lost"), guard_ended(laptop)
    laptop.succeed("systemctl start lab-app; apt-get check -qq")
    assert installed() == "2active", installed()
    never_failed(laptop, "upgrade-gate-guard.service")
