//! A bus that is not there, dies, returns, or says nothing.

use std::os::unix::net::UnixListener;

use crate::harness::{Says, World};
use crate::support::fakes::{Logind, NetworkManager};

#[tokio::test]
async fn without_a_bus_the_kernel_and_a_probe_are_enough() {
    let world = World::without_bus(Says::Good);
    world.gate("").opens_and_ends().await;
    let checked = world
        .ran(&format!("check --target {}", world.target.written()))
        .await;
    assert_eq!(checked.status.code(), Some(0));
}

#[tokio::test]
async fn a_gate_outlives_its_bus_and_opens_without_it() {
    let mut world = World::new(Says::Nothing);
    let logind = Logind::start(&world.address()).await;
    let mut gate = world.gate("--settle 0");
    gate.held("unreachable").await;
    logind.sleep(true).await;
    gate.held("asleep").await;
    drop(world.bus.take());
    gate.held("unreachable").await;
    world.target.say(Says::Good);
    gate.opens_and_ends().await;
}

#[tokio::test]
async fn a_bus_that_returns_is_listened_to_again() {
    let mut world = World::new(Says::Nothing);
    let first = NetworkManager::start(&world.address()).await;
    let mut gate = world.gate("--settle 0");
    gate.held("unreachable").await;
    drop(world.bus.take());
    drop(first);
    world.start_bus();
    let logind = Logind::start(&world.address()).await;
    logind.sleep(true).await;
    gate.held("asleep").await;
    world.target.say(Says::Good);
    logind.sleep(false).await;
    gate.opens_and_ends().await;
}

#[tokio::test]
async fn a_bus_that_accepts_and_never_speaks_holds_as_unknown_and_says_what_hangs() {
    let world = World::without_bus(Says::Good);
    let _listener = UnixListener::bind(world.path("bus")).unwrap();
    let mut gate = world.gate("--timeout 8s");
    let detail = gate.held("unknown").await;
    assert!(detail.contains("does not answer"), "{detail}");
    assert_eq!(gate.ends().await.code(), Some(75), "{}", gate.heard());
}

#[tokio::test]
async fn a_silent_bus_that_makes_way_for_a_good_one_holds_no_longer() {
    let mut world = World::without_bus(Says::Good);
    let listener = UnixListener::bind(world.path("bus")).unwrap();
    let mut gate = world.gate("--settle 0");
    gate.held("unknown").await;
    drop(listener);
    std::fs::remove_file(world.path("bus")).unwrap();
    world.start_bus();
    gate.opens_and_ends().await;
}
