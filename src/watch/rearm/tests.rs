//! Who gets a turn, and when.

use proptest::prelude::*;

use super::*;

fn at(seconds: u64) -> Monotonic {
    Monotonic(Duration::from_secs(seconds))
}

fn manner(at_once: usize, spread: u64) -> Manner {
    Manner {
        at_once,
        spread: Duration::from_secs(spread),
        machine_id: "0123456789abcdef0123456789abcdef\n".to_owned(),
    }
}

fn failed(unit: &str, when: u64) -> FailedUnit {
    FailedUnit {
        unit: unit.to_owned(),
        began: at(when),
        at: at(when),
    }
}

/// Proven but from 100 to 200.
fn outages() -> Outages {
    let mut outages = Outages::new(at(0));
    outages.proven(at(1));
    outages.lost(at(101));
    outages.proven(at(200));
    outages
}

fn names(rearm: &mut Rearm, now: u64) -> Vec<String> {
    std::iter::from_fn(|| rearm.take(at(now)))
        .map(|one| one.unit)
        .collect()
}

#[test]
fn only_what_failed_in_an_outage_gets_a_turn() {
    let mut rearm = Rearm::new(manner(10, 0));
    let units = [("early", 50), ("in", 150), ("late", 201)];
    let units = units.map(|(unit, when)| failed(unit, when));
    rearm.consider(units.into(), &outages(), at(210));
    assert_eq!(names(&mut rearm, 210), ["in"]);
}

#[test]
fn a_failure_has_one_turn_and_the_next_failure_another() {
    let mut rearm = Rearm::new(manner(10, 0));
    rearm.consider(vec![failed("a", 150)], &outages(), at(210));
    rearm.consider(vec![failed("a", 150)], &outages(), at(210));
    assert_eq!(names(&mut rearm, 210), ["a"]);
    rearm.consider(vec![failed("a", 150)], &outages(), at(211));
    rearm.started("a", "/job/1".to_owned());
    assert_eq!(rearm.ended("/job/1").as_deref(), Some("a"));
    rearm.consider(vec![failed("a", 150)], &outages(), at(212));
    assert_eq!(names(&mut rearm, 212), [""; 0]);
    // Again, in the same outage as far as is known.
    rearm.consider(vec![failed("a", 160)], &outages(), at(213));
    assert_eq!(names(&mut rearm, 213), ["a"]);
}

#[test]
fn no_more_than_asked_for_are_starting_at_a_time() {
    let mut rearm = Rearm::new(manner(2, 0));
    let units = ["a", "b", "c", "d"].map(|unit| failed(unit, 150));
    rearm.consider(units.into(), &outages(), at(210));
    assert_eq!(names(&mut rearm, 210).len(), 2);
    assert_eq!(rearm.next_at(), None, "no timer while there is no room");
    rearm.started("a", "/job/1".to_owned());
    rearm.started("b", "/job/2".to_owned());
    assert_eq!(rearm.ended("/job/7"), None);
    assert_eq!(rearm.ended("/job/2").as_deref(), Some("b"));
    assert_eq!(names(&mut rearm, 211), ["c"]);
    rearm.gave_up("c");
    assert_eq!(names(&mut rearm, 212), ["d"]);
    assert_eq!(rearm.starting(), ["a", "d"]);
    rearm.keep(&BTreeSet::new());
    assert_eq!(rearm.starting(), [""; 0]);
}

#[test]
fn a_turn_is_lost_when_the_gate_is_held_and_given_again_when_it_opens() {
    let mut rearm = Rearm::new(manner(1, 30));
    rearm.consider(vec![failed("a", 150)], &outages(), at(210));
    assert!(rearm.next_at().is_some());
    rearm.abort();
    assert_eq!(rearm.next_at(), None);
    rearm.consider(vec![failed("a", 150)], &outages(), at(300));
    assert_eq!(names(&mut rearm, 330), ["a"]);
}

#[test]
fn nobody_has_a_turn_before_the_delay_is_over() {
    let mut rearm = Rearm::new(manner(1, 30));
    rearm.consider(vec![failed("a", 150)], &outages(), at(210));
    let due = rearm.next_at().unwrap();
    assert!(due > at(210) && due < at(240), "{due:?}");
    let before = due.0.saturating_sub(Duration::from_nanos(1));
    assert_eq!(rearm.take(Monotonic(before)), None);
    assert!(rearm.take(due).is_some());
}

#[test]
fn a_delay_is_the_same_each_time_and_another_on_another_machine_or_for_another_unit() {
    let here = manner(1, 30);
    let there = Manner {
        machine_id: "fedcba9876543210fedcba9876543210".to_owned(),
        ..here.clone()
    };
    assert_eq!(delay(&here, "a"), delay(&here.clone(), "a"));
    assert_ne!(delay(&here, "a"), delay(&there, "a"));
    assert_ne!(delay(&here, "a"), delay(&here, "b"));
    assert_eq!(delay(&manner(1, 0), "a"), Duration::ZERO);
}

#[test]
fn a_thousand_machines_spread_over_the_whole_span() {
    let machine = |n: u32| Manner {
        machine_id: format!("{n:032x}"),
        ..manner(1, 10)
    };
    let mut seconds = [0; 10];
    for n in 0..1000 {
        seconds[usize::try_from(delay(&machine(n), "a").as_secs()).unwrap()] += 1;
    }
    assert!(seconds.iter().all(|n| (50..150).contains(n)), "{seconds:?}");
}

/// `InactiveExit`, `ActiveEnter`, `InactiveEnter`, `StateChange`.
fn stamps(seconds: [u64; 4]) -> Stamps {
    let [inactive_exit, active_enter, inactive_enter, state_change] = seconds.map(at);
    Stamps {
        inactive_exit,
        active_enter,
        inactive_enter,
        state_change,
    }
}

#[test]
fn timestamps_tell_when_the_last_attempt_began_and_failed() {
    for (what, seconds, began, failed) in [
        ("a oneshot that ran for 9 s", [11, 0, 20, 20], 11, 20),
        (
            "its second run, after one that was well",
            [31, 0, 35, 35],
            31,
            35,
        ),
        (
            "a service that was up for long",
            [11, 12, 900, 900],
            900,
            900,
        ),
        (
            "one that was up once, and never came up again",
            [50, 12, 60, 60],
            50,
            60,
        ),
        (
            "a start that was refused, after an attempt",
            [11, 0, 20, 70],
            11,
            20,
        ),
        (
            "a start that was refused, and no attempt",
            [0, 0, 0, 70],
            70,
            70,
        ),
        (
            "a refused start after a run that was well",
            [40, 0, 30, 70],
            30,
            30,
        ),
    ] {
        let unit = FailedUnit::new("a".to_owned(), stamps(seconds));
        assert_eq!((unit.began, unit.at), (at(began), at(failed)), "{what}");
    }
}

proptest! {
    #[test]
    fn no_timestamps_make_an_attempt_end_before_it_began(seconds in proptest::array::uniform4(0..u64::MAX)) {
        let unit = FailedUnit::new("a".to_owned(), stamps(seconds));
        prop_assert!(unit.began <= unit.at);
    }

    #[test]
    fn a_delay_is_below_its_bound(unit in ".{0,40}", spread in 1..u64::MAX / 2) {
        let manner = manner(1, spread);
        prop_assert!(delay(&manner, &unit) < manner.spread);
    }
}
