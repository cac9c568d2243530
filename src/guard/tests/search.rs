//! Everything that can happen in any order, breadth first: turns of processes that live and die, programs that end, time
//! that passes, words that are said, garbage that is collected, power that is lost. From each state it comes to an end.

use std::collections::{HashSet, VecDeque};

use super::disk::Nature;
use super::edges::{Handle, phase};
use super::play::{Scenario, Word, after_crash, begun, one_turn};
use super::world::World;
use crate::guard::drive::Driver;
use crate::guard::facts::{Last, Order, ProgramState};
use crate::guard::state::{TransactionPhase, TrialMode};
use crate::guard::step::step;

/// A machine, and what the process that looks after it remembers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Node {
    world: World,
    last: Option<(String, TransactionPhase, Last)>,
}

const ORDERS: [Option<Order>; 5] = [
    None,
    Some(Order::Try),
    Some(Order::Confirm),
    Some(Order::Rollback),
    Some(Order::Disarm),
];
/// After which somebody is told that a reboot has not come.
const WEEK: u64 = 7 * 24 * 3600 * 1_000_000;
/// More boots than these lead nowhere new.
const BOOTS: u32 = 2;
/// How many states of each machine are looked at; in an environment variable for a longer search.
const STATES: &str = "UPGRADE_GATE_STATES";

fn turned(node: &Node, order: Option<Order>) -> Node {
    let handle = Handle::new(node.world.clone());
    let mut driver = Driver::new(step);
    driver.last.clone_from(&node.last);
    let _ = one_turn(&handle, &mut driver, order);
    let world = handle.world().clone();
    let same = world.boots == node.world.boots;
    Node {
        world,
        last: driver.last.filter(|_| same),
    }
}

fn changed(node: &Node, change: impl FnOnce(&mut World)) -> Node {
    let mut next = node.clone();
    change(&mut next.world);
    next
}

fn fresh(world: World) -> Node {
    Node { world, last: None }
}

fn crashed(node: &Node) -> Vec<Node> {
    let subsets = 0..(1u32 << node.world.unsynced.len());
    let worlds = subsets.map(|kept| changed(node, |world| world.crash(kept)).world);
    worlds.map(fresh).collect()
}

/// All that can come next.
fn successors(node: &Node) -> Vec<Node> {
    let mut next: Vec<_> = ORDERS.map(|order| turned(node, order)).into();
    next.push(fresh(node.world.clone()));
    next.push(changed(node, World::finish_program));
    next.push(changed(node, World::collect_garbage));
    next.push(changed(node, |world| {
        world.now = world.deadline.map_or(world.now, |at| at.max(world.now));
    }));
    if phase(node.world.seen().state.as_deref()) == Some(TransactionPhase::Staged) {
        next.push(changed(node, |world| world.now += WEEK));
    }
    let quiet =
        node.world.activation != ProgramState::Running && node.world.undo != ProgramState::Running;
    if quiet && node.world.fallback.is_some() {
        next.push(changed(node, World::fall_back));
    }
    if node.world.boots < BOOTS {
        next.extend(crashed(node));
    }
    next
}

fn search(scenario: Scenario, limit: usize) -> usize {
    let handle = Handle::new(World::new(scenario.nature));
    begun(scenario, &handle);
    let first = fresh(handle.world().clone());
    let mut seen = HashSet::from([first.clone()]);
    let mut ended = HashSet::new();
    let mut queue = VecDeque::from([first]);
    while let Some(node) = queue.pop_front() {
        if ended.insert(node.world.clone()) {
            ends(scenario, &node.world);
        }
        for next in successors(&node) {
            if seen.len() < limit && seen.insert(next.clone()) {
                queue.push_back(next);
            }
        }
    }
    seen.len()
}

/// Left alone, after a reboot, it comes to an end that is true.
fn ends(scenario: Scenario, world: &World) {
    let mut rebooted = world.clone();
    rebooted.reboot();
    let end = after_crash(scenario, &rebooted);
    assert!(end.faults.is_empty(), "{scenario:?}: {:?}", end.faults);
    assert!(end.boots <= rebooted.boots + 2, "{scenario:?}");
}

#[test]
fn whatever_happens_in_whatever_order_it_ends_in_one_system_that_says_so() {
    let limit = std::env::var(STATES)
        .ok()
        .and_then(|text| text.parse().ok());
    let limit = limit.unwrap_or(1500);
    let mut states = 0;
    for mode in [TrialMode::Live, TrialMode::Reboot] {
        for nature in [Nature::Good, Nature::Bad, Nature::Doubtful, Nature::Refuses] {
            let scenario = Scenario {
                nature,
                mode,
                // Anybody may say anything: what is confirmed was confirmed.
                word: Word::Anything,
                decide: step,
            };
            let found = search(scenario, limit);
            println!("{found} states of {nature:?} {mode:?}");
            states += found;
        }
    }
    println!("{states} states, 0 exceptions");
    assert!(states > 5000, "{states}");
}
