//! A profile: a named set of conditions, targets and run settings, validated.

use std::path::PathBuf;
use std::time::Duration;

use super::target::Entry;
use crate::gate::policy::PowerPolicy;

/// What an upgrade asks for before it runs, and how it is run. Every default is usable without any file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Its name: `nixos-upgrade`, `fwupd-refresh`, …
    pub name: String,
    /// What must be reached: all entries. `auto` is still unresolved here.
    pub targets: Vec<Entry>,
    /// Open on a way out to anywhere if nothing can be derived for `auto`.
    pub allow_guess: bool,
    /// The flake reference `auto` derives the host from.
    pub flake: Option<String>,
    /// How long all must hold after a change.
    pub settle: Duration,
    /// Whether a metered connection holds.
    pub hold_metered: bool,
    /// The power condition.
    pub power: PowerPolicy,
    /// Run only: how long after a success the next run is `recent`.
    pub at_most_every: Option<Duration>,
    /// Run only: how often an interrupted command is run at most.
    pub attempts: u32,
    /// Run only: awake time after which the command gets SIGTERM; `None` for never.
    pub attempt_timeout: Option<Duration>,
    /// Run only: exit codes that are verdicts of the command, never an interruption.
    pub final_exit_status: Vec<u8>,
    /// Run only: if one of these changes during an attempt, the command has done its work.
    pub final_if_changed: Vec<PathBuf>,
    /// Run only: what logind is asked to inhibit meanwhile.
    pub inhibit: Vec<Inhibit>,
}

/// What an inhibitor lock of a run covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Inhibit {
    /// Shutdown and reboot.
    Shutdown,
    /// Sleep, and with it `handle-lid-switch`.
    Sleep,
}
