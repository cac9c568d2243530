//! Every point of every run, and at each every subset of the writes that are not synced: power lost, process killed,
//! program broken.

use std::collections::{HashMap, HashSet};

use super::disk::{Nature, Planted};
use super::edges::Handle;
use super::play::{Scenario, Word, after_breakage, after_crash, after_kill};
use super::table::BASE;
use super::world::World;
use crate::guard::facts::{Effect, GuardFacts, Side};
use crate::guard::state::{GuardState, TransactionPhase, TrialMode};
use crate::guard::step::{AfterTurn, Turn, step};

const NATURES: [Nature; 7] = [
    Nature::Good,
    Nature::Bad,
    Nature::Doubtful,
    Nature::Outage,
    Nature::Refuses,
    Nature::Panics,
    Nature::Hangs,
];
const WORDS: [Word; 4] = [Word::Confirm, Word::Nothing, Word::Rollback, Word::Hurry];

fn scenarios() -> Vec<Scenario> {
    let mut all = Vec::new();
    for mode in [TrialMode::Live, TrialMode::Reboot] {
        for nature in NATURES {
            all.extend(WORDS.map(|word| Scenario {
                nature,
                mode,
                word,
                decide: step,
            }));
        }
    }
    // Without a verdict it matters what nobody says.
    let doubt = |nature| matches!(nature, Nature::Doubtful | Nature::Outage);
    all.retain(|one| one.word == Word::Nothing || !doubt(one.nature));
    // What panics at boot and yet runs, and whoever keeps it all the same, is nobody's case.
    all.retain(|one| one.mode == TrialMode::Reboot || one.nature != Nature::Panics);
    all
}

/// What was tried, and what went wrong.
#[derive(Debug, Default)]
struct Tally {
    cases: usize,
    faults: HashMap<&'static str, usize>,
    /// What has been played to its end in this scenario.
    seen: HashSet<World>,
}

impl Tally {
    /// The power fails, and every subset of the writes that are not synced stays.
    fn lose(&mut self, scenario: Scenario, world: &World) {
        let writes = u32::try_from(world.unsynced.len()).unwrap();
        let honest = world.planted == Planted::Nothing;
        assert!(!honest || writes <= 6, "{writes} writes are not synced");
        for kept in 0..(1 << writes.min(12)) {
            let mut booted = world.clone();
            booted.crash(kept);
            if self.seen.insert(booted.clone()) {
                self.count(&after_crash(scenario, &booted));
            } else {
                self.cases += 1;
            }
        }
    }

    fn count(&mut self, end: &World) {
        self.cases += 1;
        for fault in &end.faults {
            *self.faults.entry(fault).or_default() += 1;
        }
    }
}

/// The world at the moment in which the power fails, after this many operations; none if it had ended before.
fn cut(scenario: Scenario, planted: Planted, fuel: u32) -> Option<World> {
    let handle = Handle::new(World {
        fuel: Some(fuel),
        planted,
        ..World::new(scenario.nature)
    });
    scenario.play(&handle);
    let world = handle.world().clone();
    world.is_dead().then_some(world)
}

fn exhaust(scenario: Scenario, planted: Planted, tally: &mut Tally) {
    tally.seen.clear();
    for fuel in 0.. {
        let Some(world) = cut(scenario, planted, fuel) else {
            assert!(fuel > 10, "a run of {fuel} operations");
            return;
        };
        tally.lose(scenario, &world);
        for finished in [true, false] {
            tally.count(&after_kill(scenario, &world, finished));
        }
        tally.count(&after_breakage(scenario, &world));
    }
}

/// The power fails once more, at each operation of what follows the first time.
fn exhaust_twice(scenario: Scenario, tally: &mut Tally) {
    tally.seen.clear();
    let mut firsts = HashSet::new();
    for world in (0..).map_while(|fuel| cut(scenario, Planted::Nothing, fuel)) {
        for kept in [0, u32::MAX] {
            let mut first = world.clone();
            first.crash(kept);
            if !firsts.insert(first.clone()) {
                continue;
            }
            for second in 0.. {
                let handle = Handle::new(World {
                    fuel: Some(second),
                    ..first.clone()
                });
                scenario.go_on(&handle);
                let world = handle.world().clone();
                if !world.is_dead() {
                    break;
                }
                tally.lose(scenario, &world);
            }
        }
    }
}

