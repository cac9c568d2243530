//! Where each decision turns: the tries, the times, and what is not known.

use super::table::*;
use crate::guard::facts::{Effect, GuardFacts, Health, Last, Order, ProgramState, Side};
use crate::guard::state::{Cause, Rules, Transaction, TransactionPhase, TrialMode};
use crate::guard::step::{AfterTurn, STEP_LIMIT};

pub(super) fn tried(tries: u32, t: Transaction) -> Transaction {
    Transaction { tries, ..t }
}

fn drill(phase: TransactionPhase) -> Transaction {
    Transaction {
        candidate: Some(BASE.into()),
        ..transaction(phase)
    }
}

fn at(now_usec: u64, facts: GuardFacts) -> GuardFacts {
    GuardFacts { now_usec, ..facts }
}

pub(super) fn last(last: Last, facts: GuardFacts) -> GuardFacts {
    GuardFacts { last, ..facts }
}

pub(super) fn undo(t: Transaction, facts: &GuardFacts, cause: Cause) {
    leads(t, facts, TransactionPhase::Undoing, Some(cause));
}

/// On the way back from a try by a boot.
pub(super) fn by_a_boot(cause: Cause) -> Transaction {
    Transaction {
        mode: TrialMode::Reboot,
        ..undoing(cause)
    }
}

const PIN: &[Effect] = &[
    Effect::ClearOneShot,
    Effect::SetProfile(Side::Baseline),
    Effect::Sync,
    Effect::InstallBoot(Side::Baseline),
    Effect::Sync,
];

#[test]
fn boot_entries_are_written_once_and_by_the_process_that_tries() {
    let staging = || in_mode(TrialMode::Reboot, TransactionPhase::Staging);
    let tries = ordered(Order::Try, facts());
    let turn = decided(staging(), &tries);
    assert_eq!(turn.effects.len(), 8);
    assert_eq!(turn.effects[5], Effect::SetOneShot);
    undo(tried(1, staging()), &tries, Cause::Interrupted);
    undo(staging(), &facts(), Cause::Interrupted);
    undo(staging(), &next_boot(tries), Cause::Interrupted);
}

#[test]
fn a_candidate_is_staged_once_its_entry_is_set_and_the_baseline_is_the_default() {
    let staging = || tried(1, in_mode(TrialMode::Reboot, TransactionPhase::Staging));
    let set = last(Last::Done, facts());
    let set = GuardFacts {
        one_shot: Some(CAND.into()),
        ..set
    };
    leads(staging(), &set, TransactionPhase::Staged, None);
    for wrong in [
        last(Last::Nothing, set.clone()),
        last(Last::Failed, set.clone()),
        last(Last::Done, facts()),
        GuardFacts {
            boot_default: Some(CAND.into()),
            ..set
        },
    ] {
        undo(staging(), &wrong, Cause::Interrupted);
    }
}

#[test]
fn a_candidate_is_activated_once_and_by_the_process_that_tries() {
    let trying = || transaction(TransactionPhase::Trying);
    let tries = ordered(Order::Try, facts());
    does(trying(), &tries, &[Effect::Activate(Side::Candidate)]);
    undo(tried(1, trying()), &tries, Cause::ActivationFailed);
    undo(trying(), &facts(), Cause::ActivationFailed);
    undo(trying(), &ordered(Order::Rollback, facts()), Cause::Asked);
    undo(trying(), &at(10 * MINUTE, tries), Cause::ActivationTimeout);
}

#[test]
fn an_activation_that_systemd_has_forgotten_shows_by_what_runs_but_in_a_drill() {
    let gone = || GuardFacts {
        activation: ProgramState::Absent,
        ..switched()
    };
    let verifying = TransactionPhase::Verifying;
    leads(
        transaction(TransactionPhase::Trying),
        &gone(),
        verifying,
        None,
    );
    let drilled = || drill(TransactionPhase::Trying);
    undo(drilled(), &facts(), Cause::ActivationFailed);
    let ended = GuardFacts {
        activation: ProgramState::Exited(0),
        ..facts()
    };
    leads(drilled(), &ended, verifying, None);
}

