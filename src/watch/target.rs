//! What is done with `upgrade-gate-online.target`, and when the machine may go to sleep. Pure.
//!
//! Before a sleep the target is stopped, and only when that is done, or has taken too long, is logind's delay lock
//! given back: nothing that starts on resume finds a target from before it.

use std::time::Duration;

use crate::gate::time::Monotonic;

/// Its name.
pub const TARGET: &str = "upgrade-gate-online.target";

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetAction {
    /// Queue a start job, and say [`TargetUnit::queued`] or [`TargetUnit::refused`].
    Start,
    /// The same with a stop job.
    Stop,
    /// Take the delay lock.
    TakeLock,
    /// Give it back.
    ReleaseLock,
}

/// What the end of a job means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobEnd {
    /// It was ours.
    Ours,
    /// Someone else started or stopped the target.
    Others,
}

/// The target, as far as it is our doing.
#[derive(Debug, Default)]
pub struct TargetUnit {
    /// Whether it is to be active; unknown before the first verdict.
    wanted: Option<bool>,
    /// systemd has been told so.
    told: bool,
    job: Option<String>,
    sleep: Sleep,
}

/// Where the machine is on its way to sleep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Sleep {
    #[default]
    Awake,
    /// The lock is kept until the target's job has ended, or until then.
    Stopping(Monotonic),
    /// The lock is given back.
    Released,
}

impl TargetUnit {
    /// Whether it is to be active; `None` before anything is decided.
    pub fn wanted(&self) -> Option<bool> {
        self.wanted
    }

    /// Whether a job of ours is under way.
    pub fn is_changing(&self) -> bool {
        self.job.is_some()
    }

    /// The gate is open, or is not.
    pub fn want(&mut self, active: bool) -> Option<TargetAction> {
        if self.wanted == Some(active) {
            return None;
        }
        self.wanted = Some(active);
        self.tell()
    }

    /// The watch before has left it active, and rightly so: nothing is to be done before the gate says otherwise.
    pub fn adopt(&mut self) {
        self.wanted = Some(true);
        self.told = true;
    }

    /// Nobody keeps the target in sync from now on: it is stopped, whoever started it.
    pub fn leave(&mut self) -> Option<TargetAction> {
        self.wanted = Some(false);
        self.tell()
    }

    /// Systemd is there again: what it could not be told before.
    pub fn tell_again(&mut self) -> Option<TargetAction> {
        if self.told { None } else { self.tell() }
    }

    fn tell(&mut self) -> Option<TargetAction> {
        self.told = false;
        self.job = None;
        let active = self.wanted?;
        Some(if active {
            TargetAction::Start
        } else {
            TargetAction::Stop
        })
    }

    /// Systemd has queued the job, or had nothing to do.
    pub fn queued(&mut self, job: Option<String>) -> Option<TargetAction> {
        self.told = true;
        self.job = job;
        self.may_sleep()
    }

    /// Systemd would not, or could not be asked.
    pub fn refused(&mut self) -> Option<TargetAction> {
        self.job = None;
        self.may_sleep()
    }

    /// A job of the target has ended.
    pub fn ended(&mut self, job: &str) -> (JobEnd, Option<TargetAction>) {
        if self.job.as_deref() != Some(job) {
            return (JobEnd::Others, None);
        }
        self.job = None;
        (JobEnd::Ours, self.may_sleep())
    }

    /// The job has ended without a word: systemd was away.
    pub fn forget_job(&mut self) -> Option<TargetAction> {
        self.job = None;
        self.may_sleep()
    }

    /// The machine is about to sleep; logind waits `patience` at most. [`Self::want`] is said before.
    pub fn sleeps(&mut self, now: Monotonic, patience: Duration) -> Option<TargetAction> {
        if self.sleep != Sleep::Awake {
            return None;
        }
        self.sleep = Sleep::Stopping(now.after(patience));
        self.may_sleep()
    }

    /// The machine is awake.
    pub fn wakes(&mut self) -> Option<TargetAction> {
        if self.sleep == Sleep::Awake {
            return None;
        }
        self.sleep = Sleep::Awake;
        Some(TargetAction::TakeLock)
    }

    /// When [`Self::tick`] is due.
    pub fn deadline(&self) -> Option<Monotonic> {
        match self.sleep {
            Sleep::Stopping(until) => Some(until),
            Sleep::Awake | Sleep::Released => None,
        }
    }

