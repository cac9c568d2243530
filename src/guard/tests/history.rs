//! What earlier tries say about the next one.

use super::bounds::by_a_boot;
use super::table::*;
use super::verdicts::{ended, is_paused};
use crate::guard::state::{Cause, EndedTransaction, GuardState, TransactionPhase, label};
use crate::guard::step::step;

fn after(history: Vec<EndedTransaction>) -> GuardState {
    GuardState {
        history,
        ..GuardState::idle("m")
    }
}

/// After a try that was undone for this.
fn undone(mut state: GuardState, cause: Cause) -> GuardState {
    state.transaction = Some(by_a_boot(cause));
    step(&state, &facts()).state
}

/// Three tries like this one, each of another system.
fn three(like: &EndedTransaction) -> GuardState {
    let systems = ["/a", "/b", "/c"];
    let of = |system: &str| EndedTransaction {
        candidate: Some(system.into()),
        ..like.clone()
    };
    after(systems.map(of).into())
}

#[test]
fn only_what_was_undone_for_what_may_have_been_its_fault_pauses_the_next() {
    let tried = |cause| ended("a", cause);
    for cause in [Cause::Unhealthy, Cause::DidNotBoot, Cause::Lost] {
        assert!(three(&tried(cause)).is_paused(), "{cause:?}");
    }
    let kept = EndedTransaction {
        phase: TransactionPhase::TakenOver,
        ..tried(Cause::Unhealthy)
    };
    let unknown = EndedTransaction {
        cause: None,
        ..tried(Cause::Unhealthy)
    };
    for other in [tried(Cause::Asked), tried(Cause::EntryGone), kept, unknown] {
        assert!(!three(&other).is_paused(), "{other:?}");
    }
    let drills = EndedTransaction {
        candidate: Some(BASE.into()),
        ..tried(Cause::NotConfirmed)
    };
    let mixed = [drills, tried(Cause::Lost), ended("b", Cause::Lost)];
    assert!(!after(mixed.into()).is_paused());
}

#[test]
fn a_system_that_was_kept_ends_the_pause() {
    use Cause::Unhealthy;
    let mut state = three(&ended("a", Unhealthy));
    assert!(state.is_paused());
    state.history.push(EndedTransaction {
        phase: TransactionPhase::Confirmed,
        cause: None,
        ..ended("d", Unhealthy)
    });
    assert!(!state.is_paused());
    assert!(!is_paused(&[("a", Unhealthy), ("b", Unhealthy)]));
}

#[test]
fn nameless_upgrades_and_known_ones_count_together() {
    let nameless = EndedTransaction {
        candidate: None,
        ..ended("a", Cause::Lost)
    };
    let mut state = after(vec![nameless.clone(), nameless]);
    assert!(!state.is_paused());
    state.history.push(ended("a", Cause::Lost));
    assert!(state.is_paused());
}

#[test]
fn a_second_suspicion_denies_and_nothing_else_that_has_happened_does() {
    let denies = |history: EndedTransaction, cause: Cause| {
        let ended = undone(after(vec![history]), cause);
        let phase = ended.transaction.as_ref().map(|t| t.phase);
        assert_eq!(phase, Some(cause.end()));
        ended.denial(CAND.as_ref()).is_some()
    };
    let lost = ended(CAND, Cause::Lost);
    assert!(denies(lost.clone(), Cause::Lost));
    assert!(!denies(lost.clone(), Cause::EntryGone), "not its fault");
    let other = ended(THIRD, Cause::Lost);
    assert!(!denies(other.clone(), Cause::Lost));
    assert!(denies(other, Cause::Unhealthy), "at once");
    let gone = ended(CAND, Cause::EntryGone);
    assert!(!denies(gone, Cause::Lost));
    let kept = EndedTransaction {
        phase: TransactionPhase::Confirmed,
        ..lost
    };
    assert!(!denies(kept, Cause::Lost));
}

#[test]
fn a_system_is_denied_once() {
    let first = undone(after(Vec::new()), Cause::Unhealthy);
    let again = undone(first.clone(), Cause::Unhealthy);
    assert_eq!((first.denied.len(), again.denied.len()), (1, 1));
}

#[test]
fn an_outage_is_remembered_of_the_system_that_met_it() {
    let met = after(vec![ended(CAND, Cause::Outage), ended(THIRD, Cause::Lost)]);
    assert!(met.was_outage(CAND.as_ref()));
    assert!(!met.was_outage(THIRD.as_ref()));
    assert!(!met.was_outage(BASE.as_ref()));
}

#[test]
fn what_is_known_of_a_system_is_asked_for_by_its_name() {
    let state = undone(after(Vec::new()), Cause::DidNotBoot);
    let denial = state.denial(CAND.as_ref()).unwrap();
    assert_eq!(denial.cause, Cause::DidNotBoot);
    assert_eq!(state.denial(THIRD.as_ref()), None);
}

#[test]
fn phases_and_causes_have_the_words_of_the_file() {
    assert_eq!(label(TransactionPhase::Staged), "staged");
    assert_eq!(label(Cause::TooManySteps), "too_many_steps");
}
