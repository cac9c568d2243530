//! What `guard status` shows.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{Context, usec};
use crate::commands::prepare::Refusal;
use crate::guard::nixos::{NO_ONE_SHOT, Nixos};
pub(super) use crate::guard::state::label;
use crate::guard::state::{
    Cause, Denial, EndedTransaction, GuardState, Transaction, TransactionPhase, TrialMode,
};
use crate::guard::store::Store;
use crate::guard::store::files::StateDirectory;
use crate::sys::clock;
use crate::text::span::format_span;

/// Raised when a reader would misread what is printed.
const VERSION: u32 = 1;

/// `guard status --json`.
#[derive(Debug, Serialize)]
pub(super) struct GuardStatusLine<'a> {
    version: u32,
    phase: String,
    cause: Option<Cause>,
    mode: Option<TrialMode>,
    baseline: Option<&'a Path>,
    candidate: Option<&'a Path>,
    token: Option<&'a str>,
    confirm: bool,
    deadline_usec_monotonic: Option<u64>,
    boots_next: Option<PathBuf>,
    denied: &'a [Denial],
    history: &'a [EndedTransaction],
}

impl Context {
    /// One line of JSON.
    pub(super) async fn json(&self, state: &GuardState) -> Result<String, Refusal> {
        let t = state.transaction.as_ref();
        let line = GuardStatusLine {
            version: VERSION,
            phase: t.map_or_else(|| "idle".to_owned(), |t| label(t.phase)),
            cause: t.and_then(|t| t.cause),
            mode: t.map(|t| t.mode),
            baseline: t.map(|t| t.baseline.system.as_path()),
            candidate: t.and_then(|t| t.candidate.as_deref()),
            token: t.map(|t| t.id.as_str()),
            confirm: t.is_some_and(|t| t.rules.confirm),
            deadline_usec_monotonic: t.filter(|t| self.has_deadline(t)).map(|t| t.deadline_usec),
            boots_next: self.boots_next(t).await,
            denied: &state.denied,
            history: &state.history,
        };
        serde_json::to_string(&line).map_err(|e| Refusal::new(crate::exit::Exit::Fault, &e))
    }

    /// For people.
    pub(super) async fn text(&self, state: &GuardState) -> String {
        let mut lines = match &state.transaction {
            Some(t) => self.lines(t),
            None => vec![idle(state)],
        };
        lines.push(self.power_line(state.transaction.as_ref()).await);
        if self.machine.current_system().is_some() && !self.machine.has_one_shot() {
            lines.push(format!("no boot tries a new kernel here: {NO_ONE_SHOT}"));
        }
        lines.join("\n") + "\n"
    }

    fn lines(&self, t: &Transaction) -> Vec<String> {
        let cause = t.cause.map(|cause| format!(" ({})", label(cause)));
        let candidate = t.candidate.as_ref().map(|path| path.display().to_string());
        let mut lines = vec![
            format!("guard: {}{}", label(t.phase), cause.unwrap_or_default()),
            format!("baseline: {}", t.baseline.system.display()),
            format!(
                "candidate: {}",
                candidate.as_deref().unwrap_or("whichever is activated")
            ),
        ];
        if self.has_deadline(t) {
            let now = usec(clock::now().monotonic.0);
            let left = std::time::Duration::from_micros(t.deadline_usec.saturating_sub(now));
            lines.push(format!("deadline: in {}", format_span(left)));
        }
        if t.rules.confirm
            && !matches!(
                t.phase,
                TransactionPhase::Broken | TransactionPhase::Undoing | TransactionPhase::Comparing
            )
        {
            lines.push(format!("keep it: upgrade-gate guard confirm {}", t.id));
        }
        lines
    }

    fn has_deadline(&self, t: &Transaction) -> bool {
        let phase = matches!(
            t.phase,
            TransactionPhase::Armed
                | TransactionPhase::Trying
                | TransactionPhase::Verifying
                | TransactionPhase::Comparing
        );
        phase && t.boot_id == self.machine.boot_id()
    }

    async fn boots_next(&self, t: Option<&Transaction>) -> Option<PathBuf> {
        match t.and_then(|t| t.commands.as_ref()) {
            Some(commands) => self.other.boots_next(commands).await,
            None => self.machine.boots_next(),
        }
    }

    async fn power_line(&self, t: Option<&Transaction>) -> String {
        let other = t.and_then(|t| t.commands.as_ref());
        if other.is_some_and(|commands| commands.boots_next.is_empty()) {
            return "if the power failed now: boots what is installed then, and the guard goes on"
                .to_owned();
        }
        let Some(system) = self.boots_next(t).await else {
            if other.is_some() {
                return "if the power failed now: what boots is unknown, boots_next fails"
                    .to_owned();
            }
            return "if the power failed now: what boots is unknown, the boot loader's default cannot be read"
                .to_owned();
        };
        let which = match t {
            Some(t) if t.is_drill() => "",
            Some(t) if t.is_baseline(Some(&system)) => " (the baseline)",
            Some(t) if t.is_candidate(Some(&system)) => " (the candidate)",
            _ => "",
        };
        format!("if the power failed now: boots {}{which}", system.display())
    }
}

fn idle(state: &GuardState) -> String {
    let Some(last) = state.history.last() else {
        return "guard: idle".to_owned();
    };
    format!("guard: idle; last: {}", outcome(last))
}

/// A line for `status`, if something is under way that this process may see.
pub(in crate::commands) fn line(root: &Path, state_dir: &Path) -> Option<String> {
    let dir = state_dir.join("guard");
    let machine_id = Nixos::new(root, &dir).machine_id()?;
    let files = StateDirectory::existing(&dir).ok()??;
    let state = Store::new(files, &dir, &machine_id).load().ok()?;
    let phase = label(state.transaction?.phase);
    Some(format!("guard: {phase}; see upgrade-gate guard status"))
}

/// How a try has ended.
pub(super) fn outcome(ended: &EndedTransaction) -> String {
    let cause = ended.cause.map(|cause| format!(" ({})", label(cause)));
    let system = ended
        .candidate
        .as_ref()
        .map(|path| format!(": {}", path.display()));
    let phase = label(ended.phase);
    format!(
        "{phase}{}{}",
        cause.unwrap_or_default(),
        system.unwrap_or_default()
    )
}
