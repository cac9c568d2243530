//! What the guard keeps on disk: one JSON file, which outlives the process, the boot and the upgrade of this program.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::reach::NetworkBaseline;
use crate::config::guard::OnDoubt;

/// The format that is written. Raised only when an older program would misread the file: fields that it does not know
/// are ignored, so that a rolled back upgrade of this program still finds its way.
pub const FORMAT: u32 = 1;

/// How many ended transactions are remembered.
const HISTORY: usize = 64;

/// After so many undone systems without one that was kept no other is tried.
const PAUSE: usize = 3;

/// Everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GuardState {
    /// [`FORMAT`] of the program that wrote it.
    pub format: u32,
    /// The machine it was written on: a cloned disk must not act on it.
    pub machine_id: String,
    /// What is under way; none when idle.
    pub transaction: Option<Transaction>,
    /// Systems that are not tried again.
    #[serde(default)]
    pub denied: Vec<Denial>,
    /// Ended transactions, the newest last.
    #[serde(default)]
    pub history: Vec<EndedTransaction>,
    /// The refusal that somebody was told of last, unless a try has begun since.
    #[serde(default)]
    pub refused: Option<ToldRefusal>,
}

/// A refusal that somebody was told of.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ToldRefusal {
    /// The reason's word.
    pub reason: String,
    /// The system that was not tried.
    pub system: Option<PathBuf>,
}

/// One try of a candidate, from its arming to its end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Transaction {
    /// Random; the token that confirms it.
    pub id: String,
    /// How far it has come.
    pub phase: TransactionPhase,
    /// Why it is undone, or has ended.
    #[serde(default)]
    pub cause: Option<Cause>,
    /// How often something was done; bounded, so that no loop lasts.
    pub steps: u32,
    /// How often something was done in this phase.
    pub tries: u32,
    /// The boot that the monotonic times below belong to.
    pub boot_id: String,
    /// How often the machine booted into the candidate before it was confirmed.
    pub boots: u32,
    /// Whether somebody was told of this phase.
    #[serde(default)]
    pub told: bool,
    /// When it was armed, for people: nothing is decided by the wall clock.
    pub armed_at_usec_realtime: u64,
    /// When the activation began, or was left to the next boot, in `CLOCK_MONOTONIC` of `boot_id`.
    pub tried_at_usec: u64,
    /// Since when, in `CLOCK_MONOTONIC` of the boot in which it is staged, one system after the other waits for a boot.
    #[serde(default)]
    pub waits_since_usec: Option<u64>,
    /// When the candidate is undone unless it is confirmed, in `CLOCK_MONOTONIC` of `boot_id`.
    pub deadline_usec: u64,
    /// Since when the candidate is worse than the baseline.
    #[serde(default)]
    pub bad_since_usec: Option<u64>,
    /// The rules it was armed with.
    pub rules: Rules,
    /// How the candidate is tried.
    pub mode: TrialMode,
    /// What to return to.
    pub baseline: Baseline,
    /// What is tried; none until the activation shows it, where no system was named.
    pub candidate: Option<PathBuf>,
    /// How a system other than NixOS is known, changed and brought back.
    #[serde(default)]
    pub commands: Option<SystemCommands>,
}

/// The commands of a system other than NixOS, each a program with its arguments. An identity is one line of text, the same
/// exactly while the same system runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SystemCommands {
    /// Prints the identity of the system that runs.
    pub identify: Vec<String>,
    /// Prints the identity of the system that boots next; empty where an upgrade changes the system that runs.
    pub boots_next: Vec<String>,
    /// Prints what `activate` would install; empty where nothing is denied before it is tried.
    pub offer: Vec<String>,
    /// Prints the name of what it has made for `rollback` to go back to; empty for none.
    pub snapshot: Vec<String>,
    /// Upgrades the system, or installs one for the next boot.
    pub activate: Vec<String>,
    /// Goes back to the baseline, which may need a reboot.
    pub rollback: Vec<String>,
}

/// How far a transaction has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransactionPhase {
    /// The intent is durable; nothing else is.
    #[default]
    Arming,
    /// The baseline is protected; the dead man's switch is being set.
    Armed,
    /// The candidate is being activated.
    Trying,
    /// The candidate's boot entry is being written.
    Staging,
    /// The next boot tries the candidate, once.
    Staged,
    /// The candidate runs, and is compared with the baseline.
    Verifying,
    /// The point of no return: the candidate becomes the boot default.
    Committing,
    /// The way back to the baseline.
    Undoing,
    /// There was no verdict: the baseline runs again, and is looked at for as long as the candidate was.
    Comparing,
    /// Ended: the candidate is kept.
    Confirmed,
    /// Ended: the baseline runs again.
    Undone,
    /// Ended: the boot into the candidate did not come up.
    CandidateDidNotBoot,
    /// Ended: somebody else changed the system; nothing was touched but our own boot entry.
    TakenOver,
    /// Ended: nothing had happened yet.
    Abandoned,
    /// The way back failed: nothing more is done without a person.
    Broken,
}

