//! For each rule: units that it fires for, and units that it does not.

use std::collections::BTreeSet;
use std::time::Duration;

use super::*;
use crate::restart::sample::{self, codes, exec};
use crate::restart::unit::{
    Exec, Kind, Load, Restart, RestartMode, Service, Span, StartLimit, Switch, Timer, Unit,
};

const V257: Version = Version(257);

/// `upgrade.service`, a oneshot without Restart=, whose name says that it needs the network.
fn job() -> Unit {
    changed(sample::unit(), |service| service.restart = Restart::No)
}

/// `tool.service`: nothing is known of it.
fn tool() -> Unit {
    let mut unit = changed(job(), |service| {
        service.exec_start = vec![exec("/usr/bin/tool")];
    });
    unit.name = "tool.service".to_owned();
    unit
}

fn changed(mut unit: Unit, change: impl FnOnce(&mut Service)) -> Unit {
    change(unit.service.as_mut().unwrap());
    unit
}

fn line(text: &str) -> Exec {
    let (ignore_failure, text) = text
        .strip_prefix('-')
        .map_or((false, text), |rest| (true, rest));
    let argv: Vec<String> = text.split(' ').map(str::to_owned).collect();
    let mut exec = Exec {
        path: argv[0].clone(),
        argv,
        ..Exec::default()
    };
    exec.prefixes.ignore_failure = ignore_failure;
    exec
}

fn before(unit: Unit, text: &str) -> Unit {
    changed(unit, |service| service.exec_start_pre.push(line(text)))
}

fn condition(unit: Unit, text: &str) -> Unit {
    changed(unit, |service| service.exec_condition.push(line(text)))
}

fn runs(unit: Unit, text: &str) -> Unit {
    changed(unit, |service| service.exec_start = vec![line(text)])
}

fn restarting(unit: Unit, delay: u64, interval: u64, burst: u32) -> Unit {
    let mut unit = changed(unit, |service| {
        service.restart = Restart::OnFailure;
        service.restart_delay = secs(delay);
    });
    unit.start_limit = StartLimit {
        interval: secs(interval),
        burst,
    };
    unit
}

const fn secs(secs: u64) -> Span {
    Some(Duration::from_secs(secs))
}

fn timer() -> Timer {
    Timer {
        name: "upgrade.timer".to_owned(),
        calendar: true,
        monotonic: false,
        persistent: true,
        randomized_delay: secs(0),
        wake_system: false,
    }
}

fn timed(mut unit: Unit, change: impl FnOnce(&mut Timer)) -> Unit {
    let mut timer = timer();
    change(&mut timer);
    unit.timers.push(timer);
    unit
}

fn online(mut unit: Unit) -> Unit {
    unit.after.push("network-online.target".to_owned());
    unit
}

fn wanted(mut unit: Unit) -> Unit {
    unit.wanted_by.push("multi-user.target".to_owned());
    unit
}

fn found(unit: &Unit, version: Version) -> Vec<Finding> {
    findings(unit, version, Assumed::default())
}

fn ids(unit: &Unit, version: Version) -> Vec<&'static str> {
    found(unit, version)
        .iter()
        .map(|finding| finding.rule.id)
        .collect()
}

fn what(unit: &Unit, id: &str) -> String {
    let found = found(unit, V257);
    let finding = found.iter().find(|finding| finding.rule.id == id);
    finding
        .unwrap_or_else(|| panic!("no {id}: {found:?}"))
        .said
        .what
        .clone()
}

/// The rule fires for all of `bad` and for none of `good`.
fn table(id: &str, bad: &[Unit], good: &[Unit]) {
    for (index, unit) in bad.iter().enumerate() {
        let ids = ids(unit, V257);
        assert!(ids.contains(&id), "bad {index}: {ids:?}");
    }
    for (index, unit) in good.iter().enumerate() {
        let ids = ids(unit, V257);
        assert!(!ids.contains(&id), "good {index}: {ids:?}");
    }
}