#[test]
fn without_a_loss_each_try_ends_as_it_should() {
    for scenario in scenarios() {
        let handle = Handle::new(World::new(scenario.nature));
        scenario.play(&handle);
        let state: GuardState =
            serde_json::from_slice(&handle.world().seen().state.unwrap()).unwrap();
        let runs = match scenario.mode {
            TrialMode::Reboot => scenario.nature != Nature::Panics,
            _ => !matches!(scenario.nature, Nature::Refuses | Nature::Hangs),
        };
        let kept = match scenario.word {
            Word::Confirm => runs,
            Word::Nothing => runs && !scenario.nature.is_undone(),
            _ => false,
        };
        let end = state.history.last().map(|end| end.phase);
        assert_eq!(
            end == Some(TransactionPhase::Confirmed),
            kept,
            "{scenario:?}: {end:?}"
        );
    }
}

#[test]
fn every_loss_at_every_point_ends_in_one_complete_system_that_says_so() {
    let mut tally = Tally::default();
    for scenario in scenarios() {
        let before = tally.faults.len();
        exhaust(scenario, Planted::Nothing, &mut tally);
        assert_eq!(
            tally.faults.len(),
            before,
            "{scenario:?}: {:?}",
            tally.faults
        );
    }
    println!("{} losses, {} exceptions", tally.cases, tally.faults.len());
    assert!(tally.cases > 2000, "{}", tally.cases);
}

#[test]
fn a_second_loss_while_the_first_is_undone_changes_nothing_of_that() {
    let mut tally = Tally::default();
    let told = |one: &Scenario| {
        let nature = !matches!(one.nature, Nature::Refuses | Nature::Hangs | Nature::Panics);
        nature && matches!(one.word, Word::Confirm | Word::Nothing)
    };
    for scenario in scenarios().into_iter().filter(told) {
        exhaust_twice(scenario, &mut tally);
        assert!(tally.faults.is_empty(), "{scenario:?}: {:?}", tally.faults);
    }
    println!("{} double losses, 0 exceptions", tally.cases);
    assert!(tally.cases > 5000, "{}", tally.cases);
}

fn found(planted: Planted, decide: fn(&GuardState, &GuardFacts) -> Turn) -> Tally {
    let mut tally = Tally::default();
    for scenario in scenarios() {
        exhaust(Scenario { decide, ..scenario }, planted, &mut tally);
    }
    tally
}

#[test]
fn a_state_that_is_not_synced_before_the_rename_is_caught() {
    let tally = found(Planted::NoFsync, step);
    assert!(
        tally.faults.contains_key("the state is damaged"),
        "{:?}",
        tally.faults
    );
}

#[test]
fn file_systems_that_are_not_synced_are_caught() {
    let tally = found(Planted::NoSync, step);
    assert!(
        tally.faults.contains_key("it boots what is not there"),
        "{:?}",
        tally.faults
    );
}

#[test]
fn a_candidate_without_a_root_is_caught() {
    let tally = found(Planted::NoRoot, step);
    assert!(!tally.faults.is_empty(), "{:?}", tally.faults);
}

#[test]
fn an_undo_that_does_not_wait_for_the_activation_is_caught() {
    let tally = found(Planted::NotWaiting, step);
    let late = "it runs what it says is undone";
    assert!(tally.faults.contains_key(late), "{:?}", tally.faults);
}

/// Commits one turn before that is written down.
fn hasty(state: &GuardState, facts: &GuardFacts) -> Turn {
    let turn = step(state, facts);
    let phase = |state: &GuardState| state.transaction.as_ref().map(|t| t.phase);
    let commits = phase(&turn.state) == Some(TransactionPhase::Committing);
    let first = facts.profile == Some(BASE.into());
    if commits && first && phase(state) == Some(TransactionPhase::Verifying) {
        return Turn {
            state: state.clone(),
            effects: vec![
                Effect::SetProfile(Side::Candidate),
                Effect::InstallBoot(Side::Candidate),
            ],
            next: AfterTurn::Again,
        };
    }
    turn
}

/// Tells of an end only in the first of its tries.
fn forgetful(state: &GuardState, facts: &GuardFacts) -> Turn {
    let mut turn = step(state, facts);
    if state.transaction.as_ref().is_some_and(|t| t.tries > 0) {
        turn.effects.retain(|effect| *effect != Effect::Notify);
    }
    turn
}

#[test]
fn a_notice_that_is_noted_before_it_is_sent_is_caught() {
    let tally = found(Planted::Nothing, forgetful);
    let untold = "nobody was told how it ended, or was and is not to be";
    assert!(tally.faults.contains_key(untold), "{:?}", tally.faults);
}

#[test]
fn a_commit_before_its_phase_is_caught() {
    let tally = found(Planted::Nothing, hasty);
    let early = "the candidate may boot before the commit";
    assert!(tally.faults.contains_key(early), "{:?}", tally.faults);
}
