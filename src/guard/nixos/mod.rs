//! The real machine: a NixOS system, its boot loader and its systemd.

mod health;
mod one_way;
mod paths;
mod reach;
mod space;
mod switching;
mod systemd;
mod version;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use self::paths::Paths;
use self::systemd::SystemdClient;
use super::drive::Machine;
use super::facts::{Effect, GuardFacts, ProgramState, Side};
use super::plan::{self, Clock, DEADLINES, FALLBACKS, NOTICES, Notice, Programs};
use super::state::{Baseline, GuardState, Transaction, TrialMode};
use crate::sys::clock;

/// The program at this path. Where the upgrade has replaced it, as a package does, its successor reads the same state.
fn installed(own: &Path) -> String {
    let own = own.to_string_lossy();
    // proc_pid_exe(5)
    own.strip_suffix(" (deleted)").unwrap_or(&own).to_owned()
}

/// How long a program of Nix or of the boot loader may take.
const PROGRAM: Duration = Duration::from_secs(15 * 60);

/// The machine below a root, which is `/` but for tests.
#[derive(Debug)]
pub struct Nixos {
    paths: Paths,
    state_dir: PathBuf,
}

impl Nixos {
    /// The machine whose guard's state is in `state_dir`.
    pub fn new(root: &Path, state_dir: &Path) -> Self {
        Self {
            paths: Paths {
                root: root.to_owned(),
            },
            state_dir: state_dir.to_owned(),
        }
    }

    /// A connection for one question: systemd re-executes itself in the middle of a switch.
    async fn systemd(&self) -> Result<SystemdClient, String> {
        SystemdClient::patiently().await
    }

    /// This boot.
    pub fn boot_id(&self) -> String {
        let path = self.paths.root.join("proc/sys/kernel/random/boot_id");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.trim().to_owned()
    }

    /// This machine.
    pub fn machine_id(&self) -> Option<String> {
        let text = std::fs::read_to_string(self.paths.root.join("etc/machine-id")).ok()?;
        Some(text.trim().to_owned()).filter(|id| !id.is_empty())
    }

    /// What there is to return to.
    pub async fn baseline(&self) -> Result<Baseline, String> {
        let system = self.paths.current_system().ok_or(
            "/run/current-system is not there: this is not a NixOS system, or it is not activated",
        )?;
        let profile = self.paths.profile_system();
        let systemd = SystemdClient::connect().await?;
        let failed = systemd.failed().await?;
        Ok(Baseline {
            generation: profile
                .filter(|(_, is)| *is == system)
                .map(|(number, _)| number),
            system,
            failed_units: failed.into_iter().map(|unit| unit.name).collect(),
            restarts: systemd.restarts().await?,
            network: self.network().await,
        })
    }

    /// What the system profile points to.
    pub fn profile_system(&self) -> Option<PathBuf> {
        self.paths.profile_system().map(|(_, system)| system)
    }

    /// What boots if the power fails now.
    pub fn boots_next(&self) -> Option<PathBuf> {
        self.paths.one_shot().or_else(|| self.paths.boot_default())
    }

    /// Whether the boot loader can try an entry once.
    pub fn has_one_shot(&self) -> bool {
        self.paths.systemd_boot().is_some()
    }

    /// A path of the machine as this process finds it.
    pub fn inside(&self, path: &Path) -> PathBuf {
        self.paths.inside(path)
    }

    /// When this unit became active, in `CLOCK_MONOTONIC`.
    pub async fn active_since(&self, unit: &str) -> Result<u64, String> {
        self.systemd().await?.active_since(unit).await
    }

    fn programs(&self, t: &Transaction) -> Programs {
        let path = |path: &Path| path.to_string_lossy().into_owned();
        let text = |system: &Path| self.paths.text(system);
        Programs {
            ours: self.ourselves(),
            baseline: text(&t.baseline.system),
            candidate: t.candidate.as_deref().map(text).unwrap_or_default(),
            profile: path(&self.paths.profile()),
            root_of_baseline: path(&self.paths.gcroot(Side::Baseline)),
        }
    }

    fn ourselves(&self) -> Vec<String> {
        let program = std::env::current_exe().unwrap_or_else(|_| "/usr/bin/upgrade-gate".into());
        let mut words = vec![installed(&program)];
        if self.paths.root != Path::new("/") {
            words.extend([
                "--root".to_owned(),
                self.paths.root.to_string_lossy().into_owned(),
            ]);
        }
        words
    }

    async fn deadline_set(&self, systemd: &SystemdClient, t: &Transaction) -> bool {
        let wanted = [plan::deadline_name(t), plan::fallback_name(t)].map(|name| name + ".timer");
        let timers = [DEADLINES, FALLBACKS].map(|pattern| format!("{pattern}.timer"));
        let timers: Vec<_> = timers.iter().map(String::as_str).collect();
        let active = systemd.active(&timers).await;
        active.is_ok_and(|active| active == wanted.into())
    }

