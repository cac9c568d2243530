use proptest::prelude::*;

use super::*;

const S: Duration = Duration::from_secs(1);

fn limit(interval: Option<Duration>, burst: u32) -> StartLimit {
    StartLimit { interval, burst }
}

/// Which of the starts at these seconds are let through.
fn allowed(limit: StartLimit, seconds: &[u64]) -> Vec<bool> {
    let mut rate_limit = RateLimit::new(limit);
    let seconds = seconds
        .iter()
        .map(|second| S * u32::try_from(*second).unwrap());
    seconds.map(|now| rate_limit.allows(now)).collect()
}

#[test]
fn the_window_is_fixed_and_not_sliding() {
    // A sliding window would refuse the fourth: with 9, 10 and 11 it is the fourth in 10 s.
    let seconds = [0, 9, 10, 11, 12, 13];
    let expected = [true, true, true, true, true, true];
    assert_eq!(allowed(limit(Some(S * 10), 3), &seconds), expected);
    let seconds = [0, 9, 10, 10, 11, 12, 13, 14];
    let expected = [true, true, true, false, true, true, true, false];
    assert_eq!(allowed(limit(Some(S * 10), 3), &seconds), expected);
}

#[test]
fn a_start_at_the_very_end_of_the_window_is_inside() {
    assert_eq!(
        allowed(limit(Some(S * 10), 1), &[5, 15, 16]),
        [true, false, true]
    );
}

#[test]
fn a_refused_start_does_not_prolong_the_window() {
    let expected = [true, false, false, true];
    assert_eq!(allowed(limit(Some(S * 10), 1), &[0, 9, 10, 11]), expected);
}

#[test]
fn either_zero_turns_it_off() {
    for off in [
        limit(Some(Duration::ZERO), 5),
        limit(Some(S), 0),
        limit(None, 0),
    ] {
        assert!(!is_on(off), "{off:?}");
        assert_eq!(allowed(off, &[0; 9]), [true; 9]);
    }
}

#[test]
fn a_window_without_end_lets_burst_starts_through_in_all() {
    let far = u64::from(u32::MAX);
    assert_eq!(allowed(limit(None, 2), &[0, far, far]), [true, true, false]);
}

fn spans() -> impl Strategy<Value = Option<Duration>> {
    prop_oneof![
        8 => (0..40u64).prop_map(|seconds| Some(Duration::from_secs(seconds))),
        1 => any::<Duration>().prop_map(Some),
        1 => Just(None),
    ]
}

fn limits() -> impl Strategy<Value = StartLimit> {
    let bursts = prop_oneof![8 => 0..7u32, 1 => any::<u32>()];
    (spans(), bursts).prop_map(|(interval, burst)| limit(interval, burst))
}

proptest! {
    #[test]
    fn a_series_is_let_through_as_its_starts_are_one_by_one(
        limit in limits(),
        before in prop::collection::vec(0..30u64, 0..8),
        (gap, every, count) in (0..30u64, 0..30u64, 0..60u64),
        after in 0..30u64,
    ) {
        let mut series = RateLimit::new(limit);
        let mut now = Duration::ZERO;
        for gap in before {
            now += Duration::from_secs(gap);
            series.allows(now);
        }
        let mut single = series.clone();
        let (first, every) = (now + Duration::from_secs(gap), Duration::from_secs(every));
        let at = |index: u64| first + every * u32::try_from(index).unwrap();
        let expected = (0..count).take_while(|index| single.allows(at(*index))).count() as u64;
        prop_assert_eq!(series.allows_series(first, every, count), expected);
        let later = at(expected) + Duration::from_secs(after);
        prop_assert_eq!(series.allows(later), single.allows(later));
    }

    #[test]
    fn in_any_window_no_more_than_burst_are_let_through(
        (interval, burst) in (1..20u64, 1..6u32),
        gaps in prop::collection::vec(0..8u64, 1..80),
    ) {
        let mut rate_limit = RateLimit::new(limit(Some(Duration::from_secs(interval)), burst));
        let mut now = 0;
        let mut window = None;
        for gap in gaps {
            now += gap;
            let (begin, starts) = match window {
                Some((begin, starts)) if now - begin <= interval => (begin, starts),
                _ => (now, 0),
            };
            prop_assert_eq!(rate_limit.allows(Duration::from_secs(now)), starts < burst);
            window = Some((begin, starts + 1));
        }
    }

    #[test]
    fn nothing_panics_and_no_clock_is_too_odd(
        limit in limits(),
        times in prop::collection::vec(any::<Duration>(), 0..9),
        (every, count) in any::<(Duration, u64)>(),
    ) {
        let mut rate_limit = RateLimit::new(limit);
        for now in times {
            rate_limit.allows(now);
            prop_assert!(rate_limit.allows_series(now, every, count) <= count);
        }
    }
}
