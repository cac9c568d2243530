//! Units that failed while offline are started again: these, once each, and in turn.

use std::time::Duration;

use super::*;

const RESET: &str = "reset-failed a.service";
const AGAIN: &str = "start a.service";

/// A machine without a network, with these units installed.
async fn offline(units: &[(&str, Start)], watch: &str) -> Machine {
    let machine = Machine::new(Says::Nothing).await;
    machine.configure(watch);
    for (unit, start) in units {
        machine.systemd.install(unit, *start);
    }
    machine
}

/// Waits until the re-arming is over, as far as units go: another one has been started again after all others.
async fn over(machine: &Machine, last: &str) {
    machine.systemd.until(&format!("start {last}"), 1).await;
}

#[tokio::test]
async fn a_unit_that_failed_while_held_is_started_once_when_the_gate_opens() {
    let machine = offline(&[("a.service", Start::Ends)], "rearm = ['a.service']").await;
    let mut watch = machine.watch().await;
    watch.gate.held("unreachable").await;
    machine.systemd.fails("a.service");
    machine.world.target.say(Says::Good);
    machine.systemd.until(AGAIN, 1).await;
    watch.says("start job of a.service finished: done").await;
    let calls = machine.systemd.calls();
    let position = |call: &str| calls.iter().position(|one| one == call).unwrap();
    assert!(position(RESET) < position(AGAIN), "{calls:?}");
    // Another outage, in which it does not fail.
    machine.logind.sleep(true).await;
    machine.logind.sleep(false).await;
    machine.systemd.until(START, 2).await;
    machine.systemd.until_state(TARGET, "active").await;
    assert_eq!(machine.systemd.count(AGAIN), 1);
}

#[tokio::test]
async fn a_unit_that_fails_again_while_all_is_proven_is_left_failed() {
    let machine = offline(&[("a.service", Start::Fails)], "rearm = ['a.*']").await;
    let mut watch = machine.watch().await;
    watch.gate.held("unreachable").await;
    machine.systemd.fails("a.service");
    machine.world.target.say(Says::Good);
    watch.says("start job of a.service finished: failed").await;
    machine.systemd.until_state("a.service", "failed").await;
    machine.systemd.install("z.service", Start::Ends);
    machine.world.target.say(Says::Nothing);
    machine.logind.sleep(true).await;
    machine.logind.sleep(false).await;
    watch.gate.held_even_after_open("unreachable").await;
    machine.world.target.say(Says::Good);
    machine.systemd.until(START, 2).await;
    machine.systemd.until_state(TARGET, "active").await;
    assert_eq!(machine.systemd.count(AGAIN), 1);
}

#[tokio::test]
async fn only_units_that_are_named_and_failed_in_the_outage_are_started() {
    let units = [
        ("a.service", Start::Ends),
        ("b-1.service", Start::Ends),
        ("foreign.service", Start::Ends),
        ("well.service", Start::Ends),
    ];
    let rearm = "rearm = ['a.service', 'b-*', 'well.service']\nrearm_at_once = 9";
    let machine = offline(&units, rearm).await;
    machine.world.target.say(Says::Good);
    let mut watch = machine.watch().await;
    machine.systemd.until_state(TARGET, "active").await;
    // Proven: whatever this is, it is not the network.
    machine.systemd.fails("a.service");
    // What a transfer fails of in the breath before a loss is told of counts as failed of it.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    machine.world.target.say(Says::Nothing);
    machine.logind.sleep(true).await;
    machine.logind.sleep(false).await;
    watch.gate.held_even_after_open("unreachable").await;
    machine.systemd.fails("b-1.service");
    machine.systemd.fails("foreign.service");
    machine.world.target.say(Says::Good);
    over(&machine, "b-1.service").await;
    watch.says("start job of b-1.service finished").await;
    let calls = machine.systemd.calls();
    for unit in ["a.service", "foreign.service", "well.service"] {
        assert_eq!(
            machine.systemd.count(&format!("start {unit}")),
            0,
            "{calls:?}"
        );
    }
}

#[tokio::test]
async fn what_failed_since_the_boot_before_anything_was_proven_counts_as_failed_for_want_of_it() {
    let machine = offline(&[("a.service", Start::Ends)], "rearm = ['a.service']").await;
    machine
        .systemd
        .failed_at("a.service", Duration::from_secs(1));
    machine.world.target.say(Says::Good);
    let _watch = machine.watch().await;
    machine.systemd.until(AGAIN, 1).await;
}

#[tokio::test]
async fn what_failed_before_a_watch_that_is_not_the_first_is_nobody_s_knowledge() {
    let machine = offline(
        &[("a.service", Start::Ends), ("z.service", Start::Ends)],
        "rearm = ['*.service']",
    )
    .await;
    machine.world.target.say(Says::Good);
    let mut first = machine.watch().await;
    machine.systemd.until_state(TARGET, "active").await;
    first.gate.signal(nix::sys::signal::Signal::SIGKILL);
    first.gate.ends().await;
    machine.systemd.fails("a.service");
    machine.world.target.say(Says::Nothing);
    let mut watch = machine.watch().await;
    watch.gate.held("unreachable").await;
    machine.systemd.fails("z.service");
    machine.world.target.say(Says::Good);
    over(&machine, "z.service").await;
    watch.says("start job of z.service finished").await;
    assert_eq!(machine.systemd.count(AGAIN), 0);
}