    /// The deadline may have passed.
    pub fn tick(&mut self, now: Monotonic) -> Option<TargetAction> {
        if self.deadline().is_some_and(|until| now >= until) {
            return Some(self.release());
        }
        None
    }

    fn may_sleep(&mut self) -> Option<TargetAction> {
        if self.job.is_none() && matches!(self.sleep, Sleep::Stopping(_)) {
            return Some(self.release());
        }
        None
    }

    fn release(&mut self) -> TargetAction {
        self.sleep = Sleep::Released;
        TargetAction::ReleaseLock
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INHIBIT_DELAY: Duration = Duration::from_secs(4);

    fn at(seconds: u64) -> Monotonic {
        Monotonic(Duration::from_secs(seconds))
    }

    /// A target that was started by a job that has ended.
    fn active() -> TargetUnit {
        let mut target = TargetUnit::default();
        assert_eq!(target.want(true), Some(TargetAction::Start));
        target.queued(Some("/job/1".to_owned()));
        assert_eq!(target.ended("/job/1"), (JobEnd::Ours, None));
        target
    }

    #[test]
    fn each_change_is_told_once() {
        let mut target = TargetUnit::default();
        assert_eq!(target.wanted(), None);
        let wishes = [false, false, true, true, false];
        let told: Vec<_> = wishes.iter().filter_map(|w| target.want(*w)).collect();
        assert_eq!(
            told,
            [TargetAction::Stop, TargetAction::Start, TargetAction::Stop]
        );
    }

    #[test]
    fn the_lock_is_kept_until_the_target_has_stopped() {
        let mut target = active();
        assert_eq!(target.want(false), Some(TargetAction::Stop));
        target.queued(Some("/job/2".to_owned()));
        assert_eq!(target.sleeps(at(1), INHIBIT_DELAY), None);
        assert_eq!(target.ended("/job/9"), (JobEnd::Others, None));
        assert_eq!(
            target.ended("/job/2"),
            (JobEnd::Ours, Some(TargetAction::ReleaseLock))
        );
        assert_eq!(target.deadline(), None);
        assert_eq!(target.wakes(), Some(TargetAction::TakeLock));
        assert_eq!(target.wakes(), None);
    }

    #[test]
    fn the_lock_is_given_back_at_the_deadline_though_the_target_has_not_stopped() {
        let mut target = active();
        target.want(false);
        target.queued(Some("/job/2".to_owned()));
        target.sleeps(at(1), INHIBIT_DELAY);
        assert_eq!(target.deadline(), Some(at(5)));
        assert_eq!(target.tick(at(4)), None);
        assert_eq!(target.tick(at(5)), Some(TargetAction::ReleaseLock));
        assert_eq!(target.ended("/job/2"), (JobEnd::Ours, None), "once");
    }

    #[test]
    fn a_target_that_is_not_active_keeps_nobody_awake() {
        let mut target = active();
        target.want(false);
        target.queued(Some("/job/2".to_owned()));
        target.ended("/job/2");
        assert_eq!(
            target.sleeps(at(9), INHIBIT_DELAY),
            Some(TargetAction::ReleaseLock)
        );
        assert_eq!(target.sleeps(at(9), INHIBIT_DELAY), None);
    }

    #[test]
    fn a_systemd_that_refuses_keeps_nobody_awake_and_is_told_again() {
        let mut target = active();
        assert_eq!(target.want(false), Some(TargetAction::Stop));
        assert_eq!(target.refused(), None);
        assert_eq!(
            target.sleeps(at(1), INHIBIT_DELAY),
            Some(TargetAction::ReleaseLock)
        );
        assert_eq!(target.tell_again(), Some(TargetAction::Stop));
        target.queued(None);
        assert_eq!(target.tell_again(), None);
    }

    #[test]
    fn who_leaves_stops_it_though_it_was_somebody_else_who_started_it() {
        let mut target = active();
        target.want(false);
        assert_eq!(target.want(false), None);
        assert_eq!(target.leave(), Some(TargetAction::Stop));
    }

    #[test]
    fn before_anything_is_decided_there_is_nothing_to_tell() {
        assert_eq!(TargetUnit::default().tell_again(), None);
    }

    #[test]
    fn a_job_that_ended_while_systemd_was_away_keeps_nobody_awake() {
        let mut target = active();
        target.want(false);
        target.queued(Some("/job/2".to_owned()));
        target.sleeps(at(1), INHIBIT_DELAY);
        assert_eq!(target.forget_job(), Some(TargetAction::ReleaseLock));
    }
}
