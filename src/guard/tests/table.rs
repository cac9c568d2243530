//! Every row of what is decided after a death: phase and facts, and where they lead.

use crate::guard::facts::{Effect, GuardFacts, Health, Last, Order, ProgramState, Side};
use crate::guard::state::{
    Baseline, Cause, EndedTransaction, GuardState, Rules, Transaction, TransactionPhase, TrialMode,
};
use crate::guard::step::{AfterTurn, Turn, step};

pub(super) const BASE: &str = "/nix/store/base";
pub(super) const CAND: &str = "/nix/store/cand";
pub(super) const THIRD: &str = "/nix/store/third";
pub(super) const MINUTE: u64 = 60_000_000;

pub(super) fn transaction(phase: TransactionPhase) -> Transaction {
    Transaction {
        id: "ab12".to_owned(),
        phase,
        boot_id: "boot1".to_owned(),
        deadline_usec: 10 * MINUTE,
        rules: Rules {
            grace_usec: 10 * MINUTE,
            settle_usec: MINUTE / 2,
            reboot: true,
            ..Rules::default()
        },
        baseline: Baseline {
            system: BASE.into(),
            generation: Some(1),
            ..Baseline::default()
        },
        candidate: Some(CAND.into()),
        ..Transaction::default()
    }
}

pub(super) fn in_mode(mode: TrialMode, phase: TransactionPhase) -> Transaction {
    Transaction {
        mode,
        ..transaction(phase)
    }
}

pub(super) fn undoing(cause: Cause) -> Transaction {
    Transaction {
        cause: Some(cause),
        ..transaction(TransactionPhase::Undoing)
    }
}

/// The baseline runs and boots, in the boot of the try.
pub(super) fn facts() -> GuardFacts {
    GuardFacts {
        boot_id: "boot1".to_owned(),
        now_usec: MINUTE,
        current: Some(BASE.into()),
        profile: Some(BASE.into()),
        boot_default: Some(BASE.into()),
        deadline_set: true,
        ..GuardFacts::default()
    }
}

/// The same in the next boot.
pub(super) fn next_boot(facts: GuardFacts) -> GuardFacts {
    GuardFacts {
        boot_id: "boot2".to_owned(),
        deadline_set: false,
        ..facts
    }
}

fn rebooted() -> GuardFacts {
    next_boot(facts())
}

/// The candidate runs.
pub(super) fn switched() -> GuardFacts {
    GuardFacts {
        current: Some(CAND.into()),
        activation: ProgramState::Exited(0),
        health: Health::Good,
        ..facts()
    }
}

pub(super) fn ordered(order: Order, facts: GuardFacts) -> GuardFacts {
    GuardFacts {
        order: Some(order),
        ..facts
    }
}

fn state(transaction: Transaction) -> GuardState {
    GuardState {
        transaction: Some(transaction),
        ..GuardState::idle("m")
    }
}

pub(super) fn decided(transaction: Transaction, facts: &GuardFacts) -> Turn {
    step(&state(transaction), facts)
}

pub(super) fn phase_of(turn: &Turn) -> Option<TransactionPhase> {
    turn.state.transaction.as_ref().map(|t| t.phase)
}

/// It goes to this phase, for this cause, and does nothing before that is written down.
pub(super) fn leads(
    transaction: Transaction,
    facts: &GuardFacts,
    phase: TransactionPhase,
    cause: Option<Cause>,
) -> GuardState {
    let turn = decided(transaction, facts);
    let now = turn.state.transaction.clone().unwrap();
    assert_eq!((now.phase, now.cause), (phase, cause));
    assert_eq!((turn.effects, turn.next), (vec![], AfterTurn::Again));
    turn.state
}

/// It does this, in the same phase, and has counted it before.
pub(super) fn does(transaction: Transaction, facts: &GuardFacts, effects: &[Effect]) {
    let before = transaction.clone();
    let turn = decided(transaction, facts);
    assert_eq!(turn.effects, effects);
    let now = turn.state.transaction.unwrap();
    let counted = (before.phase, before.steps + 1, before.tries + 1);
    assert_eq!((now.phase, now.steps, now.tries), counted);
}

