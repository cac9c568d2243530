//! The candidate compared with the baseline: only what the candidate changed, and was well before, is held against it.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::facts::Health;
use super::state::Transaction;
use super::systemd::{SystemdClient, UnwellUnit};
use super::units::{STARTING, now_usec};
use super::{network, program};
use crate::text::secret;

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
    let reaching = network::reaching(root, t).await;
    let mut verdict = match SystemdClient::patiently().await {
        Ok(systemd) => {
            let both = |unit: &str| kept(unit) && changed(unit);
            let listening = network::listening(root, &systemd, t, both).await;
            let units = units(&systemd, t, &changed).await;
            let boot = boot(&systemd, t).await;
            // A network may come as late as the boot itself.
            let reaching = match boot {
                Health::Unknown(_) => reaching.not_yet(),
                _ => reaching,
            };
            units.and(reaching.and(listening)).and(boot)
        }
        Err(why) => Health::Unknown(why)
            .and(reaching)
            .and(boot_without_a_bus(t).await),
    };
    for words in &t.rules.checks {
        if verdict.is_bad() {
            break;
        }
        let within = Duration::from_micros(t.rules.check_usec);
        verdict = verdict.and(check(words, within).await);
    }
    verdict
}

/// Whether a boot into the candidate has come as far as that of the baseline. The targets come first: while the guard's own unit
/// runs at boot, systemd is still starting in any case.
async fn boot(systemd: &SystemdClient, t: &Transaction) -> Health {
    if t.boots == 0 {
        return Health::Good;
    }
    let asked = async {
        if !systemd.active(&RESCUE).await?.is_empty() {
            return Ok(rescued());
        }
        let state = systemd.system_state().await?;
        let starting = STARTING.contains(&state.as_str()) && t.baseline.booted;
        let not_done = || Health::Unknown("the boot is not done yet".to_owned());
        Ok(if starting { not_done() } else { Health::Good })
    };
    match asked.await {
        Ok(health) => health,
        Err(why) => Health::Unknown(why).and(boot_without_a_bus(t).await),
    }
}

fn rescued() -> Health {
    Health::Bad("the system is in emergency or rescue mode".to_owned())
}

/// In emergency mode there is no bus, and systemctl has a way of its own to systemd.
async fn boot_without_a_bus(t: &Transaction) -> Health {
    if t.boots == 0 {
        return Health::Good;
    }
    let mut command = Command::new("systemctl");
    command.args(["--quiet", "is-active"]).args(RESCUE);
    let ended = tokio::time::timeout(SYSTEMCTL, program::prepare(&mut command).status()).await;
    match ended {
        Ok(Ok(status)) if status.success() => rescued(),
        _ => Health::Good,
    }
}

async fn units(systemd: &SystemdClient, t: &Transaction, changed: impl Fn(&str) -> bool) -> Health {
    let failed = match not_well(systemd, t).await {
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
async fn not_well(systemd: &SystemdClient, t: &Transaction) -> Result<Vec<UnwellUnit>, String> {
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
    let Some((name, arguments)) = words.split_first() else {
        return Health::Good;
    };
    let mut command = Command::new(name);
    let command = program::prepare(command.args(arguments)).stdout(Stdio::null());
    let shown = secret::text(&words.join(" "));
    match program::ended(name, within, command.status()).await {
        Ok(status) if status.success() => Health::Good,
        Ok(status) if status.code() == Some(NO_VERDICT) => {
            Health::Unknown(format!("{shown}: {status}"))
        }
        Ok(status) => Health::Bad(format!("{shown}: {status}")),
        Err(why) => Health::Bad(why),
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
