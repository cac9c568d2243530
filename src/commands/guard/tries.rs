//! The processes that begin a transaction, to their end.

use std::time::Duration;

use super::{Context, LATE, POLL, Patience, exit_of, print, settings, status};
use crate::cli::guard::{Arm, TrialArgs, Try};
use crate::commands::prepare::Refusal;
use crate::config::guard::OnDoubt;
use crate::exit::Exit;
use crate::guard::facts::Order;
use crate::guard::state::{Cause, GuardState, Transaction, TransactionPhase};
use crate::sys::clock;

impl Context {
    /// `guard try`: to its end, or until its boot is waited for.
    pub(super) async fn attempt(&mut self, args: &Try) -> Result<Exit, Refusal> {
        settings::refuse_unknown_programs(&args.watched.checks)?;
        self.tidy().await?;
        let begun = self.begin_try(args).await;
        let system = args.candidate.as_deref();
        let told = self.told(&args.watched, system, begun).await;
        let on_staged = args.on_staged.as_deref();
        let exit = match &told {
            Ok(Some(begun)) => self.follow(begun).await?,
            // What was staged before still waits.
            Ok(None) | Err(_) => Exit::Ok,
        };
        let started = self.after_staging(on_staged).await;
        told?;
        started.map(|()| exit)
    }

    async fn follow(&mut self, begun: &Transaction) -> Result<Exit, Refusal> {
        if begun.rules.confirm {
            let token = &begun.id;
            tracing::warn!(
                "guard: to keep it, from a new session: upgrade-gate guard confirm {token}"
            );
        }
        let id = begun.id.clone();
        let order = |state: &GuardState| state.transaction.as_ref().and_then(|t| tries(t, &id));
        let state = self.turns(order, Patience::Stays).await?;
        Ok(exit_of(&state, &begun.id))
    }

    /// `guard arm`: until the activation may begin.
    pub(super) async fn arm(&mut self, args: &Arm) -> Result<Exit, Refusal> {
        settings::refuse_unknown_programs(&args.watched.checks)?;
        self.tidy().await?;
        let begun = self.begin_arm(args).await;
        let system = args.candidate.as_deref();
        let begun = self.told(&args.watched, system, begun).await?;
        let state = self.turns(|_| Some(Order::Arm), Patience::Leaves).await?;
        match &state.transaction {
            Some(t) if t.id == begun.id => print(&format!("{}\n", t.id)),
            _ => Ok(Exit::NotNow),
        }
    }

    pub(super) async fn drill(&mut self, within: Duration) -> Result<Exit, Refusal> {
        self.tidy().await?;
        let begun = self.begin_drill(&drilled(within)).await?;
        let id = begun.id.clone();
        let order = |state: &GuardState| state.transaction.as_ref().and_then(|t| tries(t, &id));
        // The deadline is to undo it, not this process.
        let state = self.turns(order, Patience::Leaves).await?;
        let Some(t) = state
            .transaction
            .filter(|t| t.phase == TransactionPhase::Verifying)
        else {
            return Err(Refusal::new(
                Exit::RollbackFailed,
                "the drill did not come as far as the deadline",
            ));
        };
        tracing::info!("guard: waiting for the deadline to undo it");
        self.undone_by_systemd(&t).await
    }

    pub(super) async fn undone_by_systemd(&self, t: &Transaction) -> Result<Exit, Refusal> {
        let end = Duration::from_micros(t.deadline_usec) + LATE;
        while clock::now().monotonic.0 < end {
            tokio::time::sleep(POLL).await;
            let state = self.load()?;
            let ended = state.history.iter().find(|ended| ended.id == t.id);
            if let Some(ended) = ended {
                let well = (ended.phase, ended.cause)
                    == (TransactionPhase::Undone, Some(Cause::NotConfirmed));
                tracing::info!("guard: the drill ended: {}", status::outcome(ended));
                return Ok(if well { Exit::Ok } else { Exit::RollbackFailed });
            }
        }
        Err(Refusal::new(
            Exit::RollbackFailed,
            "nobody undid the drill: the deadline in systemd did nothing",
        ))
    }
}

/// What the process that began it wants.
fn tries(t: &Transaction, id: &str) -> Option<Order> {
    let until = matches!(
        t.phase,
        TransactionPhase::Arming
            | TransactionPhase::Armed
            | TransactionPhase::Trying
            | TransactionPhase::Staging
    );
    (t.id == id && until).then_some(Order::Try)
}

fn drilled(within: Duration) -> TrialArgs {
    TrialArgs {
        within,
        confirm: true,
        settle_after: within,
        on_doubt: OnDoubt::Undo,
        checks: Vec::new(),
        check_timeout: within,
        ignore_units: Vec::new(),
        must_have: Vec::new(),
        one_way: Vec::new(),
        notify: None,
        no_reboot: false,
        allow: Vec::new(),
    }
}
