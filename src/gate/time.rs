//! Points in time, one type for each of the kernel's clocks, so that they cannot be mixed.
//!
//! Only [`crate::sys::clock`] makes them from the real clocks; the gate is handed them.

use std::time::Duration;

/// A reading of `CLOCK_MONOTONIC`: awake time since boot, which stands still during a suspend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Monotonic(pub Duration);

/// A reading of `CLOCK_BOOTTIME`: time since boot, suspends included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Boottime(pub Duration);

/// A reading of `CLOCK_REALTIME`, since the epoch. It steps, so nothing is decided from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wall(pub Duration);

/// Both of the kernel's steady clocks, read together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// What deadlines and back-off are counted in.
    pub monotonic: Monotonic,
    /// Only ever compared with `monotonic`, to see that the machine slept.
    pub boottime: Boottime,
}

impl Monotonic {
    /// The point `span` later; saturates instead of overflowing.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span))
    }

    /// The time from `earlier` to here; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// A jump of [`Now::slept`] that only a suspend makes (R2).
pub(crate) const SUSPEND_JUMP: Duration = Duration::from_millis(100);

impl Now {
    /// How long the machine has slept since boot, as far as its clocks tell.
    pub fn slept(self) -> Duration {
        self.boottime.0.saturating_sub(self.monotonic.0)
    }
}
