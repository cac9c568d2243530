//! Settings small enough to be tried in a machine within a minute, and what is predicted of them in seconds. systemd 252,
//! 257 and 262 were seen to do so.

use super::super::*;
use crate::systemd::tests::sample::{codes, exec, limited};
use crate::systemd::unit::{Restart, RestartMode};

const S: Duration = Duration::from_secs(1);
const OLD: Version = Version(252);
const NEW: Version = Version(257);

/// `StartLimitIntervalSec=`, `StartLimitBurst=`, `RestartSec=`, and what else is set.
fn unit(interval: u64, burst: u32, delay: u32, set: impl FnOnce(&mut Service)) -> Unit {
    let mut unit = limited(interval, burst, S * delay);
    set(unit.service.as_mut().unwrap());
    unit
}

fn plain(_: &mut Service) {}

/// An outage of a minute in which `ExecStart=` fails with this code after so many seconds.
fn minute(attempt: u32, code: u8) -> Outage {
    let mut outage = Outage::new(S * 60, S * attempt);
    outage.attempt.exit = ProcessExit::Code(code);
    outage
}

/// The first six starts and the ending, in whole seconds.
fn predicted(unit: &Unit, version: Version, outage: &Outage) -> String {
    let timeline = simulate(unit, version, outage);
    let starts = timeline.times().take(6).map(|at| at.as_secs().to_string());
    let starts = starts.collect::<Vec<_>>().join(" ");
    let ending = match timeline.ending {
        OutageEnding::Survives { .. } => "survives".to_owned(),
        OutageEnding::LimitHit { starts, .. } => format!("limit after {starts}"),
        OutageEnding::GivesUp { why, .. } => format!("{why:?}"),
        other => format!("{other:?}"),
    };
    format!("{starts} | {ending} at {}", timeline.ending.at().as_secs())
}

#[test]
fn a_limit_is_hit_or_missed_by_its_interval() {
    for (interval, burst, delay, attempt, expected) in [
        (30, 3, 2, 1, "0 3 6 | limit after 3 at 9"),
        (10, 5, 2, 1, "0 3 6 9 12 15 | survives at 60"),
        (20, 3, 1, 7, "0 8 16 24 32 40 | survives at 64"),
        (60, 4, 5, 3, "0 8 16 24 | limit after 4 at 32"),
        (0, 5, 10, 1, "0 11 22 33 44 55 | survives at 66"),
        (10, 0, 10, 1, "0 11 22 33 44 55 | survives at 66"),
    ] {
        let unit = unit(interval, burst, delay, plain);
        assert_eq!(predicted(&unit, NEW, &minute(attempt, 1)), expected);
        assert_eq!(predicted(&unit, OLD, &minute(attempt, 1)), expected);
    }
}

#[test]
fn steps_are_walked_since_254() {
    let unit = unit(50, 5, 1, |service| {
        service.restart_steps = 3;
        service.restart_max_delay = Some(S * 8);
    });
    // Delays of 1, 2, 4, 8, 8 s, with attempts of a millisecond.
    let outage = minute(0, 1);
    assert_eq!(
        predicted(&unit, NEW, &outage),
        "0 1 3 7 15 | limit after 5 at 23"
    );
    assert_eq!(
        predicted(&unit, OLD, &outage),
        "0 1 2 3 4 | limit after 5 at 5"
    );
}

#[test]
fn a_longest_delay_alone_replaces_a_longer_restart_sec_since_254() {
    let unit = unit(0, 0, 30, |service| service.restart_max_delay = Some(S * 20));
    assert_eq!(
        predicted(&unit, NEW, &minute(1, 1)),
        "0 21 42 63 | survives at 63"
    );
    assert_eq!(
        predicted(&unit, OLD, &minute(1, 1)),
        "0 31 62 | survives at 62"
    );
}

#[test]
fn a_hanging_oneshot_is_tried_again_after_its_timeout() {
    let unit = unit(60, 4, 1, |service| service.timeout_start = Some(S * 2));
    let mut outage = minute(0, 1);
    outage.attempt.length = None;
    assert_eq!(
        predicted(&unit, NEW, &outage),
        "0 3 6 9 | limit after 4 at 12"
    );
}

#[test]
fn an_exit_code_is_prevented_from_exec_start_and_not_from_exec_start_pre() {
    let unit = unit(30, 3, 2, |service| {
        service.prevent = codes(&[75]);
        service.exec_start_pre = vec![exec("/usr/bin/gate")];
    });
    let mut outage = minute(1, 75);
    assert_eq!(predicted(&unit, NEW, &outage), "0 | Prevented at 1");
    outage.attempt.phase = ExecPhase::StartPre;
    assert_eq!(predicted(&unit, NEW, &outage), "0 3 6 | limit after 3 at 9");
}

#[test]
fn a_skip_and_a_success_are_not_restarted() {
    let unit = unit(30, 3, 2, |service| service.success = codes(&[2]));
    assert_eq!(
        predicted(&unit, NEW, &minute(1, 2)),
        "0 | Setting(Success) at 1"
    );
    let mut outage = minute(1, 1);
    outage.attempt.phase = ExecPhase::Condition;
    assert_eq!(predicted(&unit, NEW, &outage), "0 | Skipped at 1");
    outage.attempt.exit = ProcessExit::Code(255);
    assert_eq!(predicted(&unit, NEW, &outage), "0 3 6 | limit after 3 at 9");
}

#[test]
fn on_abnormal_restarts_a_timeout_and_not_a_failure() {
    let unit = unit(30, 3, 2, |service| service.restart = Restart::OnAbnormal);
    let mut outage = minute(1, 1);
    assert_eq!(predicted(&unit, NEW, &outage), "0 | Setting(ExitCode) at 1");
    outage.attempt.exit = ProcessExit::Timeout;
    assert_eq!(predicted(&unit, NEW, &outage), "0 3 6 | limit after 3 at 9");
}

#[test]
fn on_failure_units_are_started_so_often() {
    let outage = minute(1, 1);
    let direct = |service: &mut Service| service.restart_mode = RestartMode::Direct;
    for (unit, version, times) in [
        (unit(30, 3, 2, plain), NEW, 4),
        (unit(30, 3, 2, direct), NEW, 1),
        (unit(30, 3, 2, plain), OLD, 1),
    ] {
        assert_eq!(simulate(&unit, version, &outage).on_failure, times);
    }
}
