//! What `status` shows of gates that are really there.

use serde_json::Value;

use crate::harness::{Gate, Says, World};

fn gates(line: &str) -> Vec<Value> {
    let told: Value = serde_json::from_str(line).unwrap_or_default();
    told["gates"].as_array().cloned().unwrap_or_default()
}

#[tokio::test]
async fn a_waiting_gate_is_shown_with_its_reason_and_is_gone_when_it_has_opened() {
    let world = World::without_bus(Says::Nothing);
    let mut gate = world.gate("--settle 0");
    gate.held("unreachable").await;
    let output = world.ran("status --json").await;
    let shown = gates(&String::from_utf8_lossy(&output.stdout));
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0]["pid"], gate.pid());
    assert_eq!(shown[0]["reason"], "unreachable");
    assert_eq!(shown[0]["command"], "wait-online");
    let output = world.ran("status").await;
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(table.contains("unreachable"), "{table}");
    world.target.say(Says::Good);
    gate.opens_and_ends().await;
    let output = world.ran("status").await;
    assert_eq!(output.stdout, b"no gate is waiting\n");
}

#[tokio::test]
async fn follow_sees_a_gate_come_run_and_go() {
    let world = World::without_bus(Says::Nothing);
    // It is always there, for the machine and for a user who is logged in.
    std::fs::create_dir(world.path("run")).unwrap();
    let mut status = Gate::of(world.command("status --json --follow"));
    let mut run = world.run("", "until [ -e go ]; do sleep 0.02; done");
    run.held("unreachable").await;
    shows(&mut status, |all| {
        all.first()
            .is_some_and(|gate| gate["reason"] == "unreachable")
    })
    .await;
    world.target.say(Says::Good);
    shows(&mut status, |all| {
        all.first()
            .is_some_and(|gate| gate["running"] == true && gate["attempt"] == 1)
    })
    .await;
    world.write("go", "");
    assert_eq!(run.ends().await.code(), Some(0));
    shows(&mut status, <[Value]>::is_empty).await;
}

async fn shows(status: &mut Gate, wanted: impl Fn(&[Value]) -> bool) {
    while let Some(line) = status.line().await {
        if wanted(&gates(&line)) {
            return;
        }
    }
    panic!("status ended after\n{}", status.heard());
}
