//! Many gates at once, and a world that never rests.

use std::time::Duration;

use crate::harness::{Gate, Says, World};
use crate::support::fakes::{Logind, NetworkManager, Networkd};

/// What a process has of its own, in KiB (`proc_pid_status(5)`).
fn anonymous_memory(gate: &Gate) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gate.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_hundred_gates_wait_together_and_open_together() {
    let world = World::new(Says::Nothing);
    let logind = Logind::start(&world.address()).await;
    let _manager = NetworkManager::start(&world.address()).await;
    let mut gates: Vec<_> = (0..100).map(|_| world.gate("--settle 0")).collect();
    for gate in &mut gates {
        gate.held("unreachable").await;
    }
    logind.sleep(true).await;
    for gate in &mut gates {
        gate.held("asleep").await;
    }
    let memory: u64 = gates.iter().map(anonymous_memory).sum();
    assert!(memory < 100 * 8 * 1024, "{memory} KiB");
    world.target.say(Says::Good);
    logind.sleep(false).await;
    for gate in &mut gates {
        gate.opens_and_ends().await;
    }
}

#[tokio::test]
async fn a_networkd_that_flaps_with_every_container_keeps_nothing_held() {
    let world = World::new(Says::Good);
    let logind = Logind::start(&world.address()).await;
    logind.put("PreparingForSleep", true);
    let networkd = Networkd::start(&world.address()).await;
    let flapping = tokio::spawn(async move {
        for state in ["degraded", "routable"].into_iter().cycle() {
            networkd.set_operational_state(state).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let mut gate = world.gate("--settle 1s");
    gate.held("asleep").await;
    logind.sleep(false).await;
    gate.held("settling").await;
    gate.opens_and_ends().await;
    flapping.abort();
}

#[tokio::test]
async fn a_networkmanager_that_never_stops_talking_makes_no_storm_of_probes() {
    let world = World::new(Says::Nothing);
    let manager = NetworkManager::start(&world.address()).await;
    let mut gate = world.gate("--settle 0 --timeout 4s");
    let chatter = tokio::spawn(async move {
        for state in [40_u32, 50].into_iter().cycle() {
            manager.set_state(state).await;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    assert_eq!(gate.ends().await.code(), Some(75), "{}", gate.heard());
    chatter.abort();
    let asked = world.target.asked();
    assert!((2..=25).contains(&asked), "{asked} probes in four seconds");
}
