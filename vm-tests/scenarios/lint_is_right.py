"""For each of these restart settings, systemd does in an outage what lint predicts: the number of starts, and the final state."""
# machine: laptop
# limit: 600 s
import json

# seconds, from each unit's own first start; no later start falls near the outage's end or near that of a window, even if each takes
# six seconds more
OUTAGE, ATTEMPT = 60, 2
failing = "Restart=on-failure\nRestartSec="
limit = "[Unit]\nStartLimitIntervalSec={}\nStartLimitBurst={}\n[Service]\n"
told = "[Unit]\nOnFailure=told@%N.service\n[Service]\n"
settings = {
    "once": told,
    "survives": failing + "20",
    "oneshot": failing + "20\nType=oneshot",
    "limited": told + limit.format(120, 3) + failing + "5",
    "limited-direct": told + limit.format(120, 3) + failing + "5\nRestartMode=direct",
    "limit-without-bite": limit.format(30, 3) + failing + "20",
    "prevented": told + failing + "5\nRestartPreventExitStatus=1",
    "not-abnormal": "Restart=on-abnormal\nRestartSec=5",
    "forced": "RestartForceExitStatus=1\nRestartSec=20",
    "steps": failing + "2\nRestartSteps=2\nRestartMaxDelaySec=25",
    "refused": "Type=oneshot\nRestart=always",
}

unit(laptop, "told@.service", f"[Service]\nType=oneshot\nExecStart={shell(laptop)} -c 'echo told >> /run/lab/%i.told'\n")
for name, lines in settings.items():
    write(laptop, f"/run/lab/{name}.sh",
          f"now=$(cut -d. -f1 /proc/uptime)\necho $now >> /run/lab/{name}.starts\nread first < /run/lab/{name}.starts\n"
          f"test $now -ge $((first + {OUTAGE})) && exec touch /run/lab/{name}.done\nsleep {ATTEMPT}\nexit 1\n")
    unit(laptop, f"{name}.service",
         f"[Service]\n{environment(laptop)}\n{lines}\nExecStart={shell(laptop)} /run/lab/{name}.sh\n")
units = " ".join(settings)


def count(name, what):
    return int(laptop.succeed(f"touch /run/lab/{name}.{what}; wc -l < /run/lab/{name}.{what}"))


code, text = laptop.execute(f"upgrade-gate lint --json --outage {OUTAGE} --attempt {ATTEMPT} {units}")
assert code == 1, (code, text)
said = {one["unit"].removesuffix(".service"): one for one in json.loads(text)["units"]}

laptop.execute(f"systemctl start --no-block {units}")
laptop.succeed(f"sleep {OUTAGE + 45}")

for name in settings:
    story = said[name]["story"] or {"starts": 0, "refused": 0, "on_failure": 0, "ending": "not_startable"}
    with subtest(f"{name}: {story}"):
        assert count(name, "starts") == story["starts"], count(name, "starts")
        assert count(name, "told") == (story["on_failure"] if "OnFailure" in settings[name] else 0), count(name, "told")
        refused = int(laptop.succeed(f"journalctl -u {name} -o cat | grep -c 'Start request repeated too quickly' || true"))
        assert refused == story["refused"], refused
        survived = laptop.execute(f"test -e /run/lab/{name}.done")[0] == 0
        assert survived == (story["ending"] == "survives"), story["ending"]

with subtest("the unit that lint calls refused is refused"):
    assert "UG007" in [finding["id"] for finding in said["refused"]["findings"]]
    assert laptop.get_unit_property("refused.service", "LoadState") == "bad-setting"

with subtest("a gate's exit code in SuccessExitStatus=: the unit runs ungated, as lint says"):
    profile(laptop)
    unit(laptop, "ungated.service",
         f"[Service]\nType=oneshot\n{environment(laptop)}\nSuccessExitStatus=75\nExecStartPre={gate(laptop)} wait-online "
         f"--profile lab --timeout 2s\nExecStart={shell(laptop)} -c 'touch /run/lab/ran-ungated'\n")
    findings = json.loads(laptop.execute("upgrade-gate lint --json ungated")[1])["units"][0]["findings"]
    assert "UG012" in [finding["id"] for finding in findings], findings
    laptop.succeed("systemctl start ungated; test -e /run/lab/ran-ungated")
