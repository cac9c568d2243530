//! The deadline in systemd does not move, however often systemd is reloaded.

use super::table::{MINUTE, transaction};
use crate::guard::plan::{Clock, Programs, PropertyValue, UnitSpec, deadline, fallback};
use crate::guard::state::TransactionPhase;

const SECOND: u64 = 1_000_000;

/// A machine that has been up for a while, whose systemd started a little after the kernel.
const CLOCK: Clock = Clock {
    now_usec: 60 * SECOND,
    startup_usec: 3 * SECOND,
};

fn programs() -> Programs {
    Programs {
        ours: vec!["/nix/store/gate/bin/upgrade-gate".to_owned()],
        fallback: vec![vec!["/nix/store/base/sw/bin/nix-env".to_owned()]],
        armed: "/nix/var/nix/gcroots/upgrade-gate/baseline".to_owned(),
        ..Programs::default()
    }
}

fn lines(timer: &UnitSpec) -> Vec<(&'static str, u64)> {
    let found = timer
        .settings
        .iter()
        .find_map(|(_, setting)| match setting {
            PropertyValue::Timer(lines) => Some(lines.clone()),
            _ => None,
        });
    found.unwrap()
}

/// When a timer elapses first, started at `now`, if systemd is reloaded every `reload`: a line that counts from the
/// timer's start is counted again from each reload.
fn elapses(lines: &[(&'static str, u64)], now: u64, reload: u64) -> Option<u64> {
    let at = |(base, span): &(&str, u64)| match *base {
        "OnStartupSec" => Some(CLOCK.startup_usec + span).filter(|at| *at >= now),
        "OnActiveSec" => Some(now + span).filter(|_| *span < reload),
        other => panic!("{other}"),
    };
    lines.iter().filter_map(at).min()
}

#[test]
fn the_deadline_fires_through_a_storm_of_reloads() {
    let t = transaction(TransactionPhase::Armed);
    let [timer, _] = deadline(&t, &programs(), CLOCK);
    let lines = lines(&timer);
    assert_eq!(elapses(&lines, 60 * SECOND, SECOND), Some(90 * SECOND));
    let end = t.deadline_usec - CLOCK.startup_usec;
    assert!(lines.contains(&("OnStartupSec", end)));
    assert!(lines.iter().filter(|(_, at)| *at > end).count() >= 2);
}

#[test]
fn a_deadline_that_counts_from_its_start_is_caught() {
    let t = transaction(TransactionPhase::Armed);
    let [timer, _] = deadline(&t, &programs(), CLOCK);
    let planted: Vec<_> = lines(&timer)
        .into_iter()
        .map(|(_, at)| ("OnActiveSec", at + CLOCK.startup_usec - CLOCK.now_usec))
        .collect();
    assert_eq!(elapses(&planted, 60 * SECOND, SECOND), None);
}

#[test]
fn the_fallback_comes_after_the_deadline_and_needs_no_program_of_ours() {
    let t = transaction(TransactionPhase::Armed);
    let [timer, service] = fallback(&t, &programs(), CLOCK);
    let due = |timer: &UnitSpec| lines(timer)[0].1 + CLOCK.startup_usec - t.deadline_usec;
    // the way back may take as long as the grace
    assert_eq!((lines(&timer).len(), due(&timer)), (1, 20 * MINUTE));
    let mut slow = t.clone();
    (slow.rules.checks, slow.rules.check_usec) = (vec![vec![]; 3], MINUTE);
    assert_eq!(due(&fallback(&slow, &programs(), CLOCK)[0]), 23 * MINUTE);
    let commands = PropertyValue::Exec(programs().fallback);
    assert!(service.settings.contains(&("ExecStart", commands)));
    let condition = PropertyValue::IfLink(programs().armed);
    assert!(service.settings.contains(&("Conditions", condition)));
}
