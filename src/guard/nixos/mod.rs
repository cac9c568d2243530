//! The real machine: a NixOS system, its boot loader and its systemd.

mod differences;
mod grub;
mod one_way;
mod paths;
mod space;
mod switching;
mod triggers;
mod version;

use std::path::{Path, PathBuf};

use tokio::process::Command;

use self::paths::Paths;
use super::drive::Machine;
use super::facts::{Effect, GuardFacts, ProgramState, Side};
use super::health::health;
use super::network;
use super::plan::{Notice, Programs};
use super::program::{self, run};
use super::state::{Baseline, GuardState, Transaction, TrialMode};
use super::systemd::SystemdClient;

use super::units::{self, now_usec};

/// Why a boot can try nothing.
pub const NO_ONE_SHOT: &str =
    "no one-shot boot entry: that takes systemd-boot, or GRUB with /boot on ext4 or FAT";

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

    /// This boot.
    pub fn boot_id(&self) -> String {
        units::boot_id(&self.paths.root)
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
        Ok(Baseline {
            generation: profile
                .filter(|(_, is)| *is == system)
                .map(|(number, _)| number),
            system,
            network: network::baseline(&self.paths.root).await,
            ..units::baseline().await?
        })
    }

    /// What runs.
    pub fn current_system(&self) -> Option<PathBuf> {
        self.paths.current_system()
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
        let below = self.paths.root != Path::new("/");
        let grub = || {
            self.paths
                .grub()
                .is_some_and(|grub| below || grub.can_delete())
        };
        self.paths.systemd_boot().is_some() || grub()
    }

    /// A path of the machine as this process finds it.
    pub fn inside(&self, path: &Path) -> PathBuf {
        self.paths.inside(path)
    }

    /// Lets the garbage collector have what was tried.
    pub fn remove_roots(&self) -> std::io::Result<()> {
        self.paths.remove_roots()
    }

    /// When this unit became active, in `CLOCK_MONOTONIC`.
    pub async fn active_since(&self, unit: &str) -> Result<u64, String> {
        SystemdClient::patiently().await?.active_since(unit).await
    }

    fn programs(&self, t: &Transaction) -> Programs {
        let base = self.paths.text(&t.baseline.system);
        let candidate = t.candidate.as_deref();
        let candidate = candidate.map(|system| self.paths.text(system));
        let path = |path: PathBuf| path.to_string_lossy().into_owned();
        Programs {
            ours: program::ourselves(&self.paths.root),
            activate: words(&[&switch(&candidate.unwrap_or_default()), "test"]),
            undo: words(&[&switch(&base), "test"]),
            fallback: fallback(t, &base, &path(self.paths.profile())),
            armed: path(self.paths.gcroot(Side::Baseline)),
            environment: Vec::new(),
        }
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

    /// One that is left is not worth an undo.
    async fn drop_generation(&self, t: &Transaction) -> Result<(), String> {
        let candidate = system_of(t, Side::Candidate)?;
        let Some(number) = self.paths.newest_generation(candidate) else {
            return Ok(());
        };
        let nix_env = self.paths.inside(&t.baseline.system).join("sw/bin/nix-env");
        let mut command = Command::new(nix_env);
        command.arg("-p").arg(self.paths.profile());
        command.arg("--delete-generations").arg(number.to_string());
        if let Err(why) = run(command).await {
            tracing::warn!("guard: {}: {why}", Effect::DropGeneration.label());
        }
        Ok(())
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
        let mut command = Command::new(switch(&self.paths.text(system)));
        command.arg("boot");
        run(command).await
    }

    async fn set_one_shot(&self, t: &Transaction) -> Result<(), String> {
        let system = system_of(t, Side::Candidate)?;
        if let Some(grub) = self.paths.grub() {
            return grub.set_one_shot(Some(system));
        }
        let entry = self.paths.entry_of(system);
        let entry = entry.ok_or("the candidate has no boot entry")?;
        self.bootctl(t, &entry).await
    }

    async fn clear_one_shot(&self, t: &Transaction) -> Result<(), String> {
        match (self.paths.one_shot(), self.paths.grub()) {
            (None, _) => Ok(()),
            (Some(_), Some(grub)) => grub.set_one_shot(None),
            (Some(_), None) => self.bootctl(t, "").await,
        }
    }

    async fn bootctl(&self, t: &Transaction, entry: &str) -> Result<(), String> {
        let bootctl = self.paths.inside(&t.baseline.system).join("sw/bin/bootctl");
        let mut command = Command::new(bootctl);
        command.arg("set-oneshot").arg(entry);
        run(command).await
    }

    async fn reboot(&self, t: &Transaction) -> Result<(), String> {
        let baseline = self.paths.inside(&t.baseline.system);
        units::reboot(&baseline.join("sw/bin/systemctl")).await
    }
}

