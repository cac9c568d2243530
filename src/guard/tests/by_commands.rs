//! A system that is changed by commands: what each phase decides, and everything that can happen to it in any order.

use std::collections::{HashSet, VecDeque};
use std::path::PathBuf;

use super::table::{
    BASE, CAND, MINUTE, THIRD, decided, does, leads, next_boot, ordered, phase_of, stays,
    transaction,
};
use crate::guard::facts::{Effect, GuardFacts, Health, Last, Order, ProgramState, Side};
use crate::guard::state::{Cause, GuardState, SystemCommands, Transaction, TransactionPhase};
use crate::guard::step::{AfterTurn, step};

pub(super) fn in_phase(phase: TransactionPhase) -> Transaction {
    Transaction {
        commands: Some(SystemCommands::default()),
        candidate: None,
        ..transaction(phase)
    }
}

pub(super) fn of_candidate(phase: TransactionPhase) -> Transaction {
    Transaction {
        candidate: Some(CAND.into()),
        ..in_phase(phase)
    }
}

pub(super) fn undoing(cause: Cause) -> Transaction {
    Transaction {
        cause: Some(cause),
        ..of_candidate(TransactionPhase::Undoing)
    }
}

pub(super) fn facts(current: &str, next: Option<&str>) -> GuardFacts {
    GuardFacts {
        boot_id: "boot1".to_owned(),
        now_usec: MINUTE,
        current: Some(current.into()),
        boot_default: next.map(PathBuf::from),
        profile: next.map(PathBuf::from),
        deadline_set: true,
        ..GuardFacts::default()
    }
}

fn ended(code: u8, facts: GuardFacts) -> GuardFacts {
    GuardFacts {
        activation: ProgramState::Exited(code),
        ..facts
    }
}

pub(super) fn unknown() -> GuardFacts {
    GuardFacts {
        current: None,
        ..facts(BASE, None)
    }
}

#[test]
fn what_an_upgrade_has_done_decides_how_it_goes_on() {
    let trying = || in_phase(TransactionPhase::Trying);
    let to = |facts: GuardFacts, phase, cause| leads(trying(), &facts, phase, cause);
    to(
        ended(0, facts(CAND, None)),
        TransactionPhase::Verifying,
        None,
    );
    let staged = to(
        ended(0, facts(BASE, Some(CAND))),
        TransactionPhase::Staging,
        None,
    );
    assert_eq!(staged.transaction.unwrap().candidate, Some(CAND.into()));
    for same in [facts(BASE, None), facts(BASE, Some(BASE))] {
        to(
            ended(0, same),
            TransactionPhase::Abandoned,
            Some(Cause::Unchanged),
        );
    }
    for failed in [
        ended(1, facts(CAND, None)),
        ended(0, unknown()),
        facts(CAND, None),
    ] {
        to(
            failed,
            TransactionPhase::Undoing,
            Some(Cause::ActivationFailed),
        );
    }
    // Half of an upgrade looks like any other system.
    to(
        next_boot(facts(CAND, None)),
        TransactionPhase::Undoing,
        Some(Cause::Lost),
    );
}

#[test]
fn a_staged_upgrade_waits_for_its_boot_and_for_whoever_knows_what_runs() {
    let staged = || of_candidate(TransactionPhase::Staged);
    for waits in [
        facts(BASE, Some(CAND)),
        facts(BASE, None),
        next_boot(unknown()),
    ] {
        stays(staged(), &waits, AfterTurn::Rest);
    }
    let to = |facts: GuardFacts, phase, cause| leads(staged(), &facts, phase, cause);
    to(
        next_boot(facts(CAND, Some(CAND))),
        TransactionPhase::Verifying,
        None,
    );
    let undone = TransactionPhase::Undoing;
    for (next, cause) in [(BASE, Cause::Lost), (CAND, Cause::DidNotBoot)] {
        to(next_boot(facts(BASE, Some(next))), undone, Some(cause));
    }
    to(facts(BASE, Some(BASE)), undone, Some(Cause::EntryGone));
    for (order, cause) in [
        (Order::Rollback, Cause::Asked),
        (Order::Disarm, Cause::TakenBack),
    ] {
        to(ordered(order, facts(BASE, Some(CAND))), undone, Some(cause));
    }
    let other = facts(BASE, Some(THIRD));
    to(other, TransactionPhase::TakenOver, Some(Cause::OtherSystem));
}

#[test]
fn an_identity_that_cannot_be_had_is_no_verdict_before_the_end_of_the_grace() {
    let verifying = || of_candidate(TransactionPhase::Verifying);
    stays(verifying(), &unknown(), AfterTurn::Wait(10 * MINUTE));
    stays(verifying(), &next_boot(unknown()), AfterTurn::Rest);
    let late = GuardFacts {
        now_usec: 10 * MINUTE,
        ..unknown()
    };
    leads(
        verifying(),
        &late,
        TransactionPhase::Undoing,
        Some(Cause::NoVerdict),
    );
}

