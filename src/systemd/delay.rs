//! How long systemd waits before an automatic restart: `RestartSec=`, `RestartSteps=` and `RestartMaxDelaySec=`
//! (systemd.service(5), `service_restart_usec_next` in systemd's src/core/service.c).

use std::time::Duration;

use super::unit::{Service, SystemdSpan};
use super::version::Version;

/// The delays of a service, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delays {
    first: SystemdSpan,
    growth: Option<Growth>,
}

/// From the first delay to the longest in geometric steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Growth {
    longest: Duration,
    steps: u32,
}

impl Delays {
    /// As this version reads the settings: before 254 there are no steps. A `RestartMaxDelaySec=` below
    /// `RestartSec=` takes its place, with or without steps.
    pub fn of(service: &Service, version: Version) -> Self {
        let longest = service
            .restart_max_delay
            .filter(|_| version.has_restart_steps());
        let first = match (service.restart_delay, longest) {
            (Some(first), Some(longest)) => Some(first.min(longest)),
            (first, longest) => first.or(longest),
        };
        let growth = longest.filter(|_| service.restart_steps > 0);
        Self {
            first,
            growth: growth
                .filter(|longest| first.is_some_and(|first| !first.is_zero() && first < *longest))
                .map(|longest| Growth {
                    longest,
                    steps: service.restart_steps,
                }),
        }
    }

    /// The delay before the nth automatic restart in a row, counted from 1 (`NRestarts` after it); none if it never
    /// comes. systemd's own timers may be up to 250 ms late on top.
    pub fn before(&self, restart: u32) -> SystemdSpan {
        let first = self.first?;
        match self.growth {
            Some(growth) if restart > 1 => Some(growth.delay(first, restart)),
            _ => Some(first),
        }
    }

    /// From this restart on all delays are alike.
    pub fn settled_from(&self) -> u32 {
        self.growth
            .map_or(1, |growth| growth.steps.saturating_add(1))
    }
}

impl Growth {
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "microseconds that do not fit in 53 bits are centuries; a cast to an integer saturates"
    )]
    fn delay(self, first: Duration, restart: u32) -> Duration {
        if restart > self.steps {
            return self.longest;
        }
        let ratio = self.longest.as_secs_f64() / first.as_secs_f64();
        let micros = first.as_micros() as f64 * power(ratio, restart - 1, self.steps);
        Duration::from_micros(micros as u64).clamp(first, self.longest)
    }
}

/// `base` (at least 1) to the power of `numerator / denominator`: std's `powf` would make every start load libm.
fn power(base: f64, numerator: u32, denominator: u32) -> f64 {
    let whole = |power: u32| i32::try_from(power).unwrap_or(i32::MAX);
    let (mut low, mut root) = (1.0, base);
    // Enough halvings for all 53 bits, from above: exact roots stay exact.
    for _ in 0..100 {
        let middle = f64::midpoint(low, root);
        if middle.powi(whole(denominator)) < base {
            low = middle;
        } else {
            root = middle;
        }
    }
    root.powi(whole(numerator))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::systemd::tests::sample;

    const NEW: Version = Version(254);
    const S: Duration = Duration::from_secs(1);

    fn delays(restart: SystemdSpan, steps: u32, longest: SystemdSpan, version: Version) -> Delays {
        let service = Service {
            restart_delay: restart,
            restart_steps: steps,
            restart_max_delay: longest,
            ..sample::service()
        };
        Delays::of(&service, version)
    }

    /// The first delays, in milliseconds.
    fn first(delays: Delays) -> Vec<u128> {
        let spans = (1..8).filter_map(|restart| delays.before(restart));
        spans.map(|span| span.as_millis()).collect()
    }

    #[test]
    fn the_steps_are_geometric_and_the_first_one_is_restart_sec() {
        // restart_usec * powl(max / restart_usec, (n - 1) / steps), cut to microseconds.
        let table = [
            (
                (1, 5, 1024),
                [1000, 4000, 16_000, 64_000, 256_000, 1_024_000, 1_024_000],
            ),
            ((2, 2, 8), [2000, 4000, 8000, 8000, 8000, 8000, 8000]),
            (
                (10, 3, 600),
                [10_000, 39_148, 153_261, 600_000, 600_000, 600_000, 600_000],
            ),
            (
                (60, 1, 3600),
                [
                    60_000, 3_600_000, 3_600_000, 3_600_000, 3_600_000, 3_600_000, 3_600_000,
                ],
            ),
        ];
        for ((restart, steps, longest), expected) in table {
            let delays = delays(Some(S * restart), steps, Some(S * longest), NEW);
            let close = first(delays)
                .into_iter()
                .zip(expected)
                .all(|(one, other)| one.abs_diff(other) <= 1);
            assert!(close, "{:?} instead of {expected:?}", first(delays));
            assert_eq!(delays.settled_from(), steps + 1);
        }
    }

    proptest! {
        #[test]
        fn a_power_is_what_libm_says(base in 1.0..1e9_f64, numerator in 0..1000_u32, more in 1..1000_u32) {
            let exact = base.powf(f64::from(numerator) / f64::from(numerator + more));
            let ours = power(base, numerator, numerator + more);
            prop_assert!((ours / exact - 1.0).abs() < 1e-9, "{ours} instead of {exact}");
        }
    }

    #[test]
    fn an_exact_root_stays_exact() {
        assert!((power(1024.0, 3, 5) - 64.0).abs() < f64::EPSILON);
        assert!((power(1.0, 7, u32::MAX) - 1.0).abs() < f64::EPSILON);
    }

    #[test]
    fn each_is_ignored_without_the_other_and_before_254() {
        for delays in [
            delays(Some(S * 5), 4, None, NEW),
            delays(Some(S * 5), 0, Some(S * 60), NEW),
            delays(Some(S * 5), 4, Some(S * 60), Version(253)),
        ] {
            assert_eq!(first(delays), [5000; 7]);
            assert_eq!(delays.settled_from(), 1);
        }
    }

    #[test]
    fn without_restart_sec_there_is_nothing_to_grow() {
        assert_eq!(
            first(delays(Some(Duration::ZERO), 4, Some(S * 60), NEW)),
            [0; 7]
        );
    }

    #[test]
    fn a_longest_delay_below_restart_sec_takes_its_place_even_without_steps() {
        for steps in [0, 4] {
            assert_eq!(
                first(delays(Some(S * 90), steps, Some(S * 60), NEW)),
                [60_000; 7]
            );
            assert_eq!(first(delays(None, steps, Some(S * 60), NEW)), [60_000; 7]);
        }
        assert_eq!(
            first(delays(Some(S * 90), 4, Some(S * 60), Version(252))),
            [90_000; 7]
        );
    }

    #[test]
    fn with_an_infinite_restart_sec_no_restart_comes() {
        assert_eq!(delays(None, 0, None, NEW).before(1), None);
        assert_eq!(delays(None, 4, Some(S * 60), Version(252)).before(1), None);
    }

    proptest! {
        #[test]
        fn delays_only_grow_from_restart_sec_to_the_longest(
            (restart, longest) in any::<(Duration, Duration)>(),
            steps in prop_oneof![0..20u32, any::<u32>()],
            number in prop_oneof![0..20u32, any::<u32>()],
        ) {
            let delays = delays(Some(restart), steps, Some(longest), NEW);
            let at = |number| delays.before(number).unwrap();
            prop_assert!(at(number) <= at(number.saturating_add(1)));
            prop_assert!(at(number) >= restart.min(longest));
            prop_assert!(at(number) <= longest);
            prop_assert_eq!(at(delays.settled_from()), at(u32::MAX));
        }
    }
}
