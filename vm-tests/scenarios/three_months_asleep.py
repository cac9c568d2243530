"""A laptop wakes after three months, on an empty battery, behind a portal, with an update of upgrade-gate itself and a new system due: untouched, it ends up to date."""
# machine: laptop with networkmanager
# limit: 1500 s

access_point(laptop)
old, new = newer_package(laptop)
# the new system: a closure in the cache
write(laptop, "/run/lab/system.sh", """
mkdir -p /root/made; head -c 300000 /dev/urandom > /root/made/system
nix-store --add /root/made > /run/lab/system
nix copy --to 'file:///run/lab/www?compression=none' $(cat /run/lab/system)
nix-store --delete $(cat /run/lab/system)
""")
laptop.succeed("bash -eu /run/lab/system.sh >&2")
# the portal: every name is its own, every page asks for a login
write(laptop, "/run/lab/portal.py", f"""
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(302)
        self.send_header("Location", "http://portal.test/")
        self.end_headers()
http.server.ThreadingHTTPServer(("{ROUTER}", 80), Handler).serve_forever()
""")
background(laptop, "lab-portal", "python3 /run/lab/portal.py", "ap")
wifi(laptop)
batteries = has_battery(laptop)
if batteries:
    battery(laptop, 20, "discharging")
profile(laptop, power={"battery_at_least": 40} if batteries else "any")
write(laptop, "/run/upgrade-gate/upgrade-gate.d/watch.toml", '[watch]\nprofile = "lab"\n')
service(laptop, "machine-upgrade", f"""exec > /run/lab/upgrade.log 2>&1
{APT} update
{APT} upgrade
nix copy --no-check-sigs --from http://cache.test $(cat /run/lab/system)
nix-env --profile /nix/var/nix/profiles/system --set $(cat /run/lab/system)
echo run >> /run/lab/machine-upgrade.runs""")
# the clock has gone on before anything runs again
write(laptop, "/run/systemd/system/systemd-suspend.service.d/clock.conf",
      f"[Service]\n{environment(laptop)}\nExecStartPost={shell(laptop)} -c \"date -s '+90 days'\"\n")
laptop.succeed("systemctl enable --now upgrade-gate-watch >&2")
begin = laptop.succeed("date +%s").strip()

with subtest("three months later, the timer is due, and there is no Wi-Fi yet"):
    laptop.succeed("systemctl stop lab-dns")
    names(laptop, "ap", "ap0", answer=f"--address=/#/{ROUTER}")
    suspend(laptop, 12, due=["machine-upgrade"])
    held(laptop, "(no_network|no_route|connecting|dns|unreachable|settling)")
    assert int(laptop.succeed("date +%s")) - int(begin) > 90 * 86400

with subtest("the Wi-Fi has a portal"):
    radio(laptop)
    held(laptop, "portal", timeout=180)

with subtest("the portal is lifted, and the battery too low"):
    laptop.succeed("systemctl stop lab-dns")
    names(laptop, "ap", "ap0")
    if batteries:
        held(laptop, "battery_low", timeout=120)
        battery(laptop, 60, "charging")

with subtest("it is up to date, and healthy"):
    finished(laptop, "machine-upgrade.service", timeout=600)
    assert installed_version(laptop) == new != old
    laptop.succeed("test $(readlink -f /nix/var/nix/profiles/system) = $(cat /run/lab/system)")
    assert runs(laptop, "machine-upgrade") == 1
    laptop.wait_until_succeeds("test $(systemctl show -P ActiveState upgrade-gate-online.target) = active", timeout=120)
    assert laptop.succeed("systemctl --failed --no-legend").strip() == ""

with subtest("its journal tells the story in at most forty lines"):
    story = laptop.succeed("journalctl --no-pager -o short -u machine-upgrade -u upgrade-gate-watch")
    log(story)
    assert len(story.splitlines()) <= 40, len(story.splitlines())
