//! The gate: may this upgrade run now? Pure: events and a time in, actions out.
//!
//! Nothing here reads a clock, a bus or a file, so every rule (R1–R10 of the design) can be shown by a
//! table of events, and whole years of suspends can be simulated in a second.
//!
//! | state      | while                                             | then                                                      |
//! |------------|---------------------------------------------------|-----------------------------------------------------------|
//! | asleep     | logind says sleep or shutdown (R1)                | no probe runs; unproven at the resume, a new epoch (R2)   |
//! | unproven   | no probe of this epoch has reached all targets    | probing: at once, then by back-off or hint (R7)           |
//! | probing    | a probe runs                                      | proven if all was reached, else unproven                  |
//! | proven     | another condition is not met: metered, power, …   | settling when all are met                                 |
//! | settling   | all are met, and a change was seen (R5)           | open after `settle`; a condition lost: back to its state  |
//! | open       | all are met and settled, on a proof of ≤ 30 s     | resting; an older proof is first renewed                  |
//! | given up   | the deadline has passed (R9), or one look is over | resting                                                   |
//! | resting    | nobody waits: the world is heard, nothing probed  | unproven at [`Gate::begin`]                               |
//!
//! A new epoch (a resume, a changed or lost route) leads from every state but resting to unproven.

pub(crate) mod backoff;
mod conditions;
pub mod event;
mod explain;
pub mod policy;
mod power;
mod probing;
pub(crate) mod rate_limiter;
pub mod reason;
mod route;
#[cfg(test)]
mod tests;
pub mod time;
pub mod verdict;
mod world;

use std::time::Duration;

use event::{Event, ProbeId};
use policy::{Policy, Reach};
use probing::Probing;
use time::{Monotonic, Now};
use verdict::{Evidence, Hold, Loss, Verdict};
use world::World;

/// What the gate wants done. Whoever steps it also wakes it at [`Gate::look_again`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Begin a probe of all targets now.
    Probe(ProbeId),
    /// End that probe: whatever it finds is worth nothing.
    Abandon(ProbeId),
    /// The verdict is another than it was.
    Say(Verdict),
    /// It may run now. The gate rests until [`Gate::begin`].
    Open(Evidence),
    /// The deadline has passed, or one look was asked for. The gate rests until [`Gate::begin`].
    GiveUp(Vec<Hold>),
}

/// Decides for one upgrade.
#[derive(Debug)]
pub struct Gate {
    policy: Policy,
    world: World,
    probing: Probing,
    /// Since when all conditions hold together.
    good_since: Option<Monotonic>,
    /// A change was seen since the gate last opened, so all must settle (R5).
    must_settle: bool,
    /// While someone waits: since when.
    waiting_since: Option<Monotonic>,
    said: Option<Verdict>,
    hints: u64,
}

impl Gate {
    /// A gate that someone begins to wait for.
    pub fn new(policy: Policy, now: Now) -> Self {
        let probing = Probing::new(policy.seed, now.monotonic);
        let mut gate = Self {
            policy,
            world: World::new(now),
            probing,
            good_since: None,
            must_settle: false,
            waiting_since: None,
            said: None,
            hints: 0,
        };
        gate.begin(now);
        gate
    }

    /// Begins to wait again: with a fresh probe, and a deadline counted from here.
    pub fn begin(&mut self, now: Now) {
        self.waiting_since = Some(now.monotonic);
        self.good_since = None;
        self.said = None;
        self.probing.start_over(now.monotonic);
    }

    /// Takes what happened, and says what to do.
    pub fn step(&mut self, event: Event, now: Now) -> Vec<Action> {
        let news = self.world.take(event, now);
        let now = now.monotonic;
        self.must_settle |= news.unsettling;
        let mut actions = Vec::new();
        if news.epoch || self.world.is_going_down() || self.waiting_since.is_none() {
            actions.extend(self.probing.drop_running().map(Action::Abandon));
        }
        if news.epoch {
            self.good_since = None;
            self.probing.new_epoch(now);
        }
        if news.hint {
            self.hints += 1;
            self.probing.hint(now);
        }
        if let Some((id, outcome)) = news.probed {
            self.probing.ended(id, outcome, now);
        }
        if self.waiting_since.is_some() {
            self.decide(now, &mut actions);
        }
        actions
    }

    /// When to step it with [`Event::Tick`] if nothing happens before; `None` if only a hint will do.
    pub fn look_again(&self, now: Monotonic) -> Option<Monotonic> {
        let since = self.waiting_since?;
        let deadline = self.policy.timeout.map(|t| since.after(t));
        // A settling that ended between the last step and this look is due at once: nothing else would wake it.
        let waits_for_probe = self.probing.is_proof_old(now);
        let settled = self.settled_at().filter(|at| *at > now || !waits_for_probe);
        [deadline, self.probe_at(now), settled]
            .into_iter()
            .flatten()
            .min()
    }

    /// What it would say now, whether or not anybody waits.
    pub fn verdict(&self, now: Monotonic) -> Verdict {
        let mut holds = self.holds();
        if holds.is_empty() && !self.is_settled(now) {
            holds.push(self.settling());
        }
        if holds.is_empty() {
            Verdict::Open(self.evidence())
        } else {
            Verdict::Held(holds)
        }
    }

