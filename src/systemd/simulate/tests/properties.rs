use proptest::prelude::*;

use super::super::*;
use crate::systemd::tests::sample::limited;
use crate::systemd::unit::StartLimit;

const S: Duration = Duration::from_secs(1);
const V: Version = Version(257);

fn service(unit: &mut Unit) -> &mut Service {
    unit.service.as_mut().unwrap()
}

/// Up to tens of thousands of years: what systemd's clocks can show, sums included.
fn spans() -> impl Strategy<Value = Duration> {
    let short = (0..4_000u64).prop_map(|tenths| S / 10 * u32::try_from(tenths).unwrap());
    prop_oneof![9 => short, 1 => (0..u64::MAX / 16).prop_map(Duration::from_micros)]
}

prop_compose! {
    fn units()(
        interval in prop_oneof![9 => spans().prop_map(Some), 1 => Just(None)],
        burst in prop_oneof![9 => 0..9u32, 1 => any::<u32>()],
        delay in prop_oneof![9 => spans().prop_map(Some), 1 => Just(None)],
        steps in prop_oneof![9 => 0..9u32, 1 => any::<u32>()],
        longest in prop_oneof![spans().prop_map(Some), Just(None)],
        timeout in prop_oneof![1 => spans().prop_map(Some), 3 => Just(None)],
    ) -> Unit {
        let mut unit = limited(0, 0, S);
        unit.start_limit = StartLimit { interval, burst };
        let service = service(&mut unit);
        service.restart_delay = delay;
        service.restart_steps = steps;
        service.restart_max_delay = longest;
        service.timeout_start = timeout;
        unit
    }
}

prop_compose! {
    fn outages()(
        (length, attempt) in (spans(), spans()),
        hangs in prop::bool::weighted(0.05),
    ) -> Outage {
        let mut outage = Outage::new(length, attempt);
        outage.attempt.length = (!hangs).then_some(attempt);
        outage
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_story_is_told_in_order_and_comes_to_an_end(
        unit in units(), outage in outages(), version in 250..265u32,
    ) {
        let timeline = simulate(&unit, Version(version), &outage);
        prop_assert!(timeline.starts.iter().all(|run| run.count > 0));
        let ordered = timeline.starts.windows(2).all(|pair| pair[0].last() <= pair[1].first);
        prop_assert!(ordered, "{:?}", timeline.starts);
        if let OutageEnding::Survives { at } = timeline.ending {
            prop_assert!(at >= outage.length);
            prop_assert_eq!(timeline.starts.last().map(|run| run.last()), Some(at));
        }
        if let OutageEnding::LimitHit { at, starts } = timeline.ending {
            prop_assert_eq!(timeline.refused.last(), Some(&at));
            prop_assert_eq!(starts, timeline.count());
        }
    }

    #[test]
    fn spans_beyond_all_clocks_do_no_harm(
        (length, attempt) in any::<(Duration, Duration)>(),
        (delay, longest, interval) in any::<(Duration, Duration, Duration)>(),
        (steps, burst, version) in any::<(u32, u32, u32)>(),
    ) {
        let mut unit = limited(0, 0, delay);
        unit.start_limit = StartLimit { interval: Some(interval), burst };
        service(&mut unit).restart_steps = steps;
        service(&mut unit).restart_max_delay = Some(longest);
        let timeline = simulate(&unit, Version(version), &Outage::new(length, attempt));
        prop_assert!(timeline.count() > 0);
    }

    #[test]
    fn a_longer_outage_never_ends_earlier_nor_with_fewer_starts(
        unit in units(), outage in outages(), more in spans(), version in 250..265u32,
    ) {
        let mut longer = outage.clone();
        longer.length = outage.length.saturating_add(more);
        let version = Version(version);
        let (short, long) = (simulate(&unit, version, &outage), simulate(&unit, version, &longer));
        prop_assert!(short.ending.at() <= long.ending.at(), "{:?} {:?}", short.ending, long.ending);
        prop_assert!(short.count() <= long.count());
    }

    #[test]
    fn starts_all_at_once_are_those_one_by_one(
        (interval, burst) in (0..400u64, 0..9u32),
        (delay, attempt, length) in (0..60u64, 1..60u64, 0..4_000u64),
    ) {
        let unit = limited(interval, burst, Duration::from_secs(delay));
        let outage = Outage::new(Duration::from_secs(length), Duration::from_secs(attempt));
        let timeline = simulate(&unit, V, &outage);
        let mut limit = RateLimit::new(unit.start_limit);
        let every = delay + attempt;
        let first_after = length.div_ceil(every) * every;
        let let_through = (0..=first_after / every)
            .map(|number| Duration::from_secs(number * every))
            .take_while(|at| limit.allows(*at));
        prop_assert_eq!(timeline.times().collect::<Vec<_>>(), let_through.collect::<Vec<_>>());
    }

    #[test]
    fn the_limit_is_hit_if_and_only_if_it_can_bite(
        (interval, burst) in (1..400u32, 1..9u32),
        (delay, attempt) in (0..60u64, 1..60u64),
    ) {
        let unit = limited(interval.into(), burst, Duration::from_secs(delay));
        let attempt = Duration::from_secs(attempt);
        let timeline = simulate(&unit, V, &Outage::new(S * 100_000, attempt));
        // `burst` attempts and delays fit in the interval.
        let longest = (S * interval / burst).checked_sub(Duration::from_secs(delay));
        let bites = longest.is_some_and(|longest| attempt <= longest);
        prop_assert_eq!(!matches!(timeline.ending, OutageEnding::Survives { .. }), bites);
    }
}
