//! A system other than NixOS, which the guard knows by the commands of a profile.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;

use super::drive::Machine;
use super::facts::{Effect, GuardFacts, ProgramState, Side};
use super::health::health;
use super::network;
use super::plan::{Notice, Programs};
use super::program;
use super::state::{Baseline, GuardState, SystemCommands, Transaction};
use super::units::{self, now_usec};
use crate::sys::{files, mounts};

/// How often what runs is asked for, and how long one answer may take.
const ATTEMPTS: u32 = 3;
const ANSWER: Duration = Duration::from_secs(60);
const BETWEEN: Duration = Duration::from_secs(1);
/// How long a snapshot may take.
const SNAPSHOT: Duration = Duration::from_secs(15 * 60);

/// The machine below a root, which is `/` but for tests.
#[derive(Debug)]
pub struct OtherSystem {
    root: PathBuf,
    state_dir: PathBuf,
}

impl OtherSystem {
    /// The machine whose guard's state is in `state_dir`.
    pub fn new(root: &Path, state_dir: &Path) -> Self {
        Self {
            root: root.to_owned(),
            state_dir: state_dir.to_owned(),
        }
    }

    /// What there is to return to, without its snapshot.
    pub async fn baseline(&self, commands: &SystemCommands) -> Result<Baseline, String> {
        let offer = match commands.offer.as_slice() {
            [] => None,
            words => Some(one_line(words, ANSWER).await?.into()),
        };
        Ok(Baseline {
            system: one_line(&commands.identify, ANSWER).await?.into(),
            network: network::baseline(&self.root).await,
            offer,
            ..units::baseline().await?
        })
    }

    /// Makes what the way back leads to.
    pub async fn snapshot(&self, commands: &SystemCommands) -> Result<Option<String>, String> {
        match commands.snapshot.as_slice() {
            [] => Ok(None),
            words => one_line(words, SNAPSHOT).await.map(Some),
        }
    }

    /// Whether a snapshot of the root file system has the guard's state in it, which the way back would make an old one. A
    /// subvolume that is not mounted, but only lies in the root's, is gone after it: a snapshot has an empty directory there.
    pub fn state_is_in_root(&self) -> bool {
        let device = |path: &Path| fs::metadata(path).map(|found| found.dev()).ok();
        let point = |path: &Path| mounts::of(path).map(|mount| mount.point);
        let [root, state] = [&self.root, &self.state_dir];
        device(root) == device(state) || point(root) == point(state)
    }

    /// Whether the unit that finishes what a reboot interrupts is enabled.
    pub fn looks_at_boot(&self) -> bool {
        let wants = "systemd/system/multi-user.target.wants/upgrade-gate-guard.service";
        let mut places = ["etc", "usr/lib", "lib"]
            .map(|place| self.root.join(place))
            .into_iter();
        places.any(|place| place.join(wants).symlink_metadata().is_ok())
    }

    /// What boots next, where a command says so.
    pub async fn boots_next(&self, commands: &SystemCommands) -> Option<PathBuf> {
        answer(&commands.boots_next).await
    }

    fn hand(&self) -> PathBuf {
        self.state_dir.join("hand")
    }

    fn armed(&self) -> PathBuf {
        self.state_dir.join("armed")
    }

    fn programs(&self, t: &Transaction, commands: &SystemCommands) -> Programs {
        let path = |path: PathBuf| path.to_string_lossy().into_owned();
        let reboot = ["/usr/bin/systemctl", "reboot"].map(ToOwned::to_owned);
        let reboot = t.rules.reboot.then(|| reboot.to_vec());
        Programs {
            ours: program::options(path(self.hand()), &self.root),
            activate: commands.activate.clone(),
            undo: commands.rollback.clone(),
            fallback: [commands.rollback.clone()]
                .into_iter()
                .chain(reboot)
                .collect(),
            armed: path(self.armed()),
            environment: environment(t),
        }
    }

    /// The upgrade may replace this program, or break it: systemd gets a copy. The link tells that something is under way.
    async fn arm(&self, t: &Transaction) -> Result<(), String> {
        let new = self.state_dir.join("hand.new");
        let said = |error: io::Error| error.to_string();
        fs::copy("/proc/self/exe", &new).map_err(said)?;
        let enforces = fs::read_to_string(self.root.join("sys/fs/selinux/enforce"));
        if enforces.is_ok_and(|text| text.trim() == "1") {
            // systemd may not execute what is labelled as a state directory's. Without a policy, files may have no labels.
            let own = std::env::current_exe().map_err(said)?;
            let mut label = Command::new("chcon");
            label.arg("--reference").arg(own).arg(&new);
            program::run(label).await?;
        }
        self.armed_by(&new, t).map_err(said)
    }

    fn armed_by(&self, new: &Path, t: &Transaction) -> io::Result<()> {
        File::open(new)?.sync_all()?;
        fs::rename(new, self.hand())?;
        files::remove(&self.armed())?;
        symlink(&t.baseline.system, self.armed())?;
        File::open(&self.state_dir)?.sync_all()
    }

