"""A laptop wakes after three months, on an empty battery, behind a portal, with an update of upgrade-gate itself and a system that breaks DNS due: untouched, it undoes that one, and keeps the next."""
# machine: laptop with networkmanager
# limit: 1500 s

access_point(laptop)
old, new = newer_package(laptop)
# a resolver that is not there, or NetworkManager's own; as NixOS's activation, each system sets it up anew
DNS = "/etc/NetworkManager/conf.d/lab-dns.conf"
BROKEN = f"printf '[main]\\ndns=none\\n' > {DNS}; nmcli general reload; echo nameserver 127.0.0.9 > /etc/resolv.conf"
WORKING = f"rm -f {DNS}; nmcli general reload"


def offer(path):
    """The cache has this closure from now on, and this machine no longer."""
    laptop.succeed(f"nix copy --to 'file:///run/lab/www?compression=none' {path} && nix-store --delete {path} >&2; echo {path} > /run/lab/www/system")


base, worse, better = (system(laptop, name, activate, lab_more=SERVICE.format(f"/bin/sleep {seconds}"))
                       for name, activate, seconds in (("base", WORKING, 5000), ("worse", BROKEN, 6000), ("better", WORKING, 7000)))
run_system(laptop, base)
offer(better)
offer(worse)
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
profile(laptop, power={"battery_at_least": 40} if batteries else "any",
        guard={"enable": True, "system": "/run/lab/result", "within": "40s", "settle_after": "5s", "checks": ["getent hosts cache.test"]})
write(laptop, "/run/upgrade-gate/upgrade-gate.d/watch.toml", '[watch]\nprofile = "lab"\n')
write(laptop, "/run/lab/fetch.sh", f"""exec > /run/lab/upgrade.log 2>&1
{APT} update
{APT} upgrade
path=$(curl -fsS --max-time 10 http://cache.test/system)
nix copy --no-check-sigs --from http://cache.test $path
ln -sfn $path /run/lab/result
echo run >> /run/lab/fetch.runs
""")
unit(laptop, "machine-upgrade.service", f"""[Service]
Type=oneshot
TimeoutStartSec=infinity
SuccessExitStatus=75 80
{environment(laptop)}
ExecStart={gate(laptop)} run --profile lab -- {shell(laptop)} -eu /run/lab/fetch.sh
""")
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

with subtest("upgrade-gate is up to date; the new system breaks DNS, and is undone"):
    finished(laptop, "machine-upgrade.service", timeout=600)
    assert runs(laptop, "fetch") == 1
    assert installed_version(laptop) == new != old
    assert booting(laptop) == [base] * 3, booting(laptop)
    assert worse in laptop.succeed("upgrade-gate guard denied")
    laptop.succeed("getent hosts cache.test")

with subtest("the next night's system is good, and stays"):
    laptop.succeed(f"echo {better} > /run/lab/www/system")
    timer(laptop, "machine-upgrade", 5)
    finished(laptop, "machine-upgrade.service", times=2, timeout=300)
    assert booting(laptop) == [better] * 3, booting(laptop)
    laptop.wait_until_succeeds("test $(systemctl show -P ActiveState upgrade-gate-online.target) = active", timeout=120)
    assert laptop.succeed("systemctl --failed --no-legend").strip() == ""

with subtest("its journal tells the story in at most forty lines"):
    story = laptop.succeed("journalctl --no-pager -o short -u machine-upgrade")
    log(story)
    assert len(story.splitlines()) <= 40, len(story.splitlines())
