//! What each phase decides.

use super::comparing::comparing;
use super::undoing::undoing;
use super::{AfterTurn, Move, TRIES, telling};
use crate::config::guard::OnDoubt;
use crate::guard::facts::{Effect, GuardFacts, Health, Last, Order, ProgramState, Side};
use crate::guard::state::{Cause, Transaction, TransactionPhase, TrialMode};

pub(super) fn decide(t: &Transaction, facts: &GuardFacts) -> Move {
    match t.phase {
        TransactionPhase::Arming => arming(facts, SECURE),
        TransactionPhase::Armed => armed(t, facts),
        TransactionPhase::Trying => trying(t, facts),
        TransactionPhase::Staging => staging(t, facts),
        TransactionPhase::Staged => staged(t, facts),
        TransactionPhase::Verifying => verifying(t, facts),
        TransactionPhase::Committing => committing(t, facts),
        TransactionPhase::Undoing => undoing(t, facts),
        TransactionPhase::Comparing => comparing(t, facts),
        _ => Move::Stay(AfterTurn::Rest),
    }
}

/// After so long, in awake time, somebody is told that the reboot into a staged candidate has not come: a week.
const STALE: u64 = 7 * 24 * 3600 * 1_000_000;

pub(super) fn undo(cause: Cause) -> Move {
    Move::To(TransactionPhase::Undoing, Some(cause))
}

fn abandon() -> Move {
    Move::To(TransactionPhase::Abandoned, Some(Cause::Interrupted))
}

/// The baseline is made sure of: its root, its files on disk, and that it is what boots.
const SECURE: &[Effect] = &[
    Effect::Root(Side::Baseline),
    Effect::Root(Side::Candidate),
    Effect::Sync,
    Effect::SetProfile(Side::Baseline),
    Effect::InstallBoot(Side::Baseline),
    Effect::Sync,
];

/// What makes sure of the baseline is done before anything else.
pub(super) fn arming(facts: &GuardFacts, secure: &[Effect]) -> Move {
    let by_its_own = matches!(facts.order, Some(Order::Arm | Order::Try));
    match facts.last {
        _ if !by_its_own => abandon(),
        Last::Failed => abandon(),
        Last::Done => Move::To(TransactionPhase::Armed, None),
        Last::Nothing => Move::Do(secure.to_vec()),
    }
}

pub(super) fn armed(t: &Transaction, facts: &GuardFacts) -> Move {
    let same_boot = facts.boot_id == t.boot_id;
    if has_switched(t, facts) {
        return Move::To(TransactionPhase::Verifying, None);
    }
    match facts.order {
        _ if !same_boot || facts.now_usec >= t.deadline_usec => abandon(),
        Some(Order::Rollback) => Move::To(TransactionPhase::Abandoned, Some(Cause::Asked)),
        Some(Order::Disarm) => Move::To(TransactionPhase::Abandoned, Some(Cause::TakenBack)),
        _ if facts.last == Last::Failed => {
            Move::To(TransactionPhase::Abandoned, Some(Cause::NoDeadline))
        }
        _ if !facts.deadline_set => Move::Do(vec![Effect::SetDeadline]),
        Some(Order::Try) if t.mode == TrialMode::Reboot => {
            Move::To(TransactionPhase::Staging, None)
        }
        Some(Order::Try) => Move::To(TransactionPhase::Trying, None),
        _ => Move::Stay(AfterTurn::Wait(t.deadline_usec)),
    }
}

/// Whether somebody has activated the candidate; any other system is it, where none was named.
fn has_switched(t: &Transaction, facts: &GuardFacts) -> bool {
    let current = facts.current.as_ref();
    let shown = t.candidate.is_none() && current.is_some();
    !t.is_baseline(current) && (shown || t.is_candidate(current))
}

fn trying(t: &Transaction, facts: &GuardFacts) -> Move {
    if facts.boot_id != t.boot_id {
        return rebooted(t, facts);
    }
    let first = t.tries == 0 && facts.order == Some(Order::Try);
    match facts.activation {
        _ if facts.order == Some(Order::Rollback) => undo(Cause::Asked),
        _ if facts.now_usec >= t.deadline_usec => undo(Cause::ActivationTimeout),
        ProgramState::Running => Move::Stay(AfterTurn::Poll),
        ProgramState::Absent if first => Move::Do(vec![Effect::Activate(Side::Candidate)]),
        // The init interface has changed: nothing was activated.
        ProgramState::Exited(100) => undo(Cause::NeedsReboot),
        ProgramState::Absent if t.is_drill() => undo(Cause::ActivationFailed),
        _ if t.is_candidate(facts.current.as_ref()) => Move::To(TransactionPhase::Verifying, None),
        _ => undo(Cause::ActivationFailed),
    }
}

/// Another boot than the one it was tried in: a reboot, or a loss of power.
fn rebooted(t: &Transaction, facts: &GuardFacts) -> Move {
    let runs = t.is_candidate(facts.current.as_ref()) && !t.is_drill();
    if runs && t.boots == 0 {
        Move::To(TransactionPhase::Verifying, None)
    } else {
        undo(Cause::Lost)
    }
}

