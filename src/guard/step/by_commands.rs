//! What is decided otherwise for a system that is not NixOS: it is changed in place or installed for the next boot, what it
//! becomes is known only afterwards, and the way back is a command that may need a reboot.

use super::comparing::comparing;
use super::phases::{armed, arming, undo, verifying, waiting};
use super::undoing::{UNDO_TRIES, end_activation, restored};
use super::{AfterTurn, Move, TRIES};
use crate::guard::facts::{Effect, GuardFacts, Last, Order, ProgramState, Side};
use crate::guard::state::{Cause, Transaction, TransactionPhase};

pub(super) fn decide(t: &Transaction, facts: &GuardFacts) -> Move {
    let late = facts.now_usec >= t.deadline_usec;
    match t.phase {
        TransactionPhase::Arming => arming(facts, &[Effect::Root(Side::Baseline), Effect::Sync]),
        TransactionPhase::Armed => armed(t, facts),
        TransactionPhase::Trying => trying(t, facts),
        TransactionPhase::Staging => staging(facts),
        TransactionPhase::Staged => staged(t, facts),
        TransactionPhase::Verifying if facts.current.is_none() => unknown(t, facts),
        TransactionPhase::Verifying => verifying(t, facts),
        TransactionPhase::Committing => committing(t, facts),
        TransactionPhase::Undoing => undoing(t, facts),
        TransactionPhase::Comparing if facts.current.is_none() && !late => {
            Move::Stay(AfterTurn::Wait(t.deadline_usec))
        }
        TransactionPhase::Comparing => comparing(t, facts),
        _ => Move::Stay(AfterTurn::Rest),
    }
}

/// A reboot in the middle leaves half an upgrade, whatever it looks like.
fn trying(t: &Transaction, facts: &GuardFacts) -> Move {
    let first = t.tries == 0 && facts.order == Some(Order::Try);
    match facts.activation {
        _ if facts.boot_id != t.boot_id => undo(Cause::Lost),
        _ if facts.order == Some(Order::Rollback) => undo(Cause::Asked),
        _ if facts.now_usec >= t.deadline_usec => undo(Cause::ActivationTimeout),
        ProgramState::Running => Move::Stay(AfterTurn::Poll),
        ProgramState::Absent if first => Move::Do(vec![Effect::Activate(Side::Candidate)]),
        ProgramState::Exited(0) => activated(t, facts),
        _ => undo(Cause::ActivationFailed),
    }
}

fn activated(t: &Transaction, facts: &GuardFacts) -> Move {
    let [current, next] = [facts.current.as_ref(), facts.boot_default.as_ref()];
    if current.is_none() {
        undo(Cause::ActivationFailed)
    } else if !t.is_baseline(current) {
        Move::To(TransactionPhase::Verifying, None)
    } else if next.is_some() && !t.is_baseline(next) {
        Move::To(TransactionPhase::Staging, None)
    } else {
        Move::To(TransactionPhase::Abandoned, Some(Cause::Unchanged))
    }
}

/// Nothing is due before the reboot.
fn staging(facts: &GuardFacts) -> Move {
    match facts.last {
        Last::Nothing => Move::Do(vec![Effect::Sync, Effect::DropDeadline]),
        Last::Done => Move::To(TransactionPhase::Staged, None),
        Last::Failed => undo(Cause::Interrupted),
    }
}

/// While what runs or boots is unknown, nothing is decided: the next look may know.
fn staged(t: &Transaction, facts: &GuardFacts) -> Move {
    let [current, next] = [facts.current.as_ref(), facts.boot_default.as_ref()];
    let new_boot = facts.boot_id != t.boot_id;
    match facts.order {
        _ if new_boot && t.is_candidate(current) => Move::To(TransactionPhase::Verifying, None),
        // What was to boot is gone: by a loss of power before it was installed, or by what else goes back.
        _ if new_boot && current.is_some() && t.is_baseline(next) => undo(Cause::Lost),
        _ if new_boot && current.is_some() => undo(Cause::DidNotBoot),
        Some(Order::Rollback) => undo(Cause::Asked),
        Some(Order::Disarm) => undo(Cause::TakenBack),
        _ if t.is_baseline(next) => undo(Cause::EntryGone),
        _ => waiting(t, facts),
    }
}

/// What runs does not say what it is.
fn unknown(t: &Transaction, facts: &GuardFacts) -> Move {
    match facts.order {
        Some(Order::Rollback) => undo(Cause::Asked),
        _ if facts.boot_id != t.boot_id => Move::Stay(AfterTurn::Rest),
        _ if facts.now_usec >= t.deadline_usec => undo(Cause::NoVerdict),
        _ => Move::Stay(AfterTurn::Wait(t.deadline_usec)),
    }
}

/// It runs and boots already: only the deadline goes.
fn committing(t: &Transaction, facts: &GuardFacts) -> Move {
    match facts.last {
        Last::Done => Move::To(TransactionPhase::Confirmed, None),
        _ if t.tries >= TRIES => undo(Cause::CommitFailed),
        _ => Move::Do(vec![Effect::DropFallback, Effect::Sync]),
    }
}

fn undoing(t: &Transaction, facts: &GuardFacts) -> Move {
    if facts.activation == ProgramState::Running && facts.boot_id == t.boot_id {
        return end_activation(t, facts);
    }
    match facts.undo {
        ProgramState::Running => Move::Stay(AfterTurn::Poll),
        _ if is_restored(t, facts) => restored(t),
        _ if t.tries >= UNDO_TRIES => Move::To(TransactionPhase::Broken, None),
        ProgramState::Absent => Move::Do(vec![Effect::Activate(Side::Baseline)]),
        ProgramState::Exited(_) if t.rules.reboot => Move::Do(vec![Effect::Reboot]),
        ProgramState::Exited(_) => Move::To(TransactionPhase::Broken, None),
    }
}

/// Whether the baseline runs and boots; an activation that changed nothing needs no way back.
fn is_restored(t: &Transaction, facts: &GuardFacts) -> bool {
    let next = facts.boot_default.as_ref();
    t.is_baseline(facts.current.as_ref()) && (next.is_none() || t.is_baseline(next))
}
