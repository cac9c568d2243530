//! `wait-online --stay`: the companion of a unit, towards systemd and logind.

use std::os::unix::process::ExitStatusExt;

use nix::sys::signal::Signal;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::datagrams::{assignments, receive, until};
use crate::harness::{Gate, Says, World};
use crate::namespace::{enter, ip};
use crate::support::fakes::Logind;

/// A companion, and what it tells systemd.
fn companion(world: &World, options: &str) -> (Gate, UnboundedReceiver<String>) {
    let socket = world.path("notify");
    let told = receive(&socket, assignments);
    let target = world.target.written();
    let words = format!("wait-online --stay --json --settle 0 --target {target} {options}");
    let mut command = world.command(&words);
    command.env("NOTIFY_SOCKET", &socket);
    (Gate::of(command), told)
}

async fn ready(told: &mut UnboundedReceiver<String>) -> Vec<String> {
    until(told, |text| text == "READY=1").await
}

#[tokio::test]
async fn it_is_ready_when_open_holds_the_locks_and_ends_when_the_machine_goes_to_sleep() {
    let world = World::new(Says::Nothing);
    let logind = Logind::start(&world.address()).await;
    let (mut gate, mut told) = companion(&world, "");
    gate.held("unreachable").await;
    world.target.say(Says::Good);
    let before = ready(&mut told).await;
    assert!(
        before.iter().any(|text| text.starts_with("STATUS=open")),
        "{before:#?}"
    );
    // The gated unit starts at READY=1, and finds the locks taken.
    assert_eq!(logind.locks(), ["block-weak"]);
    assert!(!logind.released(0));
    logind.sleep(true).await;
    let end = gate.tells("summary").await;
    assert_eq!(end["detail"], "the machine is going to sleep");
    assert_eq!(gate.ends().await.code(), Some(0), "{}", gate.heard());
    logind.until_released(0).await;
}

#[tokio::test]
async fn it_ends_at_a_resume_of_which_only_the_kernel_has_told() {
    let world = World::new(Says::Good);
    world.write("sys/power/suspend_stats/success", "7\n");
    let logind = Logind::start(&world.address()).await;
    let (mut gate, mut told) = companion(&world, "");
    ready(&mut told).await;
    world.write("sys/power/suspend_stats/success", "8\n");
    // Any hint: logind is restarted.
    logind.vanish().await;
    let end = gate.tells("summary").await;
    assert_eq!(end["detail"], "the machine has slept");
    assert_eq!(gate.ends().await.code(), Some(0));
}

#[tokio::test]
async fn a_refused_lock_is_a_line_and_no_obstacle() {
    let world = World::new(Says::Good);
    let logind = Logind::start(&world.address()).await;
    logind.refuse_locks();
    let (mut gate, mut told) = companion(&world, "");
    ready(&mut told).await;
    logind.sleep(true).await;
    assert_eq!(gate.ends().await.code(), Some(0));
    let said = gate.heard();
    assert!(said.contains("without an inhibitor lock"), "{said}");
}

#[tokio::test]
async fn it_dies_of_the_signal_that_systemd_stops_it_with() {
    for signal in [Signal::SIGTERM, Signal::SIGHUP] {
        let world = World::without_bus(Says::Good);
        let (mut gate, mut told) = companion(&world, "");
        ready(&mut told).await;
        gate.signal(signal);
        assert_eq!(gate.ends().await.signal(), Some(signal as i32));
    }
}

#[tokio::test]
async fn a_gate_that_does_not_open_in_time_is_never_ready() {
    let world = World::without_bus(Says::Nothing);
    let (mut gate, mut told) = companion(&world, "--timeout 300ms");
    assert_eq!(gate.ends().await.code(), Some(75));
    told.close();
    while let Some(text) = told.recv().await {
        assert_ne!(text, "READY=1");
    }
}

#[tokio::test]
#[ignore = "needs root and iproute2"]
async fn it_ends_when_the_route_is_lost() {
    if !enter("stay::it_ends_when_the_route_is_lost") {
        return;
    }
    ip("link set lo up");
    let world = World::without_bus(Says::Good);
    let (mut gate, mut told) = companion(&world, "-vv");
    ready(&mut told).await;
    // Until the target's own route is known, there is none to lose.
    while !gate.line().await.unwrap().contains("known: true") {}
    ip("link set lo down");
    let end = gate.tells("summary").await;
    assert_eq!(end["detail"], "the route changed or disappeared");
    assert_eq!(gate.ends().await.code(), Some(0));
    // The target's server stops by a connection to itself.
    ip("link set lo up");
}
