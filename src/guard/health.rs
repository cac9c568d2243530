//! The candidate compared with the baseline: only what the candidate changed, and was well before, is held against it.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::facts::Health;
use super::state::Transaction;
use super::systemd::SystemdClient;
use crate::text::secret;

/// How long one check may take.
const CHECK: Duration = Duration::from_secs(60);
/// The exit code of a check that has no verdict yet, `EX_TEMPFAIL`.
const NO_VERDICT: i32 = 75;

/// Compares what runs with the baseline. A unit that fails counts only if it is `changed`.
pub(super) async fn health(t: &Transaction, changed: impl Fn(&str) -> bool) -> Health {
    let mut verdict = match units(t, changed).await {
        Health::Good => Health::Good,
        other => return other,
    };
    for words in &t.rules.checks {
        match check(words).await {
            Health::Good => {}
            Health::Unknown => verdict = Health::Unknown,
            bad @ Health::Bad(_) => return bad,
        }
    }
    verdict
}

async fn units(t: &Transaction, changed: impl Fn(&str) -> bool) -> Health {
    let failed = match SystemdClient::patiently().await {
        Ok(systemd) => systemd.failed().await,
        Err(why) => Err(why),
    };
    let Ok(failed) = failed else {
        return Health::Unknown;
    };
    let ours = |unit: &String| unit.starts_with("upgrade-gate-guard-");
    let known = |unit: &String| t.baseline.failed_units.contains(unit) || ours(unit);
    let newly: Vec<_> = failed.into_iter().filter(|unit| !known(unit)).collect();
    let (changed, unchanged): (Vec<_>, Vec<_>) = newly.into_iter().partition(|unit| changed(unit));
    if !unchanged.is_empty() {
        tracing::info!(
            "guard: failed, but not changed by the upgrade: {}",
            unchanged.join(", ")
        );
    }
    if changed.is_empty() {
        return Health::Good;
    }
    Health::Bad(format!("newly failed: {}", changed.join(", ")))
}

async fn check(words: &[String]) -> Health {
    let Some((program, arguments)) = words.split_first() else {
        return Health::Good;
    };
    let mut command = Command::new(program);
    let command = command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true);
    match tokio::time::timeout(CHECK, command.status()).await {
        Ok(Ok(status)) if status.success() => Health::Good,
        Ok(Ok(status)) if status.code() == Some(NO_VERDICT) => Health::Unknown,
        Ok(Ok(status)) => {
            let shown = secret::text(&words.join(" "));
            Health::Bad(format!("{shown}: {status}"))
        }
        Ok(Err(error)) => Health::Bad(format!("cannot run {program}: {error}")),
        Err(_) => Health::Bad(format!("{program} takes longer than a minute")),
    }
}
