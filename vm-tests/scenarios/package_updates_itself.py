"""apt, run by a gate, replaces upgrade-gate by a newer one from a repository: waiting and running gates go on, exit codes are the command's, and the watch is restarted."""
# machine: laptop
# limit: 900 s

cable(laptop)
static_address(laptop)
profile(laptop)
profile(laptop, "later", targets=["nix-cache:http://cache.test/later"])
write(laptop, "/run/upgrade-gate/upgrade-gate.d/watch.toml", '[watch]\nprofile = "lab"\n')
old, new = newer_package(laptop)


def process(name):
    return laptop.get_unit_property(name, "MainPID")


# a gate that waits, a companion that waits, and the watch
service(laptop, "waiting", upgrade("waiting"), gated="later")
waits = ["waiting.service", "upgrade-gate@later.service"]
service(laptop, "foreign", upgrade("foreign"), gated=None)
unit(laptop, "foreign.service.d/gate.conf", "[Unit]\nRequires=upgrade-gate@later.service\nAfter=upgrade-gate@later.service\n")
service(laptop, "self-update", f"{APT} update\n{APT} upgrade")
laptop.succeed("systemctl enable --now upgrade-gate-watch; systemctl start --no-block waiting foreign", timeout=120)
laptop.wait_until_succeeds("test $(systemctl show -P ActiveState upgrade-gate-online.target) = active", timeout=90)
held(laptop, "unexpected_answer", "later")
laptop.wait_until_succeeds("test $(systemctl show -P ActiveState upgrade-gate@later.service) = activating", timeout=60)
before = {name: process(name) for name in [*waits, "upgrade-gate-watch.service"]}

with subtest("the package replaces itself: the update succeeds, whoever waits goes on waiting"):
    laptop.succeed("systemctl start self-update")
    finished(laptop, "self-update.service", timeout=300)
    assert installed_version(laptop) == new
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
    code, said = laptop.execute(f"upgrade-gate run --profile lab -- env {APT} -y --allow-downgrades install upgrade-gate={old} >&2", timeout=None)
    assert code == 0 and installed_version(laptop) == old, code
    code, said = laptop.execute(f"upgrade-gate run --profile lab -- sh -c '{APT} upgrade >&2; exit 7'", timeout=None)
    assert code == 7 and installed_version(laptop) == new, code
    assert laptop.succeed("systemctl --failed --no-legend").strip() == ""
