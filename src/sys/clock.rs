//! The only reader of time.

use std::time::{Duration, SystemTime};

use nix::time::{ClockId, clock_gettime};

use crate::gate::time::{Boottime, Monotonic, Now, Wall};

/// Reads both steady clocks.
///
/// `CLOCK_MONOTONIC` is read first: a suspend between the two readings is then seen rather than hidden.
pub fn now() -> Now {
    let monotonic = Monotonic(read(ClockId::CLOCK_MONOTONIC));
    let boottime = Boottime(read(ClockId::CLOCK_BOOTTIME));
    Now {
        monotonic,
        boottime,
    }
}

/// Reads the wall clock; zero if it is set to before 1970.
#[allow(clippy::disallowed_methods, reason = "the one place")]
pub fn wall() -> Wall {
    Wall(
        SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default(),
    )
}

/// Sleeps until `deadline`, in awake time.
#[allow(clippy::disallowed_methods, reason = "the one place")]
pub async fn sleep_until(deadline: Monotonic) {
    let left = deadline.since(now().monotonic);
    tokio::time::sleep_until(tokio::time::Instant::now() + left.min(FAR)).await;
}

/// [`sleep_until`], or indefinitely.
pub async fn sleep_until_some(deadline: Option<Monotonic>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// tokio's timer wheel ends after about two years; a waiter looks again long before.
const FAR: Duration = Duration::from_secs(365 * 24 * 3600);

#[allow(clippy::disallowed_methods, reason = "the one place")]
fn read(id: ClockId) -> Duration {
    // Both clocks exist on every Linux that systemd runs on; zero is a reading that changes nothing.
    clock_gettime(id).map_or(Duration::ZERO, Duration::from)
}
