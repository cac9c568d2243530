//! What is decided without a verdict.

use super::table::*;
use crate::config::guard::OnDoubt;
use crate::guard::facts::{Effect, GuardFacts, Health, Order, ProgramState};
use crate::guard::state::{Cause, Rules, Transaction, TransactionPhase};
use crate::guard::step::AfterTurn;

fn in_doubt(on_doubt: OnDoubt, phase: TransactionPhase) -> Transaction {
    let mut t = Transaction {
        cause: Some(Cause::NoVerdict),
        ..transaction(phase)
    };
    t.rules.on_doubt = on_doubt;
    t
}

#[test]
fn without_a_verdict_it_is_kept_if_that_is_wanted_but_not_without_the_word_that_is() {
    let doubtful = GuardFacts {
        now_usec: 10 * MINUTE,
        health: Health::default(),
        ..switched()
    };
    let mut keeps = transaction(TransactionPhase::Verifying);
    keeps.rules.on_doubt = OnDoubt::Keep;
    let asks = Rules {
        confirm: true,
        ..keeps.rules.clone()
    };
    let asks = Transaction {
        rules: asks,
        ..keeps.clone()
    };
    leads(keeps, &doubtful, TransactionPhase::Committing, None);
    let cause = Some(Cause::NotConfirmed);
    leads(asks, &doubtful, TransactionPhase::Undoing, cause);
}

#[test]
fn an_experiment_looks_at_the_baseline_for_as_long_as_at_the_candidate() {
    let restored = GuardFacts {
        undo: ProgramState::Exited(0),
        now_usec: 12 * MINUTE,
        ..facts()
    };
    let undoing = Transaction {
        tries: 1,
        ..in_doubt(OnDoubt::Experiment, TransactionPhase::Undoing)
    };
    let cause = Some(Cause::NoVerdict);
    let state = leads(undoing, &restored, TransactionPhase::Comparing, cause);
    assert_eq!(state.transaction.unwrap().deadline_usec, 22 * MINUTE);
    let bad = Transaction {
        tries: 1,
        cause: Some(Cause::Unhealthy),
        ..in_doubt(OnDoubt::Experiment, TransactionPhase::Undoing)
    };
    let cause = Some(Cause::Unhealthy);
    leads(bad, &restored, TransactionPhase::Undone, cause);
}

#[test]
fn what_is_good_with_the_baseline_was_the_candidates_fault_and_what_is_not_an_outage() {
    let comparing = || in_doubt(OnDoubt::Experiment, TransactionPhase::Comparing);
    let seen = |health| GuardFacts { health, ..facts() };
    let ends = |facts: &GuardFacts, cause| {
        leads(comparing(), facts, TransactionPhase::Undone, Some(cause)).denied
    };
    let bad = Health::Bad("worse".to_owned());
    for health in [Health::default(), bad] {
        let until = AfterTurn::Wait(10 * MINUTE);
        stays(comparing(), &seen(health.clone()), until);
        let late = GuardFacts {
            now_usec: 10 * MINUTE,
            ..seen(health)
        };
        assert_eq!(ends(&late, Cause::Outage), vec![]);
    }
    assert_eq!(ends(&seen(Health::Good), Cause::Unhealthy).len(), 1);
}

#[test]
fn an_experiment_that_is_interrupted_leaves_it_open() {
    let comparing = || in_doubt(OnDoubt::Experiment, TransactionPhase::Comparing);
    let rebooted = GuardFacts {
        boot_id: "boot2".to_owned(),
        ..facts()
    };
    let asked = ordered(Order::Rollback, facts());
    for facts in [rebooted, asked] {
        let cause = Some(Cause::NoVerdict);
        let state = leads(comparing(), &facts, TransactionPhase::Undone, cause);
        assert_eq!(state.denied, vec![]);
    }
    let activated = TransactionPhase::TakenOver;
    let cause = Some(Cause::OtherSystem);
    leads(comparing(), &switched(), activated, cause);
}

#[test]
fn an_experiment_has_a_deadline_of_its_own() {
    let unset = GuardFacts {
        deadline_set: false,
        ..facts()
    };
    let comparing = in_doubt(OnDoubt::Experiment, TransactionPhase::Comparing);
    does(comparing.clone(), &unset, &[Effect::SetDeadline]);
    let tired = Transaction {
        tries: 3,
        ..comparing
    };
    let cause = Some(Cause::NoVerdict);
    leads(tired, &unset, TransactionPhase::Undone, cause);
}
