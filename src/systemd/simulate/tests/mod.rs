//! What happens to a unit in an outage, timeline by timeline.

mod in_numbers;
mod properties;

use super::*;
use crate::systemd::tests::sample;
use crate::systemd::tests::sample::limited;
use crate::systemd::unit::{Restart, RestartMode};

const S: Duration = Duration::from_secs(1);
const HALF_AN_HOUR: Duration = Duration::from_secs(1800);
const V: Version = Version(257);

fn service(unit: &mut Unit) -> &mut Service {
    unit.service.as_mut().unwrap()
}

/// When it is started, in seconds.
fn seconds(timeline: &Timeline) -> Vec<f64> {
    timeline.times().map(|at| at.as_secs_f64()).collect()
}

#[test]
fn the_posted_settings_retry_for_ever_and_their_limit_never_bites() {
    let timeline = simulate(
        &limited(100, 5, S * 20),
        V,
        &Outage::new(HALF_AN_HOUR, S * 5),
    );
    assert_eq!(timeline.ending, OutageEnding::Survives { at: HALF_AN_HOUR });
    assert_eq!(
        timeline.starts,
        [StartSeries {
            first: Duration::ZERO,
            every: S * 25,
            count: 73
        }]
    );
}

#[test]
fn the_settings_of_the_table_end_as_the_real_ratelimit_below_says() {
    // Interval, burst, RestartSec in ms; for attempts of 0, 1, 10 and 48 s when the start is refused, in ms.
    let table = [
        ((100, 5, 20_000), [None; 4]),
        (
            (600, 3, 60_000),
            [Some(180_003), Some(183_000), Some(210_000), Some(324_000)],
        ),
        ((10, 5, 100), [Some(505), Some(5_500), None, None]),
        ((10, 5, 2_000), [None; 4]),
        (
            (300, 5, 20_000),
            [Some(100_005), Some(105_000), Some(150_000), None],
        ),
    ];
    for ((interval, burst, delay), refused) in table {
        let unit = limited(interval, burst, Duration::from_millis(delay));
        for (attempt, refused) in [0, 1, 10, 48].into_iter().zip(refused) {
            let timeline = simulate(&unit, V, &Outage::new(HALF_AN_HOUR, S * attempt));
            let starts = u64::from(burst);
            let at = refused.map(Duration::from_millis);
            let hit = at.map(|at| OutageEnding::LimitHit { at, starts });
            let ending = Some(timeline.ending)
                .filter(|ending| !matches!(ending, OutageEnding::Survives { .. }));
            assert_eq!(ending, hit, "{interval}/{burst}/{delay} with {attempt} s");
        }
    }
}

#[test]
fn an_attempt_that_spans_the_outages_end_fails_and_one_that_begins_there_succeeds() {
    let unit = limited(0, 0, S);
    let ending = |length| simulate(&unit, V, &Outage::new(length, S * 9)).ending;
    assert_eq!(ending(S * 10), OutageEnding::Survives { at: S * 10 });
    assert_eq!(ending(S * 11), OutageEnding::Survives { at: S * 20 });
    assert_eq!(
        ending(Duration::ZERO),
        OutageEnding::Survives { at: Duration::ZERO }
    );
}

#[test]
fn a_unit_that_is_not_restarted_gives_up_after_one_attempt() {
    let mut unit = limited(10, 5, S);
    service(&mut unit).restart = Restart::No;
    let timeline = simulate(&unit, V, &Outage::new(HALF_AN_HOUR, S * 3));
    let why = Why::Setting(restart::ServiceResult::ExitCode);
    assert_eq!(timeline.ending, OutageEnding::GivesUp { at: S * 3, why });
    assert_eq!(seconds(&timeline), [0.0]);
    assert_eq!(timeline.on_failure, 1);
}

#[test]
fn what_systemd_cannot_start_gives_up_at_once() {
    let why = Why::NotStartable;
    let at = Duration::ZERO;
    for load in [
        Load::Masked,
        Load::NotFound,
        Load::Refused("bad".to_owned()),
    ] {
        let unit = Unit {
            load,
            ..sample::unit()
        };
        let timeline = simulate(&unit, V, &Outage::new(HALF_AN_HOUR, S));
        assert_eq!(timeline.ending, OutageEnding::GivesUp { at, why });
        assert_eq!(timeline.count(), 0);
    }
    let unit = Unit {
        service: None,
        ..sample::unit()
    };
    let timeline = simulate(&unit, V, &Outage::new(HALF_AN_HOUR, S));
    assert_eq!(timeline.ending, OutageEnding::GivesUp { at, why });
}

