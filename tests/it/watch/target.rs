//! The target: started when proven, stopped before sleep and when the proof is lost, and never left behind.

use std::time::Duration;

use nix::sys::signal::Signal;

use upgrade_gate::report::status_file;

use super::*;
use crate::harness::GENEROUS;
use crate::namespace::{enter, ip};

async fn until_locks(logind: &Logind, number: usize) {
    let look = async {
        while logind.locks().len() < number {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(GENEROUS, look).await.expect("a lock");
}

#[tokio::test]
async fn it_starts_when_the_gate_opens_and_not_before() {
    let machine = Machine::new(Says::Nothing).await;
    let mut watch = machine.watch().await;
    watch.gate.held("unreachable").await;
    machine.systemd.until(STOP, 1).await;
    assert_eq!(machine.systemd.count(START), 0);
    machine.world.target.say(Says::Good);
    machine.systemd.until_state(TARGET, "active").await;
    watch.tells("STATUS=open").await;
    assert_eq!(machine.logind.locks(), ["delay"]);
}

#[tokio::test]
async fn before_a_sleep_it_is_stopped_and_only_then_the_machine_may_sleep() {
    let machine = Machine::new(Says::Good).await;
    let mut watch = machine.watch().await;
    machine.systemd.until_state(TARGET, "active").await;
    machine.systemd.hold_jobs();
    machine.logind.sleep(true).await;
    machine.systemd.until(STOP, 1).await;
    watch.gate.held_even_after_open("asleep").await;
    assert!(!machine.logind.released(0), "the target has not stopped");
    machine.systemd.finish_jobs().await;
    machine.logind.until_released(0).await;
    machine.systemd.until_state(TARGET, "inactive").await;

    machine.logind.sleep(false).await;
    machine.systemd.until_state(TARGET, "active").await;
    until_locks(&machine.logind, 2).await;
    assert!(!machine.logind.released(1));
    // Units that it wants run at each return.
    assert_eq!(machine.systemd.count(START), 2);
}

#[tokio::test]
async fn a_target_that_does_not_stop_delays_the_sleep_for_a_part_of_logind_s_patience_only() {
    let machine = Machine::new(Says::Good).await;
    machine.logind.put("InhibitDelayMaxUSec", 400_000_u64);
    let _watch = machine.watch().await;
    machine.systemd.until_state(TARGET, "active").await;
    machine.systemd.hold_jobs();
    machine.logind.sleep(true).await;
    machine.systemd.until(STOP, 1).await;
    machine.logind.until_released(0).await;
    assert_eq!(machine.systemd.jobs(), 1);
}

#[tokio::test]
async fn after_a_resume_it_returns_only_when_proven_anew() {
    let machine = Machine::new(Says::Good).await;
    let mut watch = machine.watch().await;
    machine.systemd.until_state(TARGET, "active").await;
    machine.logind.sleep(true).await;
    machine.systemd.until_state(TARGET, "inactive").await;
    machine.world.target.say(Says::Portal);
    machine.logind.sleep(false).await;
    watch.gate.held_even_after_open("portal").await;
    assert_eq!(machine.systemd.count(START), 1);
    machine.world.target.say(Says::Good);
    machine.systemd.until(START, 2).await;
}

#[tokio::test]
async fn a_resume_that_only_the_kernel_has_counted_takes_it_away_too() {
    let machine = Machine::new(Says::Good).await;
    machine
        .world
        .write("sys/power/suspend_stats/success", "1\n");
    let _watch = machine.watch().await;
    machine.systemd.until_state(TARGET, "active").await;
    machine.world.target.say(Says::Nothing);
    machine
        .world
        .write("sys/power/suspend_stats/success", "2\n");
    // Any hint.
    machine.logind.vanish().await;
    machine.systemd.until_state(TARGET, "inactive").await;
}

#[tokio::test]
async fn what_a_watch_that_crashed_has_left_stays_if_it_is_true_and_is_stopped_if_not() {
    for (says, state, call) in [
        (Says::Good, "active", START),
        (Says::Nothing, "inactive", STOP),
    ] {
        let machine = Machine::new(says).await;
        machine.systemd.set(TARGET, "active");
        let _watch = machine.watch().await;
        machine.systemd.until(call, 1).await;
        machine.systemd.until_state(TARGET, state).await;
        let changes = machine.systemd.count(START) + machine.systemd.count(STOP);
        assert_eq!(changes, 1, "{:?}", machine.systemd.calls());
    }
}

/// The unit of the watches here: they are in the cgroup of this process.
fn own_unit() -> String {
    status_file::unit().unwrap_or_else(|| "upgrade-gate-watch.service".to_owned())
}

/// A watch that had made it active is being restarted, and has ended.
async fn handed_over() -> Machine {
    let machine = Machine::new(Says::Good).await;
    let mut watch = machine.watch().await;
    machine.systemd.until_state(TARGET, "active").await;
    machine.systemd.restarts(&own_unit());
    watch.gate.signal(Signal::SIGTERM);
    assert_eq!(watch.gate.ends().await.code(), Some(0));
    machine
}

#[tokio::test]
async fn a_restart_of_the_watch_hands_it_over_and_starts_nothing_again() {
    let machine = handed_over().await;
    let mut second = machine.watch().await;
    second.tells("STATUS=open").await;
    assert_eq!(machine.systemd.count(START), 1, "nothing has returned");
    assert_eq!(machine.systemd.count(STOP), 0);

    // Then it is followed as ever.
    machine.systemd.remove(&own_unit());
    second.gate.signal(Signal::SIGTERM);
    machine.systemd.until_state(TARGET, "inactive").await;
}

#[tokio::test]
async fn one_that_was_handed_over_is_stopped_if_the_network_is_gone() {
    let machine = handed_over().await;
    machine.world.target.say(Says::Nothing);
    let _second = machine.watch().await;
    machine.systemd.until_state(TARGET, "inactive").await;
    assert_eq!(machine.systemd.count(START), 1);
}

#[tokio::test]
async fn sigterm_stops_it_and_ends_with_success() {
    let machine = Machine::new(Says::Good).await;
    let mut watch = machine.watch().await;
    machine.systemd.until_state(TARGET, "active").await;
    machine.systemd.hold_jobs();
    watch.gate.signal(Signal::SIGTERM);
    watch.tells("STOPPING=1").await;
    machine.systemd.until(STOP, 1).await;
    machine.systemd.finish_jobs().await;
    assert_eq!(
        watch.gate.ends().await.code(),
        Some(0),
        "{}",
        watch.gate.heard()
    );
    machine.systemd.until_state(TARGET, "inactive").await;
    let left = machine.world.path("run/upgrade-gate/gates").read_dir();
    assert_eq!(left.unwrap().count(), 0);
}

#[tokio::test]
async fn a_person_who_stops_it_is_named_and_let_be() {
    let machine = Machine::new(Says::Good).await;
    let mut watch = machine.watch().await;
    machine.systemd.until_state(TARGET, "active").await;
    machine.systemd.by_hand(TARGET, false).await;
    watch.says("was stopped externally").await;
    assert_eq!(machine.systemd.count(START), 1);
    // At the next change it is kept in sync again.
    machine.logind.sleep(true).await;
    machine.logind.sleep(false).await;
    machine.systemd.until_state(TARGET, "active").await;
}

#[tokio::test]
async fn a_target_that_is_not_installed_is_a_line_and_the_watch_goes_on() {
    let machine = Machine::new(Says::Good).await;
    machine.systemd.remove(TARGET);
    let mut watch = machine.watch().await;
    watch.says("cannot start upgrade-gate-online.target").await;
    machine.logind.sleep(true).await;
    machine.logind.until_released(0).await;
    machine.logind.sleep(false).await;
    machine.systemd.until(START, 2).await;
}

#[tokio::test]
async fn a_logind_that_refuses_the_lock_is_a_line_and_the_target_is_stopped_all_the_same() {
    let machine = Machine::new(Says::Good).await;
    machine.logind.refuse_locks();
    let mut watch = machine.watch().await;
    machine.systemd.until_state(TARGET, "active").await;
    machine.logind.sleep(true).await;
    machine.systemd.until_state(TARGET, "inactive").await;
    watch.says("asleep").await;
    let said = watch.gate.heard();
    assert!(said.contains("cannot delay sleep"), "{said}");
}

#[tokio::test]
async fn a_portal_that_networkmanager_tells_of_takes_it_away_though_the_route_is_the_same() {
    let machine = Machine::new(Says::Good).await;
    let manager = crate::support::fakes::NetworkManager::start(&machine.world.address()).await;
    let _watch = machine.watch().await;
    machine.systemd.until_state(TARGET, "active").await;
    machine.world.target.say(Says::Portal);
    manager.put("Connectivity", 2_u32);
    manager.set_state(60).await;
    machine.systemd.until_state(TARGET, "inactive").await;
    machine.world.target.say(Says::Good);
    manager.put("Connectivity", 4_u32);
    manager.set_state(70).await;
    machine.systemd.until_state(TARGET, "active").await;
}

#[tokio::test]
#[ignore = "needs root and iproute2"]
async fn it_goes_when_the_route_is_lost_and_returns_with_it() {
    if !enter("watch::target::it_goes_when_the_route_is_lost_and_returns_with_it") {
        return;
    }
    ip("link set lo up");
    let machine = Machine::new(Says::Good).await;
    let target = machine.world.target.written();
    let text = format!("[profile.default]\ntargets = ['{target}']\nsettle = '500ms'\n");
    machine
        .world
        .write("etc/upgrade-gate/upgrade-gate.toml", &text);
    let mut watch = machine.watch_with("-vv").await;
    // Until the target's own route is known, there is none to lose.
    watch.says("known: true").await;
    for round in 1..3 {
        machine.systemd.until(START, round).await;
        machine.systemd.until_state(TARGET, "active").await;
        ip("link set lo down");
        machine.systemd.until_state(TARGET, "inactive").await;
        ip("link set lo up");
    }
    machine.systemd.until(START, 3).await;
}
