//! `--exec-start-pre`: what a unit had as `ExecStartPre=` waits for the gate, and is judged with the command.

use std::os::unix::process::ExitStatusExt;

use nix::sys::signal::Signal;

use crate::harness::{Gate, Says, World, appears};

/// A run of `script` after these command lines.
fn run(world: &World, pres: &[&str], script: &str) -> Gate {
    let target = world.target.written();
    let mut command = world.command(&format!("run --json --settle 0 --target {target}"));
    for pre in pres {
        command.arg("--exec-start-pre").arg(pre);
    }
    command.args(["--", "sh", "-c", script]);
    Gate::of(command)
}

fn text(world: &World, name: &str) -> String {
    std::fs::read_to_string(world.path(name)).unwrap_or_default()
}

#[tokio::test]
async fn nothing_is_run_before_the_gate_is_open_and_then_all_in_order() {
    let world = World::without_bus(Says::Nothing);
    let pres = [
        "sh -c \"echo one >> runs\"",
        "-sh -c 'echo two >> runs; exit 7'",
    ];
    let mut run = run(&world, &pres, "echo three >> runs");
    run.held("unreachable").await;
    assert_eq!(text(&world, "runs"), "");
    world.target.say(Says::Good);
    assert_eq!(run.ends().await.code(), Some(0), "{}", run.heard());
    assert_eq!(text(&world, "runs"), "one\ntwo\nthree\n");
}

#[tokio::test]
async fn the_first_that_fails_ends_the_attempt_with_its_code() {
    let world = World::without_bus(Says::Good);
    let pres = ["sh -c 'exit 3'", "sh -c 'echo two >> runs'"];
    let mut run = run(&world, &pres, "echo three >> runs");
    assert_eq!(run.ends().await.code(), Some(3));
    assert!(run.heard().contains("sh exited with 3"), "{}", run.heard());
    assert_eq!(text(&world, "runs"), "");
}

#[tokio::test]
async fn one_that_fails_without_the_network_is_run_again_from_the_gate_even_with_a_final_code() {
    let world = World::without_bus(Says::Good);
    world.configure("final_exit_status = [4]");
    let pre = "sh -c 'echo pre >> runs; [ $(wc -l < runs) -gt 1 ] && exit 0; : > started; \
               until [ -e go ]; do sleep 0.02; done; exit 4'";
    let mut run = run(&world, &[pre], "echo command >> runs");
    appears(&world.path("started")).await;
    world.target.say(Says::Nothing);
    world.write("go", "");
    assert_eq!(run.tells("attempt_ended").await["outcome"], "interrupted");
    world.target.say(Says::Good);
    assert_eq!(run.ends().await.code(), Some(0), "{}", run.heard());
    assert_eq!(text(&world, "runs"), "pre\npre\ncommand\n");
}

#[tokio::test]
async fn told_to_stop_meanwhile_the_command_is_not_started_whatever_the_line_makes_of_it() {
    for prefix in ["", "-"] {
        let world = World::without_bus(Says::Good);
        let pre = format!(
            "{prefix}sh -c 'trap \"echo told >> runs; exit 0\" TERM; : > started; while :; do sleep 0.02; done'"
        );
        let mut run = run(&world, &[&pre], "echo command >> runs");
        appears(&world.path("started")).await;
        run.signal(Signal::SIGTERM);
        assert_eq!(run.ends().await.signal(), Some(15), "{}", run.heard());
        assert_eq!(text(&world, "runs"), "told\n");
    }
}

#[tokio::test]
async fn attempt_timeout_bounds_all_of_them_together_and_a_polite_end_is_no_success() {
    let world = World::without_bus(Says::Good);
    world.configure("attempt_timeout = '1s'\nattempts = 1\nat_most_every = '1h'");
    let pre = "-sh -c 'trap \"exit 0\" TERM; while :; do sleep 0.02; done'";
    let mut run = run(&world, &[pre], "echo command >> runs");
    assert_eq!(run.ends().await.code(), Some(75), "{}", run.heard());
    assert_eq!(text(&world, "runs"), "");
}

#[tokio::test]
async fn it_dies_with_us_and_may_have_a_name_of_its_own() {
    let world = World::without_bus(Says::Good);
    let pre = "@sh named -c 'echo $0 >> runs; trap \": > told; exit\" TERM; : > started; while :; do sleep 0.02; done'";
    let run = run(&world, &[pre], "true");
    appears(&world.path("started")).await;
    run.signal(Signal::SIGKILL);
    appears(&world.path("told")).await;
    assert_eq!(text(&world, "runs"), "named\n");
}

#[tokio::test]
async fn a_line_that_cannot_be_run_is_refused_before_anything_is() {
    let world = World::without_bus(Says::Good);
    for pre in ["+/bin/true", "", "'"] {
        let mut run = run(&world, &[pre], "echo command >> runs");
        assert_eq!(run.ends().await.code(), Some(64), "{pre}: {}", run.heard());
    }
    assert_eq!(text(&world, "runs"), "");
}
