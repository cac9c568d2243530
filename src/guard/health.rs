//! The candidate compared with the baseline: only what the candidate changed, and was well before, is held against it.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::facts::Health;
use super::network;
use super::state::Transaction;
use super::systemd::{SystemdClient, UnwellUnit};
use super::units::{STARTING, now_usec};
use crate::text::secret;
use crate::text::span::format_span;

/// The exit code of a check that has no verdict yet, `EX_TEMPFAIL`.
const NO_VERDICT: i32 = 75;

/// What a boot ends in that cannot go on.
const RESCUE: [&str; 2] = ["emergency.target", "rescue.target"];
/// How long systemctl may take.
const SYSTEMCTL: Duration = Duration::from_secs(10);

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
    let rescued = || Health::Bad("the system is in emergency or rescue mode".to_owned());
    if t.boots == 0 {
        return Health::Good;
    }
    match how_far().await {
        Ok(Progress::Rescued) => rescued(),
        Ok(Progress::Starting) if t.baseline.booted => {
            Health::Unknown("the boot is not done yet".to_owned())
        }
        Ok(_) => Health::Good,
        Err(_) if is_rescued_without_a_bus().await => rescued(),
        Err(why) => Health::Unknown(why),
    }
}

/// How far a boot has come.
enum Progress {
    Starting,
    Done,
    Rescued,
}

/// The targets come first: while the guard's own unit runs at boot, systemd is still starting in any case.
async fn how_far() -> Result<Progress, String> {
    let systemd = SystemdClient::patiently().await?;
    if !systemd.active(&RESCUE).await?.is_empty() {
        return Ok(Progress::Rescued);
    }
    let state = systemd.system_state().await?;
    let starting = STARTING.contains(&state.as_str());
    Ok(if starting {
        Progress::Starting
    } else {
        Progress::Done
    })
}

/// In emergency mode there is no bus, and systemctl has a way of its own to systemd.
async fn is_rescued_without_a_bus() -> bool {
    let mut command = Command::new("systemctl");
    command.args(["--quiet", "is-active"]).args(RESCUE);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let ended = tokio::time::timeout(SYSTEMCTL, command.status()).await;
    matches!(ended, Ok(Ok(status)) if status.success())
}

async fn units(t: &Transaction, changed: impl Fn(&str) -> bool) -> Health {
    let failed = match not_well(t).await {
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

/// The units that have failed, and those that are started again and again.
async fn not_well(t: &Transaction) -> Result<Vec<UnwellUnit>, String> {
    let systemd = SystemdClient::patiently().await?;
    let mut found = systemd.failed().await?;
    for (name, number) in systemd.restarts().await? {
        let before = t.baseline.restarts.get(&name).copied();
        if has_looped(before, number)
            && now_usec().saturating_sub(systemd.active_since(&name).await?)
                < t.rules.settle_usec / 2
        {
            let restarts = true;
            found.push(UnwellUnit { name, restarts });
        }
    }
    let ignored = systemd.named(&t.rules.ignore_units).await?;
    found.retain(|unit| !ignored.contains(&unit.name));
    Ok(found)
}

fn names(units: &[UnwellUnit]) -> String {
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

/// Whether a service was started again by `Restart=` three times since the baseline was recorded. The number begins again when
/// somebody else starts it, as a switch does.
fn has_looped(before: Option<u32>, now: u32) -> bool {
    let before = before.filter(|before| *before <= now).unwrap_or(0);
    now - before >= 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_loops_if_it_was_started_again_three_times_since() {
        assert!(has_looped(None, 3) && has_looped(Some(5), 8));
        assert!(!has_looped(None, 2) && !has_looped(Some(5), 7));
        assert!(has_looped(Some(5), 4), "it began again from 0");
    }
}
