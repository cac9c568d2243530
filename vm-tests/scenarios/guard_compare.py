"""A real systemd and a real kernel: a lost route, a service that fell silent, a slow loop and an outage are told apart, and somebody is told once."""
# machine: laptop
# limit: 1500 s

if laptop.execute("test -e /etc/NIXOS")[0] == 0:
    skip("it puts stand-ins in the place of the running system")

BUSYBOX = laptop.succeed("command -v busybox").strip()
TELL = "/run/lab/tell"


def web(port):
    return SERVICE.format(f"{BUSYBOX} httpd -f -p {port} -h /run/lab")


def with_web(name, activate=":", **units):
    return system(laptop, name, activate, **{"lab_web": web(8022), **units})


def tried(candidate, words="", code=80, cause="unhealthy", settle="6s"):
    """Tries it: what was said."""
    before = float(laptop.succeed("cut -d' ' -f1 /proc/uptime"))
    said = guard(laptop, f"try {candidate} --within 40s --settle-after {settle} --notify {TELL} {words}", code)
    took = float(laptop.succeed("cut -d' ' -f1 /proc/uptime")) - before
    print(f"guard: try {candidate} {words}: exit {code} after {took:.1f} s")
    if code == 80:
        history = laptop.succeed("upgrade-gate guard status --json | grep -o '\"history\".*'")
        assert history.split('"cause":"')[-1].startswith(cause), history
    return said


def told():
    return laptop.succeed("cat /run/lab/told 2> /dev/null || true").split("\n")[:-1]


def wholly(path):
    assert booting(laptop) == [path] * 3, (path, booting(laptop), guard(laptop, "status"))


cable(laptop)
static_address(laptop)
write(laptop, TELL, f"#!{shell(laptop)}\necho $UPGRADE_GATE_EVENT $UPGRADE_GATE_CAUSE >> /run/lab/told\n")
laptop.succeed(f"chmod +x {TELL}")
base = with_web("base")
run_system(laptop, base)
wholly(base)

with subtest("a default route that the candidate loses while the cable is in"):
    route = with_web("route", activate="ip route del default")
    said = tried(route)
    assert "there is no IPv4 default route, though wan0 has carrier" in said, said
    static_address(laptop)
    wholly(base)
    laptop.wait_until_succeeds("test -e /run/lab/told", timeout=60)
    assert told() == ["undone unhealthy"], told()

with subtest("a refusal is told once"):
    for _ in range(2):
        assert "denied" in guard(laptop, f"try {route} --notify {TELL}", 75)
    laptop.wait_until_succeeds("grep refused /run/lab/told", timeout=60)
    assert told() == ["undone unhealthy", "refused denied"], told()

with subtest("a service that listened and does not run any more, though it has not failed"):
    said = tried(with_web("silent", lab_web=SERVICE.format("/bin/true")))
    assert "lab-web.service, which listened, does not run" in said, said
    wholly(base)

with subtest("one that listens on another port was moved"):
    moved = with_web("moved", lab_web=web(8023))
    tried(moved, code=0)
    wholly(moved)
    base = moved

with subtest("one that runs and does not listen has no verdict, and the experiment shows that it listens with the baseline"):
    said = tried(with_web("deaf", lab_web=SERVICE.format("/bin/sleep 4000")), "--on-doubt experiment")
    assert "lab-web.service listened, and does not" in said and "undone (unhealthy)" in said, said
    wholly(base)

with subtest("a service that runs for three seconds each time, and is restarted at once"):
    loop = "[Service]\nRestart=always\nExecStart=/bin/sleep 3\n"
    said = tried(with_web("loop", lab_web=web(8023), lab_more=loop), settle="10s")
    assert "newly failed: lab-more.service" in said, said
    wholly(base)

with subtest("a cable that is out is an outage, with the candidate and with the baseline"):
    out = with_web("out", lab_web=web(8023), activate="ip -n isp link set isp0 down")
    said = tried(out, "--on-doubt experiment", cause="outage")
    assert "wan0 has no carrier" in said, said
    plug(laptop)
    static_address(laptop)
    wholly(base)
    assert out not in guard(laptop, "denied"), guard(laptop, "denied")
