//! The candidate compared with the baseline: only what the candidate changed, and was well before, is held against it.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::facts::Health;
use super::network;
use super::state::Transaction;
use super::systemd::{FailedUnit, SystemdClient};
use super::units::STARTING;
use crate::text::secret;
use crate::text::span::format_span;

/// The exit code of a check that has no verdict yet, `EX_TEMPFAIL`.
const NO_VERDICT: i32 = 75;

/// Compares what runs with the baseline. A unit counts only if the candidate has `changed` it, and one that fell silent only if
/// the candidate has `kept` it.
pub(super) async fn health(
    root: &Path,
    t: &Transaction,
    changed: impl Fn(&str) -> bool,
    kept: impl Fn(&str) -> bool,
) -> Health {
    let units = units(t, &changed).await;
    let both = |unit: &str| kept(unit) && changed(unit);
    let reach = network::route(t)
        .await
        .and(network::listening(root, t, both).await);
    let mut verdict = units.and(reach).and(boot(t).await);
    for words in &t.rules.checks {
        if verdict.is_bad() {
            break;
        }
        let within = Duration::from_micros(t.rules.check_usec);
        verdict = verdict.and(check(words, within).await);
    }
    verdict
}

/// Whether a boot into the candidate has come as far as that of the baseline.
async fn boot(t: &Transaction) -> Health {
    let state = match SystemdClient::patiently().await {
        _ if t.boots == 0 => return Health::Good,
        Ok(systemd) => systemd.system_state().await,
        Err(why) => Err(why),
    };
    match state.as_deref() {
        Ok("maintenance") => Health::Bad("the system is in emergency or rescue mode".to_owned()),
        Ok(state) if STARTING.contains(&state) && t.baseline.booted => {
            Health::Unknown("the boot is not done yet".to_owned())
        }
        Ok(_) => Health::Good,
        Err(why) => Health::Unknown(why.to_owned()),
    }
}

async fn units(t: &Transaction, changed: impl Fn(&str) -> bool) -> Health {
    let failed = match SystemdClient::patiently().await {
        Ok(systemd) => systemd.failed(&t.rules.ignore_units).await,
        Err(why) => Err(why),
    };
    let failed = match failed {
        Ok(failed) => failed,
        Err(why) => return Health::Unknown(why),
    };
    let ours = |unit: &str| unit.starts_with("upgrade-gate-guard-");
    let known = |unit: &str| t.baseline.failed_units.iter().any(|known| known == unit);
    let newly = failed
        .into_iter()
        .filter(|unit| !known(&unit.name) && !ours(&unit.name));
    let (changed, unchanged): (Vec<_>, Vec<_>) = newly.partition(|unit| changed(&unit.name));
    if !unchanged.is_empty() {
        tracing::info!(
            "guard: failed, but not changed by the upgrade: {}",
            names(&unchanged)
        );
    }
    let why = format!("newly failed: {}", names(&changed));
    match changed.as_slice() {
        [] => Health::Good,
        changed if changed.iter().all(|unit| unit.restarts) => Health::Bad(why),
        _ => Health::Failed(why),
    }
}

fn names(units: &[FailedUnit]) -> String {
    let names: Vec<_> = units.iter().map(|unit| unit.name.as_str()).collect();
    names.join(", ")
}

async fn check(words: &[String], within: Duration) -> Health {
    let Some((program, arguments)) = words.split_first() else {
        return Health::Good;
    };
    let mut command = Command::new(program);
    let command = command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true);
    match tokio::time::timeout(within, command.status()).await {
        Ok(Ok(status)) if status.success() => Health::Good,
        Ok(Ok(status)) => {
            let shown = secret::text(&words.join(" "));
            let said = format!("{shown}: {status}");
            match status.code() {
                Some(NO_VERDICT) => Health::Unknown(said),
                _ => Health::Bad(said),
            }
        }
        Ok(Err(error)) => Health::Bad(format!("cannot run {program}: {error}")),
        Err(_) => Health::Bad(format!(
            "{program} takes longer than {}",
            format_span(within)
        )),
    }
}
