//! systemd's start rate limit, as `ratelimit_below` of its src/basic/ratelimit.c does it.
//!
//! A fixed window: it begins with the first start after the last one has run out, not with any start. Every start
//! that gets past the unit's conditions counts: by hand, by a timer, by `Restart=`. `systemctl reset-failed UNIT`
//! and the garbage collection of the unit forget the window.

use std::time::Duration;

use super::unit::{Span, StartLimit};

/// The limit of one unit with the window it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    limit: StartLimit,
    window: Option<Window>,
}

/// Times are microseconds, as systemd's are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    begin: u64,
    starts: u32,
}

impl RateLimit {
    /// A unit that was not started yet.
    pub const fn new(limit: StartLimit) -> Self {
        Self {
            limit,
            window: None,
        }
    }

    /// Whether a start at `now` is let through; it counts if it is. `now` is a reading of the clock that
    /// [`Version::counts_sleep_in_start_limit`](super::version::Version::counts_sleep_in_start_limit) tells.
    pub fn allows(&mut self, now: Duration) -> bool {
        self.allows_series(now, Duration::ZERO, 1) == 1
    }

    /// How many of `count` starts, the first at `first` and then one `every` so long, are let through before the
    /// first that is refused. The same as asking [`Self::allows`] for each, in no more time than for one.
    pub fn allows_series(&mut self, first: Duration, every: Duration, count: u64) -> u64 {
        if !is_on(self.limit) {
            return count;
        }
        let (first, every) = (micros(first), micros(every));
        let mut done = 0;
        while done < count {
            let at = nth(first, every, done);
            let taken = self.take(at, every, count - done);
            if taken == 0 {
                break;
            }
            done += taken;
        }
        done
    }

    /// `systemctl reset-failed`: the next start begins a window.
    pub fn reset(&mut self) {
        self.window = None;
    }

    /// Takes as many of `count` starts from `at` on as can be reckoned at once: none if the first is refused.
    fn take(&mut self, at: u64, every: u64, count: u64) -> u64 {
        let interval = self.limit.interval.map_or(u64::MAX, micros);
        match &mut self.window {
            Some(window) if at.saturating_sub(window.begin) <= interval => {
                let left = interval - at.saturating_sub(window.begin);
                let room = u64::from(self.limit.burst.saturating_sub(window.starts));
                let taken = room.min(count).min(starts_within(left, every));
                window.starts = window.starts.saturating_add(narrow(taken));
                taken
            }
            _ => {
                // Windows that fill up without a refusal are all alike; only the last one has to be known.
                let each = starts_within(interval, every);
                let whole = if each <= u64::from(self.limit.burst) {
                    (count - 1) / each * each
                } else {
                    0
                };
                self.window = Some(Window {
                    begin: nth(at, every, whole),
                    starts: 1,
                });
                whole + 1
            }
        }
    }
}

/// Whether there is a limit: neither of its settings is zero.
pub fn is_on(limit: StartLimit) -> bool {
    limit.interval.is_none_or(|interval| micros(interval) > 0) && limit.burst > 0
}

/// Whether the limit ever refuses a start, if each attempt lasts `attempt` and the next one begins `delay` after
/// its end: only if `Burst` times both fits in the interval. What systemd itself needs between the two comes on top.
pub fn can_bite(limit: StartLimit, delay: Span, attempt: Duration) -> bool {
    longest_limited(limit, delay)
        .is_some_and(|longest| longest.is_none_or(|longest| attempt <= longest))
}

/// The longest attempt at which the limit still bites: none if it never does, `infinity` if it always does.
pub fn longest_limited(limit: StartLimit, delay: Span) -> Option<Span> {
    if !is_on(limit) {
        return None;
    }
    let delay = delay?;
    match limit.interval {
        None => Some(None),
        Some(interval) => (interval / limit.burst).checked_sub(delay).map(Some),
    }
}

/// How many starts, one `every` so long from now on, are not later than `span` from now.
fn starts_within(span: u64, every: u64) -> u64 {
    span.checked_div(every)
        .map_or(u64::MAX, |more| more.saturating_add(1))
}

fn nth(first: u64, every: u64, index: u64) -> u64 {
    first.saturating_add(every.saturating_mul(index))
}

fn narrow(starts: u64) -> u32 {
    u32::try_from(starts).unwrap_or(u32::MAX)
}

/// As systemd counts; what does not fit is the most it can count.
pub(super) fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
