//! systemd's start rate limit, as `ratelimit_below` of its src/basic/ratelimit.c does it.
//!
//! A fixed window: it begins with the first start after the last one has run out, not with any start. Every start
//! that gets past the unit's conditions counts: by hand, by a timer, by `Restart=`. `systemctl reset-failed UNIT`
//! and the garbage collection of the unit forget the window.

use std::time::Duration;

use super::unit::StartLimit;

/// The limit of one unit with the window it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    limit: StartLimit,
    window: Option<Window>,
}

/// Times are microseconds, as systemd's are, in a type in which no series of starts overflows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    begin: u128,
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

    /// Whether a start at `now` is let through; it counts if it is. `now` is awake time:
    /// what the two clocks of the window (`CLOCK_MONOTONIC`, from systemd 262 on `CLOCK_BOOTTIME`) share.
    pub fn allows(&mut self, now: Duration) -> bool {
        self.allows_series(now, Duration::ZERO, 1) == 1
    }

    /// How many of `count` starts, the first at `first` and then one `every` so long, are let through before the
    /// first that is refused. The same as asking [`Self::allows`] for each, in no more time than for one.
    pub fn allows_series(&mut self, first: Duration, every: Duration, count: u64) -> u64 {
        if !is_on(self.limit) {
            return count;
        }
        let (first, every) = (u128::from(micros(first)), u128::from(micros(every)));
        let mut done = 0;
        while done < count {
            let taken = self.take(first + every * u128::from(done), every, count - done);
            if taken == 0 {
                break;
            }
            done += taken;
        }
        done
    }

    /// Takes as many of `count` starts from `at` on as can be computed at once: none if the first is refused.
    fn take(&mut self, at: u128, every: u128, count: u64) -> u64 {
        let interval = self
            .limit
            .interval
            .map_or(u128::MAX, |interval| micros(interval).into());
        match &mut self.window {
            Some(window) if at.saturating_sub(window.begin) <= interval => {
                let left = window.begin.saturating_add(interval) - at;
                let room = self.limit.burst.saturating_sub(window.starts);
                let taken = starts_within(left, every).min(count).min(room.into());
                window.starts += u32::try_from(taken).unwrap_or(room);
                taken
            }
            _ => {
                // Windows that end without a refusal are all alike; only the last one has to be known.
                let each = starts_within(interval, every);
                let refuses = each > u64::from(self.limit.burst);
                let before = if refuses {
                    0
                } else {
                    (count - 1) / each * each
                };
                self.window = Some(Window {
                    begin: at + every * u128::from(before),
                    starts: 1,
                });
                before + 1
            }
        }
    }
}

/// Whether there is a limit: neither of its settings is zero.
pub fn is_on(limit: StartLimit) -> bool {
    limit.interval.is_none_or(|interval| micros(interval) > 0) && limit.burst > 0
}

/// How many starts, one `every` so long from now on, are not later than `span` from now; as many as can be, if more.
fn starts_within(span: u128, every: u128) -> u64 {
    let more = span
        .checked_div(every)
        .and_then(|more| u64::try_from(more).ok());
    more.map_or(u64::MAX, |more| more.saturating_add(1))
}

/// As systemd counts; what does not fit is the most it can count.
pub(super) fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
