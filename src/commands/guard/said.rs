//! What is said of a transaction, and of a state that cannot be used.

use std::path::Path;

use super::{Context, status};
use crate::commands::prepare::Refusal;
use crate::exit::Exit;
use crate::guard::other::environment;
use crate::guard::state::{GuardState, Transaction, TransactionPhase};
use crate::guard::store::StoreError;
use crate::sys::dirs::Unusable;
use crate::text::secret;
use crate::text::shell::quoted;

impl Context {
    /// Says each phase once.
    pub(super) fn tell(&mut self, state: &GuardState) {
        let Some(t) = &state.transaction else {
            return;
        };
        let now = (t.id.clone(), t.phase);
        if self.said.replace(now.clone()) == Some(now) {
            return;
        }
        let cause = t.cause.map(|cause| format!(" ({})", status::label(cause)));
        let line = format!(
            "guard: {}{}{}",
            status::label(t.phase),
            cause.unwrap_or_default(),
            self.system_in_question(t)
        );
        match t.phase {
            TransactionPhase::Broken => tracing::error!("{line}: {}", what_to_type(t)),
            TransactionPhase::Undoing
            | TransactionPhase::Undone
            | TransactionPhase::CandidateDidNotBoot
            | TransactionPhase::TakenOver => {
                tracing::warn!("{line}");
            }
            _ => tracing::info!("{line}"),
        }
    }

    /// The system that a phase begins or ends with. A commit that a reboot interrupted ends while the baseline runs.
    fn system_in_question(&self, t: &Transaction) -> String {
        let candidate = t.candidate.as_deref();
        let runs = |system: &Path| format!(": {} runs, and boots", system.display());
        let kept = |system: &Path| match self.machine.current_system() {
            Some(current) if t.commands.is_none() && current != system => {
                let [system, current] = [system.display(), current.display()];
                format!(": {system} boots from now on; until then {current} runs")
            }
            _ => runs(system),
        };
        match t.phase {
            TransactionPhase::Trying => candidate.map(|system| format!(" {}", system.display())),
            TransactionPhase::Confirmed => candidate.map(kept),
            TransactionPhase::Undone | TransactionPhase::CandidateDidNotBoot => {
                Some(runs(&t.baseline.system))
            }
            _ => None,
        }
        .unwrap_or_default()
    }
}

/// How a person goes back, where the guard could not.
pub(super) fn what_to_type(t: &Transaction) -> String {
    if let Some(commands) = &t.commands {
        let variables = environment(t);
        let variables = variables.iter().filter_map(|line| line.split_once('='));
        let variables = variables.map(|(name, value)| format!("{name}={}", quoted(value)));
        let program = commands.rollback.iter().map(|word| quoted(word));
        let typed: Vec<_> = variables.chain(program).collect();
        let typed = secret::text(&typed.join(" "));
        return format!(
            "the way back failed. To go back by hand: {typed}; then upgrade-gate guard reset"
        );
    }
    let base = t.baseline.system.display();
    format!(
        "the way back failed. To go back by hand: nix-env -p /nix/var/nix/profiles/system --set {base} && \
         {base}/bin/switch-to-configuration switch; then upgrade-gate guard reset"
    )
}

/// Here it is more than a directory for what was "recent".
pub(super) fn unwritable(error: &Unusable) -> Refusal {
    let why = match error {
        Unusable::Use { path, source, .. } => {
            format!(
                "cannot keep the guard's state in {}: {source}",
                path.display()
            )
        }
        Unusable::Nowhere { .. } => error.to_string(),
    };
    Refusal::new(Exit::Config, &why)
}

pub(super) fn unusable(error: &StoreError) -> Refusal {
    Refusal::new(
        Exit::Config,
        &format!("{error}; nothing was done. upgrade-gate guard reset sets it aside"),
    )
}
