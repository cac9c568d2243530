//! What is decided while all goes its way: the deadline, the verdict, what people say, the end.

use super::table::*;
use crate::guard::facts::{Effect, GuardFacts, Health, Last, Order, ProgramState};
use crate::guard::state::{
    Cause, EndedTransaction, GuardState, Transaction, TransactionPhase, TrialMode,
};
use crate::guard::step::{AfterTurn, STEP_LIMIT, step};

#[test]
fn any_loop_ends() {
    for phase in [
        TransactionPhase::Armed,
        TransactionPhase::Trying,
        TransactionPhase::Committing,
    ] {
        let tired = Transaction {
            steps: STEP_LIMIT,
            ..transaction(phase)
        };
        leads(
            tired,
            &facts(),
            TransactionPhase::Broken,
            Some(Cause::TooManySteps),
        );
    }
}

#[test]
fn a_third_system_or_profile_is_somebody_elses_and_is_not_touched() {
    use TransactionPhase::*;
    for phase in [
        Armed, Trying, Staging, Staged, Verifying, Committing, Undoing,
    ] {
        for third in [
            GuardFacts {
                current: Some(THIRD.into()),
                ..facts()
            },
            GuardFacts {
                profile: Some(THIRD.into()),
                ..facts()
            },
        ] {
            let cause = Some(Cause::OtherSystem);
            leads(transaction(phase), &third, TakenOver, cause);
        }
    }
}

#[test]
fn a_profile_that_is_the_candidate_already_is_no_other_hand() {
    let refused = GuardFacts {
        profile: Some(CAND.into()),
        ..facts()
    };
    stays(
        transaction(TransactionPhase::Armed),
        &refused,
        AfterTurn::Wait(10 * MINUTE),
    );
}

#[test]
fn the_deadline_is_set_before_anything_is_tried() {
    let unset = GuardFacts {
        deadline_set: false,
        ..ordered(Order::Try, facts())
    };
    does(
        transaction(TransactionPhase::Armed),
        &unset,
        &[Effect::SetDeadline],
    );
    leads(
        transaction(TransactionPhase::Armed),
        &ordered(Order::Try, facts()),
        TransactionPhase::Trying,
        None,
    );
    let failed = GuardFacts {
        last: Last::Failed,
        ..unset
    };
    let cause = Some(Cause::NoDeadline);
    leads(
        transaction(TransactionPhase::Armed),
        &failed,
        TransactionPhase::Abandoned,
        cause,
    );
}

#[test]
fn what_is_worse_and_has_no_deadline_as_in_emergency_mode_is_undone_for_that() {
    let verifying = Transaction {
        tries: 3,
        ..transaction(TransactionPhase::Verifying)
    };
    let unset = |health| GuardFacts {
        deadline_set: false,
        health,
        ..switched()
    };
    let to = |health, cause| {
        let undoing = TransactionPhase::Undoing;
        leads(verifying.clone(), &unset(health), undoing, Some(cause));
    };
    to(Health::Bad("emergency".to_owned()), Cause::Unhealthy);
    to(Health::Good, Cause::NoDeadline);
}

#[test]
fn what_stays_worse_for_long_enough_is_undone_and_what_recovers_is_not() {
    let worse = GuardFacts {
        health: Health::Bad("sshd.service".to_owned()),
        ..switched()
    };
    let turn = decided(transaction(TransactionPhase::Verifying), &worse);
    assert_eq!(turn.next, AfterTurn::Wait(MINUTE + MINUTE / 2));
    let noted = turn.state.transaction.unwrap();
    assert_eq!(noted.bad_since_usec, Some(MINUTE));
    let later = GuardFacts {
        now_usec: 2 * MINUTE,
        ..worse
    };
    let cause = Some(Cause::Unhealthy);
    leads(noted.clone(), &later, TransactionPhase::Undoing, cause);
    let well = GuardFacts {
        health: Health::Good,
        ..later
    };
    let turn = decided(noted, &well);
    assert_eq!(turn.state.transaction.unwrap().bad_since_usec, None);
}

#[test]
fn what_will_not_get_better_by_itself_is_undone_after_five_seconds() {
    let failed = |at| GuardFacts {
        health: Health::Failed("sshd.service".to_owned()),
        now_usec: at,
        ..switched()
    };
    let turn = decided(transaction(TransactionPhase::Verifying), &failed(MINUTE));
    let until = MINUTE + 5_000_000;
    assert_eq!(turn.next, AfterTurn::Wait(until));
    let noted = turn.state.transaction.unwrap();
    let cause = Some(Cause::Unhealthy);
    leads(
        noted.clone(),
        &failed(until),
        TransactionPhase::Undoing,
        cause,
    );
    let mut hasty = noted;
    hasty.rules.settle_usec = 1;
    let at_once = failed(MINUTE + 1);
    leads(hasty, &at_once, TransactionPhase::Undoing, cause);
}

