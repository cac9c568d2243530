//! The traps that others fell into: services that guess, lie, hang, vanish or are not there.

use crate::bus::presence::activatable;
use crate::harness::{Says, World};
use crate::support::bus::DbusDaemon;
use crate::support::fake::Mood;
use crate::support::fakes::{Logind, NetworkManager, UPower};

const NM_PATH: &str = "/org/freedesktop/NetworkManager";
const NM: &str = "org.freedesktop.NetworkManager";

#[tokio::test]
async fn a_full_without_a_check_opens_nothing_and_is_called_a_guess() {
    let world = World::new(Says::Nothing);
    let manager = NetworkManager::start(&world.address()).await;
    manager.put("ConnectivityCheckEnabled", false);
    let mut gate = world.gate("--settle 0");
    let mut detail = gate.held("unreachable").await;
    // NetworkManager may be heard only after the first probe.
    while !detail.contains("is a guess, its check is off") {
        detail = gate.held("unreachable").await;
    }
    world.target.say(Says::Good);
    gate.opens_and_ends().await;
}

#[tokio::test]
async fn no_state_of_networkmanager_forbids_what_a_probe_proves() {
    let world = World::new(Says::Good);
    let manager = NetworkManager::start(&world.address()).await;
    manager.put("Connectivity", 1_u32);
    for state in [0_u32, 10, 20, 30, 40, 50, 60, 1000] {
        manager.put("State", state);
        world.gate("").opens_and_ends().await;
    }
}

#[tokio::test]
async fn a_metered_connection_holds_until_it_is_another_or_it_is_allowed() {
    let world = World::new(Says::Good);
    let manager = NetworkManager::start(&world.address()).await;
    for metered in [1_u32, 3] {
        manager.put("Metered", metered);
        let mut gate = world.gate("--settle 0");
        gate.held("metered").await;
        world.gate("--allow metered").opens_and_ends().await;
        manager.change(NM_PATH, NM, "Metered", 4_u32).await;
        gate.opens_and_ends().await;
    }
}

#[tokio::test]
async fn a_metered_that_networkmanager_does_not_know_is_none() {
    let world = World::new(Says::Good);
    let manager = NetworkManager::start(&world.address()).await;
    for metered in [0_u32, 2, 4, 99] {
        manager.put("Metered", metered);
        world.gate("").opens_and_ends().await;
    }
    manager.lacks("Metered");
    world.gate("").opens_and_ends().await;
}

#[tokio::test]
async fn a_hung_networkmanager_is_unknown_and_is_heard_again() {
    let world = World::new(Says::Good);
    let manager = NetworkManager::start(&world.address()).await;
    manager.be(Mood::Hung).await;
    let mut gate = world.gate("--settle 0");
    let detail = gate.held("unknown").await;
    assert!(detail.contains("does not answer"), "{detail}");
    manager.be(Mood::Well).await;
    gate.opens_and_ends().await;
}

#[tokio::test]
async fn a_networkmanager_that_talks_nonsense_or_refuses_never_opens_a_gate_that_asks_for_metered()
{
    let world = World::new(Says::Good);
    let manager = NetworkManager::start(&world.address()).await;
    for mood in [Mood::Nonsense, Mood::Refusing] {
        manager.be(mood).await;
        let mut gate = world.gate("--settle 0");
        gate.held("unknown").await;
        manager.be(Mood::Well).await;
        manager.set_state(70).await;
        gate.opens_and_ends().await;
    }
}

#[tokio::test]
async fn a_logind_that_vanishes_in_its_sleep_and_returns_is_believed_again() {
    let world = World::new(Says::Nothing);
    let logind = Logind::start(&world.address()).await;
    let mut gate = world.gate("--settle 0");
    gate.held("unreachable").await;
    logind.sleep(true).await;
    gate.held("asleep").await;
    logind.vanish().await;
    gate.held("unreachable").await;
    logind.appear().await;
    gate.held("asleep").await;
    world.target.say(Says::Good);
    logind.sleep(false).await;
    gate.opens_and_ends().await;
}

#[tokio::test]
async fn on_battery_it_waits_for_mains_as_upower_tells() {
    let world = World::new(Says::Good);
    world.configure("power = 'mains'");
    let upower = UPower::start(&world.address()).await;
    upower.set_on_battery(true).await;
    let mut gate = world.gate("--settle 0");
    gate.held("on_battery").await;
    world.gate("--allow on_battery").opens_and_ends().await;
    upower.set_on_battery(false).await;
    gate.opens_and_ends().await;
}

#[tokio::test]
async fn a_low_battery_is_waited_for_until_it_is_charged() {
    let world = World::new(Says::Good);
    world.configure("power = { battery_at_least = 40 }");
    let upower = UPower::start(&world.address()).await;
    upower.set_on_battery(true).await;
    upower.set_percentage(39.0).await;
    let mut gate = world.gate("--settle 0");
    let detail = gate.held("battery_low").await;
    assert!(detail.contains("39 %"), "{detail}");
    upower.set_percentage(40.0).await;
    gate.opens_and_ends().await;
}

#[tokio::test]
async fn without_upower_logind_speaks_for_the_power_and_then_the_kernel() {
    let world = World::new(Says::Good);
    world.configure("power = 'mains'");
    // Nobody on the bus and no battery in /sys: that is mains.
    world.gate("").opens_and_ends().await;
    let logind = Logind::start(&world.address()).await;
    world.gate("").opens_and_ends().await;
    logind.put("OnExternalPower", false);
    world.gate("").held("on_battery").await;
    logind.vanish().await;
    world.write("sys/class/power_supply/BAT0/type", "Battery\n");
    world.write("sys/class/power_supply/BAT0/status", "Discharging\n");
    world.write("sys/class/power_supply/BAT0/capacity", "80\n");
    world.write("sys/class/power_supply/BAT0/present", "1\n");
    world.gate("").held("on_battery").await;
}

#[tokio::test]
#[ignore = "needs dbus-daemon"]
async fn a_run_starts_no_service_that_was_not_there() {
    let world = World::without_bus(Says::Good);
    activatable(world.root.path());
    let _bus = DbusDaemon::start(world.root.path());
    let mut run = world.run("", "true");
    assert_eq!(run.ends().await.code(), Some(0), "{}", run.heard());
    assert!(!world.path("started").exists());
    assert!(run.heard().contains("inhibitor lock"), "{}", run.heard());
}
