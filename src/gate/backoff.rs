//! How long to leave alone what failed: between probes (R7), interrupted attempts, calls of a service that is broken.

use std::time::Duration;

/// Delays that double up to a longest one, each drawn from the upper half of its span, so that machines behind one
/// router do not come back in the same second. The same seed gives the same delays.
#[derive(Debug)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
    random: u64,
}

impl Backoff {
    pub(crate) const fn new(first: Duration, longest: Duration, seed: u64) -> Self {
        Self {
            first,
            longest,
            failures: 0,
            random: seed,
        }
    }

    /// Something worked: the next delay is the shortest.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// The delay after one more failure: drawn from [d/2, d].
    pub(crate) fn next(&mut self) -> Duration {
        self.next_up_to(self.longest)
    }

    /// The same, with another longest delay for this once.
    pub(crate) fn next_up_to(&mut self, longest: Duration) -> Duration {
        let doublings = self.failures.min(16);
        let delay = self.first.saturating_mul(1 << doublings).min(longest);
        self.failures = self.failures.saturating_add(1);
        self.random = mixed(self.random);
        delay / 2 + (delay / 2).mul_f64(fraction(self.random))
    }
}

/// A step of splitmix64 (public domain): every input bit reaches every output bit.
pub(crate) const fn mixed(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// In [0, 1): 32 bits are plenty for a jitter and convert without loss.
fn fraction(bits: u64) -> f64 {
    f64::from(u32::try_from(bits >> 32).unwrap_or(0)) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(500);
    const LONGEST: Duration = Duration::from_secs(300);

    fn backoff(seed: u64) -> Backoff {
        Backoff::new(FIRST, LONGEST, seed)
    }

    #[test]
    fn each_delay_is_drawn_from_the_upper_half_of_a_doubling_span() {
        for seed in 0..50 {
            let mut backoff = backoff(seed);
            let mut span = FIRST;
            for _ in 0..12 {
                let delay = backoff.next();
                assert!(
                    span / 2 <= delay && delay <= span,
                    "seed {seed}: {delay:?} of {span:?}"
                );
                span = (span * 2).min(LONGEST);
            }
        }
    }

    #[test]
    fn another_longest_delay_holds_for_this_once() {
        let mut backoff = backoff(7);
        for _ in 0..20 {
            assert!(backoff.next_up_to(FIRST * 4) <= FIRST * 4);
        }
        assert!(backoff.next() >= LONGEST / 2);
    }

    #[test]
    fn two_seeds_do_not_march_in_step() {
        let delays = |seed| {
            let mut backoff = backoff(seed);
            [backoff.next(), backoff.next(), backoff.next()]
        };
        assert_eq!(delays(1), delays(1));
        assert_ne!(delays(1), delays(2));
    }

    #[test]
    fn a_reset_starts_with_the_shortest_delay() {
        let mut backoff = backoff(3);
        for _ in 0..9 {
            backoff.next();
        }
        backoff.reset();
        assert!(backoff.next() <= FIRST);
    }

    proptest::proptest! {
        #[test]
        fn every_delay_is_bounded(failures in 0..200u32, seed: u64) {
            let mut backoff = Backoff { failures, ..backoff(seed) };
            let delay = backoff.next();
            proptest::prop_assert!(FIRST / 2 <= delay && delay <= LONGEST);
        }
    }
}