impl Machine for Nixos {
    /// systemd first: a program that has ended by then has left what is read after it.
    async fn facts(&mut self, state: &GuardState, compares: bool) -> GuardFacts {
        let mut facts = GuardFacts::default();
        if let Some(t) = &state.transaction {
            let told = units::facts(t).await;
            (facts.activation, facts.undo) = (told.activation, told.undo);
            facts.deadline_set = told.deadline_set;
            match t.mode {
                TrialMode::Live => {}
                TrialMode::Foreign => {
                    facts.activation = self.activation_of_others(t, facts.undo).await;
                }
                // A boot activates it: no unit does, even if systemd cannot be asked.
                TrialMode::Reboot => facts.activation = ProgramState::Absent,
            }
            if compares && t.is_compared(facts.deadline_set, now_usec()) {
                let changed = |unit: &str| self.changed(t, unit);
                let kept = |unit: &str| self.is_in_candidate(t, unit);
                facts.health = health(&self.paths.root, t, changed, kept).await;
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
            Effect::SetDeadline => units::set_deadline(t, &self.programs(t)).await,
            Effect::DropFallback => units::drop_fallback().await,
            Effect::DropDeadline => units::drop_deadline(t).await,
            Effect::Activate(side) => units::activate(t, side, &self.programs(t)).await,
            Effect::StopActivation => self.stop_activation(t).await,
            Effect::SetProfile(side) => self.set_profile(t, side).await,
            Effect::DropGeneration => self.drop_generation(t).await,
            Effect::InstallBoot(side) => self.install_boot(t, side).await,
            Effect::WriteEntries => self.write_boot(&t.baseline.system).await,
            Effect::SetOneShot => self.set_one_shot(t).await,
            Effect::ClearOneShot => self.clear_one_shot(t).await,
            Effect::Reboot => self.reboot(t).await,
            Effect::Notify => units::notify(&Notice::of(t)).await,
        }
    }
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

/// The program of a system that activates it.
fn switch(system: &str) -> String {
    format!("{system}/bin/switch-to-configuration")
}

/// The baseline back, by programs of the baseline.
fn fallback(t: &Transaction, base: &str, profile: &str) -> Vec<Vec<String>> {
    let nix_env = format!("{base}/sw/bin/nix-env");
    let system = t.baseline.system.to_string_lossy();
    let then = match t.mode {
        TrialMode::Live => words(&[&switch(base), "test"]),
        // Its boot loader may name the candidate.
        TrialMode::Foreign => words(&[&switch(base), "switch"]),
        TrialMode::Reboot => words(&[&format!("{base}/sw/bin/systemctl"), "reboot"]),
    };
    vec![words(&[&nix_env, "-p", profile, "--set", &system]), then]
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fallback_of(mode: TrialMode) -> String {
        let t = Transaction {
            mode,
            baseline: Baseline {
                system: "/nix/store/base".into(),
                ..Baseline::default()
            },
            ..Transaction::default()
        };
        let commands = fallback(&t, "/nix/store/base", "/profile");
        assert_eq!(
            commands[0].join(" "),
            "/nix/store/base/sw/bin/nix-env -p /profile --set /nix/store/base"
        );
        commands[1].join(" ")
    }

    #[test]
    fn the_fallback_is_programs_of_the_baseline() {
        let switch = "/nix/store/base/bin/switch-to-configuration";
        assert_eq!(fallback_of(TrialMode::Live), format!("{switch} test"));
        assert_eq!(fallback_of(TrialMode::Foreign), format!("{switch} switch"));
        assert_eq!(
            fallback_of(TrialMode::Reboot),
            "/nix/store/base/sw/bin/systemctl reboot"
        );
    }
}
