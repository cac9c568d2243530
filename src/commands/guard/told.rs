//! Commands that a try starts: somebody is told that it was refused, when that changes, not each night; and what is staged is
//! rebooted into, if somebody wants that.

use std::path::Path;

use super::Context;
use super::begin::id;
use super::settings::words;
use crate::cli::guard::TrialArgs;
use crate::commands::prepare::Refusal;
use crate::exit::Exit;
use crate::guard::plan::Notice;
use crate::guard::state::{ToldRefusal, Transaction, TransactionPhase};
use crate::guard::units::{notify, start};
use crate::text::secret;

/// The reasons that are the machine's, whatever system was to be tried.
const OF_THE_MACHINE: &[&str] = &["armed", "busy", "paused", "other_system"];

impl Context {
    /// Passes on how a try began, and tells somebody if it was refused.
    pub(super) async fn told<T>(
        &self,
        watched: &TrialArgs,
        system: Option<&Path>,
        begun: Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        if let Err(refusal) = &begun
            && let Some(reason) = reason(refusal)
            && let Err(error) = self.tell_of(reason, watched, system).await
        {
            tracing::error!("guard: cannot tell of the refusal: {}", error.text());
        }
        begun
    }

    /// Starts what may reboot into a system that is staged, whoever has staged it. A process that is killed before leaves it to the
    /// next one.
    pub(super) async fn after_staging(&self, command: Option<&str>) -> Result<(), Refusal> {
        let command = words(command.unwrap_or_default());
        if command.is_empty() {
            return Ok(());
        }
        let is_staged = |t: &Transaction| t.phase == TransactionPhase::Staged;
        let Some(t) = self.load()?.transaction.filter(is_staged) else {
            return Ok(());
        };
        let shown = secret::text(&command.join(" "));
        let system = t.candidate.as_deref().unwrap_or(Path::new("")).display();
        tracing::info!("guard: {system} waits for its boot, so {shown} is started");
        // Not once for the transaction, but each time.
        let notice = Notice {
            command: &command,
            id: &id(),
            ..Notice::of(&t)
        };
        start(&notice).await.flatten().map_err(|why| {
            let why = format!("{system} waits for its boot, but {shown} cannot be started: {why}");
            Refusal::new(Exit::Unavailable, &why)
        })
    }

    /// Started first and noted then: who is killed in between tells it a second time.
    async fn tell_of(
        &self,
        reason: &str,
        watched: &TrialArgs,
        system: Option<&Path>,
    ) -> Result<(), Refusal> {
        let command = words(watched.notify.as_deref().unwrap_or_default());
        let system = system.map(|path| self.system(path)).transpose()?;
        let now = ToldRefusal {
            reason: reason.to_owned(),
            system: system.clone().filter(|_| !OF_THE_MACHINE.contains(&reason)),
        };
        let _lock = self.lock()?;
        let mut state = self.load()?;
        if command.is_empty() || state.refused.as_ref() == Some(&now) {
            return Ok(());
        }
        // Another system than NixOS has none before it is tried.
        let baseline = self.baseline().await.ok().map(|runs| runs.system);
        let notice = Notice {
            command: &command,
            id: &id(),
            event: "refused".to_owned(),
            cause: reason.to_owned(),
            candidate: system.as_deref(),
            baseline: baseline.as_deref(),
        };
        let told = notify(&notice).await;
        told.map_err(|why| Refusal::new(Exit::Unavailable, &why))?;
        state.refused = Some(now);
        self.save(&state)
    }
}

/// The word that a refusal of a try begins with.
fn reason(refusal: &Refusal) -> Option<&str> {
    let (word, _) = refusal.text().split_once(": ")?;
    Some(word).filter(|word| refusal.exit == Exit::NotNow && !word.contains(' '))
}