/// Why a transaction is undone, or has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Somebody asked for it.
    Asked,
    /// It was taken back before anything of it was activated.
    TakenBack,
    /// The process that armed it ended, or could not arm.
    Interrupted,
    /// The activation was refused, or failed.
    ActivationFailed,
    /// The activation took longer than the grace.
    ActivationTimeout,
    /// The activation wants a reboot.
    NeedsReboot,
    /// The candidate is worse than the baseline.
    Unhealthy,
    /// Nobody confirmed it in time.
    NotConfirmed,
    /// There was no verdict in time.
    NoVerdict,
    /// There was no verdict on the baseline either.
    Outage,
    /// The machine rebooted or lost power during the try.
    Lost,
    /// The baseline came back during the try, not by this program.
    RolledBackElsewhere,
    /// The one-shot boot entry was used up and the candidate is not running.
    DidNotBoot,
    /// The one-shot boot entry is gone.
    EntryGone,
    /// The candidate cannot be made the boot default.
    CommitFailed,
    /// The deadline cannot be set.
    NoDeadline,
    /// Another system runs, or is the system profile.
    OtherSystem,
    /// There was nothing to upgrade.
    Unchanged,
    /// It was carried out step by step too often.
    TooManySteps,
}

/// How a candidate is tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrialMode {
    /// `switch-to-configuration test`.
    #[default]
    Live,
    /// A one-shot boot entry.
    Reboot,
    /// Somebody else activates it.
    Foreign,
}

/// The word that the file has for a phase or a cause.
pub fn label(value: impl Serialize) -> String {
    let label = serde_json::to_value(value).ok();
    label
        .and_then(|label| label.as_str().map(ToOwned::to_owned))
        .unwrap_or_default()
}

/// What decides about the candidate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rules {
    /// How long the candidate is watched, in awake time.
    pub grace_usec: u64,
    /// How long it must be worse before it is undone.
    pub settle_usec: u64,
    /// Whether it is undone unless somebody confirms it.
    pub confirm: bool,
    /// Whether the machine may be rebooted to undo it.
    pub reboot: bool,
    /// What is done without a verdict.
    #[serde(default)]
    pub on_doubt: OnDoubt,
    /// Commands that must succeed, each with its arguments.
    #[serde(default)]
    pub checks: Vec<Vec<String>>,
    /// How long each of them may take.
    #[serde(default = "minute")]
    pub check_usec: u64,
    /// Units that do not count, by names and patterns.
    #[serde(default)]
    pub ignore_units: Vec<String>,
    /// The command that tells somebody, with its arguments; empty for none.
    #[serde(default)]
    pub notify: Vec<String>,
}

/// What a check had before it could be set.
fn minute() -> u64 {
    60_000_000
}

/// What was recorded before the activation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Baseline {
    /// The system that ran.
    pub system: PathBuf,
    /// Its generation in the system profile, if it had one.
    pub generation: Option<u64>,
    /// The units that had failed already.
    #[serde(default)]
    pub failed_units: Vec<String>,
    /// Whether its boot was done.
    #[serde(default)]
    pub booted: bool,
    /// What [`SystemCommands::snapshot`] printed.
    #[serde(default)]
    pub snapshot: Option<String>,
    /// What [`SystemCommands::offer`] printed: what is tried, by its name beforehand.
    #[serde(default)]
    pub offer: Option<PathBuf>,
    /// How often each service had been started again by `Restart=`, if it had.
    #[serde(default)]
    pub restarts: BTreeMap<String, u32>,
    /// How it reached others, and was reached.
    #[serde(default)]
    pub network: NetworkBaseline,
}

/// A system that is not tried again.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Denial {
    /// The store path.
    pub system: PathBuf,
    /// What it did.
    pub cause: Cause,
    /// When, for people.
    pub at_usec_realtime: u64,
}

/// A transaction that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EndedTransaction {
    /// Its id.
    pub id: String,
    /// How it ended.
    pub phase: TransactionPhase,
    /// Why.
    pub cause: Option<Cause>,
    /// What was tried.
    pub candidate: Option<PathBuf>,
    /// What it was compared with.
    pub baseline: PathBuf,
    /// When it was armed, for people.
    pub armed_at_usec_realtime: u64,
}

impl Transaction {
    /// Whether a look is worth its time: without a deadline that is set first, so that whoever is killed in the midst leaves one.
    pub fn is_compared(&self, deadline_set: bool, now_usec: u64) -> bool {
        deadline_set || self.tries > 0 || now_usec >= self.deadline_usec
    }
}

impl EndedTransaction {
    /// Whether a system was undone for what may have been its fault: not a drill, and not at somebody's word.
    fn blames(&self) -> bool {
        let undone = matches!(
            self.phase,
            TransactionPhase::Undone | TransactionPhase::CandidateDidNotBoot
        );
        let blamed = |cause: Cause| cause.accuses() || cause.suspects();
        undone
            && self.cause != Some(Cause::Asked)
            && self.cause.is_some_and(blamed)
            && self.candidate.as_ref() != Some(&self.baseline)
    }
}

