//! When to probe, and what the probes of this epoch have shown.

use std::time::Duration;

use super::backoff::Backoff;
use super::event::{Outcome, ProbeId};
use super::time::Monotonic;
use crate::gate::rate_limiter::RateLimiter;

/// How old a proof may be when the gate opens on it: a hold on `metered` can last for days, and the proof of
/// last week is not one. Awake time.
const PROOF_LASTS: Duration = Duration::from_secs(30);
/// The delays after failed probes (R7).
const FIRST_DELAY: Duration = Duration::from_millis(500);
const LONGEST_DELAY: Duration = Duration::from_secs(5 * 60);
/// In the first ten minutes of an epoch Wi-Fi, DHCP and portals are still being dealt with.
const EARLY: Duration = Duration::from_secs(10 * 60);
const LONGEST_EARLY_DELAY: Duration = Duration::from_secs(30);
/// Between probes that hints bring forward.
const HINT_SPACING: Duration = Duration::from_millis(100);

/// The probes of one gate.
#[derive(Debug)]
pub(super) struct Probing {
    backoff: Backoff,
    /// When the back-off began.
    since: Monotonic,
    /// When the next one is due by the clock.
    due_at: Monotonic,
    /// It is due whether or not there is a route: the first of an epoch, or a hint came.
    unconditional: bool,
    running: Option<ProbeId>,
    started_at: Option<Monotonic>,
    /// A hint came while one was running: its failure is not the last word.
    hinted: bool,
    last: Option<(Outcome, Monotonic)>,
    /// A hint has come since the last one ended.
    doubted: bool,
    next_id: u64,
    /// Routes that flap, and hints that never stop, must not make a storm of probes.
    epochs: RateLimiter,
    hints: RateLimiter,
}

impl Probing {
    pub(super) fn new(seed: u64, now: Monotonic) -> Self {
        Self {
            backoff: Backoff::new(FIRST_DELAY, LONGEST_DELAY, seed),
            since: now,
            due_at: now,
            unconditional: true,
            running: None,
            started_at: None,
            hinted: false,
            last: None,
            doubted: false,
            next_id: 0,
            epochs: RateLimiter::new(6, Duration::from_secs(2)),
            hints: RateLimiter::new(10, Duration::from_secs(2)),
        }
    }

    /// What the last probe of this epoch found.
    pub(super) fn outcome(&self) -> Option<&Outcome> {
        self.last.as_ref().map(|(outcome, _)| outcome)
    }

    /// What was reached, if the last probe of this epoch reached all.
    pub(super) fn proof(&self) -> Option<&str> {
        match self.outcome() {
            Some(Outcome::Reached(what)) => Some(what),
            Some(Outcome::Failed(_)) | None => None,
        }
    }

    /// Whether that proof needs another look before the gate opens on it: a hint has come since, or it is
    /// older than [`PROOF_LASTS`], counted from when its gathering began.
    pub(super) fn is_proof_old(&self, now: Monotonic) -> bool {
        let Some((Outcome::Reached(_), began)) = &self.last else {
            return false;
        };
        self.doubted || now.since(*began) > PROOF_LASTS
    }

    /// Whether a hint has come since the last probe failed, so that the next one is about to begin.
    pub(super) fn is_failure_doubted(&self) -> bool {
        self.doubted && matches!(self.last, Some((Outcome::Failed(_), _)))
    }

    pub(super) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Forgets all and probes at once.
    pub(super) fn start_over(&mut self, now: Monotonic) {
        self.last = None;
        self.hinted = false;
        self.doubted = false;
        self.backoff.reset();
        self.since = now;
        self.due_at = now;
        self.unconditional = true;
    }

    /// A new epoch: what was found is worth nothing, and it is probed at once, within reason.
    pub(super) fn new_epoch(&mut self, now: Monotonic) {
        self.start_over(now);
        self.due_at = self.epochs.ask(now);
    }

    /// A hint: look again now, but not more often than hints may ask.
    pub(super) fn hint(&mut self, now: Monotonic) {
        if self.running.is_some() {
            self.hinted = true;
            return;
        }
        self.doubted = true;
        self.bring_forward(now);
    }

    /// A probe ended; one that was abandoned before says nothing.
    pub(super) fn ended(&mut self, id: ProbeId, outcome: Outcome, now: Monotonic) {
        if self.running != Some(id) {
            return;
        }
        self.running = None;
        self.doubted = false;
        if let Outcome::Failed(_) = outcome {
            self.due_at = now.after(self.delay(now));
            if std::mem::take(&mut self.hinted) {
                self.doubted = true;
                self.bring_forward(now);
            }
        }
        self.last = Some((outcome, self.started_at.unwrap_or(now)));
    }

    /// Forgets the running probe, and says which it was.
    pub(super) fn drop_running(&mut self) -> Option<ProbeId> {
        self.running.take()
    }

    /// When the next probe begins if nothing happens; without a route only the first of an epoch does.
    pub(super) fn next_at(&self, has_route: bool) -> Option<Monotonic> {
        (has_route || self.unconditional).then_some(self.due_at)
    }

    /// Begins a probe.
    pub(super) fn start(&mut self, now: Monotonic) -> ProbeId {
        let id = ProbeId(self.next_id);
        self.next_id = self.next_id.wrapping_add(1);
        self.running = Some(id);
        self.started_at = Some(now);
        self.unconditional = false;
        self.hinted = false;
        id
    }

    /// The delay after one more failure.
    fn delay(&mut self, now: Monotonic) -> Duration {
        if now.since(self.since) < EARLY {
            self.backoff.next_up_to(LONGEST_EARLY_DELAY)
        } else {
            self.backoff.next()
        }
    }

    fn bring_forward(&mut self, now: Monotonic) {
        self.unconditional = true;
        let spaced = self.started_at.map_or(now, |t| t.after(HINT_SPACING));
        // Hints before a probe that is already as early as it may be must not use up what later ones need.
        if self.due_at > spaced.max(now) {
            self.due_at = self.due_at.min(self.hints.ask(now).max(spaced));
        }
        self.due_at = self.due_at.max(now);
    }
}
