"""apt, run by a gate, replaces upgrade-gate by a newer one from a repository: waiting and running gates go on, exit codes are the command's, and the watch is restarted."""
# machine: laptop
# limit: 900 s

package = debian_package(laptop)
cable(laptop)
static_address(laptop)
profile(laptop)
profile(laptop, "later", targets=["nix-cache:http://cache.test/later"])
write(laptop, "/run/upgrade-gate/upgrade-gate.d/watch.toml", '[watch]\nprofile = "lab"\n')
old = laptop.succeed("dpkg-query -W -f '${Version}' upgrade-gate").strip()
new = f"{old}+newer"
# both versions in a repository; the new one has nothing else that is new
write(laptop, "/run/lab/repository.sh", f"""
cd /run/lab/www/debian
cp {package} old.deb
dpkg-deb -R old.deb /run/lab/unpacked
sed -i 's/^Version: .*/Version: {new}/' /run/lab/unpacked/DEBIAN/control
dpkg-deb --root-owner-group -Zgzip -z1 -b /run/lab/unpacked new.deb
for deb in old.deb new.deb; do
    dpkg-deb -f $deb
    echo "Filename: ./$deb"
    echo "Size: $(stat -c %s $deb)"
    echo "SHA256: $(sha256sum < $deb | cut -d ' ' -f 1)"
    echo
done > Packages
""")
write(laptop, "/etc/apt/sources.list", "deb [trusted=yes] http://cache.test/debian ./\n")
laptop.succeed("rm -f /etc/apt/sources.list.d/*; mkdir -p /run/lab/www/debian; sh -eu /run/lab/repository.sh >&2", timeout=None)
apt = "DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0"


def process(name):
    return laptop.get_unit_property(name, "MainPID")


def version():
    return laptop.succeed("dpkg-query -W -f '${Version}' upgrade-gate").strip()


# a gate that waits, a companion that waits, and the watch
service(laptop, "waiting", upgrade("waiting"), gated="later")
waits = ["waiting.service", "upgrade-gate@later.service"]
service(laptop, "foreign", upgrade("foreign"), gated=None)
unit(laptop, "foreign.service.d/gate.conf", "[Unit]\nRequires=upgrade-gate@later.service\nAfter=upgrade-gate@later.service\n")
service(laptop, "self-update", f"{apt} update\n{apt} upgrade")
laptop.succeed("systemctl enable --now upgrade-gate-watch; systemctl start --no-block waiting foreign", timeout=120)
laptop.wait_until_succeeds("test $(systemctl show -P ActiveState upgrade-gate-online.target) = active", timeout=90)
held(laptop, "unexpected_answer", "later")
laptop.wait_until_succeeds("test $(systemctl show -P ActiveState upgrade-gate@later.service) = activating", timeout=60)
before = {name: process(name) for name in [*waits, "upgrade-gate-watch.service"]}

with subtest("the package replaces itself: the update succeeds, whoever waits goes on waiting"):
    laptop.succeed("systemctl start self-update")
    finished(laptop, "self-update.service", timeout=300)
    assert version() == new, version()
    laptop.succeed("dpkg --verify upgrade-gate; test -z \"$(dpkg --audit)\"")
    for name in waits:
        assert process(name) == before[name] != "0", name
        never_failed(laptop, name)

with subtest("the watch is the new one, and back"):
    laptop.wait_until_succeeds("systemctl is-active upgrade-gate-watch", timeout=60)
    assert process("upgrade-gate-watch.service") != before["upgrade-gate-watch.service"]
    laptop.succeed("systemctl is-enabled upgrade-gate-watch; test -e $(readlink -f /proc/$(systemctl show -P MainPID upgrade-gate-watch)/exe)")
    laptop.wait_until_succeeds("test $(systemctl show -P ActiveState upgrade-gate-online.target) = active", timeout=90)

with subtest("gates of the old program, which is no longer there, open and run their commands"):
    laptop.succeed("ls -l /proc/$(systemctl show -P MainPID waiting)/exe | grep deleted >&2")
    assert runs(laptop, "waiting") == runs(laptop, "foreign") == 0
    laptop.succeed("mkdir /run/lab/www/later; cp /run/lab/www/nix-cache-info /run/lab/www/later/")
    for name in ("waiting", "foreign"):
        finished(laptop, f"{name}.service", timeout=120)
        assert runs(laptop, name) == begun(laptop, name) == 1, name
    never_failed(laptop, "upgrade-gate@later.service")

with subtest("the exit code is the command's, though the command has replaced the program"):
    code, said = laptop.execute(f"upgrade-gate run --profile lab -- env {apt} -y --allow-downgrades install upgrade-gate={old} >&2", timeout=None)
    assert code == 0 and version() == old, (code, version())
    code, said = laptop.execute(f"upgrade-gate run --profile lab -- sh -c '{apt} upgrade >&2; exit 7'", timeout=None)
    assert code == 7 and version() == new, (code, version())
    assert laptop.succeed("systemctl --failed --no-legend").strip() == ""
