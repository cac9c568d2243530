//! Where each decision about a system that is changed by commands turns.

use super::bounds::{last, tried, undo};
use super::by_commands::{facts, in_phase, of_candidate, undoing, unknown};
use super::table::{BASE, CAND, MINUTE, does, leads, next_boot, ordered, stays};
use crate::guard::facts::{Effect, GuardFacts, Last, Order, ProgramState, Side};
use crate::guard::state::{Cause, Transaction, TransactionPhase};
use crate::guard::step::AfterTurn;

#[test]
fn only_the_baseline_is_made_sure_of_as_the_candidate_is_not_there_yet() {
    let secure = [Effect::Root(Side::Baseline), Effect::Sync];
    let tries = ordered(Order::Try, facts(BASE, None));
    does(in_phase(TransactionPhase::Arming), &tries, &secure);
}

#[test]
fn an_upgrade_is_activated_once_and_waited_for_until_the_deadline() {
    let trying = || in_phase(TransactionPhase::Trying);
    let tries = ordered(Order::Try, facts(BASE, None));
    does(trying(), &tries, &[Effect::Activate(Side::Candidate)]);
    undo(tried(1, trying()), &tries, Cause::ActivationFailed);
    undo(trying(), &facts(BASE, None), Cause::ActivationFailed);
    let back = ordered(Order::Rollback, facts(BASE, None));
    undo(trying(), &back, Cause::Asked);
    let runs = GuardFacts {
        activation: ProgramState::Running,
        ..facts(BASE, None)
    };
    stays(trying(), &runs, AfterTurn::Poll);
    let late = GuardFacts {
        now_usec: 10 * MINUTE,
        ..runs
    };
    undo(trying(), &late, Cause::ActivationTimeout);
}

#[test]
fn nothing_is_due_once_an_upgrade_waits_for_its_boot() {
    let staging = || of_candidate(TransactionPhase::Staging);
    let waits = || facts(BASE, Some(CAND));
    does(staging(), &waits(), &[Effect::Sync, Effect::DropDeadline]);
    let done = last(Last::Done, waits());
    leads(staging(), &done, TransactionPhase::Staged, None);
    undo(staging(), &last(Last::Failed, waits()), Cause::Interrupted);
}

#[test]
fn to_keep_an_upgrade_only_the_deadline_is_taken_back() {
    let committing = || of_candidate(TransactionPhase::Committing);
    let runs = || facts(CAND, None);
    let keep = [Effect::DropFallback, Effect::Sync];
    does(committing(), &runs(), &keep);
    let failed = last(Last::Failed, runs());
    does(tried(2, committing()), &failed, &keep);
    undo(tried(3, committing()), &failed, Cause::CommitFailed);
    let done = last(Last::Done, runs());
    leads(committing(), &done, TransactionPhase::Confirmed, None);
}

#[test]
fn an_experiment_waits_for_whoever_knows_what_runs_until_its_end() {
    let comparing = || Transaction {
        cause: Some(Cause::NoVerdict),
        ..of_candidate(TransactionPhase::Comparing)
    };
    stays(comparing(), &unknown(), AfterTurn::Wait(10 * MINUTE));
    let late = GuardFacts {
        now_usec: 10 * MINUTE,
        ..unknown()
    };
    let cause = Some(Cause::OtherSystem);
    leads(comparing(), &late, TransactionPhase::TakenOver, cause);
    let known = next_boot(facts(BASE, None));
    let cause = Some(Cause::NoVerdict);
    leads(comparing(), &known, TransactionPhase::Undone, cause);
}

#[test]
fn the_way_back_begins_when_the_upgrade_of_this_boot_has_ended() {
    let runs = GuardFacts {
        activation: ProgramState::Running,
        ..facts(CAND, None)
    };
    let undoing = || undoing(Cause::Unhealthy);
    stays(undoing(), &runs, AfterTurn::Poll);
    let back = [Effect::Activate(Side::Baseline)];
    does(undoing(), &next_boot(runs), &back);
    let goes_back = GuardFacts {
        undo: ProgramState::Running,
        ..facts(BASE, None)
    };
    stays(undoing(), &goes_back, AfterTurn::Poll);
    does(tried(5, undoing()), &facts(CAND, None), &back);
    let cause = Some(Cause::Unhealthy);
    let tired = tried(6, undoing());
    leads(tired, &facts(CAND, None), TransactionPhase::Broken, cause);
}

#[test]
fn an_identity_that_cannot_be_had_does_not_keep_a_person_from_going_back() {
    let back = ordered(Order::Rollback, unknown());
    let verifying = of_candidate(TransactionPhase::Verifying);
    undo(verifying, &back, Cause::Asked);
}

#[test]
fn an_upgrade_is_watched_like_any_system() {
    let verifying = || of_candidate(TransactionPhase::Verifying);
    let runs = facts(CAND, None);
    stays(verifying(), &runs, AfterTurn::Wait(10 * MINUTE));
    let confirmed = ordered(Order::Confirm, runs);
    leads(verifying(), &confirmed, TransactionPhase::Committing, None);
}

#[test]
fn what_boots_next_must_be_the_baseline_where_that_is_known() {
    let undoing = || undoing(Cause::Unhealthy);
    let cause = Some(Cause::Unhealthy);
    for back in [facts(BASE, None), facts(BASE, Some(BASE))] {
        leads(undoing(), &back, TransactionPhase::Undone, cause);
    }
    let elsewhere = facts(BASE, Some(CAND));
    does(undoing(), &elsewhere, &[Effect::Activate(Side::Baseline)]);
}