#[tokio::test]
async fn one_is_started_at_a_time_unless_more_are_allowed() {
    for (at_once, jobs) in [(1, 1), (2, 2)] {
        let units = ["a.service", "b.service", "c.service"].map(|unit| (unit, Start::Ends));
        let rearm = format!("rearm = ['*.service']\nrearm_at_once = {at_once}");
        let machine = offline(&units, &rearm).await;
        let mut watch = machine.watch().await;
        watch.gate.held("unreachable").await;
        machine.systemd.until(STOP, 1).await;
        for (unit, _) in units {
            machine.systemd.fails(unit);
        }
        machine.systemd.hold_jobs();
        machine.world.target.say(Says::Good);
        watch.says("again, it failed while offline").await;
        if at_once > 1 {
            watch.says("again, it failed while offline").await;
        }
        // The target's own job is one more.
        assert_eq!(
            machine.systemd.jobs(),
            jobs + 1,
            "{:?}",
            machine.systemd.calls()
        );
        machine.systemd.finish_jobs().await;
        for (unit, _) in units {
            machine.systemd.until(&format!("start {unit}"), 1).await;
        }
    }
}

#[tokio::test]
async fn whoever_waits_for_a_turn_when_the_gate_is_held_waits_for_the_next_opening() {
    let machine = offline(
        &[("a.service", Start::Ends)],
        "rearm = ['a.service']\nrearm_spread = '1h'",
    )
    .await;
    let text = std::fs::read_to_string(machine.world.path("etc/upgrade-gate/upgrade-gate.toml"));
    let text = text.unwrap().replacen("rearm_spread = '0'\n", "", 1);
    machine
        .world
        .write("etc/upgrade-gate/upgrade-gate.toml", &text);
    let mut watch = machine.watch().await;
    watch.gate.held("unreachable").await;
    machine.systemd.fails("a.service");
    machine.world.target.say(Says::Good);
    machine.systemd.until_state(TARGET, "active").await;
    machine.logind.sleep(true).await;
    machine.logind.sleep(false).await;
    machine.systemd.until(START, 2).await;
    assert_eq!(
        machine.systemd.count(AGAIN),
        0,
        "its transition has not come"
    );
    // The same machine, in less of a hurry to spread.
    machine.configure("rearm = ['a.service']");
    watch.gate.signal(nix::sys::signal::Signal::SIGHUP);
    machine.systemd.until(AGAIN, 1).await;
}

#[tokio::test]
async fn a_unit_that_somebody_has_dealt_with_meanwhile_is_left_alone() {
    let machine = offline(
        &[("a.service", Start::Ends), ("b.service", Start::Ends)],
        "rearm = ['a.service', 'b.service']",
    )
    .await;
    let mut watch = machine.watch().await;
    watch.gate.held("unreachable").await;
    machine.systemd.until(STOP, 1).await;
    machine.systemd.fails("a.service");
    machine.systemd.fails("b.service");
    machine.systemd.hold_jobs();
    machine.world.target.say(Says::Good);
    watch.says("again, it failed while offline").await;
    let first = if machine.systemd.count(AGAIN) == 1 {
        "a.service"
    } else {
        "b.service"
    };
    let other = if first == "a.service" {
        "b.service"
    } else {
        "a.service"
    };
    machine.systemd.set(other, "inactive");
    machine.systemd.finish_jobs().await;
    watch.says(&format!("start job of {first} finished")).await;
    machine.logind.sleep(true).await;
    machine.systemd.until_state(TARGET, "inactive").await;
    assert_eq!(machine.systemd.count(&format!("start {other}")), 0);
}

#[tokio::test]
async fn what_began_in_the_outage_and_fails_after_it_is_started_again_too() {
    let machine = offline(&[("a.service", Start::Ends)], "rearm = ['a.service']").await;
    let mut watch = machine.watch().await;
    watch.gate.held("unreachable").await;
    let in_the_outage = upgrade_gate::sys::clock::now().monotonic.0;
    machine.world.target.say(Says::Good);
    machine.systemd.until_state(TARGET, "active").await;
    machine
        .systemd
        .failed_since("a.service", in_the_outage)
        .await;
    machine.systemd.until(AGAIN, 1).await;
}

#[tokio::test]
async fn a_name_that_no_unit_has_is_a_warning() {
    let machine = offline(
        &[("a.service", Start::Ends), ("t@.service", Start::Ends)],
        "rearm = ['a.service', 't@x.service', 'aa.service', 'q-*.service']",
    )
    .await;
    let mut watch = machine.watch().await;
    watch.gate.held("unreachable").await;
    watch.gate.signal(nix::sys::signal::Signal::SIGTERM);
    watch.gate.ends().await;
    let said = watch.gate.heard();
    let strangers: Vec<_> = said
        .lines()
        .filter_map(|line| line.split_once("no unit matches "))
        .map(|(_, rest)| rest.split(',').next().unwrap())
        .collect();
    assert_eq!(strangers, ["aa.service", "q-*.service"], "{said}");
}