    /// Removes what systemd was given: then the fallback does nothing.
    pub fn disarm(&self) -> io::Result<()> {
        files::remove(&self.armed())?;
        files::remove(&self.hand())
    }

    /// Flushes the file systems that an upgrade writes to, and that of the state.
    fn sync(&self) -> io::Result<()> {
        let places =
            ["", "usr", "var", "boot", "boot/efi", "efi"].map(|place| self.root.join(place));
        let places = places.into_iter().filter(|path| path.is_dir());
        for path in places.chain([self.state_dir.clone()]) {
            nix::unistd::syncfs(File::open(path)?)?;
        }
        Ok(())
    }

    /// What runs and what boots, while no command is changing that.
    async fn systems(&self, facts: &mut GuardFacts, commands: &SystemCommands) {
        if [facts.activation, facts.undo].contains(&ProgramState::Running) {
            return;
        }
        facts.current = answer(&commands.identify).await;
        facts.boot_default = self.boots_next(commands).await;
        facts.profile.clone_from(&facts.boot_default);
    }
}

impl Machine for OtherSystem {
    async fn facts(&mut self, state: &GuardState, compares: bool) -> GuardFacts {
        let mut facts = GuardFacts {
            boot_id: units::boot_id(&self.root),
            now_usec: now_usec(),
            ..GuardFacts::default()
        };
        let Some((t, commands)) = by_commands(state) else {
            return facts;
        };
        let told = units::facts(t).await;
        (facts.activation, facts.undo) = (told.activation, told.undo);
        facts.deadline_set = told.deadline_set;
        self.systems(&mut facts, commands).await;
        if compares && t.is_compared(facts.deadline_set, facts.now_usec) {
            // What else an upgrade in place has changed is not known: each unit may have failed for it.
            facts.health = health(&self.root, t, |_| true, |_| true).await;
        }
        facts.now_usec = now_usec();
        facts
    }

    async fn perform(&mut self, effect: Effect, state: &GuardState) -> Result<(), String> {
        let (t, commands) = by_commands(state).ok_or("nothing is under way")?;
        let programs = self.programs(t, commands);
        let io = |done: io::Result<()>| done.map_err(|error| error.to_string());
        match effect {
            Effect::Root(Side::Baseline) => self.arm(t).await,
            Effect::Unroot => io(self.disarm()),
            Effect::Sync => io(self.sync()),
            Effect::SetDeadline => units::set_deadline(t, &programs).await,
            Effect::DropFallback => units::drop_fallback().await,
            Effect::DropDeadline => units::drop_deadline(t).await,
            Effect::Activate(side) => units::activate(t, side, &programs).await,
            Effect::StopActivation => units::stop_activation(t).await,
            Effect::Reboot => units::reboot("systemctl".as_ref()).await,
            Effect::Notify => units::notify(&Notice::of(t)).await,
            // Only NixOS has these.
            Effect::Root(Side::Candidate)
            | Effect::SetProfile(_)
            | Effect::DropGeneration
            | Effect::InstallBoot(_)
            | Effect::WriteEntries
            | Effect::SetOneShot
            | Effect::ClearOneShot => Ok(()),
        }
    }
}

fn by_commands(state: &GuardState) -> Option<(&Transaction, &SystemCommands)> {
    let t = state.transaction.as_ref()?;
    Some((t, t.commands.as_ref()?))
}

/// What the commands are told of a transaction, as `NAME=value`.
pub fn environment(t: &Transaction) -> Vec<String> {
    let path = |path: Option<&PathBuf>| path.map(|path| path.to_string_lossy().into_owned());
    let variables = [
        ("BASELINE", path(Some(&t.baseline.system))),
        ("CANDIDATE", path(t.candidate.as_ref())),
        ("SNAPSHOT", t.baseline.snapshot.clone()),
    ];
    // Empty where it is not known: a shell with `set -u` would end at one that is missing.
    variables
        .map(|(name, value)| format!("UPGRADE_GATE_{name}={}", value.unwrap_or_default()))
        .into()
}

async fn one_line(words: &[String], within: Duration) -> Result<String, String> {
    let (name, arguments) = words.split_first().ok_or("no command")?;
    let mut command = Command::new(name);
    command.args(arguments);
    program::line(command, within).await
}

/// One that cannot be had is unknown, after three attempts: a busy machine is no other system.
async fn answer(words: &[String]) -> Option<PathBuf> {
    if words.is_empty() {
        return None;
    }
    for attempt in 1..=ATTEMPTS {
        match one_line(words, ANSWER).await {
            Ok(line) => return Some(line.into()),
            Err(why) if attempt == ATTEMPTS => tracing::warn!("guard: {why}"),
            Err(_) => tokio::time::sleep(BETWEEN).await,
        }
    }
    None
}