/// The builder lists the generations of the profile, so the candidate is in it while the entries are written; the
/// default stays the baseline all the time.
fn staging(t: &Transaction, facts: &GuardFacts) -> Move {
    let first = t.tries == 0 && facts.order == Some(Order::Try) && facts.boot_id == t.boot_id;
    if first {
        return Move::Do(vec![
            Effect::SetProfile(Side::Candidate),
            Effect::Sync,
            Effect::WriteEntries,
            Effect::SetProfile(Side::Baseline),
            Effect::Sync,
            Effect::SetOneShot,
            Effect::Sync,
            Effect::DropDeadline,
        ]);
    }
    // A builder with a short boot menu may have left the baseline out.
    let falls_back = t.is_baseline(facts.boot_default.as_ref());
    if facts.last == Last::Done && t.is_candidate(facts.one_shot.as_ref()) && falls_back {
        Move::To(TransactionPhase::Staged, None)
    } else {
        undo(Cause::Interrupted)
    }
}

/// The reboot may come in a week: there is no deadline.
fn staged(t: &Transaction, facts: &GuardFacts) -> Move {
    let new_boot = facts.boot_id != t.boot_id;
    match facts.order {
        _ if new_boot && t.is_candidate(facts.current.as_ref()) => {
            Move::To(TransactionPhase::Verifying, None)
        }
        Some(Order::Rollback) => undo(Cause::Asked),
        Some(Order::Disarm) => undo(Cause::TakenBack),
        _ if t.is_candidate(facts.one_shot.as_ref()) => waiting(t, facts),
        _ if new_boot => undo(Cause::DidNotBoot),
        _ => undo(Cause::EntryGone),
    }
}

/// The entry is set, and the reboot does not come: nothing is undone for that, but somebody is told.
pub(super) fn waiting(t: &Transaction, facts: &GuardFacts) -> Move {
    let since = if facts.boot_id == t.boot_id {
        t.waits_since_usec.unwrap_or(t.tried_at_usec)
    } else {
        0
    };
    let stale = facts.now_usec.saturating_sub(since) >= STALE;
    let told = if stale { telling(t, facts) } else { None };
    told.unwrap_or(Move::Stay(AfterTurn::Rest))
}

pub(super) fn verifying(t: &Transaction, facts: &GuardFacts) -> Move {
    if facts.boot_id != t.boot_id {
        return rebooted(t, facts);
    }
    match facts.order {
        _ if !t.is_candidate(facts.current.as_ref()) => undo(Cause::RolledBackElsewhere),
        Some(Order::Rollback) => undo(Cause::Asked),
        Some(Order::Confirm) => Move::To(TransactionPhase::Committing, None),
        Some(Order::Extend(span)) => extend(t, facts.now_usec.saturating_add(span)),
        _ if facts.now_usec >= t.deadline_usec => at_the_end(t, facts),
        _ if facts.deadline_set => compare(t, facts),
        _ if t.tries < TRIES => Move::Do(vec![Effect::SetDeadline]),
        // Without a bus, as in emergency mode, nobody takes the deadline.
        _ if facts.health.is_bad() => undo(Cause::Unhealthy),
        _ => undo(Cause::NoDeadline),
    }
}

fn extend(t: &Transaction, deadline: u64) -> Move {
    let mut noted = Box::new(t.clone());
    // The deadline in systemd is another one now, and is set with all the tries there are; what a person asks for is no loop.
    (noted.deadline_usec, noted.tries, noted.steps) = (deadline, 0, 0);
    Move::Note(noted, AfterTurn::Again)
}

/// The end of the grace: somebody's word, or the verdict.
fn at_the_end(t: &Transaction, facts: &GuardFacts) -> Move {
    match facts.health {
        Health::Failed(_) | Health::Bad(_) => undo(Cause::Unhealthy),
        _ if t.rules.confirm => undo(Cause::NotConfirmed),
        Health::Good => Move::To(TransactionPhase::Committing, None),
        Health::Unknown(_) if t.rules.on_doubt == OnDoubt::Keep => {
            Move::To(TransactionPhase::Committing, None)
        }
        Health::Unknown(_) => undo(Cause::NoVerdict),
    }
}

/// How long what will not get better by itself is watched: somebody else may start it again. Five seconds.
const FAILED: u64 = 5_000_000;

/// Within the grace only what stays worse is undone.
fn compare(t: &Transaction, facts: &GuardFacts) -> Move {
    let settle = match facts.health {
        Health::Failed(_) => t.rules.settle_usec.min(FAILED),
        _ => t.rules.settle_usec,
    };
    let bad = facts.health.is_bad();
    let since = bad.then(|| t.bad_since_usec.unwrap_or(facts.now_usec));
    let until = since.map(|since| since.saturating_add(settle));
    if until.is_some_and(|until| facts.now_usec >= until) {
        return undo(Cause::Unhealthy);
    }
    let next = AfterTurn::Wait(until.unwrap_or(u64::MAX).min(t.deadline_usec));
    if since == t.bad_since_usec {
        return Move::Stay(next);
    }
    let mut noted = Box::new(t.clone());
    noted.bad_since_usec = since;
    Move::Note(noted, next)
}

/// The point of no return is behind: only forwards, or, where that fails, to the baseline as the boot default.
fn committing(t: &Transaction, facts: &GuardFacts) -> Move {
    if facts.last == Last::Done && is_committed(t, facts) {
        return Move::To(TransactionPhase::Confirmed, None);
    }
    if t.tries >= TRIES {
        return undo(Cause::CommitFailed);
    }
    Move::Do(vec![
        Effect::DropFallback,
        Effect::SetProfile(Side::Candidate),
        Effect::Sync,
        Effect::InstallBoot(Side::Candidate),
        Effect::Sync,
    ])
}

fn is_committed(t: &Transaction, facts: &GuardFacts) -> bool {
    let default = facts.boot_default.as_ref();
    t.is_candidate(facts.profile.as_ref()) && (default.is_none() || t.is_candidate(default))
}
