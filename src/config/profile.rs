//! A profile: a named set of conditions, targets and run settings, validated.

use std::path::PathBuf;
use std::time::Duration;

use super::guard::GuardSettings;
use crate::gate::policy::{Policy, PowerPolicy};
use crate::targets::TargetEntry;
use crate::targets::auto::{APT_DAILY, APT_DAILY_UPGRADE, FWUPD_REFRESH, NIXOS_UPGRADE};
use crate::text::secret;

/// What an upgrade asks for before it runs, and how it is run. Every default is usable without any file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Its name: `nixos-upgrade`, `fwupd-refresh`, …
    pub name: String,
    /// What must be reached: all entries. `auto` is still unresolved here.
    pub targets: Vec<TargetEntry>,
    /// Open on a route to anywhere if nothing can be derived for `auto`.
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
    /// Run only: what becomes of the system that the command has built.
    pub guard: GuardSettings,
}

/// The profile that is meant when none is named.
pub const DEFAULT: &str = "default";

/// The profiles that need no file to be known.
pub const BUILT_IN: &[&str] = &[
    DEFAULT,
    APT_DAILY,
    APT_DAILY_UPGRADE,
    FWUPD_REFRESH,
    NIXOS_UPGRADE,
];

impl Profile {
    /// The profile of this name as it is without any file; the defaults, if the name is not known.
    pub fn built_in(name: &str) -> Self {
        match name {
            NIXOS_UPGRADE => Self::nixos_upgrade(),
            FWUPD_REFRESH => Self::fwupd_refresh(),
            _ => Self::defaults(name),
        }
    }

    /// What a profile is of which nothing is said.
    pub(super) fn defaults(name: &str) -> Self {
        let policy = Policy::default();
        Self {
            name: name.to_owned(),
            targets: vec![TargetEntry::Auto],
            allow_guess: false,
            flake: None,
            settle: policy.settle,
            hold_metered: policy.hold_metered,
            power: policy.power,
            at_most_every: None,
            attempts: 10,
            attempt_timeout: Some(Duration::from_secs(6 * 3600)),
            final_exit_status: Vec::new(),
            final_if_changed: Vec::new(),
            inhibit: vec![Inhibit::Shutdown],
            guard: GuardSettings::default(),
        }
    }

    /// 4: switch-to-configuration found a failed unit; 100: Nix built, and the build failed.
    fn nixos_upgrade() -> Self {
        Self {
            final_exit_status: vec![4, 100],
            final_if_changed: vec![
                PathBuf::from("/run/current-system"),
                PathBuf::from("/nix/var/nix/profiles/system"),
            ],
            ..Self::defaults(NIXOS_UPGRADE)
        }
    }

    /// 2: fwupdmgr had nothing to do. It only fetches metadata, and as a service user is refused locks.
    fn fwupd_refresh() -> Self {
        Self {
            final_exit_status: vec![2],
            inhibit: Vec::new(),
            ..Self::defaults(FWUPD_REFRESH)
        }
    }
}

/// A name that cannot be a profile's: it names files too. It is as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid profile name {0:?}; use up to 255 letters, digits and any of - _ . @ : + \\, as in unit names"
)]
pub struct InvalidName(String);

/// The longest name of a unit, systemd.unit(5).
const LONGEST: usize = 255;

/// Whether this may be the name of a profile: what names a unit may, for units are profiles without a file.
pub fn check_name(name: &str) -> Result<(), InvalidName> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.@:+\\".contains(c);
    if !name.is_empty() && name.len() <= LONGEST && name.chars().all(allowed) {
        Ok(())
    } else {
        Err(InvalidName(secret::url(name)))
    }
}

/// What an inhibitor lock of a run covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Inhibit {
    /// Shutdown and reboot.
    Shutdown,
    /// Sleep, and with it `handle-lid-switch`.
    Sleep,
}
