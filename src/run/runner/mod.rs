//! The loop of `run`: wait, lock, run, judge, and again if the attempt was interrupted.

mod attempt;

use std::ffi::OsString;
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use nix::sys::signal::Signal;

use self::attempt::told;
use super::command::Launcher;
use super::holder::describe_process;
use super::judge::{CommandExit, Interruption, Judgement};
use super::lock::{self, Lock, Tried};
use super::pre::Pre;
use super::signals::Signals;
use super::stamp;
use crate::config::profile::Profile;
use crate::engine::Engine;
use crate::exit::Exit;
use crate::gate::backoff::Backoff;
use crate::gate::reason::Reason;
use crate::gate::verdict::{Hold, Verdict};
use crate::probe::protocol::ProbeRequest;
use crate::report::sentence::lasting;
use crate::report::{Reporter, Summary};
use crate::sys::clock;
use crate::sys::limits;
use crate::text::span::format_span;

/// What is to be run, and under which conditions.
#[derive(Debug)]
pub struct Plan {
    /// The command and its arguments.
    pub command: Vec<OsString>,
    /// What the command is to find as `argv[0]`, if not its path.
    pub argv0: Option<OsString>,
    /// What is run before the command, in each attempt.
    pub exec_start_pre: Vec<Pre>,
    /// The run settings.
    pub profile: Profile,
    /// What is probed right after a failure.
    pub request: ProbeRequest,
    /// Where the lock is; without it runs of one profile do not keep out of each other's way.
    pub runtime: Option<PathBuf>,
    /// Where the time of the last success is kept; without it nothing is `recent`.
    pub state: Option<PathBuf>,
    /// `recent` is waived for this once.
    pub allow_recent: bool,
    /// How long to wait for the gate, and again for the lock, in awake time.
    pub timeout: Option<Duration>,
    /// The seed of the back-off.
    pub seed: u64,
}

/// Runs one [`Plan`].
#[derive(Debug)]
pub struct Runner {
    plan: Plan,
    engine: Engine,
    reporter: Reporter,
    signals: Signals,
    launcher: Launcher,
    backoff: Backoff,
    waited: Duration,
    attempts: u32,
}

/// The delays after interrupted attempts, before the gate is asked again.
const FIRST_DELAY: Duration = Duration::from_secs(5);
const LONGEST_DELAY: Duration = Duration::from_secs(5 * 60);

/// How a run has ended.
#[derive(Debug)]
pub struct EndedRun {
    /// What to exit with.
    pub exit: Exit,
    /// Whether the command has run at all: a recent success is one, too.
    pub has_run: bool,
    /// Goes on to take the signals.
    pub signals: Signals,
}

/// Why the loop ends: what to exit with, and the reason for people.
#[derive(Debug)]
struct RunEnd {
    exit: Exit,
    why: String,
}

impl RunEnd {
    fn new(exit: Exit, why: impl Into<String>) -> Self {
        Self {
            exit,
            why: why.into(),
        }
    }

    fn of_signal(signal: Signal) -> Self {
        Self::new(
            Exit::Signal(signal as i32),
            format!("terminated by {signal}"),
        )
    }

    fn of_fault(error: &dyn std::error::Error) -> Self {
        Self::new(Exit::Fault, error.to_string())
    }
}

impl Runner {
    /// Joins what a run needs. `signals` are taken before, so that none is lost in between.
    pub fn new(plan: Plan, engine: Engine, reporter: Reporter, signals: Signals) -> Self {
        Self {
            launcher: Launcher::of_process(),
            backoff: Backoff::new(FIRST_DELAY, LONGEST_DELAY, plan.seed),
            plan,
            engine,
            reporter,
            signals,
            waited: Duration::ZERO,
            attempts: 0,
        }
    }

    /// Runs to the end, and says what to exit with.
    pub async fn run(mut self) -> EndedRun {
        let end = match self.until_done().await {
            Ok(end) | Err(end) => end,
        };
        self.reporter.summary(&Summary {
            waited: self.waited,
            attempts: self.attempts,
            exit: end.exit,
            why: end.why,
        });
        EndedRun {
            exit: end.exit,
            has_run: self.attempts > 0,
            signals: self.signals,
        }
    }

    async fn until_done(&mut self) -> Result<RunEnd, RunEnd> {
        loop {
            let lock = self.admitted().await?;
            self.attempts += 1;
            let attempt = self.attempt().await?;
            let judgement = self.judge(&attempt).await?;
            self.report(&attempt, judgement);
            drop(lock);
            match judgement {
                Judgement::Interrupted(why) => self.again(why).await?,
                done => return Ok(self.done(done, attempt.changed)),
            }
        }
    }

