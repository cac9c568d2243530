//! What the gate's words and the world's changes mean for whoever follows them indefinitely. Pure.
//!
//! A gate that has opened rests. From then on the proof is watched: going to sleep, a resume or another route end it at
//! once. Any other bell (NetworkManager has changed its mind, resolv.conf is another) is a doubt: it is asked again, but
//! not all the time, and what was proven stays so until the answer is no. Nothing is asked while nothing changes.

use std::time::Duration;

use crate::gate::rate_limiter::Allowance;
use crate::gate::time::Monotonic;
use crate::gate::verdict::{Evidence, Loss};

/// So many doubts at once, and one more after each of these spans, however often bells ring.
const DOUBTS: (u32, Duration) = (3, Duration::from_secs(30));

/// What the gate is when it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// `Gate::loss` of the evidence it opened on.
    pub loss: Option<Loss>,
    /// `Gate::is_proven`.
    pub proven: bool,
    /// `Gate::bells`.
    pub bells: u64,
}

/// What has become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
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
enum Standing {
    /// Nothing is decided yet: what another watch has left stays as it is.
    Unknown,
    Held,
    Open {
        evidence: Evidence,
        bells: u64,
    },
    /// Open as far as is known, and asked again since then.
    Doubted {
        evidence: Evidence,
        since: Monotonic,
    },
}

/// Follows one gate.
#[derive(Debug)]
pub struct Course {
    standing: Standing,
    doubts: Allowance,
    /// A bell is to be answered then.
    due: Option<Monotonic>,
}

impl Course {
    /// Of this gate nothing is known yet.
    pub fn new() -> Self {
        Self {
            standing: Standing::Unknown,
            doubts: Allowance::new(DOUBTS.0, DOUBTS.1),
            due: None,
        }
    }

    /// What the proof rests on, if there is one.
    pub fn evidence(&self) -> Option<&Evidence> {
        match &self.standing {
            Standing::Open { evidence, .. } | Standing::Doubted { evidence, .. } => Some(evidence),
            Standing::Unknown | Standing::Held => None,
        }
    }

    /// Whether the gate is open as far as is known.
    pub fn is_open(&self) -> bool {
        self.evidence().is_some()
    }

    /// Whether it has said that it is held.
    pub fn is_held(&self) -> bool {
        matches!(self.standing, Standing::Held)
    }

    /// Whether it is being asked again.
    pub fn is_doubted(&self) -> bool {
        matches!(self.standing, Standing::Doubted { .. })
    }

    /// The gate has opened.
    pub fn opened(&mut self, evidence: Evidence, bells: u64) -> Option<Turn> {
        let was_open = self.is_open();
        self.standing = Standing::Open { evidence, bells };
        self.due = None;
        (!was_open).then_some(Turn::Opened)
    }

    /// The gate says that it is held.
    pub fn held(&mut self, look: Look) -> Option<Turn> {
        match self.standing {
            Standing::Unknown => {
                self.standing = Standing::Held;
                Some(Turn::Held)
            }
            Standing::Doubted { since, .. } if !look.proven => {
                self.standing = Standing::Held;
                Some(Turn::Lost(since, None))
            }
            // A condition of the profile is judged when the gate opens, and takes no proof away.
            Standing::Held | Standing::Open { .. } | Standing::Doubted { .. } => None,
        }
    }

    /// Something was heard, or it is [`Self::look_again`].
    pub fn look(&mut self, look: Look, now: Monotonic) -> Option<Turn> {
        if let Some(loss) = look.loss.filter(|_| self.is_open()) {
            self.standing = Standing::Held;
            return Some(Turn::Lost(now, Some(loss)));
        }
        let Standing::Open { evidence, bells } = &self.standing else {
            return None;
        };
        if *bells == look.bells || self.due.is_some_and(|at| now < at) {
            return None;
        }
        let at = self.doubts.ask(now);
        if at > now {
            self.due = Some(at);
            return None;
        }
        let evidence = evidence.clone();
        let since = now;
        self.standing = Standing::Doubted { evidence, since };
        Some(Turn::Doubted)
    }

    /// When it is to be looked at if nothing happens before: only after a bell that was not answered yet.
    pub fn look_again(&self) -> Option<Monotonic> {
        self.due
            .filter(|_| matches!(self.standing, Standing::Open { .. }))
    }
}

impl Default for Course {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WELL: Look = Look {
        loss: None,
        proven: true,
        bells: 0,
    };
    const UNPROVEN: Look = Look {
        proven: false,
        ..WELL
    };
    const RUNG: Look = Look { bells: 1, ..WELL };

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

    fn open() -> Course {
        let mut course = Course::new();
        assert_eq!(course.opened(evidence(), 0), Some(Turn::Opened));
        course
    }

    fn doubted() -> Course {
        let mut course = open();
        assert_eq!(course.look(RUNG, at(500)), Some(Turn::Doubted));
        course
    }

    #[test]
    fn the_first_word_decides_and_saying_it_again_changes_nothing() {
        let mut course = Course::new();
        assert_eq!(course.look(UNPROVEN, at(1)), None);
        assert_eq!(course.held(UNPROVEN), Some(Turn::Held));
        assert_eq!(course.held(UNPROVEN), None);
        assert_eq!(course.opened(evidence(), 0), Some(Turn::Opened));
        assert_eq!(course.opened(evidence(), 0), None);
    }

    #[test]
    fn each_loss_ends_a_proof_at_once_and_only_once() {
        for loss in [Loss::Sleep, Loss::Resume, Loss::WayOut] {
            for mut course in [open(), doubted()] {
                let look = Look {
                    loss: Some(loss),
                    ..UNPROVEN
                };
                let lost = Some(Turn::Lost(at(501), Some(loss)));
                assert_eq!(course.look(look, at(501)), lost);
                assert_eq!(course.look(look, at(502)), None);
                assert!(!course.is_open());
            }
        }
    }

    #[test]
    fn nothing_is_asked_and_no_timer_runs_while_nothing_changes() {
        let mut course = open();
        assert_eq!(course.look(WELL, at(1_000_000)), None);
        assert_eq!(course.look_again(), None);
    }

    #[test]
    fn a_bell_is_answered_at_once_and_a_flood_of_bells_in_a_while() {
        let mut course = open();
        for bells in 1..4 {
            let rung = Look { bells, ..WELL };
            assert_eq!(course.look(rung, at(100)), Some(Turn::Doubted));
            assert_eq!(course.look(Look { bells: 9, ..WELL }, at(100)), None);
            assert_eq!(course.opened(evidence(), bells), None);
            assert_eq!(course.look(rung, at(100)), None, "it was answered");
        }
        let rung = Look { bells: 4, ..WELL };
        assert_eq!(course.look(rung, at(101)), None);
        assert_eq!(course.look_again(), Some(at(130)));
        assert_eq!(course.look(rung, at(129)), None);
        assert_eq!(course.look(rung, at(130)), Some(Turn::Doubted));
        assert_eq!(course.look_again(), None);
    }

    #[test]
    fn what_was_proven_stays_so_until_the_answer_is_no() {
        let mut course = doubted();
        assert!(course.is_open() && course.is_doubted());
        assert_eq!(course.held(WELL), None, "metered, and yet reached");
        assert_eq!(course.held(UNPROVEN), Some(Turn::Lost(at(500), None)));
        assert!(!course.is_open());
    }
}
