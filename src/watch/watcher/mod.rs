//! The loop of `watch`: what is heard goes into the decisions, and what they want done is done.

mod actions;

use std::collections::VecDeque;
use std::fmt::Display;
use std::os::fd::OwnedFd;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::link::{Link, Told};
use super::memory::Memory;
use super::outages::Outages;
use super::rearm::{Manner, Rearm};
use super::target::{Do, TARGET, Target};
use crate::bus;
use crate::config::watch::Watch;
use crate::engine::{Engine, News};
use crate::gate::backoff::Backoff;
use crate::gate::time::Monotonic;
use crate::gate::verdict::Verdict;
use crate::report::Reporter;
use crate::run::signals::Signals;
use crate::sys::clock;
use crate::watch::tracker::{Course, Look, Turn};

/// How long the target may take to stop when we end; systemd itself waits longer for us.
const LAST_PATIENCE: Duration = Duration::from_secs(10);

/// What comes of the configuration, and again at each reload.
#[derive(Debug)]
pub struct Fresh {
    /// The gate of the profile.
    pub engine: Engine,
    /// Who tells of it.
    pub reporter: Reporter,
    /// The settings.
    pub watch: Watch,
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
    link: Option<Link>,
    backoff: Backoff,
    retry_at: Option<Monotonic>,
    /// logind's delay lock on sleep, and how long it is worth keeping.
    lock: Option<OwnedFd>,
    patience: Duration,
    course: Course,
    target: Target,
    outages: Outages,
    memory: Memory,
    rearm: Rearm,
}

impl Watcher {
    /// Joins what a watch needs.
    pub fn new(
        fresh: Fresh,
        link: Link,
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
            course: Course::new(),
            target: Target::default(),
            outages: Outages::new(memory.unproven_since(clock::now().monotonic)),
            memory,
            rearm: Rearm::new(manner),
        }
    }

    /// Follows the gate until SIGTERM or its like, and leaves the target stopped. SIGHUP reads the configuration again by
    /// `load`; one that is wrong is named, and the one in effect stays.
    pub async fn run<E: Display>(mut self, mut load: impl FnMut() -> Result<Fresh, E>) {
        self.perform(Some(Do::TakeLock)).await;
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
            self.course.look_again(),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// What the gate says.
    async fn news(&mut self, news: Option<News>) {
        let now = clock::now();
        let turn = match news {
            Some(News::Open(evidence)) => {
                let verdict = Verdict::Open(evidence.clone());
                self.reporter.verdict(&verdict, now);
                let bells = self.engine.gate().bells();
                self.course.opened(evidence, bells)
            }
            Some(News::Say(verdict)) => {
                let turn = self.course.held(self.sight());
                if !self.course.is_doubted() {
                    self.reporter.verdict(&verdict, now);
                }
                turn
            }
            _ => None,
        };
        self.turned(turn).await;
    }

    fn sight(&self) -> Look {
        let gate = self.engine.gate();
        Look {
            loss: self.course.evidence().and_then(|on| gate.loss(on)),
            proven: gate.is_proven(),
            bells: gate.bells(),
        }
    }

    /// Looks at the world after anything has happened, and does what is due.
    async fn look(&mut self) {
        let now = clock::now().monotonic;
        let turn = self.course.look(self.sight(), now);
        self.turned(turn).await;
        if self.course.is_held() && self.engine.gate().is_proven() {
            self.outages.proven(now);
        } else if self.course.is_held() {
            self.outages.lost(now);
        }
        let deed = if self.engine.gate().is_asleep() {
            self.target.sleeps(now, self.patience)
        } else {
            self.target.wakes()
        };
        self.perform(deed).await;
        let deed = self.target.tick(now);
        self.perform(deed).await;
        self.start_again(now).await;
        if self.retry_at.is_some_and(|at| now >= at) {
            self.connect().await;
        }
    }

    async fn turned(&mut self, turn: Option<Turn>) {
        let now = clock::now();
        let deed = match turn {
            None => return,
            Some(Turn::Doubted) => {
                self.engine.begin();
                None
            }
            Some(Turn::Opened) => {
                self.memory.proven();
                self.outages.proven(now.monotonic);
                self.target.want(true)
            }
            Some(Turn::Held) => self.target.want(false),
            Some(Turn::Lost(at, loss)) => {
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
        self.perform(deed).await;
        if turn == Some(Turn::Opened) {
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
                } else if result == "failed" && self.course.is_open() {
                    // What began in an outage may fail after it.
                    self.consider().await;
                }
            }
            Told::Systemd => self.meet_again().await,
            Told::Logind if self.engine.gate().is_asleep() => {}
            Told::Logind => self.perform(Some(Do::TakeLock)).await,
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
                self.course = Course::new();
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
        let deed = self.target.leave();
        self.perform(deed).await;
        let stopped = async {
            while self.target.is_changing() {
                match told(self.link.as_mut()).await {
                    Told::JobEnded { job, .. } => drop(self.target.ended(&job)),
                    Told::Closed => break,
                    Told::Systemd | Told::Logind => {}
                }
            }
        };
        if tokio::time::timeout(LAST_PATIENCE, stopped).await.is_err() {
            tracing::warn!(
                "{TARGET} takes more than {} s to stop",
                LAST_PATIENCE.as_secs()
            );
        }
    }

    /// Does what is wanted, and what comes of it.
    async fn perform(&mut self, deed: Option<Do>) {
        let mut deeds = VecDeque::from_iter(deed);
        while let Some(deed) = deeds.pop_front() {
            deeds.extend(self.do_one(deed).await);
        }
    }
}

async fn told(link: Option<&mut Link>) -> Told {
    match link {
        Some(link) => link.next().await,
        None => std::future::pending().await,
    }
}

fn manner(watch: &Watch, machine_id: &str) -> Manner {
    Manner {
        at_once: watch.rearm_at_once,
        spread: watch.rearm_spread,
        machine_id: machine_id.to_owned(),
    }
}
