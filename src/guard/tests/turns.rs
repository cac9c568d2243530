//! One turn of a process: what is looked at, written down and done, and what is known of it in the next one.

use std::path::Path;

use super::table::{BASE, CAND, transaction};
use crate::guard::drive::{Driver, Machine};
use crate::guard::facts::{Effect, GuardFacts, Health, Last, Order};
use crate::guard::state::{GuardState, TransactionPhase};
use crate::guard::step::{AfterTurn, Turn};
use crate::guard::store::Store;
use crate::guard::store::files::StateDirectory;

/// A machine that notes what it is asked for; after so many effects each one fails.
struct Asked {
    compared: Vec<bool>,
    done: Vec<Effect>,
    able: usize,
    health: Health,
}

impl Machine for Asked {
    async fn facts(&mut self, _state: &GuardState, compares: bool) -> GuardFacts {
        self.compared.push(compares);
        GuardFacts {
            boot_id: "boot1".to_owned(),
            current: Some(BASE.into()),
            health: self.health.clone(),
            last: Last::Failed,
            order: Some(Order::Disarm),
            ..GuardFacts::default()
        }
    }

    async fn perform(&mut self, effect: Effect, _state: &GuardState) -> Result<(), String> {
        if self.done.len() == self.able {
            return Err("no".to_owned());
        }
        self.done.push(effect);
        Ok(())
    }
}

fn machine(able: usize) -> Asked {
    Asked {
        compared: Vec::new(),
        done: Vec::new(),
        able,
        health: Health::Good,
    }
}

fn store(dir: &Path) -> Store<StateDirectory> {
    Store::new(StateDirectory::open(dir).unwrap(), dir, "m")
}

/// A state in this phase, on disk.
fn begun(phase: TransactionPhase) -> (tempfile::TempDir, Store<StateDirectory>) {
    let base = tempfile::tempdir().unwrap();
    let mut store = store(&base.path().join("guard"));
    let state = GuardState {
        transaction: Some(transaction(phase)),
        ..GuardState::idle("m")
    };
    store.save(&state).unwrap();
    (base, store)
}

/// Does two things, and leaves word of how the last ones came out, and of what was wanted, in the state.
fn two_things(state: &GuardState, facts: &GuardFacts) -> Turn {
    let mut next = state.clone();
    let t = next.transaction.as_mut().unwrap();
    t.steps += 1;
    t.boot_id = format!("{:?} {:?}", facts.last, facts.order);
    Turn {
        state: next,
        effects: vec![Effect::Sync, Effect::Unroot],
        next: AfterTurn::Again,
    }
}

#[tokio::test]
async fn how_what_was_done_came_out_is_known_in_the_next_turn_of_the_phase_and_of_this_process() {
    for (able, came_out) in [(2, "Done"), (1, "Failed")] {
        let (_base, mut store) = begun(TransactionPhase::Arming);
        let (mut driver, mut machine) = (Driver::new(two_things), machine(able));
        for expected in ["Nothing", came_out] {
            machine.done.clear();
            let turn = driver.turn(&mut store, &mut machine, Some(Order::Try));
            let (state, next) = turn.await.unwrap();
            let word = state.transaction.clone().unwrap().boot_id;
            assert_eq!(word, format!("{expected} Some(Try)"));
            assert_eq!(next, AfterTurn::Again);
            assert_eq!(machine.done, [Effect::Sync, Effect::Unroot][..able]);
            assert_eq!(store.load().unwrap(), state, "written before it is done");
        }
        let mut later = store.load().unwrap();
        later.transaction.as_mut().unwrap().phase = TransactionPhase::Armed;
        store.save(&later).unwrap();
        let turn = driver.turn(&mut store, &mut machine, None);
        let (state, _) = turn.await.unwrap();
        assert_eq!(state.transaction.unwrap().boot_id, "Nothing None");
    }
}

#[tokio::test]
async fn what_is_looked_at_is_compared_unless_somebody_has_decided() {
    use TransactionPhase::*;
    let compared = async |phase, order| {
        let (_base, mut store) = begun(phase);
        let nothing = |state: &GuardState, _: &GuardFacts| Turn {
            state: state.clone(),
            effects: Vec::new(),
            next: AfterTurn::Rest,
        };
        let mut machine = machine(0);
        let mut driver = Driver::new(nothing);
        driver.turn(&mut store, &mut machine, order).await.unwrap();
        machine.compared == [true]
    };
    let orders = [Order::Confirm, Order::Rollback, Order::Extend(1)];
    for order in orders {
        assert!(!compared(Verifying, Some(order)).await);
        let is_decided = order == Order::Rollback;
        assert_eq!(compared(Comparing, Some(order)).await, !is_decided);
    }
    for phase in [Verifying, Comparing] {
        assert!(compared(phase, None).await);
        assert!(compared(phase, Some(Order::Try)).await);
    }
    for phase in [Arming, Armed, Trying, Staged, Committing, Undoing, Undone] {
        assert!(!compared(phase, None).await);
    }
}

#[tokio::test]
async fn what_a_comparison_comes_to_is_said_when_it_changes() {
    let worse = Health::Bad("worse".to_owned());
    let mut driver = Driver::default();
    assert!(driver.is_news(&worse));
    for nothing in [Health::Good, Health::default()] {
        assert!(!driver.is_news(&nothing));
    }
    let (_base, mut store) = begun(TransactionPhase::Verifying);
    let mut sick = machine(0);
    sick.health = worse.clone();
    driver.turn(&mut store, &mut sick, None).await.unwrap();
    assert!(!driver.is_news(&worse));
    assert!(driver.is_news(&Health::Good));
}

#[tokio::test]
async fn a_real_turn_arms_a_machine() {
    let (_base, mut store) = begun(TransactionPhase::Arming);
    let (mut driver, mut machine) = (Driver::default(), machine(6));
    for phase in [TransactionPhase::Arming, TransactionPhase::Armed] {
        let turn = driver.turn(&mut store, &mut machine, Some(Order::Try));
        let (state, _) = turn.await.unwrap();
        assert_eq!(state.transaction.unwrap().phase, phase);
    }
    assert_eq!(machine.done.len(), 6);
    let kept = store.load().unwrap().transaction.unwrap();
    assert_eq!(kept.candidate, Some(CAND.into()));
}