#[test]
fn a_reboot_in_a_drill_is_a_loss_and_the_first_one_into_a_candidate_is_not() {
    let candidate = next_boot(switched());
    for phase in [TransactionPhase::Trying, TransactionPhase::Verifying] {
        undo(drill(phase), &next_boot(facts()), Cause::Lost);
        leads(
            transaction(phase),
            &candidate,
            TransactionPhase::Verifying,
            None,
        );
        let again = Transaction {
            boots: 1,
            ..transaction(phase)
        };
        undo(again, &candidate, Cause::Lost);
    }
}

#[test]
fn what_is_armed_becomes_what_was_wanted() {
    let armed = || transaction(TransactionPhase::Armed);
    let tries = ordered(Order::Try, facts());
    let by_a_boot = in_mode(TrialMode::Reboot, TransactionPhase::Armed);
    let state = leads(by_a_boot, &tries, TransactionPhase::Staging, None);
    assert_eq!(state.transaction.unwrap().candidate, Some(CAND.into()));
    let back = ordered(Order::Rollback, facts());
    let abandoned = TransactionPhase::Abandoned;
    leads(armed(), &back, abandoned, Some(Cause::Asked));
    leads(armed(), &switched(), TransactionPhase::Verifying, None);
    let unnamed = Transaction {
        candidate: None,
        ..in_mode(TrialMode::Foreign, TransactionPhase::Armed)
    };
    stays(unnamed.clone(), &facts(), AfterTurn::Wait(10 * MINUTE));
    let unreadable = GuardFacts {
        current: None,
        ..facts()
    };
    for t in [armed(), unnamed] {
        stays(t, &unreadable, AfterTurn::Wait(10 * MINUTE));
    }
}

#[test]
fn a_deadline_is_tried_to_be_set_three_times() {
    let unset = GuardFacts {
        deadline_set: false,
        ..switched()
    };
    let verifying = || transaction(TransactionPhase::Verifying);
    does(tried(2, verifying()), &unset, &[Effect::SetDeadline]);
    undo(tried(3, verifying()), &unset, Cause::NoDeadline);
}

#[test]
fn what_is_worse_is_looked_at_again_when_it_would_be_undone_and_at_the_deadline_at_the_latest() {
    let worse = |now| GuardFacts {
        health: Health::Bad("sshd.service".to_owned()),
        ..at(now, switched())
    };
    let since = |usec| Transaction {
        bad_since_usec: Some(usec),
        ..transaction(TransactionPhase::Verifying)
    };
    let until = AfterTurn::Wait(MINUTE + MINUTE / 2);
    stays(since(MINUTE), &worse(MINUTE + MINUTE / 4), until);
    undo(since(MINUTE), &worse(MINUTE + MINUTE / 2), Cause::Unhealthy);
    let late = 10 * MINUTE - 1;
    stays(since(late), &worse(late), AfterTurn::Wait(10 * MINUTE));
    let good = transaction(TransactionPhase::Verifying);
    stays(good, &switched(), AfterTurn::Wait(10 * MINUTE));
}

#[test]
fn a_commit_is_tried_three_times_and_done_where_the_boot_loader_cannot_be_read() {
    let committing = || transaction(TransactionPhase::Committing);
    let half = last(Last::Failed, switched());
    assert_eq!(decided(tried(2, committing()), &half).effects.len(), 5);
    undo(tried(3, committing()), &half, Cause::CommitFailed);
    let unread = GuardFacts {
        profile: Some(CAND.into()),
        boot_default: None,
        ..last(Last::Done, switched())
    };
    leads(committing(), &unread, TransactionPhase::Confirmed, None);
    let other = last(Last::Done, switched());
    assert_eq!(decided(committing(), &other).effects.len(), 5);
    let not_done = last(Last::Nothing, unread);
    assert_eq!(decided(committing(), &not_done).effects.len(), 5);
}

