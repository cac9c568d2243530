//! The way back: what boots first, what runs then.

use super::{Move, Next};
use crate::guard::facts::{Effect, Facts, Last, Run, Side};
use crate::guard::state::{Cause, Mode, Phase, Transaction};

/// How often something is done to get back, before a person is needed.
const UNDO_TRIES: u32 = 6;

pub(super) fn undoing(t: &Transaction, facts: &Facts) -> Move {
    if facts.activation == Run::Running && facts.boot_id == t.boot_id {
        return end_activation(t, facts);
    }
    if facts.undo == Run::Running {
        return Move::Stay(Next::Poll);
    }
    let pinned = is_pinned(t, facts);
    if pinned && is_restored(t, facts) {
        return Move::To(t.cause.map_or(Phase::Undone, Cause::end), t.cause);
    }
    match pinned {
        _ if t.tries >= UNDO_TRIES => Move::To(Phase::Broken, None),
        false => Move::Do(pin()),
        true => restore(t, facts),
    }
}

/// What is being activated would go on after the baseline is back: it is waited for, as long as the deadline allows.
fn end_activation(t: &Transaction, facts: &Facts) -> Move {
    match facts.last {
        _ if t.tries >= UNDO_TRIES => Move::To(Phase::Broken, None),
        _ if facts.now_usec < t.deadline_usec => Move::Stay(Next::Poll),
        _ => Move::Do(vec![Effect::StopActivation]),
    }
}

fn pin() -> Vec<Effect> {
    vec![
        Effect::ClearOneShot,
        Effect::SetProfile(Side::Baseline),
        Effect::Sync,
        Effect::InstallBoot(Side::Baseline),
        Effect::Sync,
    ]
}

/// Whether the baseline boots next. Where the boot loader cannot be read, only having written it tells.
fn is_pinned(t: &Transaction, facts: &Facts) -> bool {
    let known = t.is_baseline(facts.boot_default.as_ref());
    let written = facts.boot_default.is_none() && (!may_be_written(t) || facts.last == Last::Done);
    let profile = facts.profile.is_none() || t.is_baseline(facts.profile.as_ref());
    let one_shot = t.is_candidate(facts.one_shot.as_ref()) && !t.is_drill();
    profile && !one_shot && (known || written)
}

/// Whether the candidate may have become the boot default.
fn may_be_written(t: &Transaction) -> bool {
    t.mode == Mode::Foreign || t.cause == Some(Cause::CommitFailed)
}

/// Whether the baseline runs, and what the activation stopped has been started again: by an activation, or by a boot.
fn is_restored(t: &Transaction, facts: &Facts) -> bool {
    let activated = matches!(facts.undo, Run::Exited(_)) && t.tries > 0;
    let new_boot = facts.boot_id != t.boot_id;
    let never_left = t.mode == Mode::Reboot;
    t.is_baseline(facts.current.as_ref()) && (activated || new_boot || never_left)
}

fn restore(t: &Transaction, facts: &Facts) -> Move {
    match facts.undo {
        Run::Absent if t.mode != Mode::Reboot => Move::Do(vec![Effect::Activate(Side::Baseline)]),
        _ if t.rules.reboot => Move::Do(vec![Effect::Reboot]),
        _ => Move::To(Phase::Broken, None),
    }
}
