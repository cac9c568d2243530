//! What the machine is like, as far as the guard decides by it; and what the guard does to it.

use std::path::PathBuf;

/// What is known when a decision is made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GuardFacts {
    /// This boot.
    pub boot_id: String,
    /// `CLOCK_MONOTONIC`.
    pub now_usec: u64,
    /// The system that runs.
    pub current: Option<PathBuf>,
    /// What the system profile points to.
    pub profile: Option<PathBuf>,
    /// What boots if the power fails now, but for a one-shot entry; none where the boot loader cannot be read.
    pub boot_default: Option<PathBuf>,
    /// What the next boot tries, once.
    pub one_shot: Option<PathBuf>,
    /// Whether systemd has the transaction's deadline, and no other.
    pub deadline_set: bool,
    /// The activation of the candidate.
    pub activation: ProgramState,
    /// The activation of the baseline that undoes it.
    pub undo: ProgramState,
    /// The candidate compared with the baseline; only looked at where it is verified.
    pub health: Health,
    /// What a person, or the process that tries, wants.
    pub order: Option<Order>,
    /// How what was done last in this phase, by this process, came out.
    pub last: Last,
}

/// A program that systemd runs for the guard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ProgramState {
    /// It was not started in this boot.
    #[default]
    Absent,
    /// It is running.
    Running,
    /// It exited with this code; killed by a signal counts as 255.
    Exited(u8),
}

/// The candidate compared with the baseline.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Health {
    /// Nothing is worse than it was.
    Good,
    /// Worse, for this reason, and will not get better by itself.
    Failed(String),
    /// Worse, for this reason.
    Bad(String),
    /// A check has not come to a verdict, for this reason.
    Unknown(String),
}

impl Default for Health {
    fn default() -> Self {
        Self::Unknown(String::new())
    }
}

impl Health {
    /// Whether anything is worse.
    pub const fn is_bad(&self) -> bool {
        matches!(self, Self::Failed(_) | Self::Bad(_))
    }

    /// What is worse may not be so for long: no verdict.
    #[must_use]
    pub fn not_yet(self) -> Self {
        match self {
            Self::Failed(why) | Self::Bad(why) => Self::Unknown(why),
            other => other,
        }
    }

    /// Both together: what is worse of one is worse.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (failed @ Self::Failed(_), _) | (_, failed @ Self::Failed(_)) => failed,
            (bad @ Self::Bad(_), _) | (_, bad @ Self::Bad(_)) => bad,
            (unknown @ Self::Unknown(_), _) | (_, unknown) => unknown,
        }
    }
}

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// Arm, and leave the activation to others.
    Arm,
    /// Arm and activate.
    Try,
    /// Keep the candidate.
    Confirm,
    /// Return to the baseline.
    Rollback,
    /// Leave the baseline, of which nothing has been changed yet.
    Disarm,
    /// Watch the candidate for this long from now.
    Extend(u64),
}

/// How what was done last came out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Last {
    /// This process has done nothing in this phase.
    #[default]
    Nothing,
    /// All of it succeeded.
    Done,
    /// Something failed.
    Failed,
}

/// Which system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The one that ran before.
    Baseline,
    /// The one that is tried.
    Candidate,
}

/// Something done to the machine. Each can be done twice without harm: whoever is killed in between does it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Protects a system from the garbage collector.
    Root(Side),
    /// Removes both roots.
    Unroot,
    /// Flushes the file systems of the store, the profiles, the boot loader and the state.
    Sync,
    /// Has systemd look at the deadline, and tells it what to do if this program cannot.
    SetDeadline,
    /// Takes back what systemd does if this program cannot.
    DropFallback,
    /// Takes back the whole deadline.
    DropDeadline,
    /// Starts the activation of a system, which systemd runs.
    Activate(Side),
    /// Stops the activation of the candidate.
    StopActivation,
    /// Points the system profile to a system.
    SetProfile(Side),
    /// Removes the generation that staging has made for the candidate: many of them would push the baseline out of the boot menu.
    DropGeneration,
    /// Makes a system the boot default.
    InstallBoot(Side),
    /// Writes a boot entry for every generation; the default stays the baseline.
    WriteEntries,
    /// Has the next boot try the candidate, once.
    SetOneShot,
    /// Takes that back.
    ClearOneShot,
    /// Reboots.
    Reboot,
    /// Starts the command that tells somebody, unless systemd has done so in this boot. What becomes of it changes nothing.
    Notify,
}

impl Effect {
    /// What fails, for people.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Root(_) => "cannot protect a system from the garbage collector",
            Self::Unroot => "cannot remove the garbage collector roots",
            Self::Sync => "cannot flush the file systems",
            Self::SetDeadline => "cannot set the deadline",
            Self::DropFallback | Self::DropDeadline => "cannot take back the deadline",
            Self::Activate(Side::Baseline) => "cannot start the activation of the baseline",
            Self::Activate(Side::Candidate) => "cannot start the activation of the candidate",
            Self::StopActivation => "cannot stop the activation of the candidate",
            Self::SetProfile(_) => "cannot set the system profile",
            Self::DropGeneration => "cannot remove the candidate's generation",
            Self::InstallBoot(_) | Self::WriteEntries => "cannot write the boot entries",
            Self::SetOneShot | Self::ClearOneShot => "cannot set the one-shot boot entry",
            Self::Reboot => "cannot reboot",
            Self::Notify => "cannot start the command that tells of it",
        }
    }
}
