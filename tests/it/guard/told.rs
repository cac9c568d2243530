//! Somebody is told of what went wrong, once.

use super::machine::{BASE, CAND, Machine};
use super::quick;

/// A machine whose command writes down what it is told, and the option that names it.
async fn telling() -> (Machine, String) {
    let machine = Machine::new().await;
    let variables = ["EVENT", "CAUSE", "CANDIDATE", "BASELINE"];
    let shown = variables
        .map(|name| format!("$UPGRADE_GATE_{name}"))
        .join(" ");
    machine.script(
        "tell",
        &format!("#!/bin/sh\necho {shown} > @root@/new\nmv @root@/new @root@/told\n"),
    );
    let notify = format!("--notify {}", machine.world.path("tell").display());
    (machine, notify)
}

/// How often the command was started.
fn count(machine: &Machine) -> usize {
    let started = machine.systemd.started();
    let told = started.iter().filter(|unit| unit.contains("guard-notify"));
    told.count()
}

#[tokio::test]
async fn what_may_reboot_is_started_each_time_that_a_try_leaves_its_system_to_the_next_boot() {
    let (machine, notify) = telling().await;
    let on_staged = notify.replace("--notify", "--on-staged");
    let tried = async |words: &str| {
        let (code, said) = machine.runs(&quick(words)).await;
        assert_eq!(code, 0, "{said}");
        count(&machine)
    };
    let staging = format!("try {CAND} --mode reboot {on_staged}");
    assert_eq!(tried(&staging).await, 1);
    let line = format!("staged {CAND} {BASE}\n");
    assert_eq!(machine.until_written("told").await, line);
    assert_eq!(tried(&staging).await, 2, "it is staged already");
    machine.build("third");
    machine.touch("check-third", "it is Friday\n");
    let refused = quick(&format!("try /nix/store/third {on_staged}"));
    assert_eq!(machine.runs(&refused).await.0, 75);
    assert_eq!(count(&machine), 3, "another one is refused");
    for (system, why) in [(BASE, "it gives way"), (CAND, "it runs")] {
        let words = format!("try {system} {on_staged}");
        assert_eq!(tried(&words).await, 3, "{why}");
    }
    machine.is_wholly(CAND);
}

#[tokio::test]
async fn somebody_is_told_of_an_undo_and_of_a_kept_system_never() {
    let (machine, notify) = telling().await;
    let failing = quick(&format!("try {CAND} --check false {notify}"));
    assert_eq!(machine.runs(&failing).await.0, 80);
    let line = format!("undone unhealthy {CAND} {BASE}\n");
    assert_eq!(machine.until_written("told").await, line);
    machine.is_wholly(BASE);
    let waived = quick(&format!("try {CAND} --allow denied {notify}"));
    assert_eq!(machine.runs(&waived).await.0, 0);
    assert_eq!(count(&machine), 1);
}

#[tokio::test]
async fn somebody_is_told_of_a_refusal_when_it_is_another_one() {
    let (machine, notify) = telling().await;
    machine.build("second");
    for system in ["cand", "second"] {
        machine.touch(&format!("check-{system}"), "it is Friday\n");
    }
    let refused = async |system: &str| {
        let tried = format!("try /nix/store/{system} {notify}");
        assert_eq!(machine.runs(&tried).await.0, 75);
        count(&machine)
    };
    assert_eq!(refused("cand").await, 1);
    let line = format!("refused checks {CAND} {BASE}\n");
    assert_eq!(machine.until_written("told").await, line);
    assert_eq!(refused("cand").await, 1);
    assert_eq!(refused("second").await, 2);
    machine.systemd.reboot();
    assert_eq!(refused("second").await, 2);
    let waived = quick("try /nix/store/cand --allow checks");
    assert_eq!(machine.runs(&waived).await.0, 0);
    assert_eq!(refused("second").await, 3, "something was tried since");
}
