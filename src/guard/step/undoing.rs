//! The way back: what boots first, what runs then.

use super::{AfterTurn, Move, TRIES};
use crate::config::guard::OnDoubt;
use crate::guard::facts::{Effect, GuardFacts, Last, ProgramState, Side};
use crate::guard::state::{Cause, Transaction, TransactionPhase, TrialMode};

/// How often something is done to get back, before a person is needed.
pub(super) const UNDO_TRIES: u32 = 6;

pub(super) fn undoing(t: &Transaction, facts: &GuardFacts) -> Move {
    if facts.activation == ProgramState::Running && facts.boot_id == t.boot_id {
        // What cannot be stopped, as without a bus, ends with the boot.
        let boots = UNDO_TRIES..UNDO_TRIES + TRIES;
        return if t.rules.reboot && boots.contains(&t.tries) {
            Move::Do([pin(t), vec![Effect::Reboot]].concat())
        } else {
            end_activation(t, facts)
        };
    }
    if facts.undo == ProgramState::Running {
        return Move::Stay(AfterTurn::Poll);
    }
    let pinned = is_pinned(t, facts);
    if pinned && is_restored(t, facts) {
        return restored(t);
    }
    match pinned {
        _ if t.tries >= UNDO_TRIES => Move::To(TransactionPhase::Broken, None),
        false => Move::Do(pin(t)),
        true => restore(t, facts),
    }
}

/// The baseline runs: the end, unless it is asked what the candidate could not be.
pub(super) fn restored(t: &Transaction) -> Move {
    let experiment = t.rules.on_doubt == OnDoubt::Experiment;
    let end = match t.cause {
        Some(Cause::NoVerdict) if experiment => TransactionPhase::Comparing,
        cause => cause.map_or(TransactionPhase::Undone, Cause::end),
    };
    Move::To(end, t.cause)
}

/// What is being activated would go on after the baseline is back: it is waited for, as long as the deadline allows.
pub(super) fn end_activation(t: &Transaction, facts: &GuardFacts) -> Move {
    match facts.last {
        _ if t.tries >= UNDO_TRIES => Move::To(TransactionPhase::Broken, None),
        _ if facts.now_usec < t.deadline_usec => Move::Stay(AfterTurn::Poll),
        _ => Move::Do(vec![Effect::StopActivation]),
    }
}

fn pin(t: &Transaction) -> Vec<Effect> {
    let was_staged = t.cause == Some(Cause::TakenBack);
    let dropped = was_staged.then_some(Effect::DropGeneration);
    let profile = [Effect::ClearOneShot, Effect::SetProfile(Side::Baseline)];
    let boot = [
        Effect::Sync,
        Effect::InstallBoot(Side::Baseline),
        Effect::Sync,
    ];
    profile.into_iter().chain(dropped).chain(boot).collect()
}

/// Whether the baseline boots next. Where the boot loader cannot be read, only having written it tells.
fn is_pinned(t: &Transaction, facts: &GuardFacts) -> bool {
    let known = t.is_baseline(facts.boot_default.as_ref());
    let written = facts.boot_default.is_none() && (!may_be_written(t) || facts.last == Last::Done);
    let profile = facts.profile.is_none() || t.is_baseline(facts.profile.as_ref());
    let one_shot = t.is_candidate(facts.one_shot.as_ref()) && !t.is_drill();
    profile && !one_shot && (known || written)
}

/// Whether the candidate may have become the boot default, or the baseline's entry may be gone.
fn may_be_written(t: &Transaction) -> bool {
    t.mode != TrialMode::Live || t.cause == Some(Cause::CommitFailed)
}

/// Whether the baseline runs, and what the activation stopped has been started again: by an activation, or by a boot.
fn is_restored(t: &Transaction, facts: &GuardFacts) -> bool {
    let activated = matches!(facts.undo, ProgramState::Exited(_)) && t.tries > 0;
    let new_boot = facts.boot_id != t.boot_id;
    let never_left = t.mode == TrialMode::Reboot;
    t.is_baseline(facts.current.as_ref()) && (activated || new_boot || never_left)
}

fn restore(t: &Transaction, facts: &GuardFacts) -> Move {
    match facts.undo {
        ProgramState::Absent if t.mode != TrialMode::Reboot => {
            Move::Do(vec![Effect::Activate(Side::Baseline)])
        }
        _ if t.rules.reboot => Move::Do(vec![Effect::Reboot]),
        _ => Move::To(TransactionPhase::Broken, None),
    }
}
