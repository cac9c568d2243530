//! What becomes of a unit during an outage, as [`simulate`](crate::systemd::simulate::simulate) tells it: its starts, in runs at
//! equal distances, for there may be billions, and how it ends.

use std::iter;
use std::time::Duration;

use super::unit::SystemdSpan;
use crate::systemd::restart::Why;
use crate::systemd::start_limit::micros;

/// What becomes of the unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeline {
    /// How long the outage lasts.
    pub outage: Duration,
    /// How long an attempt takes, timeouts seen to; `infinity` if it hangs.
    pub attempt: SystemdSpan,
    /// The starts that the limit lets through.
    pub starts: Vec<StartSeries>,
    /// The starts that the limit refuses. After each, there is no automatic restart.
    pub refused: Vec<Duration>,
    /// How often the `OnFailure=` units are started, whether there are any or not.
    pub on_failure: u64,
    /// How it ends.
    pub ending: OutageEnding,
}

/// Starts at equal distances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartSeries {
    /// The first of them.
    pub first: Duration,
    /// From one to the next; zero if there is only one.
    pub every: Duration,
    /// How many, at least one.
    pub count: u64,
}

/// How the timeline ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutageEnding {
    /// This start comes after the outage's end, and succeeds.
    Survives {
        /// When.
        at: Duration,
    },
    /// The start limit: nothing starts the unit until someone asks for it, once the window is over.
    LimitHit {
        /// When the start is refused.
        at: Duration,
        /// How many starts there were before, since the outage began.
        starts: u64,
    },
    /// An attempt fails, and systemd does not start the unit again.
    GivesUp {
        /// When the attempt ends.
        at: Duration,
        /// Why.
        why: Why,
    },
    /// An attempt hangs, and no timeout ends it.
    Hangs {
        /// When the attempt begins.
        at: Duration,
    },
    /// `RestartSec=infinity`: it is about to be restarted indefinitely.
    WaitsForEver {
        /// Since when.
        at: Duration,
    },
    /// More different delays than are followed; until then, it was started again each time.
    Unknown {
        /// How far it was followed.
        at: Duration,
    },
}

impl OutageEnding {
    /// When it ends so.
    pub const fn at(self) -> Duration {
        match self {
            Self::Survives { at }
            | Self::LimitHit { at, .. }
            | Self::GivesUp { at, .. }
            | Self::Hangs { at }
            | Self::WaitsForEver { at }
            | Self::Unknown { at } => at,
        }
    }
}

impl StartSeries {
    pub(super) const fn single(at: Duration) -> Self {
        Self {
            first: at,
            every: Duration::ZERO,
            count: 1,
        }
    }

    /// None if there are none.
    pub(super) fn of(first: Duration, every: Duration, count: u64) -> Option<Self> {
        match count {
            0 => None,
            1 => Some(Self::single(first)),
            _ => Some(Self {
                first,
                every,
                count,
            }),
        }
    }

    /// When its starts are, one by one.
    pub fn times(self) -> impl Iterator<Item = Duration> {
        iter::successors(Some((self.first, 1)), move |(at, number)| {
            (*number < self.count).then(|| (at.saturating_add(self.every), number + 1))
        })
        .map(|(at, _)| at)
    }

    /// The last of its starts.
    pub fn last(self) -> Duration {
        let span = micros(self.every).saturating_mul(self.count.saturating_sub(1));
        self.first.saturating_add(Duration::from_micros(span))
    }
}

impl Timeline {
    /// How many starts there are.
    pub fn count(&self) -> u64 {
        let counts = self.starts.iter().map(|run| run.count);
        counts.fold(0, u64::saturating_add)
    }

    /// When the starts are, one by one: there may be billions.
    #[cfg(test)]
    pub(super) fn times(&self) -> impl Iterator<Item = Duration> {
        self.starts.iter().flat_map(|run| run.times())
    }
}

impl Timeline {
    pub(super) const fn new(outage: Duration, attempt: SystemdSpan) -> Self {
        Self {
            outage,
            attempt,
            starts: Vec::new(),
            refused: Vec::new(),
            on_failure: 0,
            ending: OutageEnding::Unknown { at: Duration::ZERO },
        }
    }

    pub(super) fn ending(mut self, ending: OutageEnding) -> Self {
        self.ending = ending;
        self
    }

    /// Adds starts; what is at equal distances is one run.
    pub(super) fn add(&mut self, run: StartSeries) {
        if let Some(last) = self.starts.last_mut() {
            let gap = run.first.saturating_sub(last.last());
            let continues = |run: StartSeries| run.count == 1 || run.every == gap;
            if continues(*last) && continues(run) {
                last.every = gap;
                last.count = last.count.saturating_add(run.count);
                return;
            }
        }
        self.starts.push(run);
    }
}
