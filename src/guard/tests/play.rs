//! How a machine is played to its end: processes that try and processes that act, boots between them, and what must hold.

use futures::FutureExt;

use super::disk::Nature;
use super::edges::{Handle, phase};
use super::table::{CAND, transaction};
use super::world::World;
use crate::guard::drive::{Decide, Driver};
use crate::guard::facts::{Order, ProgramState, Side};
use crate::guard::state::{
    Cause, EndedTransaction, GuardState, Transaction, TransactionPhase, TrialMode,
};
use crate::guard::step::AfterTurn;
use crate::guard::store::Store;

const MACHINE: &str = "m";
/// Longer than any way to the end.
const TURNS: usize = 200;

/// What a person does while the candidate is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Word {
    Confirm,
    Nothing,
    Rollback,
    /// Back, while it is still being activated.
    Hurry,
    /// Anything at any time.
    Anything,
}

/// One try, from the command to its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scenario {
    pub(super) nature: Nature,
    pub(super) mode: TrialMode,
    pub(super) word: Word,
    pub(super) decide: Decide,
}

impl Scenario {
    fn beginning(self) -> GuardState {
        let mut armed = Transaction {
            mode: self.mode,
            ..transaction(TransactionPhase::Arming)
        };
        // Whoever may say a word must.
        armed.rules.confirm = self.word != Word::Nothing;
        armed.rules.on_doubt = self.nature.on_doubt();
        armed.rules.notify = vec!["/bin/tell".to_owned()];
        GuardState {
            transaction: Some(armed),
            ..GuardState::idle(MACHINE)
        }
    }

    fn order(self, phase: Option<TransactionPhase>, running: bool) -> Option<Order> {
        match (phase, self.word) {
            (Some(TransactionPhase::Verifying), Word::Confirm) => Some(Order::Confirm),
            (Some(TransactionPhase::Verifying), Word::Rollback) => Some(Order::Rollback),
            (Some(TransactionPhase::Trying), Word::Hurry) if running => Some(Order::Rollback),
            (Some(TransactionPhase::Verifying), _) => None,
            _ => Some(Order::Try),
        }
    }

    /// Processes that were not told to try act alone, but for the word that somebody says.
    fn later(self, phase: Option<TransactionPhase>) -> Option<Order> {
        let verifying = phase == Some(TransactionPhase::Verifying);
        verifying.then(|| self.order(phase, false)).flatten()
    }

    /// The process that tries, until it ends or the power fails; then those that the boots start.
    pub(super) fn play(self, handle: &Handle) {
        begun(self, handle);
        let order = |phase| self.order(phase, handle.world().activation == ProgramState::Running);
        process(handle, self.decide, order, true);
        self.go_on(handle);
    }

    /// What happens without a person: reboots come, and each starts the unit at boot.
    pub(super) fn go_on(self, handle: &Handle) {
        for _ in 0..4 {
            if handle.world().is_dead() || now_in(handle).is_none() {
                return;
            }
            let boots = handle.world().boots;
            if now_in(handle) == Some(TransactionPhase::Staged) {
                handle.world().reboot();
            }
            let order = |phase| self.later(phase);
            process(handle, self.decide, order, false);
            if handle.world().boots == boots {
                return;
            }
        }
    }
}

fn store(handle: &Handle) -> Store<Handle> {
    Store::new(handle.clone(), "/".as_ref(), MACHINE)
}

/// The intent is written down.
pub(super) fn begun(scenario: Scenario, handle: &Handle) {
    // Without power it is not.
    let _ = store(handle).save(&scenario.beginning());
}

/// One turn of a process; none without power.
pub(super) fn one_turn(
    handle: &Handle,
    driver: &mut Driver,
    order: Option<Order>,
) -> Option<AfterTurn> {
    let mut machine = handle.clone();
    let mut store = store(handle);
    let turn = driver.turn(&mut store, &mut machine, order);
    turn.now_or_never().unwrap().ok().map(|(_, next)| next)
}

fn now_in(handle: &Handle) -> Option<TransactionPhase> {
    phase(handle.world().seen().state.as_deref())
}

/// One process: it ends with the boot it runs in, with the power, or when nothing is left to do. One that lives looks
/// again by itself; another is started by the deadline in systemd, if there is one.
fn process(
    handle: &Handle,
    decide: Decide,
    order: impl Fn(Option<TransactionPhase>) -> Option<Order>,
    lives: bool,
) {
    let mut driver = Driver::new(decide);
    let boots = handle.world().boots;
    for _ in 0..TURNS {
        let order = order(now_in(handle));
        let Some(next) = one_turn(handle, &mut driver, order) else {
            return;
        };
        let mut world = handle.world();
        if world.is_dead() || world.boots != boots {
            return;
        }
        match next {
            AfterTurn::Again => world.collect_garbage(),
            AfterTurn::Poll => {
                world.finish_program();
                world.now += if world.nature == Nature::Hangs {
                    600_000_000
                } else {
                    1_000_000
                };
            }
            AfterTurn::Wait(_) if !lives && world.deadline.is_none() => return,
            AfterTurn::Wait(until) => {
                world.now = world.now.max(until);
                world.collect_garbage();
            }
            AfterTurn::Rest => return,
        }
    }
    handle.world().faults.push("it never ends");
}