pub(super) fn stays(transaction: Transaction, facts: &GuardFacts, next: AfterTurn) {
    let before = state(transaction);
    let turn = step(&before, facts);
    assert_eq!(
        (turn.state, turn.effects, turn.next),
        (before, vec![], next)
    );
}

#[test]
fn an_arming_that_died_has_done_nothing() {
    let cause = Some(Cause::Interrupted);
    for facts in [facts(), rebooted()] {
        leads(
            transaction(TransactionPhase::Arming),
            &facts,
            TransactionPhase::Abandoned,
            cause,
        );
    }
    leads(
        transaction(TransactionPhase::Armed),
        &rebooted(),
        TransactionPhase::Abandoned,
        cause,
    );
}

#[test]
fn what_is_armed_and_never_tried_is_given_up_at_its_deadline() {
    stays(
        transaction(TransactionPhase::Armed),
        &facts(),
        AfterTurn::Wait(10 * MINUTE),
    );
    let late = GuardFacts {
        now_usec: 10 * MINUTE,
        ..facts()
    };
    let cause = Some(Cause::Interrupted);
    leads(
        transaction(TransactionPhase::Armed),
        &late,
        TransactionPhase::Abandoned,
        cause,
    );
}

#[test]
fn an_activation_that_runs_is_waited_for_until_the_deadline() {
    let running = GuardFacts {
        activation: ProgramState::Running,
        ..facts()
    };
    stays(
        transaction(TransactionPhase::Trying),
        &running,
        AfterTurn::Poll,
    );
    let late = GuardFacts {
        now_usec: 10 * MINUTE,
        ..running
    };
    let cause = Cause::ActivationTimeout;
    leads(
        transaction(TransactionPhase::Trying),
        &late,
        TransactionPhase::Undoing,
        Some(cause),
    );
    does(undoing(cause), &late, &[Effect::StopActivation]);
}

#[test]
fn an_activation_that_cannot_be_stopped_ends_with_a_reboot_if_that_is_allowed() {
    let late = GuardFacts {
        activation: ProgramState::Running,
        now_usec: 10 * MINUTE,
        ..facts()
    };
    let tired = |tries, reboot| {
        let mut t = undoing(Cause::Unhealthy);
        (t.tries, t.rules.reboot) = (tries, reboot);
        t
    };
    let turn = decided(tired(6, true), &late);
    assert_eq!(turn.effects.last(), Some(&Effect::Reboot));
    assert_eq!(turn.next, AfterTurn::Rest);
    let broken = TransactionPhase::Broken;
    let again = decided(tired(8, true), &late);
    assert_eq!(again.effects.last(), Some(&Effect::Reboot));
    for given_up in [tired(9, true), tired(6, false)] {
        leads(given_up, &late, broken, Some(Cause::Unhealthy));
    }
}

#[test]
fn an_activation_that_ended_in_the_candidate_is_verified_whatever_it_exited_with() {
    for code in [0, 1, 2, 4] {
        let ended = GuardFacts {
            activation: ProgramState::Exited(code),
            ..switched()
        };
        let state = leads(
            transaction(TransactionPhase::Trying),
            &ended,
            TransactionPhase::Verifying,
            None,
        );
        assert_eq!(state.transaction.unwrap().deadline_usec, 11 * MINUTE);
    }
}

#[test]
fn an_activation_that_was_refused_is_undone_to_start_again_what_it_stopped() {
    let refused = GuardFacts {
        activation: ProgramState::Exited(1),
        ..facts()
    };
    let cause = Cause::ActivationFailed;
    leads(
        transaction(TransactionPhase::Trying),
        &refused,
        TransactionPhase::Undoing,
        Some(cause),
    );
    does(
        undoing(cause),
        &refused,
        &[Effect::Activate(Side::Baseline)],
    );
}

