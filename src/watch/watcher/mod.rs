//! The loop of `watch`: what is heard goes into the decisions, and what they want done is done.

mod actions;

use std::collections::VecDeque;
use std::fmt::Display;
use std::os::fd::OwnedFd;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::link::{ManagerLink, Told};
use super::memory::Memory;
use super::outages::Outages;
use super::rearm::{Manner, Rearm};
use super::target::{TARGET, TargetAction, TargetUnit};
use crate::bus;
use crate::config::watch::WatchSettings;
use crate::engine::{Engine, News};
use crate::gate::backoff::Backoff;
use crate::gate::time::Monotonic;
use crate::gate::verdict::Verdict;
use crate::report::Reporter;
use crate::run::signals::Signals;
use crate::sys::clock;
use crate::watch::tracker::{Snapshot, Tracker, Transition};

/// How long the target may take to stop when we end; systemd itself waits longer for us.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// What comes of the configuration, and again at each reload.
#[derive(Debug)]
pub struct Fresh {
    /// The gate of the profile.
    pub engine: Engine,
    /// Who tells of it.
    pub reporter: Reporter,
    /// The settings.
    pub watch: WatchSettings,
}

/// Follows one gate until it is told to end.
#[derive(Debug)]
pub struct Watcher {
    engine: Engine,
    reporter: Reporter,
    signals: Signals,
    patterns: Vec<String>,
    machine_id: String,
    /// `None` while the bus is away; then it is looked for at `retry_at`.
    link: Option<ManagerLink>,
    backoff: Backoff,
    retry_at: Option<Monotonic>,
    /// logind's delay lock on sleep, and how long it is worth keeping.
    lock: Option<OwnedFd>,
    patience: Duration,
    tracker: Tracker,
    target: TargetUnit,
    outages: Outages,
    memory: Memory,
    rearm: Rearm,
}

impl Watcher {
    /// Joins what a watch needs.
    pub fn new(
        fresh: Fresh,
        link: ManagerLink,
        signals: Signals,
        machine_id: String,
        memory: Memory,
    ) -> Self {
        let Fresh {
            engine,
            reporter,
            watch,
        } = fresh;
        let manner = manner(&watch, &machine_id);
        Self {
            engine,
            reporter,
            signals,
            patterns: watch.rearm,
            machine_id,
            link: Some(link),
            backoff: bus::backoff(),
            retry_at: None,
            lock: None,
            patience: Duration::ZERO,
            tracker: Tracker::new(),
            target: TargetUnit::default(),
            outages: Outages::new(memory.unproven_since(clock::now().monotonic)),
            memory,
            rearm: Rearm::new(manner),
        }
    }

    /// Follows the gate until SIGTERM or its like, and leaves the target stopped, or to the watch that systemd starts
    /// next. SIGHUP reads the configuration again by `load`; one that is wrong is named, and the one in effect stays.
    pub async fn run<E: Display>(mut self, mut load: impl FnMut() -> Result<Fresh, E>) {
        self.perform(Some(TargetAction::TakeLock)).await;
        self.take_over().await;
        self.name_strangers().await;
        self.reporter.ready();
        loop {
            let wakes_at = self.wakes_at();
            tokio::select! {
                signal = self.signals.next() => match signal {
                    Signal::SIGHUP => self.reload(&mut load).await,
                    _ => break,
                },
                told = told(self.link.as_mut()) => self.heard(told).await,
                news = self.engine.turn() => self.news(news).await,
                () = clock::sleep_until_some(wakes_at) => {}
                () = self.reporter.ticked() => self.reporter.redraw(clock::now()),
            }
            self.look().await;
        }
        self.end().await;
    }

