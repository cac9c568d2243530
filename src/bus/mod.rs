//! The one way to talk D-Bus: where a bus is, what is sent to it, and how one service is followed.

mod address;
pub(crate) mod arrival;
pub(crate) mod follower;
pub mod login1;
pub(crate) mod messages;
pub(crate) mod properties;
pub mod systemd1;

use std::time::Duration;

use crate::gate::backoff::Backoff;
pub use address::{BusAddress, ConnectError};

/// How long to leave alone a bus or a service that is broken: 1 s, doubling, to 60 s.
pub(crate) const fn backoff() -> Backoff {
    Backoff::new(Duration::from_secs(1), Duration::from_secs(60), 0)
}