impl TransactionPhase {
    /// Whether what runs is compared with what was.
    pub const fn is_looked_at(self) -> bool {
        matches!(self, Self::Verifying | Self::Comparing)
    }

    /// Whether nothing is left to do but to clean up.
    pub const fn is_end(self) -> bool {
        matches!(
            self,
            Self::Confirmed
                | Self::Undone
                | Self::CandidateDidNotBoot
                | Self::TakenOver
                | Self::Abandoned
        )
    }
}

impl Cause {
    /// The phase that a transaction undone for this cause ends in.
    pub const fn end(self) -> TransactionPhase {
        match self {
            Self::DidNotBoot => TransactionPhase::CandidateDidNotBoot,
            Self::TakenBack => TransactionPhase::Abandoned,
            _ => TransactionPhase::Undone,
        }
    }

    /// Whether the candidate alone is to blame. Of all else a second time is.
    const fn accuses(self) -> bool {
        matches!(self, Self::Asked | Self::Unhealthy | Self::DidNotBoot)
    }

    /// Whether it may have been the candidate.
    const fn suspects(self) -> bool {
        matches!(
            self,
            Self::ActivationFailed
                | Self::ActivationTimeout
                | Self::NotConfirmed
                | Self::NoVerdict
                | Self::Lost
                | Self::RolledBackElsewhere
        )
    }
}

impl Transaction {
    /// Whether `system` is the candidate.
    pub fn is_candidate(&self, system: Option<&PathBuf>) -> bool {
        self.candidate.is_some() && self.candidate.as_ref() == system
    }

    /// Whether `system` is the baseline.
    pub fn is_baseline(&self, system: Option<&PathBuf>) -> bool {
        system == Some(&self.baseline.system)
    }

    /// What was tried, by the name that is known before the next try.
    pub fn tried(&self) -> Option<&PathBuf> {
        self.baseline.offer.as_ref().or(self.candidate.as_ref())
    }

    /// Whether the baseline itself is tried, to show that the guard works.
    pub fn is_drill(&self) -> bool {
        self.candidate.as_ref() == Some(&self.baseline.system)
    }
}

impl GuardState {
    /// Nothing under way on this machine.
    pub fn idle(machine_id: &str) -> Self {
        Self {
            format: FORMAT,
            machine_id: machine_id.to_owned(),
            ..Self::default()
        }
    }

    /// The denial of this system, if there is one.
    pub fn denial(&self, system: &Path) -> Option<&Denial> {
        self.denied.iter().find(|denial| denial.system == system)
    }

    /// Denies the candidate if this cause is a reason to: at once, or the second time.
    pub(super) fn deny(&mut self, transaction: &Transaction, cause: Cause) {
        let Some(system) = transaction.tried() else {
            return;
        };
        let again = cause.suspects() && self.suspected(system);
        let known = transaction.is_drill() || self.denial(system).is_some();
        if !known && (cause.accuses() || again) {
            self.denied.push(Denial {
                system: system.clone(),
                cause,
                at_usec_realtime: transaction.armed_at_usec_realtime,
            });
        }
    }

    /// Whether three systems were undone since one was kept, however often each was tried: then it is not the systems. One whose
    /// name nobody knows may be another one each time.
    pub fn is_paused(&self) -> bool {
        let kept = |ended: &EndedTransaction| ended.phase == TransactionPhase::Confirmed;
        let since = self.history.iter().rev().take_while(|ended| !kept(ended));
        let blamed = since.filter(|ended| ended.blames());
        let (known, unknown): (Vec<_>, Vec<_>) = blamed
            .map(|ended| ended.candidate.as_ref())
            .partition(Option::is_some);
        let systems: BTreeSet<_> = known.into_iter().collect();
        systems.len() + unknown.len() >= PAUSE
    }

    /// Whether an outage was found instead of this system's fault.
    pub fn was_outage(&self, system: &Path) -> bool {
        let is = |ended: &EndedTransaction| ended.candidate.as_deref() == Some(system);
        let outage = |ended: &EndedTransaction| ended.cause == Some(Cause::Outage);
        self.history.iter().any(|ended| is(ended) && outage(ended))
    }

    /// Moves what is under way into the history.
    pub fn close(&mut self) {
        let Some(transaction) = self.transaction.take() else {
            return;
        };
        // A night without an upgrade is no reason to forget the others.
        self.history
            .retain(|ended| ended.cause != Some(Cause::Unchanged));
        self.history.push(EndedTransaction {
            candidate: transaction.tried().cloned(),
            id: transaction.id,
            phase: transaction.phase,
            cause: transaction.cause,
            baseline: transaction.baseline.system,
            armed_at_usec_realtime: transaction.armed_at_usec_realtime,
        });
        let surplus = self.history.len().saturating_sub(HISTORY);
        self.history.drain(..surplus);
    }

    fn suspected(&self, system: &Path) -> bool {
        self.history.iter().any(|ended| {
            ended.candidate.as_deref() == Some(system)
                && ended.phase == TransactionPhase::Undone
                && ended.cause.is_some_and(Cause::suspects)
        })
    }
}