    /// The next deadline of any part; none while nothing changes.
    fn wakes_at(&self) -> Option<Monotonic> {
        let deadlines = [
            self.retry_at,
            self.target.deadline(),
            self.rearm.next_at(),
            self.tracker.look_again(),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// What the gate says.
    async fn news(&mut self, news: Option<News>) {
        let now = clock::now();
        let transition = match news {
            Some(News::Open(evidence)) => {
                let verdict = Verdict::Open(evidence.clone());
                self.reporter.verdict(&verdict, now);
                let hints = self.engine.gate().hints();
                self.tracker.opened(evidence, hints)
            }
            Some(News::Say(verdict)) => {
                let transition = self.tracker.held(self.snapshot());
                if !self.tracker.is_doubted() {
                    self.reporter.verdict(&verdict, now);
                }
                transition
            }
            _ => None,
        };
        self.follow_up(transition).await;
    }

    fn snapshot(&self) -> Snapshot {
        let gate = self.engine.gate();
        Snapshot {
            loss: self.tracker.evidence().and_then(|on| gate.loss(on)),
            proven: gate.is_proven(),
            hints: gate.hints(),
        }
    }

    /// Looks at the world after anything has happened, and does what is due.
    async fn look(&mut self) {
        let now = clock::now().monotonic;
        let transition = self.tracker.look(self.snapshot(), now);
        self.follow_up(transition).await;
        if self.tracker.is_held() && self.engine.gate().is_proven() {
            self.outages.proven(now);
        } else if self.tracker.is_held() {
            self.outages.lost(now);
        }
        let action = if self.engine.gate().is_asleep() {
            self.target.sleeps(now, self.patience)
        } else {
            self.target.wakes()
        };
        self.perform(action).await;
        let action = self.target.tick(now);
        self.perform(action).await;
        self.start_again(now).await;
        if self.retry_at.is_some_and(|at| now >= at) {
            self.connect().await;
        }
    }

    async fn follow_up(&mut self, transition: Option<Transition>) {
        let now = clock::now();
        let action = match transition {
            None => return,
            Some(Transition::Doubted) => {
                self.engine.begin();
                None
            }
            Some(Transition::Opened) => {
                self.memory.proven();
                self.outages.proven(now.monotonic);
                self.target.want(true)
            }
            Some(Transition::Held) => self.target.want(false),
            Some(Transition::Lost(at, loss)) => {
                self.outages.lost(at);
                self.rearm.abort();
                if let Some(loss) = loss {
                    tracing::info!("{loss}: re-checking connectivity");
                    self.reporter.waits_anew(now);
                    self.engine.begin();
                }
                self.target.want(false)
            }
        };
        self.perform(action).await;
        if transition == Some(Transition::Opened) {
            self.consider().await;
        }
    }

    /// What the bus tells.
    async fn heard(&mut self, told: Told) {
        match told {
            Told::JobEnded { job, unit, result } if unit == TARGET => {
                self.target_job_ended(&job, &result).await;
            }
            Told::JobEnded { job, unit, result } => {
                if self.rearm.ended(&job).is_some() {
                    tracing::info!("start job of {unit} finished: {result}");
                } else if result == "failed" && self.tracker.is_open() {
                    // What began in an outage may fail after it.
                    self.consider().await;
                }
            }
            Told::Systemd => self.meet_again().await,
            Told::Logind if self.engine.gate().is_asleep() => {}
            Told::Logind => self.perform(Some(TargetAction::TakeLock)).await,
            Told::Closed => {
                tracing::warn!("lost the connection to the system bus, reconnecting");
                self.link = None;
                self.retry();
            }
        }
    }

    async fn reload<E: Display>(&mut self, load: &mut impl FnMut() -> Result<Fresh, E>) {
        self.reporter.reloading(clock::now());
        match load() {
            Ok(fresh) => {
                let manner = manner(&fresh.watch, &self.machine_id);
                self.rearm.change(manner);
                self.patterns = fresh.watch.rearm;
                // The target stays as it is until the new gate's first word.
                self.tracker = Tracker::new();
                self.engine = fresh.engine;
                self.reporter = fresh.reporter;
                self.name_strangers().await;
            }
            Err(error) => {
                tracing::error!("{error}");
                tracing::error!("reload failed, keeping the previous configuration");
            }
        }
        self.reporter.ready();
    }

    /// Leaves no target behind that nobody keeps in sync.
    async fn end(mut self) {
        self.reporter.stopping();
        if self.hands_over().await {
            return;
        }
        let action = self.target.leave();
        self.perform(action).await;
        let stopped = async {
            while self.target.is_changing() {
                match told(self.link.as_mut()).await {
                    Told::JobEnded { job, .. } => drop(self.target.ended(&job)),
                    Told::Closed => break,
                    Told::Systemd | Told::Logind => {}
                }
            }
        };
        if tokio::time::timeout(STOP_TIMEOUT, stopped).await.is_err() {
            tracing::warn!(
                "{TARGET} takes more than {} s to stop",
                STOP_TIMEOUT.as_secs()
            );
        }
    }

    /// Does what is wanted, and what comes of it.
    async fn perform(&mut self, action: Option<TargetAction>) {
        let mut actions = VecDeque::from_iter(action);
        while let Some(action) = actions.pop_front() {
            actions.extend(self.do_one(action).await);
        }
    }
}

async fn told(link: Option<&mut ManagerLink>) -> Told {
    match link {
        Some(link) => link.next().await,
        None => std::future::pending().await,
    }
}

fn manner(watch: &WatchSettings, machine_id: &str) -> Manner {
    Manner {
        at_once: watch.rearm_at_once,
        spread: watch.rearm_spread,
        machine_id: machine_id.to_owned(),
    }
}
