//! What the gate's words and the world's changes mean for whoever follows them indefinitely. Pure.
//!
//! A gate that has opened rests. From then on the proof is watched: going to sleep, a resume or another route end it at
//! once. Any other hint (NetworkManager has changed its mind, resolv.conf is another) is a doubt: it is asked again, but
//! not all the time, and what was proven stays so until the answer is no. Nothing is asked while nothing changes.

use std::time::Duration;

use crate::gate::rate_limiter::RateLimiter;
use crate::gate::time::Monotonic;
use crate::gate::verdict::{Evidence, Loss};

/// So many doubts at once, and one more after each of these spans, however often hints come.
const DOUBTS: (u32, Duration) = (3, Duration::from_secs(30));

/// What the gate is when it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// `Gate::loss` of the evidence it opened on.
    pub loss: Option<Loss>,
    /// `Gate::is_proven`.
    pub proven: bool,
    /// `Gate::hints`.
    pub hints: u64,
}

/// What has become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    /// The gate is open, and was not: it is proven.
    Opened,
    /// It is held, and nothing was known before.
    Held,
    /// It was proven, and is no more since then, for this reason if it is not the probes'.
    Lost(Monotonic, Option<Loss>),
    /// It is to be asked again; what was proven stays so meanwhile.
    Doubted,
}

/// Where it stands.
#[derive(Debug)]
enum TrackerState {
    /// Nothing is decided yet: what another watch has left stays as it is.
    Unknown,
    Held,
    Open {
        evidence: Evidence,
        hints: u64,
    },
    /// Open as far as is known, and asked again since then.
    Doubted {
        evidence: Evidence,
        since: Monotonic,
    },
}

/// Follows one gate.
#[derive(Debug)]
pub struct Tracker {
    state: TrackerState,
    doubts: RateLimiter,
    /// A hint is to be answered then.
    due: Option<Monotonic>,
}

impl Tracker {
    /// Of this gate nothing is known yet.
    pub fn new() -> Self {
        Self {
            state: TrackerState::Unknown,
            doubts: RateLimiter::new(DOUBTS.0, DOUBTS.1),
            due: None,
        }
    }

    /// What the proof rests on, if there is one.
    pub fn evidence(&self) -> Option<&Evidence> {
        match &self.state {
            TrackerState::Open { evidence, .. } | TrackerState::Doubted { evidence, .. } => {
                Some(evidence)
            }
            TrackerState::Unknown | TrackerState::Held => None,
        }
    }

    /// Whether the gate is open as far as is known.
    pub fn is_open(&self) -> bool {
        self.evidence().is_some()
    }

    /// Whether it has said that it is held.
    pub fn is_held(&self) -> bool {
        matches!(self.state, TrackerState::Held)
    }

    /// Whether it is being asked again.
    pub fn is_doubted(&self) -> bool {
        matches!(self.state, TrackerState::Doubted { .. })
    }

    /// The gate has opened.
    pub fn opened(&mut self, evidence: Evidence, hints: u64) -> Option<Transition> {
        let was_open = self.is_open();
        self.state = TrackerState::Open { evidence, hints };
        self.due = None;
        (!was_open).then_some(Transition::Opened)
    }

    /// The gate says that it is held.
    pub fn held(&mut self, look: Snapshot) -> Option<Transition> {
        match self.state {
            TrackerState::Unknown => {
                self.state = TrackerState::Held;
                Some(Transition::Held)
            }
            TrackerState::Doubted { since, .. } if !look.proven => {
                self.state = TrackerState::Held;
                Some(Transition::Lost(since, None))
            }
            // A condition of the profile is judged when the gate opens, and takes no proof away.
            TrackerState::Held | TrackerState::Open { .. } | TrackerState::Doubted { .. } => None,
        }
    }

    /// Something was heard, or it is [`Self::look_again`].
    pub fn look(&mut self, look: Snapshot, now: Monotonic) -> Option<Transition> {
        if let Some(loss) = look.loss.filter(|_| self.is_open()) {
            self.state = TrackerState::Held;
            return Some(Transition::Lost(now, Some(loss)));
        }
        let TrackerState::Open { evidence, hints } = &self.state else {
            return None;
        };
        if *hints == look.hints || self.due.is_some_and(|at| now < at) {
            return None;
        }
        let at = self.doubts.ask(now);
        if at > now {
            self.due = Some(at);
            return None;
        }
        let evidence = evidence.clone();
        let since = now;
        self.state = TrackerState::Doubted { evidence, since };
        Some(Transition::Doubted)
    }

