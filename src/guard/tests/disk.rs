//! A disk, and the writes that may not have reached it.

use std::collections::BTreeSet;

use crate::config::guard::OnDoubt;
use crate::guard::facts::Side;

/// What a write changes on the disk.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Write {
    /// What is in the temporary file.
    Text(Vec<u8>),
    /// The temporary file takes the state's place, with what is durable of it.
    Renamed(Option<Vec<u8>>),
    Profile(Side),
    /// What was not durable when it was renamed.
    Late(Vec<u8>),
    /// The boot entry of the candidate.
    Entry,
    Default(Side),
    Root(Side, bool),
    /// What is in the files of the candidate.
    Files,
}

/// A disk.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Disk {
    pub(super) temporary: Vec<u8>,
    pub(super) state: Option<Vec<u8>>,
    pub(super) profile: Side,
    pub(super) entry: bool,
    pub(super) default: Side,
    pub(super) roots: BTreeSet<bool>,
    /// Whether what is in the candidate's files is there.
    pub(super) files: bool,
    /// Whether the garbage collector has taken it.
    pub(super) collected: bool,
}

impl Disk {
    pub(super) fn apply(&mut self, write: &Write) {
        match write {
            Write::Text(text) => self.temporary.clone_from(text),
            Write::Renamed(Some(text)) | Write::Late(text) => self.state = Some(text.clone()),
            Write::Renamed(None) => self.state = Some(std::mem::take(&mut self.temporary)),
            Write::Profile(side) => self.profile = *side,
            Write::Entry => self.entry = true,
            Write::Default(side) => self.default = *side,
            Write::Root(side, true) => drop(self.roots.insert(*side == Side::Candidate)),
            Write::Root(side, false) => drop(self.roots.remove(&(*side == Side::Candidate))),
            Write::Files => self.files = true,
        }
    }
}

/// How the candidate behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Nature {
    Good,
    Bad,
    /// What is checked has no verdict with it, and is good with the baseline.
    Doubtful,
    /// What is checked has no verdict with either.
    Outage,
    /// Its activation is refused.
    Refuses,
    /// It does not boot.
    Panics,
    /// Its activation never ends by itself.
    Hangs,
}

impl Nature {
    /// What is done about it without a verdict.
    pub(super) const fn on_doubt(self) -> OnDoubt {
        match self {
            Self::Doubtful | Self::Outage => OnDoubt::Experiment,
            _ => OnDoubt::Undo,
        }
    }

    /// Whether it runs and is not kept without a word.
    pub(super) const fn is_undone(self) -> bool {
        matches!(self, Self::Bad | Self::Doubtful | Self::Outage)
    }
}

/// What a test breaks on purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Planted {
    #[default]
    Nothing,
    /// The state's file is not synced before the rename.
    NoFsync,
    /// The file systems are not synced.
    NoSync,
    /// The candidate has no root.
    NoRoot,
    /// An activation that runs is not seen.
    NotWaiting,
}