#[test]
fn an_activation_that_wants_a_reboot_is_no_failure_of_the_candidate() {
    let wants = GuardFacts {
        activation: ProgramState::Exited(100),
        ..facts()
    };
    let cause = Some(Cause::NeedsReboot);
    leads(
        transaction(TransactionPhase::Trying),
        &wants,
        TransactionPhase::Undoing,
        cause,
    );
}

#[test]
fn a_loss_of_power_during_the_try_ends_in_the_baseline_and_is_denied_the_second_time() {
    for phase in [TransactionPhase::Trying, TransactionPhase::Verifying] {
        leads(
            transaction(phase),
            &rebooted(),
            TransactionPhase::Undoing,
            Some(Cause::Lost),
        );
    }
    let first = leads(
        undoing(Cause::Lost),
        &rebooted(),
        TransactionPhase::Undone,
        Some(Cause::Lost),
    );
    assert_eq!(first.denied, vec![]);
    let mut again = state(undoing(Cause::Lost));
    again.history.push(EndedTransaction {
        id: "first".to_owned(),
        phase: TransactionPhase::Undone,
        cause: Some(Cause::Lost),
        candidate: Some(CAND.into()),
        baseline: BASE.into(),
        armed_at_usec_realtime: 0,
    });
    let second = step(&again, &rebooted()).state;
    assert!(second.denial(CAND.as_ref()).is_some());
}

#[test]
fn a_staged_candidate_stays_staged_while_its_one_shot_entry_is_set() {
    for facts in [facts(), rebooted()] {
        let set = GuardFacts {
            one_shot: Some(CAND.into()),
            now_usec: 1000 * MINUTE,
            ..facts
        };
        stays(
            in_mode(TrialMode::Reboot, TransactionPhase::Staged),
            &set,
            AfterTurn::Rest,
        );
    }
}

#[test]
fn a_staged_candidate_whose_entry_is_used_up_did_not_boot_and_is_denied() {
    let staged = in_mode(TrialMode::Reboot, TransactionPhase::Staged);
    let cause = Some(Cause::DidNotBoot);
    let state = leads(staged, &rebooted(), TransactionPhase::Undoing, cause);
    let undoing = state.transaction.unwrap();
    let ended = leads(
        undoing,
        &rebooted(),
        TransactionPhase::CandidateDidNotBoot,
        cause,
    );
    assert!(ended.denial(CAND.as_ref()).is_some());
}

#[test]
fn a_staged_candidate_whose_entry_is_gone_before_the_reboot_is_not_to_blame() {
    let staged = in_mode(TrialMode::Reboot, TransactionPhase::Staged);
    leads(
        staged,
        &facts(),
        TransactionPhase::Undoing,
        Some(Cause::EntryGone),
    );
}

#[test]
fn what_is_taken_back_before_its_boot_is_not_denied_and_nobody_is_told() {
    let cause = Some(Cause::TakenBack);
    let disarmed = ordered(Order::Disarm, facts());
    let armed = transaction(TransactionPhase::Armed);
    leads(armed, &disarmed, TransactionPhase::Abandoned, cause);
    let staged = in_mode(TrialMode::Reboot, TransactionPhase::Staged);
    let state = leads(staged, &disarmed, TransactionPhase::Undoing, cause);
    let mut there = facts();
    there.one_shot = Some(CAND.into());
    let turn = decided(state.transaction.clone().unwrap(), &there);
    assert!(turn.effects.contains(&Effect::DropGeneration));
    let mut undoing = state.transaction.unwrap();
    undoing.rules.notify = vec!["tell".to_owned()];
    let ended = leads(undoing, &facts(), TransactionPhase::Abandoned, cause);
    assert_eq!(ended.denial(CAND.as_ref()), None);
    let clean = [Effect::DropDeadline, Effect::Unroot];
    does(ended.transaction.unwrap(), &facts(), &clean);
}

