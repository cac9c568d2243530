//! What is asked of systemd and logind, and what is said when they refuse.

use std::time::Duration;

use super::Watcher;
use crate::gate::time::Monotonic;
use crate::report::status_file;
use crate::sys::clock;
use crate::watch::link::{Error, ManagerLink};
use crate::watch::memory::Slept;
use crate::watch::rearm::FailedUnit;
use crate::watch::target::{JobEnd, TARGET, TargetAction};

/// The unit of a watch, where /proc does not tell.
const WATCH: &str = "upgrade-gate-watch.service";

impl Watcher {
    /// Does one thing; what then is to be done, if anything.
    pub(super) async fn do_one(&mut self, action: TargetAction) -> Option<TargetAction> {
        match action {
            TargetAction::Start => self.change_target("start").await,
            TargetAction::Stop => self.change_target("stop").await,
            TargetAction::TakeLock => {
                self.take_lock().await;
                None
            }
            TargetAction::ReleaseLock => {
                self.lock = None;
                None
            }
        }
    }

    async fn change_target(&mut self, verb: &str) -> Option<TargetAction> {
        let Some(link) = &self.link else {
            return self.target.refused();
        };
        let job = match verb {
            "start" => link.start(TARGET).await.map(Some),
            _ => link.stop(TARGET).await,
        };
        match job {
            Ok(job) => {
                tracing::info!("{verb} {TARGET}: job queued");
                self.target.queued(job)
            }
            Err(error) => {
                tracing::warn!("cannot {verb} {TARGET}: {error}{}", hint(&error));
                self.target.refused()
            }
        }
    }

    /// The old lock is kept until there is a new one.
    async fn take_lock(&mut self) {
        let Some(link) = &self.link else { return };
        match link.delay_sleep().await {
            Ok((lock, longest)) => {
                self.lock = Some(lock);
                self.patience = worth_waiting(longest);
            }
            Err(error) => {
                self.lock = None;
                tracing::warn!(
                    "cannot delay sleep: {error}; the machine may sleep before {TARGET} is stopped"
                );
            }
        }
    }

    /// A job of the target has ended. What a person or a package does with it is said, and stays.
    pub(super) async fn target_job_ended(&mut self, job: &str, result: &str) {
        let (whose, action) = self.target.ended(job);
        match whose {
            JobEnd::Ours if result == "done" => {}
            JobEnd::Ours => tracing::warn!("job of {TARGET} finished: {result}"),
            JobEnd::Others => self.compare().await,
        }
        self.perform(action).await;
    }

    async fn compare(&self) {
        let (Some(link), Some(wanted)) = (&self.link, self.target.wanted()) else {
            return;
        };
        if self.target.is_changing() || self.is_ending().await {
            return;
        }
        match link.is_active(TARGET).await {
            Ok(active) if active != wanted => {
                let (was, is) = if active {
                    ("started", "held")
                } else {
                    ("stopped", "open")
                };
                tracing::warn!(
                    "{TARGET} was {was} externally while the gate is {is}; leaving it as is until the gate changes"
                );
            }
            Ok(_) => {}
            Err(error) => tracing::debug!("cannot read the state of {TARGET}: {error}"),
        }
    }

    /// Whether systemd is about to stop or restart us, or everything: the target goes before us.
    async fn is_ending(&self) -> bool {
        let (Some(link), Some(unit)) = (&self.link, status_file::unit()) else {
            return self.engine.gate().is_shutting_down();
        };
        let busy = link.busy(&[&unit]).await;
        self.engine.gate().is_shutting_down() || busy.is_ok_and(|busy| busy.contains(&unit))
    }

    /// Whether systemd starts another watch at once, and the target stays active for that one.
    pub(super) async fn hands_over(&self) -> bool {
        let (Some(link), Some(true)) = (&self.link, self.target.wanted()) else {
            return false;
        };
        let unit = status_file::unit().unwrap_or_else(|| WATCH.to_owned());
        if !link.is_restarting(&unit).await.unwrap_or(false) {
            return false;
        }
        let handed = self.memory.hand_over(self.slept());
        if let Err(error) = &handed {
            tracing::info!("cannot leave {TARGET} to the next watch: {error}");
        }
        handed.is_ok()
    }