#[test]
fn numbers_are_in_order_and_given_once() {
    let ids: Vec<_> = RULES.iter().map(|rule| rule.id).collect();
    let expected: Vec<_> = (1..=RULES.len()).map(|n| format!("UG{n:03}")).collect();
    assert_eq!(ids, expected);
    let titles: BTreeSet<_> = RULES.iter().map(|rule| rule.title).collect();
    assert_eq!(titles.len(), RULES.len());
}

#[test]
fn ug001_a_limit_whose_window_ends_before_its_starts_do() {
    let hack = restarting(job(), 20, 100, 5);
    table(
        "UG001",
        &[
            hack.clone(),
            restarting(tool(), 20, 100, 5),
            // An attempt of 5 s: 5 × (20 + 5) > 120.
            restarting(job(), 20, 120, 5),
        ],
        &[
            job(),
            restarting(job(), 20, 600, 5),
            // Nobody has decided on the default.
            restarting(tool(), 5, 10, 5),
            restarting(tool(), 20, 0, 5),
            // How long a tool's attempts take is not known.
            restarting(tool(), 20, 120, 5),
            changed(hack.clone(), |service| service.restart = Restart::No),
            changed(hack.clone(), |service| service.restart = Restart::OnAbort),
            changed(hack.clone(), |service| service.restart_delay = None),
        ],
    );
    let what = what(&hack, "UG001");
    for part in [
        "RestartSec=20s",
        "StartLimitIntervalSec=1min 40s",
        "2min 5s",
        "every 25s",
    ] {
        assert!(what.contains(part), "{part}: {what}");
    }
}

#[test]
fn ug001_growing_delays_may_let_the_limit_bite_at_first() {
    let steps = |first| {
        changed(restarting(job(), first, 60, 3), |service| {
            service.restart_steps = 10;
            service.restart_max_delay = secs(3600);
        })
    };
    table("UG001", &[steps(40)], &[steps(1)]);
}

#[test]
fn ug002_a_limit_that_ends_the_attempts_before_the_outage() {
    let quick = restarting(job(), 20, 300, 5);
    table(
        "UG002",
        &[
            quick.clone(),
            online(restarting(tool(), 1, 100, 5)),
            runs(restarting(tool(), 1, 100, 5), "/usr/bin/fwupdmgr refresh"),
        ],
        &[
            job(),
            restarting(tool(), 1, 100, 5),
            restarting(job(), 20, 100, 5),
            restarting(job(), 20, 0, 5),
            runs(
                quick.clone(),
                "/usr/bin/upgrade-gate run -- /usr/bin/upgrade",
            ),
            // A daemon that orders itself after the network at boot.
            online(changed(restarting(tool(), 1, 100, 5), |service| {
                service.kind = Kind::Notify;
            })),
        ],
    );
    let what = what(&quick, "UG002");
    for part in ["5 times within 2min 5s", "27min 55s before", "by hand"] {
        assert!(what.contains(part), "{part}: {what}");
    }
}

#[test]
fn ug003_a_timer_that_starts_an_upgrade_in_the_second_of_the_resume() {
    let companion = |name: &str| {
        let mut unit = timed(job(), |_| {});
        unit.requires.push(name.to_owned());
        unit
    };
    table(
        "UG003",
        &[
            timed(job(), |_| {}),
            timed(online(tool()), |_| {}),
            timed(runs(tool(), "/usr/bin/fwupdmgr refresh"), |_| {}),
            timed(job(), |timer| timer.wake_system = true),
            // After the boot that is no wait.
            timed(before(online(job()), "nm-online -s"), |_| {}),
        ],
        &[
            timed(tool(), |_| {}),
            online(job()),
            timed(job(), |timer| {
                timer.calendar = false;
                timer.monotonic = true;
            }),
            timed(before(job(), "/usr/bin/upgrade-gate wait-online"), |_| {}),
            timed(
                condition(job(), "upgrade-gate check --exec-condition"),
                |_| {},
            ),
            timed(before(online(job()), "nm-online -q"), |_| {}),
            // As apt-daily.service has it.
            timed(
                before(online(job()), "-/usr/lib/apt/apt-helper wait-online"),
                |_| {},
            ),
            companion("upgrade-gate@upgrade.service"),
            companion("upgrade-gate-online.target"),
        ],
    );
    let relying = what(&timed(online(job()), |_| {}), "UG003");
    assert!(relying.contains("network-online.target"), "{relying}");
    let plain = what(&timed(job(), |_| {}), "UG003");
    assert!(!plain.contains("network-online.target"), "{plain}");
}