    async fn set_deadline(&self, t: &Transaction) -> Result<(), String> {
        let systemd = self.systemd().await?;
        let programs = self.programs(t);
        let clock = Clock {
            now_usec: now_usec(),
            startup_usec: systemd.startup_usec().await?,
        };
        let deadline = plan::deadline(t, &programs, clock);
        systemd.set_timer(&deadline, t.deadline_usec).await?;
        let fallback = plan::fallback(t, &programs, clock);
        systemd.set_timer(&fallback, plan::fallback_usec(t)).await?;
        let [others, keep] = [
            format!("{DEADLINES}.timer"),
            plan::deadline_name(t) + ".timer",
        ];
        systemd.stop_all(&[&others], &keep).await?;
        let [others, keep] = [
            format!("{FALLBACKS}.timer"),
            plan::fallback_name(t) + ".timer",
        ];
        systemd.stop_all(&[&others], &keep).await
    }

    async fn drop_deadline(&self, t: &Transaction) -> Result<(), String> {
        let systemd = self.systemd().await?;
        let timers = [DEADLINES, FALLBACKS].map(|pattern| format!("{pattern}.timer"));
        let timers: Vec<_> = timers.iter().map(String::as_str).collect();
        systemd.stop_all(&timers, "").await?;
        systemd
            .forget(&plan::activation_name(t, Side::Candidate))
            .await?;
        systemd
            .forget(&plan::activation_name(t, Side::Baseline))
            .await
    }

    async fn activate(&self, t: &Transaction, side: Side) -> Result<(), String> {
        let unit = plan::activation(t, side, &self.programs(t));
        self.systemd().await?.start(&unit, None).await
    }

    async fn set_profile(&self, t: &Transaction, side: Side) -> Result<(), String> {
        let system = system_of(t, side)?;
        if self.profile_system().as_deref() == Some(system) {
            return Ok(());
        }
        let profile = self.paths.profile();
        let nix_env = self.paths.inside(&t.baseline.system).join("sw/bin/nix-env");
        let mut command = Command::new(nix_env);
        command.arg("-p").arg(profile);
        let generation = t.baseline.generation.filter(|_| side == Side::Baseline);
        let still = |number: &u64| self.paths.generation(*number).as_deref() == Some(system);
        match generation.filter(still) {
            Some(number) => command.arg("--switch-generation").arg(number.to_string()),
            None => command.arg("--set").arg(system),
        };
        run(command).await
    }

    async fn install_boot(&self, t: &Transaction, side: Side) -> Result<(), String> {
        let system = system_of(t, side)?;
        if self.paths.boot_default().as_deref() == Some(system) {
            return Ok(());
        }
        self.write_boot(system).await
    }

    async fn write_boot(&self, system: &Path) -> Result<(), String> {
        self.paths
            .remove_leftover()
            .map_err(|error| error.to_string())?;
        let mut command = Command::new(plan::switch(&self.paths.text(system)));
        command.arg("boot");
        run(command).await
    }

    async fn set_one_shot(&self, t: &Transaction) -> Result<(), String> {
        let system = system_of(t, Side::Candidate)?;
        let entry = self.paths.entry_of(system);
        let entry = entry.ok_or("the candidate has no boot entry")?;
        self.bootctl(t, &entry).await
    }

    async fn clear_one_shot(&self, t: &Transaction) -> Result<(), String> {
        match self.paths.one_shot() {
            None => Ok(()),
            Some(_) => self.bootctl(t, "").await,
        }
    }

    async fn bootctl(&self, t: &Transaction, entry: &str) -> Result<(), String> {
        let bootctl = self.paths.inside(&t.baseline.system).join("sw/bin/bootctl");
        let mut command = Command::new(bootctl);
        command.arg("set-oneshot").arg(entry);
        run(command).await
    }

    /// By D-Bus, or, in emergency mode, where there may be none, by systemctl's own way to systemd.
    async fn reboot(&self, t: &Transaction) -> Result<(), String> {
        if let Ok(systemd) = SystemdClient::connect().await
            && systemd.reboot().await.is_ok()
        {
            return Ok(());
        }
        let baseline = self.paths.inside(&t.baseline.system);
        let mut command = Command::new(baseline.join("sw/bin/systemctl"));
        command.args(["--no-block", "reboot"]);
        run(command).await
    }

