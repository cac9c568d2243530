//! For each rule: units that it fires for, and units that it does not.

mod gates;
mod limits;
mod resume;
mod settings;
mod timeouts;

use std::collections::BTreeSet;
use std::time::Duration;

use super::*;
use crate::systemd::tests::sample;
use crate::systemd::tests::sample::{codes, exec};
use crate::systemd::unit::{
    Exec, IgnoredLine, Load, NotifyAccess, Restart, RestartMode, Service, ServiceType, StartLimit,
    Switch, SystemdSpan, Timer, Unit,
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

fn script(text: &str) -> Exec {
    Exec {
        path: "/bin/sh".to_owned(),
        argv: ["sh", "-c", text].map(str::to_owned).into(),
        ..Exec::default()
    }
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

#[allow(clippy::unnecessary_wraps, reason = "it is what a setting says")]
const fn secs(secs: u64) -> SystemdSpan {
    Some(Duration::from_secs(secs))
}

fn timer() -> Timer {
    Timer {
        name: "upgrade.timer".to_owned(),
        calendar: true,
        persistent: true,
        randomized_delay: secs(0),
        wake_system: false,
        ignored: Vec::new(),
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
fn a_masked_unit_or_one_that_is_not_there_has_no_findings() {
    for load in [Load::Masked, Load::NotFound] {
        let mut unit = timed(job(), |_| {});
        unit.load = load;
        assert!(ids(&unit, V257).is_empty());
        assert_eq!(prediction(&unit, V257, Assumed::default()), None);
    }
}

#[test]
fn what_systemd_refuses_is_never_started_and_has_no_prediction() {
    let mut refused = job();
    refused.load = Load::Refused("bad setting".to_owned());
    let always = changed(job(), |service| service.restart = Restart::Always);
    for unit in [refused, always] {
        assert_eq!(prediction(&unit, V257, Assumed::default()), None);
    }
}

#[test]
fn what_upgrade_gate_recommends_has_no_findings() {
    let exec_type = |unit| {
        changed(unit, |service| {
            service.kind = ServiceType::Exec;
            service.success = codes(&[75]);
            service.notify_access = NotifyAccess::Exec;
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
    let prediction = |unit: &Unit| prediction(unit, V257, Assumed::default()).unwrap();
    assert_eq!(
        prediction(&runs(job(), "upgrade-gate run -- a")),
        Prediction::Held
    );
    assert_eq!(
        prediction(&before(job(), "upgrade-gate wait-online")),
        Prediction::Held
    );
    let skipped = condition(job(), "upgrade-gate check --exec-condition");
    assert_eq!(prediction(&skipped), Prediction::Skipped);
    let Prediction::Tried(timeline) = prediction(&restarting(job(), 20, 100, 5)) else {
        panic!("it is not gated");
    };
    assert_eq!(timeline.count(), 73);
    let gives_up = before(
        restarting(job(), 20, 0, 5),
        "upgrade-gate wait-online --timeout 1min",
    );
    let Prediction::Tried(timeline) = prediction(&gives_up) else {
        panic!("it gives up");
    };
    assert_eq!(timeline.attempt, secs(60));
}
