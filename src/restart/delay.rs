//! How long systemd waits before an automatic restart: `RestartSec=`, `RestartSteps=` and `RestartMaxDelaySec=`
//! (systemd.service(5), `service_restart_usec_next` in systemd's src/core/service.c).

use std::time::Duration;

use super::unit::{Service, Span};
use super::version::Version;

/// The delays of a service, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delays {
    first: Span,
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
    pub fn before(&self, restart: u32) -> Span {
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
        let exponent = f64::from(restart - 1) / f64::from(self.steps);
        let micros = first.as_micros() as f64 * ratio.powf(exponent);
        Duration::from_micros(micros as u64).min(self.longest)
    }
}