#[test]
fn a_oneshot_that_hangs_is_freed_only_by_timeout_start_sec() {
    let mut unit = limited(0, 0, S * 30);
    let mut outage = Outage::new(S * 300, S);
    outage.attempt.length = None;
    let at = Duration::ZERO;
    assert_eq!(
        simulate(&unit, V, &outage).ending,
        OutageEnding::Hangs { at }
    );
    service(&mut unit).timeout_start = Some(S * 90);
    let timeline = simulate(&unit, V, &outage);
    assert_eq!(seconds(&timeline), [0.0, 120.0, 240.0, 360.0]);
    assert_eq!(timeline.attempt, Some(S * 90));
}

#[test]
fn a_simple_service_has_runtime_max_sec_for_its_main_process_and_timeout_start_sec_before() {
    let mut unit = limited(0, 0, S * 10);
    let service = service(&mut unit);
    service.kind = ServiceType::Simple;
    service.timeout_start = Some(S * 90);
    service.runtime_max = Some(S * 200);
    let mut outage = Outage::new(S * 1000, S * 500);
    assert_eq!(simulate(&unit, V, &outage).attempt, Some(S * 200));
    outage.attempt.phase = ExecPhase::StartPre;
    assert_eq!(simulate(&unit, V, &outage).attempt, Some(S * 90));
}

#[test]
fn the_steps_make_room_for_a_long_outage_from_254_on() {
    let mut unit = limited(600, 6, S * 10);
    service(&mut unit).restart_steps = 2;
    service(&mut unit).restart_max_delay = Some(S * 160);
    let outage = Outage::new(S * 500, S * 5);
    let timeline = simulate(&unit, V, &outage);
    assert_eq!(seconds(&timeline), [0.0, 15.0, 60.0, 225.0, 390.0, 555.0]);
    assert_eq!(timeline.ending, OutageEnding::Survives { at: S * 555 });
    let old = simulate(&unit, Version(252), &outage);
    assert_eq!(
        old.ending,
        OutageEnding::LimitHit {
            at: S * 90,
            starts: 6
        }
    );
}

#[test]
fn with_an_infinite_restart_sec_it_waits_for_ever() {
    let mut unit = limited(10, 5, S);
    service(&mut unit).restart_delay = None;
    let timeline = simulate(&unit, V, &Outage::new(HALF_AN_HOUR, S * 2));
    assert_eq!(timeline.ending, OutageEnding::WaitsForEver { at: S * 2 });
}

#[test]
fn the_notifying_unit_is_started_at_each_attempt_or_only_at_the_end() {
    let mut unit = limited(600, 3, S);
    let outage = Outage::new(HALF_AN_HOUR, S);
    assert_eq!(simulate(&unit, Version(253), &outage).on_failure, 1);
    assert_eq!(simulate(&unit, V, &outage).on_failure, 4);
    service(&mut unit).restart_mode = RestartMode::Direct;
    assert_eq!(simulate(&unit, V, &outage).on_failure, 1);
    assert_eq!(simulate(&limited(0, 0, S), V, &outage).on_failure, 900);
}

#[test]
fn billions_of_starts_are_not_walked_through() {
    let centuries = S * u32::MAX;
    let timeline = simulate(
        &limited(0, 0, Duration::ZERO),
        V,
        &Outage::new(centuries, Duration::ZERO),
    );
    assert_eq!(timeline.ending, OutageEnding::Survives { at: centuries });
    assert_eq!(timeline.count(), u64::from(u32::MAX) * 1000 + 1);
    assert_eq!(timeline.on_failure, timeline.count() - 1);
}

#[test]
fn more_different_delays_than_are_followed_end_unknown() {
    let mut unit = limited(0, 0, S);
    service(&mut unit).restart_steps = u32::MAX;
    service(&mut unit).restart_max_delay = Some(S * 86400);
    let timeline = simulate(&unit, V, &Outage::new(S * u32::MAX, S));
    assert!(
        matches!(timeline.ending, OutageEnding::Unknown { at } if at > S * 100_000),
        "{:?}",
        timeline.ending
    );
}
