//! What a gate costs that waits without a network: memory, and wake-ups.

use std::thread::sleep;
use std::time::Duration;

use crate::namespace::NetworkManager;
use crate::process::{GATE, Running};
use crate::table;

/// From when on after the last probe it is measured.
const AFTER: Duration = Duration::from_secs(15);
/// For how long wake-ups are counted.
const MINUTE: Duration = Duration::from_secs(60);

/// With the real NetworkManager, which is not connected; `nm-online` waits beside it.
///
/// There is no route, so the first probe is the last one until something changes.
pub(crate) fn measure() {
    let manager = NetworkManager::start();
    let target = ["wait-online", "--target", "https://192.0.2.1/"];
    let gate = Running::start(manager.client(GATE).args(target));
    let other = Running::start(manager.client("nm-online").args(["-q", "-t", "3600"]));
    sleep(AFTER + Duration::from_secs(1));
    table::row(
        "memory while waiting, 15 s after the last probe",
        "RSS ≤ 4.0 MB, anonymous ≤ 0.25 MB, 1 thread",
        &gate.memory(),
        &format!("nm-online: {}", other.memory()),
    );
    let before = (gate.turns(), other.turns());
    sleep(MINUTE);
    table::row(
        "wake-ups in 60 s while nothing changes",
        "0",
        &(gate.turns() - before.0).to_string(),
        &format!("nm-online: {}", other.turns() - before.1),
    );
}
