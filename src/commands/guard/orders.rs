//! What people say to a transaction, and to what is left of it.

use std::path::Path;
use std::time::Duration;

use super::said::what_to_type;
use super::{Context, Patience, exit_of, is_other, print, status, usec};
use crate::cli::guard::Confirm;
use crate::commands::prepare::Refusal;
use crate::exit::Exit;
use crate::guard::drive::Machine;
use crate::guard::facts::{Health, Order};
use crate::guard::state::{Denial, GuardState, Transaction, TransactionPhase};
use crate::guard::store::STATE;
use crate::guard::units;
use crate::sys::clock;

impl Context {
    pub(super) async fn confirm(&mut self, args: &Confirm) -> Result<Exit, Refusal> {
        let t = self.under_way()?;
        if args.token.as_ref().is_some_and(|token| *token != t.id) {
            return Err(Refusal::new(
                Exit::NotNow,
                "this token belongs to another try",
            ));
        }
        if !args.here {
            self.new_session(&t).await?;
        }
        self.say(Order::Confirm, TransactionPhase::Confirmed).await
    }

    /// Says something to the transaction, and waits for what it comes to.
    pub(super) async fn say(
        &mut self,
        order: Order,
        wanted: TransactionPhase,
    ) -> Result<Exit, Refusal> {
        let t = self.under_way()?;
        let id = t.id.clone();
        let same = |state: &GuardState| state.transaction.as_ref().is_some_and(|t| t.id == id);
        let state = self
            .turns(|state| same(state).then_some(order), Patience::Leaves)
            .await?;
        match state.history.iter().find(|ended| ended.id == t.id) {
            Some(ended) if ended.phase == wanted => Ok(Exit::Ok),
            Some(_) => Ok(exit_of(&state, &t.id)),
            None if state.transaction.as_ref().is_some_and(is_broken) => {
                Err(Refusal::new(Exit::RollbackFailed, &what_to_type(&t)))
            }
            None => {
                let phase = state
                    .transaction
                    .map(|t| status::label(t.phase))
                    .unwrap_or_default();
                Err(Refusal::new(
                    Exit::NotNow,
                    &format!("this cannot be done now: {phase}"),
                ))
            }
        }
    }

    pub(super) async fn extend(&mut self, span: Duration) -> Result<Exit, Refusal> {
        let before = self.under_way()?;
        if before.phase != TransactionPhase::Verifying {
            return Err(Refusal::new(
                Exit::NotNow,
                "no candidate is being watched, so its time cannot be extended",
            ));
        }
        let order = Order::Extend(usec(span));
        self.turn(|_| Some(order)).await?;
        self.turns(|_| None, Patience::Leaves).await?;
        self.status(false).await
    }

    pub(super) async fn disarm(&mut self) -> Result<Exit, Refusal> {
        let t = self.under_way()?;
        match t.phase {
            TransactionPhase::Arming | TransactionPhase::Armed | TransactionPhase::Staged => {}
            TransactionPhase::Broken => return Err(Refusal::new(Exit::NotNow, &what_to_type(&t))),
            _ => {
                let why = "something was activated already: keep it with confirm, or go back with rollback";
                return Err(Refusal::new(Exit::NotNow, why));
            }
        }
        self.say(Order::Disarm, TransactionPhase::Abandoned).await
    }

    pub(super) async fn verify(&mut self) -> Result<Exit, Refusal> {
        let t = self.under_way()?;
        if t.phase != TransactionPhase::Verifying {
            return Err(Refusal::new(Exit::NotNow, "no candidate is being watched"));
        }
        let state = self.load()?;
        let facts = if is_other(&state) {
            self.other.facts(&state, true).await
        } else {
            self.machine.facts(&state, true).await
        };
        let (text, exit) = match facts.health {
            Health::Good => ("good: nothing is worse than before".to_owned(), Exit::Ok),
            Health::Failed(why) | Health::Bad(why) => (format!("bad: {why}"), Exit::Findings),
            Health::Unknown(why) => (format!("no verdict yet: {why}"), Exit::NotNow),
        };
        print(&(text + "\n"))?;
        Ok(exit)
    }

    pub(super) fn denied(&self) -> Result<Exit, Refusal> {
        let denied = self.load()?.denied;
        let line = |d: &Denial| format!("{} {}\n", d.system.display(), status::label(d.cause));
        print(&denied.iter().map(line).collect::<String>())
    }

    pub(super) fn allow(&self, system: &Path) -> Result<Exit, Refusal> {
        let _lock = self.lock()?;
        let mut state = self.load()?;
        let before = state.denied.len();
        state.denied.retain(|denial| denial.system != system);
        if state.denied.len() == before {
            let why = format!("{} is not denied", system.display());
            return Err(Refusal::new(Exit::NotNow, &why));
        }
        self.save(&state)?;
        Ok(Exit::Ok)
    }

    /// At a person's order only: what cannot be read is set aside, and what is broken ends. Systemd no longer does anything for
    /// either, as it would undo what the person has repaired.
    pub(super) async fn reset(&self) -> Result<Exit, Refusal> {
        let _lock = self.lock()?;
        let store = self.store()?;
        let Ok(mut state) = store.load() else {
            self.leave_nothing().await;
            let suffix = clock::wall().0.as_secs().to_string();
            let aside = self.directory()?.set_aside(STATE, &suffix);
            let aside = aside.map_err(|error| Refusal::new(Exit::Config, &error))?;
            tracing::warn!("guard: the state is now {}", aside.display());
            return Ok(Exit::Ok);
        };
        match &state.transaction {
            Some(t) if is_broken(t) => {
                self.leave_nothing().await;
                state.close();
            }
            Some(_) => {
                return Err(Refusal::new(
                    Exit::NotNow,
                    "it is not broken: use confirm or rollback",
                ));
            }
            None => {}
        }
        self.save(&state)?;
        Ok(Exit::Ok)
    }

    async fn leave_nothing(&self) {
        let io = |done: std::io::Result<()>| done.map_err(|error| error.to_string());
        let left = [
            units::drop_all().await,
            io(self.machine.remove_roots()),
            io(self.other.disarm()),
        ];
        for why in left.into_iter().filter_map(Result::err) {
            tracing::warn!(
                "guard: {why}; to see what is left: systemctl list-units 'upgrade-gate-guard-*', \
                 and to end it: systemctl stop 'upgrade-gate-guard-*.timer'"
            );
        }
    }

    pub(super) fn under_way(&self) -> Result<Transaction, Refusal> {
        let idle = || Refusal::new(Exit::NotNow, "nothing is under way");
        self.load()?.transaction.ok_or_else(idle)
    }
}

fn is_broken(t: &Transaction) -> bool {
    t.phase == TransactionPhase::Broken
}
