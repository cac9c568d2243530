//! How long to wait after a failed probe (R7).

use std::time::Duration;

use super::time::Monotonic;

const FIRST: Duration = Duration::from_millis(500);
/// In the first ten minutes of an epoch Wi-Fi, DHCP and portals are still being dealt with.
const EARLY: Duration = Duration::from_secs(10 * 60);
const EARLY_CAP: Duration = Duration::from_secs(30);
const LATE_CAP: Duration = Duration::from_secs(5 * 60);

/// Doubling delays with jitter, deterministic from a seed.
#[derive(Debug)]
pub(super) struct Backoff {
    failures: u32,
    since: Monotonic,
    random: u64,
}

impl Backoff {
    pub(super) fn new(seed: u64, now: Monotonic) -> Self {
        Self {
            failures: 0,
            since: now,
            random: seed,
        }
    }

    /// Starts anew: the next delay is the shortest.
    pub(super) fn reset(&mut self, now: Monotonic) {
        self.failures = 0;
        self.since = now;
    }

    /// The delay after one more failure: drawn from [d/2, d].
    pub(super) fn next(&mut self, now: Monotonic) -> Duration {
        let early = now.since(self.since) < EARLY;
        let cap = if early { EARLY_CAP } else { LATE_CAP };
        let delay = FIRST.saturating_mul(1 << self.failures.min(16)).min(cap);
        self.failures = self.failures.saturating_add(1);
        delay / 2 + (delay / 2).mul_f64(self.draw())
    }

    /// The next number in [0, 1): splitmix64, which is enough to keep a hundred machines apart.
    #[allow(
        clippy::cast_precision_loss,
        reason = "53 bits are what a fraction has room for"
    )]
    fn draw(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delays(seed: u64, start: Duration, count: usize) -> Vec<Duration> {
        let mut backoff = Backoff::new(seed, Monotonic::default());
        (0..count).map(|_| backoff.next(Monotonic(start))).collect()
    }

    #[test]
    fn each_delay_is_drawn_from_the_upper_half_of_a_doubling_span_up_to_30_s() {
        for seed in 0..50 {
            let mut span = FIRST;
            for delay in delays(seed, Duration::ZERO, 12) {
                assert!(
                    delay >= span / 2 && delay <= span,
                    "seed {seed}: {delay:?} of {span:?}"
                );
                span = (span * 2).min(EARLY_CAP);
            }
        }
    }

    #[test]
    fn after_ten_minutes_the_delay_grows_to_five_minutes_and_no_further() {
        let last = delays(7, EARLY, 40).pop().unwrap();
        assert!(last >= LATE_CAP / 2 && last <= LATE_CAP, "{last:?}");
    }

    #[test]
    fn two_seeds_do_not_march_in_step() {
        assert_ne!(delays(1, Duration::ZERO, 5), delays(2, Duration::ZERO, 5));
    }

    #[test]
    fn a_reset_starts_with_the_shortest_delay() {
        let mut backoff = Backoff::new(3, Monotonic::default());
        for _ in 0..9 {
            backoff.next(Monotonic::default());
        }
        backoff.reset(Monotonic(Duration::from_secs(99)));
        assert!(backoff.next(Monotonic(Duration::from_secs(99))) <= FIRST);
    }
}