#[test]
fn the_grace_ends_by_the_verdict_or_by_the_word_that_is_missing() {
    let ended = |health| GuardFacts {
        now_usec: 10 * MINUTE,
        health,
        ..switched()
    };
    let verifying = || transaction(TransactionPhase::Verifying);
    leads(
        verifying(),
        &ended(Health::Good),
        TransactionPhase::Committing,
        None,
    );
    let unknown = ended(Health::default());
    leads(
        verifying(),
        &unknown,
        TransactionPhase::Undoing,
        Some(Cause::NoVerdict),
    );
    let bad = ended(Health::Bad(String::new()));
    leads(
        verifying(),
        &bad,
        TransactionPhase::Undoing,
        Some(Cause::Unhealthy),
    );
    let mut asks = verifying();
    asks.rules.confirm = true;
    let good = ended(Health::Good);
    leads(
        asks,
        &good,
        TransactionPhase::Undoing,
        Some(Cause::NotConfirmed),
    );
}

#[test]
fn orders_are_followed_while_the_candidate_is_verified() {
    let verifying = || transaction(TransactionPhase::Verifying);
    let confirm = ordered(Order::Confirm, switched());
    leads(verifying(), &confirm, TransactionPhase::Committing, None);
    let back = ordered(Order::Rollback, switched());
    leads(
        verifying(),
        &back,
        TransactionPhase::Undoing,
        Some(Cause::Asked),
    );
    let turn = decided(
        verifying(),
        &ordered(Order::Extend(20 * MINUTE), switched()),
    );
    assert_eq!(turn.state.transaction.unwrap().deadline_usec, 21 * MINUTE);
}

#[test]
fn the_second_hand_has_acted_if_the_baseline_runs_again() {
    let back = GuardFacts {
        activation: ProgramState::Exited(0),
        ..facts()
    };
    let cause = Some(Cause::RolledBackElsewhere);
    leads(
        transaction(TransactionPhase::Verifying),
        &back,
        TransactionPhase::Undoing,
        cause,
    );
}

#[test]
fn an_end_is_cleaned_up_and_remembered() {
    let clean = [Effect::DropDeadline, Effect::Unroot];
    does(
        transaction(TransactionPhase::Confirmed),
        &switched(),
        &clean,
    );
    let done = GuardFacts {
        last: Last::Done,
        ..switched()
    };
    let turn = decided(transaction(TransactionPhase::Confirmed), &done);
    assert_eq!(phase_of(&turn), None);
    assert_eq!(
        turn.state.history.last().unwrap().phase,
        TransactionPhase::Confirmed
    );
    assert_eq!(turn.next, AfterTurn::Rest);
}

#[test]
fn somebody_is_told_of_an_undo_and_of_a_kept_system_never() {
    let clean = [Effect::DropDeadline, Effect::Unroot];
    let told = [Effect::Notify, Effect::DropDeadline, Effect::Unroot];
    for (phase, effects) in [
        (TransactionPhase::Undone, &told[..]),
        (TransactionPhase::CandidateDidNotBoot, &told),
        (TransactionPhase::Broken, &told[..1]),
        (TransactionPhase::Confirmed, &clean),
        (TransactionPhase::TakenOver, &clean),
    ] {
        does(tells(phase), &switched(), effects);
    }
    let killed = Transaction {
        tries: 1,
        ..tells(TransactionPhase::Undone)
    };
    does(killed, &switched(), &told);
}

/// With a command that tells somebody.
fn tells(phase: TransactionPhase) -> Transaction {
    let mut t = transaction(phase);
    t.rules.notify = vec!["/bin/tell".to_owned()];
    t
}

/// It tells somebody until that is done, three times at most, and then no more.
fn tells_once(t: &Transaction, facts: &GuardFacts) {
    does(t.clone(), facts, &[Effect::Notify]);
    let tired = Transaction {
        tries: 3,
        ..t.clone()
    };
    stays(tired, facts, AfterTurn::Rest);
    let done = GuardFacts {
        last: Last::Done,
        ..facts.clone()
    };
    let told = decided(t.clone(), &done).state.transaction.unwrap();
    stays(told, facts, AfterTurn::Rest);
}

#[test]
fn somebody_is_told_once_that_the_way_back_failed() {
    tells_once(&tells(TransactionPhase::Broken), &switched());
}