#[test]
fn ug004_nm_online_in_front_of_the_work() {
    table(
        "UG004",
        &[
            before(tool(), "/usr/bin/nm-online -s -q"),
            before(tool(), "/usr/bin/nm-online -q"),
            condition(tool(), "nm-online --wait-for-startup"),
        ],
        &[
            tool(),
            // NetworkManager-wait-online.service.
            runs(tool(), "/usr/bin/nm-online -s -q"),
            runs(
                before(tool(), "nm-online -s"),
                "upgrade-gate run -- /usr/bin/tool",
            ),
        ],
    );
    let startup = what(&before(tool(), "/usr/bin/nm-online -qs"), "UG004");
    assert!(startup.contains("nm-online -s"), "{startup}");
    let state = what(&before(tool(), "/usr/bin/nm-online --timeout=60"), "UG004");
    assert!(state.contains("docker0"), "{state}");
}

#[test]
fn ug005_persistent_false_is_no_cure() {
    let not = |unit| timed(unit, |timer| timer.persistent = false);
    table(
        "UG005",
        &[not(job()), not(online(tool()))],
        &[
            timed(job(), |_| {}),
            not(tool()),
            not(before(job(), "upgrade-gate wait-online")),
        ],
    );
}

#[test]
fn ug006_a_random_delay_that_has_passed() {
    let random = |unit| timed(unit, |timer| timer.randomized_delay = secs(43200));
    table(
        "UG006",
        &[random(job())],
        &[
            timed(job(), |_| {}),
            random(tool()),
            random(runs(job(), "upgrade-gate run -- /usr/bin/upgrade")),
        ],
    );
    assert!(what(&random(job()), "UG006").contains("RandomizedDelaySec=12h"));
}

#[test]
fn ug007_a_oneshot_with_a_restart_that_systemd_refuses() {
    let with = |restart| changed(tool(), |service| service.restart = restart);
    let mut refused = with(Restart::Always);
    refused.load = Load::Refused("Refusing.".to_owned());
    table(
        "UG007",
        &[
            with(Restart::Always),
            with(Restart::OnSuccess),
            refused.clone(),
        ],
        &[
            with(Restart::No),
            with(Restart::OnFailure),
            changed(with(Restart::Always), |service| service.kind = Kind::Exec),
        ],
    );
    assert!(what(&refused, "UG007").contains("It says: Refusing."));
    let on_failure = with(Restart::OnFailure);
    assert_eq!(ids(&on_failure, Version(243)), ["UG007"]);
    assert!(ids(&on_failure, Version(244)).is_empty());
    let forced = changed(with(Restart::No), |service| service.force = codes(&[1]));
    assert_eq!(ids(&forced, Version(255)), ["UG007"]);
    assert!(ids(&forced, Version(256)).is_empty());
}

#[test]
fn ug008_one_of_two_settings_that_need_each_other() {
    let with = |steps, longest| {
        changed(restarting(tool(), 1, 10, 5), |service| {
            service.restart_steps = steps;
            service.restart_max_delay = longest;
        })
    };
    table(
        "UG008",
        &[with(5, None), with(0, secs(600))],
        &[
            with(0, None),
            with(5, secs(600)),
            changed(with(5, None), |service| service.restart = Restart::No),
        ],
    );
}

