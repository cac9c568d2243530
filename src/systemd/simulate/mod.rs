//! What becomes of a unit while the network is out: when systemd starts it, when it refuses to, and how it ends.
//!
//! All times are awake time since the outage began, which is when the unit is started for the first time, with no
//! start before it. An attempt that begins during the outage fails, even if the outage ends before the attempt does:
//! what was begun without a network does not heal. The first attempt that begins at the outage's end or later
//! succeeds. It is computed for a systemd as quick as can be; its timers may be 250 ms late, which only lengthens the
//! time between two starts, so a limit that is hit here by a hair may not be hit there.

use std::time::Duration;

use super::delay::Delays;
use super::restart;
use super::unit::{Load, Service, ServiceType, SystemdSpan, Unit};
use super::version::Version;
pub use crate::systemd::outage::{OutageEnding, StartSeries, Timeline};
use crate::systemd::restart::{AfterAttempt, ExecPhase, ProcessExit, Why};
use crate::systemd::start_limit::{RateLimit, micros};

/// No process is started and gone in less. With it, a limit that could only bite on a machine without latency, as
/// 100 s, 5 times and `RestartSec=20`, does not.
const LEAST_ATTEMPT: Duration = Duration::from_millis(1);
/// So many starts are followed one by one; those at equal distances are one.
const MOST_STEPS: u32 = 100_000;

/// An outage, and what an attempt does during it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outage {
    /// How long it lasts, in awake time.
    pub length: Duration,
    /// How an attempt fails.
    pub attempt: SimulatedAttempt,
}

/// How an attempt fails during the outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SimulatedAttempt {
    /// How long it takes, unless a timeout cuts it short; `infinity` if it hangs.
    pub length: SystemdSpan,
    /// The command that fails.
    pub phase: ExecPhase,
    /// How it ends.
    pub exit: ProcessExit,
}

impl Outage {
    /// The plain case: `ExecStart=` exits with 1 after `attempt`, and nobody else starts the unit.
    pub const fn new(length: Duration, attempt: Duration) -> Self {
        Self {
            length,
            attempt: SimulatedAttempt {
                length: Some(attempt),
                phase: ExecPhase::Start,
                exit: ProcessExit::Code(1),
            },
        }
    }
}

/// What becomes of `unit` in such an outage.
pub fn simulate(unit: &Unit, version: Version, outage: &Outage) -> Timeline {
    match &unit.service {
        Some(service) if unit.load == Load::Loaded => {
            Simulation::new(unit, service, version, outage).run()
        }
        _ => Timeline::new(outage.length, outage.attempt.length).ending(OutageEnding::GivesUp {
            at: Duration::ZERO,
            why: Why::NotStartable,
        }),
    }
}

/// systemd's manager with this unit alone, from one start to the next.
struct Simulation<'a> {
    outage: &'a Outage,
    delays: Delays,
    limit: RateLimit,
    /// How long an attempt takes, and what follows it.
    attempt: SystemdSpan,
    next: AfterAttempt,
    /// Whether an attempt starts the `OnFailure=` units.
    fails_openly: bool,
    timeline: Timeline,
    /// When the next start is, and how many automatic restarts there were in a row.
    now: Duration,
    restarts: u32,
}

/// What follows a start.
enum AfterStart {
    /// Another one, at `now`.
    Again,
    /// None.
    Ended(OutageEnding),
}

impl<'a> Simulation<'a> {
    fn new(unit: &Unit, service: &Service, version: Version, outage: &'a Outage) -> Self {
        let (attempt, exit) = cut_short(service, outage.attempt);
        let phase = outage.attempt.phase;
        let next = restart::next(service, phase, exit);
        let result = restart::result(service, phase, exit);
        Self {
            outage,
            delays: Delays::of(service, version),
            limit: RateLimit::new(unit.start_limit),
            attempt,
            next,
            fails_openly: restart::starts_on_failure(service, version, result, next),
            timeline: Timeline::new(outage.length, attempt),
            now: Duration::ZERO,
            restarts: 0,
        }
    }