/// After a loss of power and the boot that follows, everything goes on by itself.
pub(super) fn after_crash(scenario: Scenario, world: &World) -> World {
    let handle = Handle::new(world.clone());
    let committing = now_in(&handle) == Some(TransactionPhase::Committing);
    handle.world().collect_garbage();
    scenario.go_on(&handle);
    finish(scenario, &handle, committing)
}

/// The process is killed, nothing else; systemd's deadline starts the next one, or, without one, the next boot.
pub(super) fn after_kill(scenario: Scenario, world: &World, finished: bool) -> World {
    let handle = Handle::new(world.clone());
    let committing = now_in(&handle) == Some(TransactionPhase::Committing);
    handle.world().fuel = None;
    if finished {
        handle.world().finish_program();
    }
    let deadline = handle.world().deadline;
    match deadline {
        Some(at) => {
            let now = handle.world().now.max(at);
            handle.world().now = now;
        }
        None => handle.world().reboot(),
    }
    scenario.go_on(&handle);
    finish(scenario, &handle, committing)
}

/// The process is killed, and the program does not work any more in this boot; systemd falls back by itself.
pub(super) fn after_breakage(scenario: Scenario, world: &World) -> World {
    let handle = Handle::new(world.clone());
    handle.world().fuel = None;
    handle.world().finish_program();
    let committing = now_in(&handle) == Some(TransactionPhase::Committing);
    handle.world().fall_back();
    handle.world().reboot();
    scenario.go_on(&handle);
    finish(scenario, &handle, committing)
}

fn finish(scenario: Scenario, handle: &Handle, committing: bool) -> World {
    // Nothing may still be under way that changes the machine later.
    handle.world().finish_program();
    handle.world().finish_program();
    let mut world = handle.world().clone();
    if let Some(fault) = judge(scenario, &world, committing) {
        world.faults.push(fault);
    }
    world
}

/// What is wrong in the end; none: it is in one system, complete, and says so.
fn judge(scenario: Scenario, world: &World, committing: bool) -> Option<&'static str> {
    let seen = world.seen();
    let text = seen.state.as_deref();
    let state: GuardState = match text {
        None => GuardState::idle(MACHINE),
        Some(text) => match serde_json::from_slice(text) {
            Ok(state) => state,
            Err(_) => return Some("the state is damaged"),
        },
    };
    if state.transaction.is_some() {
        return Some("it has not come to an end");
    }
    let end = state.history.last();
    let confirmed = end.is_some_and(|end| end.phase == TransactionPhase::Confirmed);
    // Three processes that were killed at it are three commits that failed.
    if committing && !confirmed && scenario.word != Word::Anything {
        return Some("the point of no return was none");
    }
    // A loss of power while it boots is another matter.
    let mut denied = state.denied.iter().map(|denial| denial.cause);
    if scenario.nature == Nature::Outage && denied.any(|cause| cause == Cause::Unhealthy) {
        return Some("an outage is held against the candidate");
    }
    ends_well(scenario, world, end, confirmed)
}

fn is_told(end: &EndedTransaction) -> bool {
    matches!(
        end.phase,
        TransactionPhase::Undone | TransactionPhase::CandidateDidNotBoot
    )
}

fn ends_well(
    scenario: Scenario,
    world: &World,
    end: Option<&EndedTransaction>,
    confirmed: bool,
) -> Option<&'static str> {
    let kept =
        matches!(scenario.word, Word::Confirm | Word::Anything) || scenario.nature == Nature::Good;
    let side = if confirmed {
        Side::Candidate
    } else {
        Side::Baseline
    };
    let boots_into = world.boots_into();
    match end {
        _ if confirmed && !kept => Some("a bad candidate was confirmed"),
        Some(end) if end.candidate.as_deref() != Some(CAND.as_ref()) => Some("it names another"),
        _ if boots_into != side => Some("it boots another system than it says"),
        _ if world.profile() != side => Some("the profile is another system than it says"),
        _ if !confirmed && world.current != Side::Baseline => {
            Some("it runs what it says is undone")
        }
        _ if world.deadline.is_some() || world.fallback.is_some() => Some("a deadline is left"),
        Some(end) if world.told.contains(&end.phase) != is_told(end) => {
            Some("nobody was told how it ended, or was and is not to be")
        }
        _ => None,
    }
}