    /// How often the machine has begun to go to sleep, or has resumed, since the gate was made.
    ///
    /// Both count: a command may die of the first before the second is there.
    pub fn sleeps(&self) -> u64 {
        self.world.sleeps
    }

    /// How often the route has changed or was lost since the gate was made.
    pub fn route_changes(&self) -> u64 {
        self.world.route_changes
    }

    /// How often a hint has come since the gate was made that changed nothing which is known here.
    pub fn hints(&self) -> u64 {
        self.hints
    }

    /// Whether the machine goes to sleep, sleeps, or has not said that it is over.
    pub fn is_asleep(&self) -> bool {
        self.world.is_asleep()
    }

    /// Whether the machine shuts down.
    pub fn is_shutting_down(&self) -> bool {
        self.world.is_shutting_down()
    }

    /// Why what the gate has opened on proves nothing any more; `None` while it does.
    pub fn loss(&self, evidence: &Evidence) -> Option<Loss> {
        if self.is_asleep() {
            return Some(Loss::Sleep);
        }
        let began = self.world.epoch_began;
        began.filter(|_| self.world.epoch != evidence.epoch)
    }

    /// Whether the targets have been reached in this epoch, whatever else holds the gate; a guess has to do
    /// where there is nothing to ask.
    pub fn is_proven(&self) -> bool {
        let heard = self.world.routes.is_some() && !self.world.is_going_down();
        heard && self.connectivity().is_none()
    }

    fn decide(&mut self, now: Monotonic, actions: &mut Vec<Action>) {
        self.watch_goodness(now);
        if self.probe_at(now).is_some_and(|at| now >= at) {
            actions.push(Action::Probe(self.probing.start(now)));
        }
        actions.extend(self.conclude(now));
    }

    fn watch_goodness(&mut self, now: Monotonic) {
        if self.holds().is_empty() {
            self.good_since.get_or_insert(now);
        } else {
            self.good_since = None;
        }
    }

    fn conclude(&mut self, now: Monotonic) -> Option<Action> {
        let verdict = match self.verdict(now) {
            Verdict::Open(evidence) if !self.probing.is_proof_old(now) => {
                self.rest();
                self.must_settle = false;
                return Some(Action::Open(evidence));
            }
            // What was said stays said while a proof that has grown old is renewed.
            Verdict::Open(_) if self.said.is_some() && !self.is_over(now) => return None,
            Verdict::Open(_) => vec![conditions::asking()],
            Verdict::Held(holds) => holds,
        };
        if self.is_over(now) {
            self.rest();
            let rests = |hold| Hold {
                look_again: None,
                ..hold
            };
            return Some(Action::GiveUp(verdict.into_iter().map(rests).collect()));
        }
        if !self.is_answer(&verdict) {
            // What was said stays said until more is known: sources and probes have deadlines of seconds.
            return None;
        }
        self.say(Verdict::Held(verdict))
    }

    fn say(&mut self, verdict: Verdict) -> Option<Action> {
        if self.said.as_ref() == Some(&verdict) {
            return None;
        }
        self.said = Some(verdict.clone());
        Some(Action::Say(verdict))
    }

    fn rest(&mut self) {
        self.waiting_since = None;
        self.said = None;
    }

    /// Whether the deadline has passed, or the one look that was asked for is taken.
    fn is_over(&self, now: Monotonic) -> bool {
        let Some(since) = self.waiting_since else {
            return false;
        };
        let late = self
            .policy
            .timeout
            .is_some_and(|timeout| now >= since.after(timeout));
        late || (self.policy.once && self.has_looked())
    }

    /// Whether these holds are more than that nothing is known yet, or is about to be known better.
    fn is_answer(&self, holds: &[Hold]) -> bool {
        let asking =
            self.probing.outcome().is_none() && holds.first().is_some_and(Hold::is_unknown);
        let looks_again = self.probing.is_failure_doubted();
        let known = self.world.has_reported(&self.policy) && !asking && !looks_again;
        self.world.is_going_down() || known
    }

    fn probes(&self) -> bool {
        self.policy.reach == Reach::Targets
    }

    fn has_looked(&self) -> bool {
        let probed = !self.probes() || self.probing.outcome().is_some();
        self.world.is_going_down() || (probed && self.world.has_reported(&self.policy))
    }

    /// When the next probe begins if nothing happens before.
    fn probe_at(&self, now: Monotonic) -> Option<Monotonic> {
        if !self.probes() || self.world.is_going_down() || self.probing.is_running() {
            return None;
        }
        if self.probing.proof().is_none() {
            return self.probing.next_at(self.world.has_route());
        }
        (self.is_settled(now) && self.probing.is_proof_old(now)).then_some(now)
    }

    fn settled_at(&self) -> Option<Monotonic> {
        let settles = self.must_settle && !self.policy.once;
        let settle = if settles {
            self.policy.settle
        } else {
            Duration::ZERO
        };
        self.good_since.map(|since| since.after(settle))
    }

    fn is_settled(&self, now: Monotonic) -> bool {
        self.settled_at().is_some_and(|at| now >= at)
    }

    fn evidence(&self) -> Evidence {
        let what = match self.policy.reach {
            Reach::Targets => self.probing.proof().unwrap_or_default().to_owned(),
            Reach::Anywhere => self.world.guess(),
            Reach::Nothing => String::new(),
        };
        Evidence {
            epoch: self.world.epoch,
            what,
            guess: self.policy.reach == Reach::Anywhere,
        }
    }
}
