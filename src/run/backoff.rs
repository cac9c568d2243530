//! How long to wait after an interrupted attempt before the gate is asked again.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(5 * 60);

/// The delay after the `interruption`-th interrupted attempt (from 1), in awake time.
///
/// It doubles from 5 s to 5 min, and like the gate's own back-off (R7) is drawn from the upper half, so that
/// machines behind one router do not all come back in the same second. The same seed gives the same delays.
pub fn delay(interruption: u32, seed: u64) -> Duration {
    let doublings = interruption.saturating_sub(1).min(16);
    let whole = FIRST.saturating_mul(1 << doublings).min(LONGEST);
    let half = whole / 2;
    half + half.mul_f64(fraction(mixed(seed ^ u64::from(interruption))))
}

/// splitmix64's finalizer (public domain): every input bit reaches every output bit.
pub(crate) fn mixed(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// In [0, 1).
fn fraction(bits: u64) -> f64 {
    // 32 bits are plenty for a jitter and convert without loss.
    f64::from(u32::try_from(bits >> 32).unwrap_or(0)) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_from_five_seconds_to_five_minutes() {
        let upper = [5, 10, 20, 40, 80, 160, 300, 300];
        for (n, upper) in (1..).zip(upper) {
            let delay = delay(n, 42);
            let upper = Duration::from_secs(upper);
            assert!(upper / 2 <= delay && delay <= upper, "{n}: {delay:?}");
        }
    }

    #[test]
    fn another_machine_draws_another_delay() {
        assert_eq!(delay(3, 7), delay(3, 7));
        assert_ne!(delay(3, 7), delay(3, 8));
    }

    proptest::proptest! {
        #[test]
        fn every_delay_is_bounded(n: u32, seed: u64) {
            let delay = delay(n, seed);
            proptest::prop_assert!(FIRST / 2 <= delay && delay <= LONGEST);
        }
    }
}