#[test]
fn the_way_back_is_the_command_then_a_reboot_and_then_a_person() {
    let back = [Effect::Activate(Side::Baseline)];
    let gone = |facts: GuardFacts| GuardFacts {
        undo: ProgramState::Exited(0),
        ..facts
    };
    does(undoing(Cause::Unhealthy), &facts(CAND, None), &back);
    does(undoing(Cause::Unhealthy), &unknown(), &back);
    does(undoing(Cause::Asked), &facts(BASE, Some(CAND)), &back);
    does(
        undoing(Cause::Unhealthy),
        &gone(facts(CAND, Some(BASE))),
        &[Effect::Reboot],
    );
    let mut stuck = undoing(Cause::Unhealthy);
    stuck.rules.reboot = false;
    leads(
        stuck,
        &gone(facts(CAND, None)),
        TransactionPhase::Broken,
        Some(Cause::Unhealthy),
    );
    // A third identity on the way is no other tool.
    does(
        undoing(Cause::Unhealthy),
        &gone(facts(THIRD, None)),
        &[Effect::Reboot],
    );
    let restored = facts(BASE, Some(BASE));
    leads(
        undoing(Cause::Unhealthy),
        &restored,
        TransactionPhase::Undone,
        Some(Cause::Unhealthy),
    );
}

#[test]
fn what_is_denied_is_what_was_offered() {
    let mut t = undoing(Cause::Unhealthy);
    t.baseline.offer = Some("v2".into());
    let state = leads(
        t,
        &facts(BASE, None),
        TransactionPhase::Undone,
        Some(Cause::Unhealthy),
    );
    assert_eq!(state.denied[0].system, PathBuf::from("v2"));
}

#[test]
fn nights_without_an_upgrade_do_not_push_the_others_out_of_the_history() {
    let mut state = GuardState::idle("m");
    for cause in [Cause::Unhealthy, Cause::Unchanged, Cause::Unchanged] {
        let t = Transaction {
            cause: Some(cause),
            tries: 3,
            ..in_phase(TransactionPhase::Abandoned)
        };
        state.transaction = Some(t);
        state = step(&state, &facts(BASE, None)).state;
    }
    let causes: Vec<_> = state.history.iter().map(|ended| ended.cause).collect();
    assert_eq!(causes, [Some(Cause::Unhealthy), Some(Cause::Unchanged)]);
}

/// A machine, what is on its disk, and what its process remembers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Node {
    state: GuardState,
    last: Last,
    /// What runs, and what boots next: the same where upgrades are made in place.
    running: &'static str,
    next: &'static str,
    in_place: bool,
    activation: ProgramState,
    undo: ProgramState,
    deadline: Option<u64>,
    late: bool,
    bad: bool,
    boots: u32,
    /// How often a process died in the middle of a turn.
    deaths: u32,
}

/// After so many boots and deaths nothing new happens, but that the guard gives up.
const BOOTS: u32 = 3;
const DEATHS: u32 = 2;

impl Node {
    fn new(in_place: bool, bad: bool) -> Self {
        let t = Transaction {
            boot_id: "boot1".to_owned(),
            ..in_phase(TransactionPhase::Arming)
        };
        Self {
            state: GuardState {
                transaction: Some(t),
                ..GuardState::idle("m")
            },
            last: Last::Nothing,
            running: BASE,
            next: BASE,
            in_place,
            activation: ProgramState::Absent,
            undo: ProgramState::Absent,
            deadline: None,
            late: false,
            bad,
            boots: 1,
            deaths: 0,
        }
    }

    fn facts(&self, order: Option<Order>) -> GuardFacts {
        let deadline = self.state.transaction.as_ref().map(|t| t.deadline_usec);
        GuardFacts {
            boot_id: format!("boot{}", self.boots),
            now_usec: if self.late { deadline.unwrap_or(0) } else { 0 },
            activation: self.activation,
            undo: self.undo,
            deadline_set: self.deadline.is_some() && self.deadline == deadline,
            health: if self.bad {
                Health::Bad("worse".to_owned())
            } else {
                Health::Good
            },
            order,
            last: self.last,
            ..facts(self.running, (!self.in_place).then_some(self.next))
        }
    }