    /// Keeps a target that the watch before has left active.
    pub(super) async fn take_over(&mut self) {
        let handed_over = self.memory.was_handed_over(self.slept());
        let Some(link) = self.link.as_ref().filter(|_| handed_over) else {
            return;
        };
        if link.is_active(TARGET).await.unwrap_or(false) {
            tracing::info!("{TARGET} stays active across the restart");
            self.target.adopt();
        }
    }

    fn slept(&self) -> Slept {
        Slept::new(clock::now(), self.engine.suspends())
    }

    /// Gives a turn to the units that have failed while offline.
    pub(super) async fn consider(&mut self) {
        let Some(link) = self.link.as_ref().filter(|_| !self.patterns.is_empty()) else {
            return;
        };
        match link.failed(&self.patterns).await {
            Ok(failed) => {
                let now = clock::now().monotonic;
                self.rearm.consider(failed, &self.outages, now);
            }
            Err(error) => tracing::warn!("cannot list the failed units: {error}"),
        }
    }

    /// Starts those whose turn it is.
    pub(super) async fn start_again(&mut self, now: Monotonic) {
        if self.link.is_none() {
            return;
        }
        while let Some(failed) = self.rearm.take(now) {
            match self.start_one_again(&failed).await {
                Ok(Some(job)) => {
                    tracing::info!("starting {} again, it failed while offline", failed.unit);
                    self.rearm.started(&failed.unit, job);
                }
                Ok(None) => self.rearm.gave_up(&failed.unit),
                Err(error) => {
                    tracing::warn!("cannot start {} again: {error}", failed.unit);
                    self.rearm.gave_up(&failed.unit);
                }
            }
        }
    }

    /// Its start job; none if somebody has dealt with it meanwhile.
    async fn start_one_again(&self, failed: &FailedUnit) -> Result<Option<String>, Error> {
        let Some(link) = &self.link else {
            return Ok(None);
        };
        let unit = &failed.unit;
        let still = link.failed(std::slice::from_ref(unit)).await?;
        if !still.contains(failed) {
            return Ok(None);
        }
        link.reset_failed(unit).await?;
        link.start(unit).await.map(Some)
    }

    /// Names what nobody has ever heard of.
    pub(super) async fn name_strangers(&self) {
        let Some(link) = &self.link else { return };
        for pattern in &self.patterns {
            if let Ok(false) = link.knows(pattern).await {
                tracing::warn!("no unit matches {pattern}, a name in rearm of [watch]");
            }
        }
    }

    /// Looks for the bus.
    pub(super) async fn connect(&mut self) {
        match ManagerLink::connect().await {
            Ok(link) => {
                tracing::info!("reconnected to the system bus");
                self.link = Some(link);
                self.retry_at = None;
                self.backoff.reset();
                if !self.engine.gate().is_asleep() {
                    self.take_lock().await;
                }
                self.catch_up().await;
            }
            Err(error) => {
                tracing::debug!("cannot connect: {error}");
                self.retry();
            }
        }
    }

    pub(super) fn retry(&mut self) {
        let pause = self.backoff.next();
        self.retry_at = Some(clock::now().monotonic.after(pause));
    }

    /// systemd has re-executed itself, on the same bus.
    pub(super) async fn meet_again(&mut self) {
        if let Some(Err(error)) = match &self.link {
            Some(link) => Some(link.subscribe().await),
            None => None,
        } {
            tracing::warn!("cannot subscribe to systemd's job signals: {error}");
        }
        self.catch_up().await;
    }

    /// Learns what has happened while nobody told.
    async fn catch_up(&mut self) {
        let Some(link) = &self.link else { return };
        let mut units = self.rearm.starting();
        units.push(TARGET);
        match link.busy(&units).await {
            Ok(busy) => {
                self.rearm.keep(&busy);
                if !busy.contains(TARGET) {
                    let action = self.target.forget_job();
                    self.perform(action).await;
                }
            }
            Err(error) => tracing::warn!("cannot list systemd's jobs: {error}"),
        }
        let action = self.target.tell_again();
        self.perform(action).await;
        if self.tracker.is_open() {
            self.consider().await;
        }
    }
}

/// Of logind's patience a part, so that it is us who end the wait.
fn worth_waiting(longest: Duration) -> Duration {
    longest / 4 * 3
}

/// What to do about it.
fn hint(error: &Error) -> &'static str {
    if error.is_no_such_unit() {
        "; its unit file (in units/) is not installed"
    } else {
        ""
    }
}