    /// Waits until the gate is open and the lock is ours at the same time.
    async fn admitted(&mut self) -> Result<Option<Lock>, RunEnd> {
        loop {
            self.not_recent()?;
            self.opened().await?;
            match self.try_lock()? {
                None => return Ok(None),
                Some(Tried::Taken(lock)) if self.still_open().await => {
                    // Whoever held it a moment ago may have done the work.
                    self.not_recent()?;
                    return Ok(Some(lock));
                }
                Some(Tried::Taken(_)) => self.engine.begin(),
                Some(Tried::Busy(busy)) => {
                    self.say_busy(busy.holder());
                    let waiting = within(self.plan.timeout, busy.taken());
                    match self.meanwhile(waiting).await? {
                        Some(taken) => drop(taken.map_err(|e| RunEnd::of_fault(&e))?),
                        None => return Err(not_now("busy: another upgrade still holds the lock")),
                    }
                    // The gate is asked again: it may have been a long time.
                    self.engine.begin();
                }
            }
        }
    }

    fn not_recent(&self) -> Result<(), RunEnd> {
        let (Some(span), Some(state)) = (self.plan.profile.at_most_every, &self.plan.state) else {
            return Ok(());
        };
        let last = stamp::read(state, &self.plan.profile.name).unwrap_or_else(|error| {
            tracing::warn!("{error}");
            None
        });
        match stamp::recent(last, clock::wall(), span) {
            Some(due) if !self.plan.allow_recent => {
                let left = Duration::from_secs(due.0.saturating_sub(clock::wall().0).as_secs());
                let why = format!(
                    "recent: the last run succeeded, the next is due in {}",
                    format_span(left)
                );
                Err(RunEnd::new(Exit::Ok, why))
            }
            _ => Ok(()),
        }
    }

    async fn opened(&mut self) -> Result<(), RunEnd> {
        let began = clock::now().monotonic;
        let opened = self.wait_for_gate().await;
        self.waited += clock::now().monotonic.since(began);
        opened
    }

    async fn wait_for_gate(&mut self) -> Result<(), RunEnd> {
        let verdict = tokio::select! {
            biased;
            signal = self.signals.next() => return Err(RunEnd::of_signal(signal)),
            verdict = self.engine.decided(&mut self.reporter) => verdict,
        };
        if let Verdict::Held(_) = verdict {
            return Err(not_now(lasting(&verdict)));
        }
        self.reporter.verdict(&verdict, clock::now());
        Ok(())
    }

    fn try_lock(&self) -> Result<Option<Tried>, RunEnd> {
        let Some(runtime) = &self.plan.runtime else {
            return Ok(None);
        };
        let us = describe_process();
        let tried = lock::try_take(runtime, &self.plan.profile.name, &us);
        tried.map(Some).map_err(|error| RunEnd::of_fault(&error))
    }

    /// Looks at the verdict once more.
    async fn still_open(&mut self) -> bool {
        self.engine.hear_all().await;
        let verdict = self.engine.gate().verdict(clock::now().monotonic);
        matches!(verdict, Verdict::Open(_))
    }

    fn say_busy(&mut self, holder: &str) {
        let hold = Hold {
            reason: Reason::Busy,
            detail: format!("{holder} is running the upgrade of this profile"),
            look_again: None,
        };
        self.reporter
            .verdict(&Verdict::Held(vec![hold]), clock::now());
    }

    /// Waits for something while the world is listened to; a signal ends it.
    async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> Result<T, RunEnd> {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                signal = self.signals.next() => return Err(RunEnd::of_signal(signal)),
                done = &mut work => return Ok(done),
                _ = self.engine.next() => {}
            }
        }
    }

    /// Goes back to the gate after a pause, unless it was the last attempt.
    async fn again(&mut self, why: Interruption) -> Result<(), RunEnd> {
        if self.attempts >= self.plan.profile.attempts {
            return Err(not_now(format!(
                "interrupted {} times, most recently: {why}",
                self.attempts
            )));
        }
        let pause = self.backoff.next();
        let until = clock::now().monotonic.after(pause);
        self.meanwhile(clock::sleep_until(until)).await?;
        self.engine.begin();
        Ok(())
    }

    fn done(&self, judgement: Judgement, changed: bool) -> RunEnd {
        let (_, why) = told(judgement);
        if changed || judgement == Judgement::Succeeded {
            self.stamp();
        }
        let exit = match judgement {
            Judgement::Succeeded => Exit::Ok,
            Judgement::Stopped(signal) => Exit::Signal(signal),
            Judgement::Final(ending) | Judgement::Failed(ending) => exit_of(ending),
            Judgement::Interrupted(_) => Exit::NotNow,
        };
        RunEnd::new(exit, why)
    }

    fn stamp(&self) {
        let Some(state) = &self.plan.state else {
            return;
        };
        if let Err(error) = stamp::write(state, &self.plan.profile.name, clock::wall()) {
            tracing::warn!(
                "cannot store the time of this success in {}: {}",
                state.display(),
                limits::refusal(&error)
            );
        }
    }
}

fn not_now(why: impl Into<String>) -> RunEnd {
    RunEnd::new(Exit::NotNow, why)
}

fn exit_of(ending: CommandExit) -> Exit {
    match ending {
        CommandExit::Exited(0) => Exit::Ok,
        CommandExit::Exited(code) => Exit::Command(code),
        CommandExit::Killed(signal) => Exit::Signal(signal),
    }
}

async fn within<T>(span: Option<Duration>, work: impl Future<Output = T>) -> Option<T> {
    match span {
        Some(span) => tokio::time::timeout(span, work).await.ok(),
        None => Some(work.await),
    }
}