    /// One turn, of whose effects only the first are done before the process dies.
    fn turned(&self, order: Option<Order>, done: usize) -> Self {
        let turn = step(&self.state, &self.facts(order));
        let mut next = self.clone();
        let phase = |state: &GuardState| state.transaction.as_ref().map(|t| t.phase);
        let stays = phase(&turn.state) == phase(&self.state);
        next.state = turn.state;
        next.last = if stays { self.last } else { Last::Nothing };
        for effect in turn.effects.iter().take(done) {
            next.perform(*effect);
        }
        if !turn.effects.is_empty() {
            let all = done >= turn.effects.len();
            let lives = all && next.boots == self.boots;
            next.last = if lives { Last::Done } else { Last::Nothing };
            next.deaths += u32::from(!all);
        }
        next
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::SetDeadline => {
                self.deadline = self.state.transaction.as_ref().map(|t| t.deadline_usec);
                self.late = false;
            }
            Effect::DropDeadline => {
                self.deadline = None;
                (self.activation, self.undo) = (ProgramState::Absent, ProgramState::Absent);
            }
            Effect::Activate(Side::Candidate) => self.activation = ProgramState::Running,
            Effect::Activate(Side::Baseline) => self.undo = ProgramState::Running,
            Effect::StopActivation => self.activation = ProgramState::Exited(255),
            Effect::Reboot => self.reboot(),
            _ => {}
        }
    }

    fn install(&mut self, system: &'static str) {
        self.next = system;
        if self.in_place {
            self.running = system;
        }
    }

    fn reboot(&mut self) {
        self.running = self.next;
        self.boots += 1;
        (self.activation, self.undo) = (ProgramState::Absent, ProgramState::Absent);
        (self.deadline, self.last, self.late) = (None, Last::Nothing, false);
    }

    fn changed(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut next = self.clone();
        change(&mut next);
        next
    }

    fn successors(&self) -> Vec<Self> {
        let orders = [
            None,
            Some(Order::Try),
            Some(Order::Confirm),
            Some(Order::Rollback),
            Some(Order::Disarm),
        ];
        let done: &[usize] = if self.deaths < DEATHS {
            &[0, 1, 9]
        } else {
            &[9]
        };
        let turns = orders
            .iter()
            .flat_map(|order| done.iter().map(|done| self.turned(*order, *done)));
        let mut next: Vec<_> = turns.collect();
        next.push(self.changed(|node| node.last = Last::Nothing));
        next.push(self.changed(|node| node.late = node.deadline.is_some()));
        if self.activation == ProgramState::Running {
            for (system, code) in [(CAND, 0), (THIRD, 1), (BASE, 1), (BASE, 0)] {
                next.push(self.changed(|node| {
                    node.install(system);
                    node.activation = ProgramState::Exited(code);
                }));
            }
        }
        if self.undo == ProgramState::Running {
            next.push(self.changed(Self::bring_back));
        }
        if self.boots < BOOTS {
            next.push(self.changed(Self::reboot));
        }
        next
    }

    fn bring_back(&mut self) {
        self.install(BASE);
        self.undo = ProgramState::Exited(0);
    }

    /// Left alone with the units of systemd, it comes to an end, and the end is true.
    fn ends(&self) {
        let mut node = self.clone();
        for _ in 0..100 {
            let phase = node.state.transaction.as_ref().map(|t| t.phase);
            match phase {
                None | Some(TransactionPhase::Broken | TransactionPhase::Staged) => break,
                _ if node.undo == ProgramState::Running => node.bring_back(),
                _ if node.activation == ProgramState::Running => {
                    node.activation = ProgramState::Exited(1);
                }
                _ => {}
            }
            let before = node.clone();
            node = node.turned(None, 9);
            if node == before {
                node.late = true;
            }
        }
        assert!(node.is_true(), "{self:?}\n{node:?}");
    }

    fn is_true(&self) -> bool {
        if let Some(t) = &self.state.transaction {
            return t.phase == TransactionPhase::Staged && self.next != BASE;
        }
        let last = self.state.history.last().unwrap();
        let kept =
            self.running == self.next && last.candidate.as_deref() == Some(self.next.as_ref());
        let back = self.running == BASE && self.next == BASE;
        match last.phase {
            TransactionPhase::Confirmed => kept,
            TransactionPhase::Undone
            | TransactionPhase::CandidateDidNotBoot
            | TransactionPhase::Abandoned => back,
            // Half an upgrade in the place of a whole one.
            _ => last.phase == TransactionPhase::TakenOver,
        }
    }
}

#[test]
fn whatever_happens_to_an_upgrade_by_commands_it_ends_in_a_system_that_says_so() {
    let mut seen = HashSet::new();
    let starts = [(true, true), (true, false), (false, true), (false, false)];
    let starts = starts.map(|(in_place, bad)| Node::new(in_place, bad));
    let mut queue = VecDeque::from(starts);
    while let Some(node) = queue.pop_front() {
        if seen.len() >= 30_000 || !seen.insert(node.clone()) {
            continue;
        }
        node.ends();
        queue.extend(node.successors());
    }
    println!("{} states, 0 exceptions", seen.len());
    assert!(seen.len() > 5000, "{}", seen.len());
}

#[test]
fn a_turn_that_only_waits_does_nothing() {
    let turn = decided(in_phase(TransactionPhase::Armed), &facts(BASE, None));
    assert_eq!(
        (phase_of(&turn), turn.effects),
        (Some(TransactionPhase::Armed), vec![])
    );
}
