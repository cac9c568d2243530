//! The decision: pure, total, and the same for the same state and facts.
//!
//! A transaction is always looked at as if this process had just started: whoever is killed goes on by asking again.

mod by_commands;
mod comparing;
mod phases;
mod undoing;

use super::facts::{Effect, GuardFacts, Last};
use super::state::{Cause, GuardState, Transaction, TransactionPhase};

/// How often something is done in one transaction at most: a loop ends in [`TransactionPhase::Broken`].
pub const STEP_LIMIT: u32 = 40;

/// How often the same thing is tried again.
const TRIES: u32 = 3;

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Written down durably, if it has changed, before anything else.
    pub state: GuardState,
    /// Done in this order; the first failure ends the list.
    pub effects: Vec<Effect>,
    /// What comes then.
    pub next: AfterTurn,
}

/// What comes after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterTurn {
    /// Decide again.
    Again,
    /// A program runs: decide again when it has ended.
    Poll,
    /// Decide again at this time, in `CLOCK_MONOTONIC`, or when somebody orders something.
    Wait(u64),
    /// Only a boot or an order changes anything.
    Rest,
}

/// What a phase decides.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Move {
    /// Nothing.
    Stay(AfterTurn),
    /// Do this, in the same phase.
    Do(Vec<Effect>),
    /// Go on to another phase.
    To(TransactionPhase, Option<Cause>),
    /// Something in the transaction is noted.
    Note(Box<Transaction>, AfterTurn),
    /// It is over.
    Close,
}

/// Decides what to do.
pub fn step(state: &GuardState, facts: &GuardFacts) -> Turn {
    let Some(transaction) = &state.transaction else {
        return turn(state.clone(), Vec::new(), AfterTurn::Rest);
    };
    apply(state, transaction, facts, decide(transaction, facts))
}

fn turn(state: GuardState, effects: Vec<Effect>, next: AfterTurn) -> Turn {
    Turn {
        state,
        effects,
        next,
    }
}

fn decide(transaction: &Transaction, facts: &GuardFacts) -> Move {
    match transaction.phase {
        TransactionPhase::Broken => {
            telling(transaction, facts).unwrap_or(Move::Stay(AfterTurn::Rest))
        }
        phase if phase.is_end() => closing(transaction, facts),
        _ if transaction.steps >= STEP_LIMIT => {
            Move::To(TransactionPhase::Broken, Some(Cause::TooManySteps))
        }
        phase if phase != TransactionPhase::Arming && is_taken_over(transaction, facts) => {
            Move::To(TransactionPhase::TakenOver, Some(Cause::OtherSystem))
        }
        _ if transaction.commands.is_some() => by_commands::decide(transaction, facts),
        _ => phases::decide(transaction, facts),
    }
}

/// Whether a third system runs, or is the system profile: somebody else is at work.
fn is_taken_over(transaction: &Transaction, facts: &GuardFacts) -> bool {
    let ours = |system| transaction.is_baseline(system) || transaction.is_candidate(system);
    let third = |system: Option<_>| system.is_some() && !ours(system);
    // What comes of the commands on the way back need not be known.
    let on_the_way =
        transaction.commands.is_some() && transaction.phase == TransactionPhase::Undoing;
    !on_the_way
        && transaction.candidate.is_some()
        && (third(facts.current.as_ref()) || third(facts.profile.as_ref()))
}

/// Cleans up; what cannot be cleaned up does not keep the next upgrade out.
fn closing(transaction: &Transaction, facts: &GuardFacts) -> Move {
    if facts.last == Last::Done || transaction.tries >= TRIES {
        Move::Close
    } else {
        let undone = matches!(
            transaction.phase,
            TransactionPhase::Undone | TransactionPhase::CandidateDidNotBoot
        );
        let told = (undone && !transaction.rules.notify.is_empty()).then_some(Effect::Notify);
        // Or the next boot would try what somebody has replaced.
        let entry = transaction.is_candidate(facts.one_shot.as_ref());
        let entry = entry.then_some(Effect::ClearOneShot);
        let clean = [Effect::DropDeadline, Effect::Unroot];
        Move::Do(told.into_iter().chain(entry).chain(clean).collect())
    }
}

/// Tells somebody of a phase that lasts, and notes that once it is done: whoever is killed in between tells it again, and in the
/// same boot systemd knows the unit.
fn telling(transaction: &Transaction, facts: &GuardFacts) -> Option<Move> {
    if transaction.told || transaction.rules.notify.is_empty() {
        return None;
    }
    if facts.last == Last::Done {
        let mut noted = Box::new(transaction.clone());
        noted.told = true;
        return Some(Move::Note(noted, AfterTurn::Again));
    }
    (transaction.tries < TRIES).then(|| Move::Do(vec![Effect::Notify]))
}

fn apply(state: &GuardState, transaction: &Transaction, facts: &GuardFacts, decided: Move) -> Turn {
    let mut state = state.clone();
    match decided {
        Move::Stay(next) => turn(state, Vec::new(), next),
        Move::Do(effects) => {
            state.transaction = Some(Transaction {
                steps: transaction.steps + 1,
                tries: transaction.tries + 1,
                ..transaction.clone()
            });
            let next = after(&effects);
            turn(state, effects, next)
        }
        Move::Note(noted, next) => {
            state.transaction = Some(*noted);
            turn(state, Vec::new(), next)
        }
        Move::To(phase, cause) => {
            state.transaction = Some(entered(transaction, facts, phase, cause));
            if let (TransactionPhase::Undone | TransactionPhase::CandidateDidNotBoot, Some(cause)) =
                (phase, cause)
            {
                state.deny(transaction, cause);
            }
            turn(state, Vec::new(), AfterTurn::Again)
        }
        Move::Close => {
            state.close();
            turn(state, Vec::new(), AfterTurn::Rest)
        }
    }
}

/// A machine that reboots is not asked again.
fn after(effects: &[Effect]) -> AfterTurn {
    if effects.contains(&Effect::Reboot) {
        AfterTurn::Rest
    } else {
        AfterTurn::Again
    }
}

/// The transaction as it enters a phase. What is verified is watched for the whole grace, from now.
fn entered(
    from: &Transaction,
    facts: &GuardFacts,
    phase: TransactionPhase,
    cause: Option<Cause>,
) -> Transaction {
    let mut to = Transaction {
        phase,
        cause: cause.or(from.cause),
        tries: 0,
        told: false,
        ..from.clone()
    };
    match phase {
        TransactionPhase::Verifying | TransactionPhase::Comparing => watch(&mut to, facts),
        TransactionPhase::Trying | TransactionPhase::Staged => to.tried_at_usec = facts.now_usec,
        TransactionPhase::Staging if to.candidate.is_none() => {
            to.candidate.clone_from(&facts.boot_default);
        }
        _ => {}
    }
    to
}

fn watch(to: &mut Transaction, facts: &GuardFacts) {
    if to.candidate.is_none() {
        to.candidate.clone_from(&facts.current);
    }
    if to.boot_id != facts.boot_id {
        to.boot_id.clone_from(&facts.boot_id);
        to.boots += 1;
        to.tried_at_usec = 0;
    }
    to.deadline_usec = facts.now_usec.saturating_add(to.rules.grace_usec);
    to.bad_since_usec = None;
}
