//! Suspend and resume, as the services tell of them and as the kernel does.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::harness::{Says, World};
use crate::support::fakes::{Logind, NetworkManager};

#[tokio::test]
async fn a_timer_at_the_moment_of_resume_is_held_until_the_network_is_truly_back() {
    let world = World::new(Says::Nothing);
    let logind = Logind::start(&world.address()).await;
    let manager = NetworkManager::start(&world.address()).await;
    manager.put("Connectivity", 1_u32);
    logind.put("PreparingForSleep", true);
    manager.put("State", 10_u32);

    let mut gate = world.gate("--settle 500ms");
    gate.held("asleep").await;
    // At most the probe with which every gate begins, before it has heard of anything.
    assert!(world.target.asked() <= 1, "it probes while asleep");
    logind.sleep(false).await;
    gate.held("unreachable").await;
    // docker0 is up long before Wi-Fi.
    manager.set_state(50).await;
    manager.set_state(40).await;
    gate.held("connecting").await;
    world.target.say(Says::Portal);
    manager.put("Connectivity", 2_u32);
    manager.set_state(60).await;
    gate.held("portal").await;
    world.target.say(Says::Good);
    manager.put("Connectivity", 4_u32);
    manager.set_state(70).await;
    gate.held("settling").await;
    let evidence = gate.opens_and_ends().await;
    assert_eq!(evidence["guess"], false);
    assert_eq!(evidence["epoch"], 1);
}

#[tokio::test]
async fn a_machine_that_has_long_been_online_does_not_settle() {
    let world = World::new(Says::Good);
    let _logind = Logind::start(&world.address()).await;
    let mut gate = world.gate("--settle 1h");
    gate.opens_and_ends().await;
    assert_eq!(world.target.asked(), 1);
}

#[tokio::test]
async fn suspend_then_hibernate_holds_through_its_wake_up_in_the_middle() {
    let world = World::new(Says::Good);
    let logind = Logind::start(&world.address()).await;
    logind.put("PreparingForSleep", true);
    let mut gate = world.gate("--settle 100ms");
    gate.held("asleep").await;
    // The kernel has slept once, and logind has not said that it is over.
    world.write("sys/power/suspend_stats/success", "1\n");
    logind.sleep(true).await;
    world.write("sys/power/suspend_stats/success", "2\n");
    logind.sleep(true).await;
    logind.sleep(false).await;
    gate.held("settling").await;
    gate.opens_and_ends().await;
}

#[tokio::test]
async fn a_resume_that_the_kernel_alone_has_counted_is_one() {
    let world = World::new(Says::Nothing);
    world.write("sys/power/suspend_stats/success", "7\n");
    let manager = NetworkManager::start(&world.address()).await;
    let mut gate = world.gate("--settle 100ms");
    gate.held("unreachable").await;
    world.write("sys/power/suspend_stats/success", "8\n");
    world.target.say(Says::Good);
    manager.set_state(60).await;
    gate.held("settling").await;
    assert_eq!(gate.opens_and_ends().await["epoch"], 1);
}

#[tokio::test]
async fn a_suspend_while_it_settles_begins_all_anew() {
    let world = World::new(Says::Good);
    let logind = Logind::start(&world.address()).await;
    logind.put("PreparingForSleep", true);
    let mut gate = world.gate("--settle 5s");
    gate.held("asleep").await;
    logind.sleep(false).await;
    gate.held("settling").await;
    logind.sleep(true).await;
    gate.held("asleep").await;
    world.target.say(Says::Nothing);
    logind.sleep(false).await;
    gate.held("unreachable").await;
}

#[tokio::test]
async fn a_shutdown_holds_until_it_is_called_off() {
    let world = World::new(Says::Nothing);
    let logind = Logind::start(&world.address()).await;
    let mut gate = world.gate("--settle 0");
    gate.held("unreachable").await;
    world.target.say(Says::Good);
    logind.shutdown(true).await;
    gate.held("shutting_down").await;
    logind.shutdown(false).await;
    gate.opens_and_ends().await;
}

#[tokio::test]
async fn a_gate_frozen_with_its_slice_while_it_settles_believes_nothing_from_before_the_suspend() {
    let world = World::new(Says::Good);
    world.write("sys/power/suspend_stats/success", "0\n");
    let logind = Logind::start(&world.address()).await;
    logind.put("PreparingForSleep", true);
    let mut gate = world.gate("--settle 1s");
    gate.held("asleep").await;
    logind.sleep(false).await;
    gate.held("settling").await;
    gate.signal(Signal::SIGSTOP);
    world.target.say(Says::Nothing);
    world.write("sys/power/suspend_stats/success", "1\n");
    // Not to wait for anything: all must have settled when it thaws.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    gate.signal(Signal::SIGCONT);
    gate.held("unreachable").await;
}