#[test]
fn somebody_is_told_once_of_a_staged_system_whose_reboot_has_not_come_for_a_week() {
    let week = 7 * 24 * 60 * MINUTE;
    let staged = Transaction {
        tried_at_usec: MINUTE,
        mode: TrialMode::Reboot,
        ..tells(TransactionPhase::Staged)
    };
    let after = |span| GuardFacts {
        one_shot: Some(CAND.into()),
        now_usec: MINUTE + span,
        ..facts()
    };
    stays(staged.clone(), &after(week - 1), AfterTurn::Rest);
    tells_once(&staged, &after(week));
    let gave_way = Transaction {
        tried_at_usec: week,
        waits_since_usec: Some(MINUTE),
        ..staged.clone()
    };
    stays(gave_way.clone(), &after(week - 1), AfterTurn::Rest);
    tells_once(&gave_way, &after(week));
    let other_boot = GuardFacts {
        boot_id: "boot2".to_owned(),
        ..after(week - 2 * MINUTE)
    };
    stays(staged, &other_boot, AfterTurn::Rest);
}

#[test]
fn a_foreign_activation_shows_what_the_candidate_is() {
    let unnamed = Transaction {
        candidate: None,
        ..in_mode(TrialMode::Foreign, TransactionPhase::Armed)
    };
    let state = leads(unnamed, &switched(), TransactionPhase::Verifying, None);
    assert_eq!(state.transaction.unwrap().candidate, Some(CAND.into()));
}

#[test]
fn a_drill_is_undone_and_denies_nothing() {
    let drill = Transaction {
        candidate: Some(BASE.into()),
        ..undoing(Cause::NotConfirmed)
    };
    let ran = GuardFacts {
        undo: ProgramState::Exited(0),
        ..facts()
    };
    let tried = Transaction { tries: 1, ..drill };
    let state = leads(
        tried,
        &ran,
        TransactionPhase::Undone,
        Some(Cause::NotConfirmed),
    );
    assert_eq!(state.denied, vec![]);
}

#[test]
fn when_idle_nothing_is_done() {
    let idle = GuardState::idle("m");
    let turn = step(&idle, &facts());
    assert_eq!((turn.state, turn.effects), (idle, vec![]));
}

pub(super) fn ended(candidate: &str, cause: Cause) -> EndedTransaction {
    EndedTransaction {
        id: String::new(),
        phase: cause.end(),
        cause: Some(cause),
        candidate: Some(candidate.into()),
        baseline: BASE.into(),
        armed_at_usec_realtime: 0,
    }
}

pub(super) fn is_paused(history: &[(&str, Cause)]) -> bool {
    let history = history.iter().map(|(system, cause)| ended(system, *cause));
    GuardState {
        history: history.collect(),
        ..GuardState::idle("m")
    }
    .is_paused()
}

#[test]
fn systems_that_were_each_tried_twice_pause_the_next_as_those_tried_once() {
    use Cause::NoVerdict;
    assert!(is_paused(&[
        ("a", Cause::Unhealthy),
        ("b", Cause::Unhealthy),
        ("c", Cause::Unhealthy)
    ]));
    let twice = ["a", "a", "b", "b", "c", "c"].map(|system| (system, NoVerdict));
    assert!(is_paused(&twice));
    assert!(!is_paused(&twice[..4]));
}

#[test]
fn upgrades_whose_systems_nobody_knows_may_each_be_another_one() {
    let nameless = EndedTransaction {
        candidate: None,
        ..ended("a", Cause::ActivationFailed)
    };
    let undone = |times| GuardState {
        history: vec![nameless.clone(); times],
        ..GuardState::idle("m")
    };
    assert!(!undone(2).is_paused());
    assert!(undone(3).is_paused());
}

#[test]
fn a_grace_may_be_extended_as_often_as_somebody_likes() {
    let mut t = transaction(TransactionPhase::Verifying);
    for _ in 0..100 {
        let extended = decided(t, &ordered(Order::Extend(MINUTE), switched()));
        let mut late = switched();
        late.deadline_set = false;
        let set = decided(extended.state.transaction.unwrap(), &late);
        assert_eq!(set.effects, [Effect::SetDeadline]);
        t = set.state.transaction.unwrap();
    }
}

#[test]
fn what_was_not_a_systems_fault_does_not_pause_the_next() {
    for cause in [
        Cause::Asked,
        Cause::Interrupted,
        Cause::CommitFailed,
        Cause::NeedsReboot,
        Cause::NoDeadline,
    ] {
        assert!(
            !is_paused(&[("a", cause), ("b", cause), ("c", cause)]),
            "{cause:?}"
        );
    }
}