#[test]
fn ug009_a_notification_for_each_attempt() {
    let with = |delay| {
        let mut unit = restarting(tool(), delay, 0, 5);
        unit.on_failure.push("mail@tool.service".to_owned());
        unit
    };
    let direct = changed(with(20), |service| {
        service.restart_mode = RestartMode::Direct
    });
    let once = changed(with(20), |service| service.restart = Restart::No);
    table(
        "UG009",
        &[with(20)],
        &[direct, once, restarting(tool(), 20, 0, 5)],
    );
    assert!(what(&with(20), "UG009").contains("mail@tool.service is started: 72 times in 30min"));
    assert!(ids(&with(20), Version(253)).is_empty());
}

#[test]
fn ug010_a_list_that_is_not_held_against_the_gate() {
    let gate = "upgrade-gate wait-online --timeout 1min";
    let with = |unit, code| {
        changed(restarting(unit, 20, 0, 5), |service| {
            service.prevent = codes(&[code])
        })
    };
    table(
        "UG010",
        &[
            with(before(job(), gate), 75),
            with(before(job(), "upgrade-gate check"), 69),
        ],
        &[
            with(before(job(), gate), 3),
            with(before(job(), "upgrade-gate wait-online"), 75),
            with(runs(job(), "upgrade-gate run --timeout 1min -- a"), 75),
            before(job(), gate),
        ],
    );
}

#[test]
fn ug011_a_gate_that_gives_up_in_the_wrong_place() {
    let gate = "upgrade-gate wait-online --timeout 10min";
    table(
        "UG011",
        &[before(job(), gate), before(job(), "upgrade-gate check")],
        &[
            before(job(), "upgrade-gate wait-online"),
            before(job(), "upgrade-gate wait-online --timeout infinity"),
            condition(job(), &format!("{gate} --exec-condition")),
            runs(job(), "upgrade-gate run --timeout 10min -- a"),
            before(job(), &format!("-{gate}")),
        ],
    );
    assert!(what(&before(job(), gate), "UG011").contains("after 10min with exit code 75"));
    assert!(what(&before(job(), "upgrade-gate check"), "UG011").contains("gives up at once"));
}

#[test]
fn ug012_a_no_that_is_taken_for_a_yes() {
    let success = |unit, code| changed(unit, |service| service.success = codes(&[code]));
    let timeout = "upgrade-gate wait-online --timeout 10min";
    table(
        "UG012",
        &[
            success(before(job(), timeout), 75),
            success(before(job(), "upgrade-gate wait-online"), 78),
            success(condition(job(), "upgrade-gate check --exec-condition"), 1),
            before(job(), "-/usr/bin/upgrade-gate wait-online"),
        ],
        &[
            success(runs(job(), "upgrade-gate run -- a"), 75),
            success(before(job(), "upgrade-gate wait-online"), 75),
            success(before(job(), timeout), 2),
            success(condition(job(), "upgrade-gate check --exec-condition"), 75),
            before(job(), timeout),
        ],
    );
}

#[test]
fn ug013_a_condition_that_skips_whatever_is_wrong() {
    table(
        "UG013",
        &[
            condition(job(), "upgrade-gate check"),
            condition(job(), "upgrade-gate wait-online --timeout 1min"),
        ],
        &[
            condition(job(), "upgrade-gate check --exec-condition"),
            condition(job(), "upgrade-gate status"),
            condition(job(), "/usr/bin/test -e /etc/nixos"),
            before(job(), "upgrade-gate check"),
        ],
    );
    let two = condition(condition(job(), "/bin/a b"), "/bin/upgrade-gate check -p x");
    let found = found(&two, V257);
    let expected = [
        "ExecCondition=",
        "ExecCondition=/bin/a b",
        "ExecCondition=/bin/upgrade-gate check -p x --exec-condition",
    ];
    assert_eq!(found[0].said.lines[1..], expected);
}

#[test]
fn ug014_a_boot_that_waits_with_the_unit() {
    let run = "upgrade-gate run -- /usr/bin/upgrade";
    let exec_type = |unit| changed(unit, |service| service.kind = Kind::Exec);
    let several = changed(runs(job(), run), |service| {
        service.exec_start.push(line("/bin/b"))
    });
    table(
        "UG014",
        &[
            wanted(runs(job(), run)),
            wanted(before(job(), "upgrade-gate wait-online")),
            wanted(exec_type(before(job(), "upgrade-gate wait-online"))),
            timed(runs(job(), run), |_| {}),
            wanted(several.clone()),
        ],
        &[
            runs(job(), run),
            wanted(exec_type(runs(job(), run))),
            timed(runs(job(), run), |timer| timer.persistent = false),
            wanted(condition(job(), "upgrade-gate check --exec-condition")),
            // Nothing better can be had.
            timed(several, |_| {}),
            wanted(job()),
        ],
    );
}