#[test]
fn a_boot_into_the_candidate_is_watched_for_the_whole_grace_from_then() {
    for phase in [TransactionPhase::Staged, TransactionPhase::Verifying] {
        let booted = GuardFacts {
            current: Some(CAND.into()),
            ..rebooted()
        };
        let state = leads(
            in_mode(TrialMode::Reboot, phase),
            &booted,
            TransactionPhase::Verifying,
            None,
        );
        let now = state.transaction.unwrap();
        assert_eq!((now.boot_id.as_str(), now.boots), ("boot2", 1));
        assert_eq!(now.deadline_usec, 11 * MINUTE);
        does(now, &booted, &[Effect::SetDeadline]);
    }
}

#[test]
fn a_second_boot_into_an_unconfirmed_candidate_is_undone() {
    let once = Transaction {
        boots: 1,
        ..in_mode(TrialMode::Foreign, TransactionPhase::Verifying)
    };
    let booted = GuardFacts {
        current: Some(CAND.into()),
        ..rebooted()
    };
    leads(once, &booted, TransactionPhase::Undoing, Some(Cause::Lost));
}

const COMMIT: &[Effect] = &[
    Effect::DropFallback,
    Effect::SetProfile(Side::Candidate),
    Effect::Sync,
    Effect::InstallBoot(Side::Candidate),
    Effect::Sync,
];

#[test]
fn a_commit_that_was_cut_off_goes_on_forwards_in_any_boot() {
    for facts in [facts(), rebooted(), switched()] {
        does(transaction(TransactionPhase::Committing), &facts, COMMIT);
    }
    let done = GuardFacts {
        profile: Some(CAND.into()),
        boot_default: Some(CAND.into()),
        last: Last::Done,
        ..switched()
    };
    leads(
        transaction(TransactionPhase::Committing),
        &done,
        TransactionPhase::Confirmed,
        None,
    );
}

#[test]
fn a_commit_is_believed_only_when_the_boot_loader_says_so() {
    let unread = GuardFacts {
        profile: Some(CAND.into()),
        last: Last::Done,
        ..switched()
    };
    does(transaction(TransactionPhase::Committing), &unread, COMMIT);
}

#[test]
fn a_commit_that_fails_three_times_makes_the_baseline_boot_again() {
    let tired = Transaction {
        tries: 3,
        ..transaction(TransactionPhase::Committing)
    };
    let half = GuardFacts {
        profile: Some(CAND.into()),
        last: Last::Failed,
        ..switched()
    };
    let cause = Some(Cause::CommitFailed);
    let state = leads(tired, &half, TransactionPhase::Undoing, cause);
    let turn = step(&state, &half);
    assert!(turn.effects.contains(&Effect::InstallBoot(Side::Baseline)));
}

#[test]
fn an_undo_that_was_cut_off_is_done_again_until_a_person_is_needed() {
    let cut_off = Transaction {
        tries: 2,
        ..undoing(Cause::Unhealthy)
    };
    let half = GuardFacts {
        activation: ProgramState::Exited(4),
        ..switched()
    };
    does(cut_off, &half, &[Effect::Activate(Side::Baseline)]);
    let tired = Transaction {
        tries: 6,
        ..undoing(Cause::Unhealthy)
    };
    leads(
        tired,
        &half,
        TransactionPhase::Broken,
        Some(Cause::Unhealthy),
    );
    stays(
        transaction(TransactionPhase::Broken),
        &half,
        AfterTurn::Rest,
    );
}

#[test]
fn a_live_undo_that_is_not_enough_reboots_if_it_may() {
    let failed = GuardFacts {
        undo: ProgramState::Exited(1),
        ..switched()
    };
    does(undoing(Cause::Unhealthy), &failed, &[Effect::Reboot]);
    let mut never = undoing(Cause::Unhealthy);
    never.rules.reboot = false;
    leads(
        never,
        &failed,
        TransactionPhase::Broken,
        Some(Cause::Unhealthy),
    );
}
