//! The units of a transaction in systemd: its deadline, its fallback, its activations. The same on every kind of system.

use std::fs;
use std::path::Path;

use tokio::process::Command;

use super::facts::{Effect, ProgramState, Side};
use super::plan::{self, ACTIVATIONS, Clock, DEADLINES, FALLBACKS, NOTICES, Notice, Programs};
use super::program;
use super::state::{Baseline, Transaction};
use super::systemd::SystemdClient;
use crate::sys::clock;

/// `CLOCK_MONOTONIC`.
pub(super) fn now_usec() -> u64 {
    u64::try_from(clock::now().monotonic.0.as_micros()).unwrap_or(u64::MAX)
}

/// This boot.
pub(super) fn boot_id(root: &Path) -> String {
    let text = fs::read_to_string(root.join("proc/sys/kernel/random/boot_id"));
    text.unwrap_or_default().trim().to_owned()
}

/// Starts a reboot: by D-Bus, or, in emergency mode, where there may be none, by systemctl's own way to systemd.
pub(super) async fn reboot(systemctl: &Path) -> Result<(), String> {
    if let Ok(systemd) = SystemdClient::connect().await
        && systemd.reboot().await.is_ok()
    {
        return Ok(());
    }
    let mut command = Command::new(systemctl);
    command.args(["--no-block", "reboot"]);
    program::run(command).await
}

/// Sets the deadline and the fallback, and takes back those of another time.
pub(super) async fn set_deadline(t: &Transaction, programs: &Programs) -> Result<(), String> {
    let systemd = SystemdClient::patiently().await?;
    let clock = Clock {
        now_usec: now_usec(),
        startup_usec: systemd.startup_usec().await?,
    };
    let deadline = plan::deadline(t, programs, clock);
    systemd.set_timer(&deadline, t.deadline_usec).await?;
    let fallback = plan::fallback(t, programs, clock);
    systemd.set_timer(&fallback, plan::fallback_usec(t)).await?;
    let names = [plan::deadline_name(t), plan::fallback_name(t)];
    for (others, keep) in timers().iter().zip(names) {
        systemd.stop_all(&[others], &(keep + ".timer")).await?;
    }
    Ok(())
}

pub(super) async fn drop_fallback() -> Result<(), String> {
    let systemd = SystemdClient::patiently().await?;
    let [_, fallbacks] = timers();
    systemd.stop_all(&[&fallbacks], "").await
}

pub(super) async fn drop_deadline(t: &Transaction) -> Result<(), String> {
    let systemd = without_timers().await?;
    for side in [Side::Candidate, Side::Baseline] {
        systemd.forget(&plan::activation_name(t, side)).await?;
    }
    Ok(())
}

/// Takes back all that systemd would still do, of whatever transaction.
pub async fn drop_all() -> Result<(), String> {
    let systemd = without_timers().await?;
    for pattern in ACTIVATIONS {
        systemd.forget(pattern).await?;
    }
    Ok(())
}

/// Systemd, once no deadline and no fallback is left in it.
async fn without_timers() -> Result<SystemdClient, String> {
    let systemd = SystemdClient::patiently().await?;
    let [deadlines, fallbacks] = timers();
    systemd.stop_all(&[&deadlines, &fallbacks], "").await?;
    Ok(systemd)
}

pub(super) async fn activate(
    t: &Transaction,
    side: Side,
    programs: &Programs,
) -> Result<(), String> {
    let unit = plan::activation(t, side, programs);
    SystemdClient::patiently().await?.start(&unit, None).await
}

pub(super) async fn stop_activation(t: &Transaction) -> Result<(), String> {
    let unit = plan::activation_name(t, Side::Candidate);
    SystemdClient::patiently().await?.end(&unit).await
}

/// Starts the command that tells somebody, once in a boot. What systemd refuses to start is only said.
pub async fn notify(notice: &Notice<'_>) -> Result<(), String> {
    if let Err(why) = start(notice).await? {
        tracing::error!("guard: {}: {why}", Effect::Notify.label());
    }
    Ok(())
}

/// Starts a command with what it is told in its environment, unless systemd knows its unit: an error if systemd cannot be asked, and
/// within that one if it refuses.
pub async fn start(notice: &Notice<'_>) -> Result<Result<(), String>, String> {
    let systemd = SystemdClient::patiently().await?;
    let unit = plan::notice(notice);
    if systemd.run(&unit.name).await? != ProgramState::Absent {
        return Ok(Ok(()));
    }
    systemd.forget_ended(NOTICES).await?;
    Ok(systemd.start(&unit, None).await)
}

/// What systemd knows of a transaction.
pub(super) struct UnitFacts {
    pub(super) activation: ProgramState,
    pub(super) undo: ProgramState,
    pub(super) deadline_set: bool,
}

/// Asks systemd. While it does not answer, an activation that it runs is not over.
pub(super) async fn facts(t: &Transaction) -> UnitFacts {
    let Ok(systemd) = SystemdClient::patiently().await else {
        return UnitFacts {
            activation: ProgramState::Running,
            undo: ProgramState::Absent,
            deadline_set: false,
        };
    };
    let run = async |side| systemd.run(&plan::activation_name(t, side)).await;
    // A systemd that is busy with the switch says nothing for a while: then it still runs.
    UnitFacts {
        activation: run(Side::Candidate).await.unwrap_or(ProgramState::Running),
        undo: run(Side::Baseline).await.unwrap_or(ProgramState::Running),
        deadline_set: deadline_set(&systemd, t).await,
    }
}

async fn deadline_set(systemd: &SystemdClient, t: &Transaction) -> bool {
    let wanted = [plan::deadline_name(t), plan::fallback_name(t)].map(|name| name + ".timer");
    let [deadlines, fallbacks] = timers();
    let active = systemd.active(&[&deadlines, &fallbacks]).await;
    active.is_ok_and(|active| active == wanted.into())
}

/// What systemd says before anything is tried.
pub(super) async fn baseline() -> Result<Baseline, String> {
    let systemd = SystemdClient::connect().await?;
    let failed = systemd.failed().await?;
    let state = systemd.system_state().await?;
    Ok(Baseline {
        failed_units: failed.into_iter().map(|unit| unit.name).collect(),
        restarts: systemd.restarts().await?,
        booted: !STARTING.contains(&state.as_str()),
        ..Baseline::default()
    })
}

/// What `systemctl is-system-running` says of a boot that goes on.
pub(super) const STARTING: [&str; 2] = ["initializing", "starting"];

fn timers() -> [String; 2] {
    [DEADLINES, FALLBACKS].map(|pattern| format!("{pattern}.timer"))
}