    fn run(mut self) -> Timeline {
        for _ in 0..MOST_STEPS {
            match self.step() {
                AfterStart::Again => self.skip_ahead(),
                AfterStart::Ended(ending) => return self.timeline.ending(ending),
            }
        }
        let at = self.now;
        self.timeline.ending(OutageEnding::Unknown { at })
    }

    /// A start, and the attempt it begins.
    fn step(&mut self) -> AfterStart {
        let at = self.now;
        if !self.limit.allows(at) {
            return self.refuse(at);
        }
        self.timeline.add(StartSeries::single(at));
        if at >= self.outage.length {
            return AfterStart::Ended(OutageEnding::Survives { at });
        }
        match self.attempt {
            Some(attempt) => self.fail(at.saturating_add(attempt)),
            None => AfterStart::Ended(OutageEnding::Hangs { at }),
        }
    }

    /// The end of an attempt.
    fn fail(&mut self, at: Duration) -> AfterStart {
        self.timeline.on_failure += u64::from(self.fails_openly);
        let why = match self.next {
            AfterAttempt::Restart => return self.wait(at),
            AfterAttempt::Stop(why) => why,
            AfterAttempt::GoesOn => Why::GoesOn,
        };
        AfterStart::Ended(OutageEnding::GivesUp { at, why })
    }

    /// The wait for the automatic restart.
    fn wait(&mut self, since: Duration) -> AfterStart {
        self.restarts = self.restarts.saturating_add(1);
        let Some(delay) = self.delays.before(self.restarts) else {
            return AfterStart::Ended(OutageEnding::WaitsForEver { at: since });
        };
        self.now = since.saturating_add(delay);
        AfterStart::Again
    }

    fn refuse(&mut self, at: Duration) -> AfterStart {
        self.timeline.refused.push(at);
        self.timeline.on_failure += 1;
        let starts = self.timeline.count();
        AfterStart::Ended(OutageEnding::LimitHit { at, starts })
    }

    /// Takes at once all the starts that are like the one before and that nothing disturbs.
    fn skip_ahead(&mut self) {
        let Some(every) = self.settled() else { return };
        let undisturbed = self.outage.length.saturating_sub(self.now);
        let count = micros(undisturbed) / micros(every).max(1);
        let count = self.limit.allows_series(self.now, every, count);
        let Some(run) = StartSeries::of(self.now, every, count) else {
            return;
        };
        self.timeline.add(run);
        self.timeline.on_failure = (self.timeline.on_failure)
            .saturating_add(u64::from(self.fails_openly).saturating_mul(count));
        self.now = run.last().saturating_add(every);
        self.restarts = self
            .restarts
            .saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
    }

    /// From one start to the next, if that does not change any more.
    fn settled(&self) -> Option<Duration> {
        let next = self.restarts.saturating_add(1);
        let settled = next >= self.delays.settled_from();
        let delay = self.delays.before(next).filter(|_| settled);
        Some(self.attempt?.saturating_add(delay?))
    }
}

/// How long an attempt lasts and how it ends, when its timeout is seen to. `TimeoutStartSec=` holds for each
/// command of the start; the main process of a service that counts as started with it has `RuntimeMaxSec=` instead.
fn cut_short(service: &Service, attempt: SimulatedAttempt) -> (SystemdSpan, ProcessExit) {
    let started = matches!(
        service.kind,
        ServiceType::Simple | ServiceType::Exec | ServiceType::Idle
    );
    let timeout = match attempt.phase {
        ExecPhase::Start if started => service.runtime_max,
        _ => service.timeout_start,
    };
    let (length, exit) = match (attempt.length, timeout) {
        (Some(length), Some(timeout)) if length > timeout => (Some(timeout), ProcessExit::Timeout),
        (None, Some(timeout)) => (Some(timeout), ProcessExit::Timeout),
        (length, _) => (length, attempt.exit),
    };
    let in_micros = |length: Duration| Duration::from_micros(micros(length)).max(LEAST_ATTEMPT);
    (length.map(in_micros), exit)
}

#[cfg(test)]
mod tests;