#[test]
fn where_the_boot_loader_cannot_be_read_the_baseline_is_written_if_the_candidate_may_have_been() {
    let unread = || GuardFacts {
        boot_default: None,
        ..switched()
    };
    let back = [Effect::Activate(Side::Baseline)];
    does(undoing(Cause::Unhealthy), &unread(), &back);
    does(undoing(Cause::CommitFailed), &unread(), PIN);
    let by_a_boot = || by_a_boot(Cause::Unhealthy);
    does(by_a_boot(), &unread(), PIN);
    let written = last(Last::Done, unread());
    does(tried(1, undoing(Cause::CommitFailed)), &written, &back);
    does(tried(1, by_a_boot()), &written, &[Effect::Reboot]);
}

#[test]
fn the_baseline_boots_only_if_nothing_says_otherwise() {
    let says = |facts: GuardFacts| does(undoing(Cause::Unhealthy), &facts, PIN);
    says(GuardFacts {
        boot_default: Some(CAND.into()),
        ..switched()
    });
    says(GuardFacts {
        profile: Some(CAND.into()),
        ..switched()
    });
    says(GuardFacts {
        one_shot: Some(CAND.into()),
        ..switched()
    });
    let unknown = GuardFacts {
        profile: None,
        ..switched()
    };
    let back = [Effect::Activate(Side::Baseline)];
    does(undoing(Cause::Unhealthy), &unknown, &back);
    let drilled = Transaction {
        candidate: Some(BASE.into()),
        ..undoing(Cause::NotConfirmed)
    };
    let own = GuardFacts {
        one_shot: Some(BASE.into()),
        ..facts()
    };
    does(drilled, &own, &back);
}

#[test]
fn the_baseline_is_back_when_something_has_started_it_again() {
    let undone = |t: Transaction, facts: &GuardFacts| {
        leads(t, facts, TransactionPhase::Undone, Some(Cause::Unhealthy));
    };
    let activated = GuardFacts {
        undo: ProgramState::Exited(0),
        ..facts()
    };
    undone(tried(1, undoing(Cause::Unhealthy)), &activated);
    undone(undoing(Cause::Unhealthy), &next_boot(facts()));
    undone(by_a_boot(Cause::Unhealthy), &facts());
    // One of an earlier undo, and one that is not there.
    let again = undoing(Cause::Unhealthy);
    does(again.clone(), &activated, &[Effect::Reboot]);
    let back = [Effect::Activate(Side::Baseline)];
    does(tried(1, again), &facts(), &back);
}

#[test]
fn the_way_back_from_a_boot_is_a_boot_if_that_is_allowed() {
    let by_a_boot = by_a_boot(Cause::Unhealthy);
    does(by_a_boot.clone(), &switched(), &[Effect::Reboot]);
    let rules = Rules {
        reboot: false,
        ..by_a_boot.rules.clone()
    };
    let never = Transaction { rules, ..by_a_boot };
    let cause = Some(Cause::Unhealthy);
    leads(never, &switched(), TransactionPhase::Broken, cause);
}

#[test]
fn a_way_back_is_tried_six_times() {
    let ran = GuardFacts {
        undo: ProgramState::Exited(1),
        ..switched()
    };
    let undoing = || undoing(Cause::Unhealthy);
    does(tried(5, undoing()), &ran, &[Effect::Reboot]);
    let cause = Some(Cause::Unhealthy);
    leads(tried(6, undoing()), &ran, TransactionPhase::Broken, cause);
    let runs = GuardFacts {
        undo: ProgramState::Running,
        ..switched()
    };
    stays(tried(6, undoing()), &runs, AfterTurn::Poll);
}

#[test]
fn an_activation_of_this_boot_is_waited_for_until_the_deadline_and_then_stopped() {
    let runs = GuardFacts {
        activation: ProgramState::Running,
        ..switched()
    };
    let undoing = || undoing(Cause::Asked);
    stays(undoing(), &runs, AfterTurn::Poll);
    let late = at(10 * MINUTE, runs.clone());
    does(undoing(), &late, &[Effect::StopActivation]);
    does(tried(5, undoing()), &late, &[Effect::StopActivation]);
    let back = [Effect::Activate(Side::Baseline)];
    does(undoing(), &next_boot(runs), &back);
}

