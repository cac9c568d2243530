//! What one gate asks for.

use std::collections::BTreeSet;
use std::time::Duration;

use super::reason::Reason;

/// The power condition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PowerPolicy {
    /// Any power will do.
    #[default]
    Any,
    /// Mains only: `on_battery` otherwise.
    Mains,
    /// Mains, or a battery charged to at least this many percent: `battery_low` otherwise.
    BatteryAtLeast(u8),
}

/// What must be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// The targets.
    #[default]
    Targets,
    /// There is no target, and a route to anywhere will do: a guess (`allow_guess`).
    Anywhere,
    /// Everything is on this machine.
    Nothing,
}

/// The conditions of one gate, as its profile and the command line have them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How long all must hold after a change that was seen (R5).
    pub settle: Duration,
    /// Whether a metered connection holds the gate.
    pub hold_metered: bool,
    /// The power condition.
    pub power: PowerPolicy,
    /// Soft reasons waived for this once.
    pub waived: BTreeSet<Reason>,
    /// What must be reached.
    pub reach: Reach,
    /// How long to wait, in awake time; `None` for no limit (R9).
    pub timeout: Option<Duration>,
    /// One look: the verdict of the first probe, without waiting and without settling (`check`).
    pub once: bool,
    /// The seed of the back-off's jitter.
    pub seed: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            settle: Duration::from_secs(2),
            hold_metered: true,
            power: PowerPolicy::Any,
            waived: BTreeSet::new(),
            reach: Reach::Targets,
            timeout: None,
            once: false,
            seed: 0,
        }
    }
}