    /// Starts the command that tells somebody, once in a boot. What systemd refuses to start is only said.
    pub async fn notify(&self, notice: &Notice<'_>) -> Result<(), String> {
        let systemd = self.systemd().await?;
        let unit = plan::notice(notice);
        if systemd.run(&unit.name).await? != ProgramState::Absent {
            return Ok(());
        }
        systemd.forget_ended(NOTICES).await?;
        if let Err(why) = systemd.start(&unit, None).await {
            tracing::error!("guard: {}: {why}", Effect::Notify.label());
        }
        Ok(())
    }

    /// What systemd knows. While it does not answer, an activation that it runs is not over.
    async fn told(&self, t: &Transaction) -> (ProgramState, ProgramState, bool) {
        let Ok(systemd) = self.systemd().await else {
            return (ProgramState::Running, ProgramState::Absent, false);
        };
        let run = async |side| systemd.run(&plan::activation_name(t, side)).await;
        // A systemd that is busy with the switch says nothing for a while: then it still runs.
        let activation = run(Side::Candidate).await.unwrap_or(ProgramState::Running);
        let undo = run(Side::Baseline).await.unwrap_or(ProgramState::Running);
        (activation, undo, self.deadline_set(&systemd, t).await)
    }
}

impl Machine for Nixos {
    /// systemd first: a program that has ended by then has left what is read after it.
    async fn facts(&mut self, state: &GuardState) -> GuardFacts {
        let mut facts = GuardFacts::default();
        if let Some(t) = &state.transaction {
            (facts.activation, facts.undo, facts.deadline_set) = self.told(t).await;
            if t.mode == TrialMode::Foreign {
                facts.activation = self.activation_of_others(t, facts.undo).await;
            }
            if t.phase.is_looked_at() {
                facts.health = self.health(t).await;
            }
        }
        GuardFacts {
            boot_id: self.boot_id(),
            now_usec: now_usec(),
            current: self.paths.current_system(),
            profile: self.profile_system(),
            boot_default: self.paths.boot_default(),
            one_shot: self.paths.one_shot(),
            ..facts
        }
    }

    async fn perform(&mut self, effect: Effect, state: &GuardState) -> Result<(), String> {
        let t = state.transaction.as_ref().ok_or("nothing is under way")?;
        let io = |done: std::io::Result<()>| done.map_err(|error| error.to_string());
        match effect {
            Effect::Root(Side::Candidate) if t.candidate.is_none() => Ok(()),
            Effect::Root(side) => io(self.paths.add_root(side, system_of(t, side)?)),
            Effect::Unroot => io(self.paths.remove_roots()),
            Effect::Sync => io(self.paths.sync(&self.state_dir)),
            Effect::SetDeadline => self.set_deadline(t).await,
            Effect::DropFallback => {
                let systemd = self.systemd().await?;
                systemd.stop_all(&[&format!("{FALLBACKS}.timer")], "").await
            }
            Effect::DropDeadline => self.drop_deadline(t).await,
            Effect::Activate(side) => self.activate(t, side).await,
            Effect::StopActivation => self.stop_activation(t).await,
            Effect::SetProfile(side) => self.set_profile(t, side).await,
            Effect::InstallBoot(side) => self.install_boot(t, side).await,
            Effect::WriteEntries => self.write_boot(&t.baseline.system).await,
            Effect::SetOneShot => self.set_one_shot(t).await,
            Effect::ClearOneShot => self.clear_one_shot(t).await,
            Effect::Reboot => self.reboot(t).await,
            Effect::Notify => self.notify(&Notice::of(t)).await,
        }
    }
}

fn now_usec() -> u64 {
    u64::try_from(clock::now().monotonic.0.as_micros()).unwrap_or(u64::MAX)
}

fn system_of(t: &Transaction, side: Side) -> Result<&Path, String> {
    match side {
        Side::Baseline => Ok(&t.baseline.system),
        Side::Candidate => t
            .candidate
            .as_deref()
            .ok_or_else(|| "no candidate".to_owned()),
    }
}

/// Runs a program to its end; what it says goes where our own words go.
async fn run(mut command: Command) -> Result<(), String> {
    let program = command
        .as_std()
        .get_program()
        .to_string_lossy()
        .into_owned();
    command.stdin(Stdio::null()).kill_on_drop(true);
    match tokio::time::timeout(PROGRAM, command.status()).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(format!("{program}: {status}")),
        Ok(Err(error)) => Err(format!("cannot run {program}: {error}")),
        Err(_) => Err(format!("{program} takes longer than 15 minutes")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_starts_the_program_that_has_replaced_this_one() {
        let replaced = Path::new("/usr/bin/upgrade-gate (deleted)");
        assert_eq!(installed(replaced), "/usr/bin/upgrade-gate");
        let own = Path::new("/nix/store/x/bin/upgrade-gate");
        assert_eq!(installed(own), "/nix/store/x/bin/upgrade-gate");
    }
}