#[test]
fn ug015_a_gate_that_is_killed_while_it_waits() {
    let simple = |gate: &str| {
        changed(before(job(), gate), |service| {
            service.kind = Kind::Simple;
            service.timeout_start = secs(90);
        })
    };
    let waiting = simple("upgrade-gate wait-online");
    table(
        "UG015",
        &[
            waiting.clone(),
            simple("upgrade-gate wait-online --timeout 10min"),
        ],
        &[
            changed(waiting.clone(), |service| service.may_notify = true),
            changed(waiting.clone(), |service| service.timeout_start = None),
            simple("upgrade-gate wait-online --timeout 1min"),
            simple("upgrade-gate check"),
        ],
    );
    assert!(what(&waiting, "UG015").contains("TimeoutStartSec=1min 30s"));
}

#[test]
fn ug016_a_switch_that_stops_itself() {
    let switch = runs(
        job(),
        "/run/current-system/sw/bin/nixos-rebuild switch --upgrade",
    );
    let mut spared = switch.clone();
    spared.nixos = Switch {
        restart_if_changed: false,
        stop_on_removal: false,
    };
    let mut transient = switch.clone();
    transient.transient = true;
    table(
        "UG016",
        &[
            switch,
            runs(job(), "upgrade-gate run -- nixos-rebuild switch"),
            runs(
                job(),
                "/nix/store/x-system/bin/switch-to-configuration test",
            ),
        ],
        &[spared, transient, runs(job(), "nixos-rebuild boot"), job()],
    );
}

#[test]
fn a_masked_unit_or_one_that_is_not_there_has_no_findings() {
    for load in [Load::Masked, Load::NotFound] {
        let mut unit = timed(job(), |_| {});
        unit.load = load;
        assert!(ids(&unit, V257).is_empty());
        assert_eq!(fate(&unit, V257, Assumed::default()), None);
    }
}

#[test]
fn what_upgrade_gate_recommends_has_no_findings() {
    let exec_type = |unit| {
        changed(unit, |service| {
            service.kind = Kind::Exec;
            service.success = codes(&[75]);
            service.may_notify = true;
        })
    };
    let run = exec_type(runs(
        online(job()),
        "/usr/bin/upgrade-gate run --profile p -- /usr/bin/upgrade",
    ));
    let random = |timer: &mut Timer| timer.randomized_delay = secs(3600);
    assert!(ids(&timed(run, random), V257).is_empty());
    let condition = condition(job(), "/usr/bin/upgrade-gate check --exec-condition");
    assert!(ids(&timed(condition, random), V257).is_empty());
}

#[test]
fn a_gated_unit_is_held_or_skipped_and_any_other_is_tried() {
    let fate = |unit: &Unit| fate(unit, V257, Assumed::default()).unwrap();
    assert_eq!(fate(&runs(job(), "upgrade-gate run -- a")), Fate::Held);
    assert_eq!(fate(&before(job(), "upgrade-gate wait-online")), Fate::Held);
    let skipped = condition(job(), "upgrade-gate check --exec-condition");
    assert_eq!(fate(&skipped), Fate::Skipped);
    let Fate::Tried(story) = fate(&restarting(job(), 20, 100, 5)) else {
        panic!("it is not gated");
    };
    assert_eq!(story.count(), 73);
    let gives_up = before(
        restarting(job(), 20, 0, 5),
        "upgrade-gate wait-online --timeout 1min",
    );
    let Fate::Tried(story) = fate(&gives_up) else {
        panic!("it gives up");
    };
    assert_eq!(story.attempt, secs(60));
}
