//! From decisions to what is done: the state is durable before anything is done, and whoever is killed in between goes on.

use std::future::Future;

use super::facts::{Effect, GuardFacts, Health, Last, Order};
use super::state::{GuardState, TransactionPhase};
use super::step::{AfterTurn, Turn, step};
use super::store::files::StateFiles;
use super::store::{Store, StoreError};

/// What the guard sees and does.
pub trait Machine {
    /// What the machine is like, for this state; `compares` if it is to be compared with the baseline. `order` and `last` are not
    /// its affair.
    fn facts(&mut self, state: &GuardState, compares: bool) -> impl Future<Output = GuardFacts>;

    /// Does one thing, or says why it cannot.
    fn perform(
        &mut self,
        effect: Effect,
        state: &GuardState,
    ) -> impl Future<Output = Result<(), String>>;
}

/// The deciding function; another one only in tests.
pub type Decide = fn(&GuardState, &GuardFacts) -> Turn;

/// One process's part in a transaction.
#[derive(Clone, Debug)]
pub struct Driver {
    decide: Decide,
    /// How the last effects came out, and of what.
    pub(super) last: Option<(String, TransactionPhase, Last)>,
    /// What was said of the comparison last.
    said: Health,
}

impl Default for Driver {
    fn default() -> Self {
        Self::new(step)
    }
}

impl Driver {
    /// A driver that decides so.
    pub fn new(decide: Decide) -> Self {
        Self {
            decide,
            last: None,
            said: Health::Good,
        }
    }

    /// One turn: look, decide, write down, do. The caller holds the lock.
    pub async fn turn<F: StateFiles, M: Machine>(
        &mut self,
        store: &mut Store<F>,
        machine: &mut M,
        order: Option<Order>,
    ) -> Result<(GuardState, AfterTurn), StoreError> {
        let state = store.load()?;
        let facts = GuardFacts {
            order,
            last: self.last_of(&state),
            ..machine.facts(&state, compares(&state, order)).await
        };
        self.tell(&facts.health);
        let Turn {
            state: next,
            effects,
            next: then,
        } = (self.decide)(&state, &facts);
        if next != state {
            store.save(&next)?;
        }
        if !effects.is_empty() {
            let done = perform(machine, &effects, &next).await;
            self.note(&next, done);
        }
        Ok((next, then))
    }

    /// Whether this was not said last. Where nothing is compared nothing is said.
    pub(super) fn is_news(&self, health: &Health) -> bool {
        *health != self.said && *health != Health::default()
    }

    /// Says what is worse, or not known, and when nothing is any more, each once.
    fn tell(&mut self, health: &Health) {
        if !self.is_news(health) {
            return;
        }
        match health {
            Health::Failed(why) | Health::Bad(why) => {
                tracing::warn!("guard: worse than the baseline: {why}");
            }
            Health::Unknown(why) => tracing::info!("guard: no verdict yet: {why}"),
            Health::Good => tracing::info!("guard: no longer worse than the baseline"),
        }
        self.said.clone_from(health);
    }

    /// How the last effects came out, if they were of this phase.
    fn last_of(&self, state: &GuardState) -> Last {
        let now = state.transaction.as_ref().map(|t| (&t.id, t.phase));
        match &self.last {
            Some((id, phase, last)) if now == Some((id, *phase)) => *last,
            _ => Last::Nothing,
        }
    }

    fn note(&mut self, state: &GuardState, done: bool) {
        let last = if done { Last::Done } else { Last::Failed };
        let transaction = state.transaction.as_ref();
        self.last = transaction.map(|t| (t.id.clone(), t.phase, last));
    }
}

/// What somebody has decided waits for no check.
fn compares(state: &GuardState, order: Option<Order>) -> bool {
    let phase = state.transaction.as_ref().map(|t| t.phase);
    let is_decided = match phase {
        Some(TransactionPhase::Verifying) => {
            matches!(
                order,
                Some(Order::Confirm | Order::Rollback | Order::Extend(_))
            )
        }
        Some(TransactionPhase::Comparing) => order == Some(Order::Rollback),
        _ => false,
    };
    phase.is_some_and(TransactionPhase::is_looked_at) && !is_decided
}

async fn perform<M: Machine>(machine: &mut M, effects: &[Effect], state: &GuardState) -> bool {
    for effect in effects {
        if let Err(why) = machine.perform(*effect, state).await {
            tracing::error!("guard: {}: {why}", effect.label());
            return false;
        }
    }
    true
}
