//! How often something may happen at once: a burst, and then one in a while.

use std::time::Duration;

use super::time::Monotonic;

/// A burst that is given back one by one (the generic cell rate algorithm).
#[derive(Debug)]
pub(crate) struct RateLimiter {
    burst: u32,
    each: Duration,
    /// When all of the burst is there again.
    full_at: Monotonic,
}

impl RateLimiter {
    /// `burst` at once, and one more after each span `each`.
    pub(crate) fn new(burst: u32, each: Duration) -> Self {
        Self {
            burst,
            each,
            full_at: Monotonic::default(),
        }
    }

    /// When the next one may happen: now, and then it counts, or later.
    pub(crate) fn ask(&mut self, now: Monotonic) -> Monotonic {
        let spent = self.each.saturating_mul(self.burst.saturating_sub(1));
        let at = Monotonic(self.full_at.0.saturating_sub(spent)).max(now);
        if at == now {
            self.full_at = self.full_at.max(now).after(self.each);
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Monotonic {
        Monotonic(Duration::from_secs(seconds))
    }

    #[test]
    fn a_burst_is_allowed_and_then_one_in_a_while() {
        let mut limiter = RateLimiter::new(3, Duration::from_secs(10));
        for _ in 0..3 {
            assert_eq!(limiter.ask(at(100)), at(100));
        }
        assert_eq!(limiter.ask(at(100)), at(110));
        assert_eq!(limiter.ask(at(105)), at(110), "asking costs nothing");
        assert_eq!(limiter.ask(at(110)), at(110));
        assert_eq!(limiter.ask(at(111)), at(120));
    }

    #[test]
    fn after_a_quiet_time_the_whole_burst_is_there_again_and_no_more() {
        let mut limiter = RateLimiter::new(2, Duration::from_secs(10));
        for now in [at(100), at(100), at(1000), at(1000)] {
            assert_eq!(limiter.ask(now), now);
        }
        assert_eq!(limiter.ask(at(1000)), at(1010));
    }
}