    /// When it is to be looked at if nothing happens before: only after a hint that was not answered yet.
    pub fn look_again(&self) -> Option<Monotonic> {
        self.due
            .filter(|_| matches!(self.state, TrackerState::Open { .. }))
    }
}

impl Default for Tracker {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WELL: Snapshot = Snapshot {
        loss: None,
        proven: true,
        hints: 0,
    };
    const UNPROVEN: Snapshot = Snapshot {
        proven: false,
        ..WELL
    };
    const HINTED: Snapshot = Snapshot { hints: 1, ..WELL };

    fn at(seconds: u64) -> Monotonic {
        Monotonic(Duration::from_secs(seconds))
    }

    fn evidence() -> Evidence {
        Evidence {
            epoch: 0,
            what: "the cache".to_owned(),
            guess: false,
        }
    }

    fn open() -> Tracker {
        let mut tracker = Tracker::new();
        assert_eq!(tracker.opened(evidence(), 0), Some(Transition::Opened));
        tracker
    }

    fn doubted() -> Tracker {
        let mut tracker = open();
        assert_eq!(tracker.look(HINTED, at(500)), Some(Transition::Doubted));
        tracker
    }

    #[test]
    fn the_first_word_decides_and_saying_it_again_changes_nothing() {
        let mut tracker = Tracker::new();
        assert_eq!(tracker.look(UNPROVEN, at(1)), None);
        assert_eq!(tracker.held(UNPROVEN), Some(Transition::Held));
        assert_eq!(tracker.held(UNPROVEN), None);
        assert_eq!(tracker.opened(evidence(), 0), Some(Transition::Opened));
        assert_eq!(tracker.opened(evidence(), 0), None);
    }

    #[test]
    fn each_loss_ends_a_proof_at_once_and_only_once() {
        for loss in [Loss::Sleep, Loss::Resume, Loss::Routes] {
            for mut tracker in [open(), doubted()] {
                let look = Snapshot {
                    loss: Some(loss),
                    ..UNPROVEN
                };
                let lost = Some(Transition::Lost(at(501), Some(loss)));
                assert_eq!(tracker.look(look, at(501)), lost);
                assert_eq!(tracker.look(look, at(502)), None);
                assert!(!tracker.is_open());
            }
        }
    }

    #[test]
    fn nothing_is_asked_and_no_timer_runs_while_nothing_changes() {
        let mut tracker = open();
        assert_eq!(tracker.look(WELL, at(1_000_000)), None);
        assert_eq!(tracker.look_again(), None);
    }

    #[test]
    fn a_hint_is_answered_at_once_and_a_flood_of_hints_in_a_while() {
        let mut tracker = open();
        for hints in 1..4 {
            let hinted = Snapshot { hints, ..WELL };
            assert_eq!(tracker.look(hinted, at(100)), Some(Transition::Doubted));
            assert_eq!(tracker.look(Snapshot { hints: 9, ..WELL }, at(100)), None);
            assert_eq!(tracker.opened(evidence(), hints), None);
            assert_eq!(tracker.look(hinted, at(100)), None, "it was answered");
        }
        let hinted = Snapshot { hints: 4, ..WELL };
        assert_eq!(tracker.look(hinted, at(101)), None);
        assert_eq!(tracker.look_again(), Some(at(130)));
        assert_eq!(tracker.look(hinted, at(129)), None);
        assert_eq!(tracker.look(hinted, at(130)), Some(Transition::Doubted));
        assert_eq!(tracker.look_again(), None);
    }

    #[test]
    fn what_was_proven_stays_so_until_the_answer_is_no() {
        let mut tracker = doubted();
        assert!(tracker.is_open() && tracker.is_doubted());
        assert_eq!(tracker.held(WELL), None, "metered, and yet reached");
        assert_eq!(
            tracker.held(UNPROVEN),
            Some(Transition::Lost(at(500), None))
        );
        assert!(!tracker.is_open());
    }
}