#[test]
fn without_a_verdict_and_without_an_experiment_the_baseline_is_the_end() {
    let cause = Some(Cause::NoVerdict);
    let t = tried(1, undoing(Cause::NoVerdict));
    let back = GuardFacts {
        undo: ProgramState::Exited(0),
        ..facts()
    };
    leads(t, &back, TransactionPhase::Undone, cause);
}

#[test]
fn each_phase_counts_its_own_tries() {
    let t = tried(2, transaction(TransactionPhase::Verifying));
    let t = Transaction { told: true, ..t };
    let confirmed = ordered(Order::Confirm, switched());
    let state = leads(t, &confirmed, TransactionPhase::Committing, None);
    let now = state.transaction.unwrap();
    assert_eq!((now.tries, now.told), (0, false));
}

#[test]
fn a_loop_ends_at_the_limit_and_not_before() {
    let steps = |steps| Transaction {
        steps,
        ..transaction(TransactionPhase::Committing)
    };
    let turn = decided(steps(STEP_LIMIT - 1), &switched());
    assert_eq!(phase_of(&turn), Some(TransactionPhase::Committing));
    let cause = Some(Cause::TooManySteps);
    leads(
        steps(STEP_LIMIT),
        &switched(),
        TransactionPhase::Broken,
        cause,
    );
}

#[test]
fn an_end_that_cannot_be_cleaned_up_ends_after_three_tries() {
    let ended = |tries| tried(tries, transaction(TransactionPhase::Confirmed));
    let failed = last(Last::Failed, switched());
    does(ended(2), &failed, &[Effect::DropDeadline, Effect::Unroot]);
    assert_eq!(phase_of(&decided(ended(3), &failed)), None);
}

#[test]
fn the_next_boot_does_not_try_what_somebody_has_replaced() {
    let staged = in_mode(TrialMode::Reboot, TransactionPhase::Staged);
    let other = GuardFacts {
        profile: Some(THIRD.into()),
        one_shot: Some(CAND.into()),
        ..facts()
    };
    let cause = Some(Cause::OtherSystem);
    let state = leads(staged, &other, TransactionPhase::TakenOver, cause);
    let clean = [Effect::ClearOneShot, Effect::DropDeadline, Effect::Unroot];
    does(state.transaction.unwrap(), &other, &clean);
}

#[test]
fn the_time_of_a_try_is_that_of_its_boot() {
    let tries = at(2 * MINUTE, ordered(Order::Try, facts()));
    let armed = transaction(TransactionPhase::Armed);
    let state = leads(armed, &tries, TransactionPhase::Trying, None);
    let now = state.transaction.unwrap();
    assert_eq!(now.tried_at_usec, 2 * MINUTE);
    let bad = Transaction {
        bad_since_usec: Some(MINUTE),
        ..now
    };
    let ended = GuardFacts {
        activation: ProgramState::Exited(0),
        ..at(3 * MINUTE, switched())
    };
    let state = leads(bad.clone(), &ended, TransactionPhase::Verifying, None);
    let same_boot = state.transaction.unwrap();
    assert_eq!((same_boot.tried_at_usec, same_boot.boots), (2 * MINUTE, 0));
    assert_eq!(same_boot.bad_since_usec, None);
    let other_boot = next_boot(at(3 * MINUTE, switched()));
    let state = leads(bad, &other_boot, TransactionPhase::Verifying, None);
    let now = state.transaction.unwrap();
    assert_eq!((now.tried_at_usec, now.boots), (0, 1));
}

#[test]
fn a_look_waits_for_the_deadline_that_is_set_first() {
    let t = transaction(TransactionPhase::Verifying);
    assert!(t.is_compared(true, MINUTE));
    assert!(!t.is_compared(false, MINUTE));
    assert!(t.is_compared(false, 10 * MINUTE));
    assert!(tried(1, t).is_compared(false, MINUTE));
}
