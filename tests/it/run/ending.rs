//! Signals, exit codes and what passes through: as if the command had been started directly.

use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use nix::sys::signal::Signal;
use tokio::io::AsyncWriteExt;

use crate::harness::{Says, World, appears};
use crate::support::fake::Mood;
use crate::support::fakes::Logind;

#[tokio::test]
async fn sigterm_while_waiting_ends_it_by_sigterm_without_a_run() {
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT] {
        let world = World::without_bus(Says::Nothing);
        let mut run = world.run("", "echo run >> runs");
        run.held("unreachable").await;
        run.signal(signal);
        assert_eq!(run.ends().await.signal(), Some(signal as i32));
        assert_eq!(world.lines("runs"), 0);
        assert_eq!(
            world
                .path("run/upgrade-gate/gates")
                .read_dir()
                .unwrap()
                .count(),
            0
        );
    }
}

#[tokio::test]
async fn sigterm_while_waiting_online_ends_it_by_sigterm() {
    let world = World::without_bus(Says::Nothing);
    let mut gate = world.gate("");
    gate.held("unreachable").await;
    gate.signal(Signal::SIGTERM);
    assert_eq!(gate.ends().await.signal(), Some(15));
}

#[tokio::test]
async fn sigterm_between_two_attempts_and_while_the_lock_is_busy_ends_it_too() {
    let world = World::without_bus(Says::Good);
    let mut first = world.run(
        "",
        ": > started; until [ -e go ]; do sleep 0.02; done; exit 1",
    );
    appears(&world.path("started")).await;
    let mut second = world.run("", "echo run >> runs");
    second.held_even_after_open("busy").await;
    second.signal(Signal::SIGTERM);
    assert_eq!(second.ends().await.signal(), Some(15));
    world.target.say(Says::Nothing);
    world.write("go", "");
    let end = first.tells("attempt_ended").await;
    assert_eq!(end["outcome"], "interrupted");
    first.signal(Signal::SIGTERM);
    assert_eq!(first.ends().await.signal(), Some(15));
    assert_eq!(world.lines("runs"), 0);
}

#[tokio::test]
async fn sigterm_while_running_reaches_the_command_and_we_die_of_it_after_it_has_ended() {
    let world = World::without_bus(Says::Good);
    let script = "echo run >> runs; trap 'echo told >> runs; exit 0' TERM; : > started; \
        while :; do sleep 0.02; done";
    let mut run = world.run("", script);
    appears(&world.path("started")).await;
    run.signal(Signal::SIGTERM);
    assert_eq!(run.ends().await.signal(), Some(15));
    assert_eq!(world.lines("runs"), 2, "run and told");
}

#[tokio::test]
async fn a_command_killed_by_a_signal_takes_us_with_it() {
    for (name, number) in [("KILL", 9), ("SEGV", 11), ("USR1", 10)] {
        let world = World::without_bus(Says::Good);
        let mut run = world.run("", &format!("echo run >> runs; kill -{name} $$"));
        assert_eq!(run.ends().await.signal(), Some(number), "{}", run.heard());
        assert_eq!(world.lines("runs"), 1);
    }
}

#[tokio::test]
async fn the_exit_code_is_the_commands_and_a_missing_command_is_as_in_a_shell() {
    let world = World::without_bus(Says::Good);
    for code in [0, 1, 64, 75, 100, 255] {
        let mut run = world.run("", &format!("exit {code}"));
        assert_eq!(run.ends().await.code(), Some(code));
    }
    world.write("no-program", "");
    let target = world.target.written();
    for (command, code) in [("no-such-command", 127), ("./no-program", 126)] {
        let output = world
            .ran(&format!("run --settle 0 --target {target} -- {command}"))
            .await;
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(command), "{said}");
    }
}

#[tokio::test]
async fn what_is_typed_reaches_the_command_and_standard_output_is_the_commands_alone() {
    let world = World::without_bus(Says::Good);
    let mut command = world.run_command("", "cat; echo \"$GIVEN\"; echo problem >&2");
    command
        .env("GIVEN", "value")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"typed\n").await.unwrap();
    drop(stdin);
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(output.stdout, b"typed\nvalue\n");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("\nproblem\n"), "{said}");
}

#[tokio::test]
async fn shutdown_is_inhibited_while_the_command_runs_and_no_longer() {
    let world = World::new(Says::Good);
    let logind = Logind::start(&world.address()).await;
    let mut run = world.run("", ": > started; until [ -e go ]; do sleep 0.02; done");
    appears(&world.path("started")).await;
    assert_eq!(logind.locks(), ["block-weak"]);
    assert!(!logind.released(0), "held while the command runs");
    world.write("go", "");
    assert_eq!(run.ends().await.code(), Some(0));
    logind.until_released(0).await;
}

#[tokio::test]
async fn a_refused_inhibitor_is_one_warning_and_no_obstacle() {
    let world = World::new(Says::Good);
    let logind = Logind::start(&world.address()).await;
    let target = world.target.written();
    let mut command = world.command(&format!("run --settle 0 --target {target} --"));
    command.args(["sh", "-c", "exit 0"]);
    // Properties are read without privilege; only the lock is refused.
    logind.refuse_locks();
    let output = command.output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    let warnings = said.lines().filter(|line| line.contains("warning: "));
    assert_eq!(warnings.count(), 1, "{said}");
    assert!(said.contains("inhibitor lock"), "{said}");
    logind.be(Mood::Well).await;
}

#[tokio::test]
async fn the_summary_says_how_long_it_waited_and_how_often_it_ran() {
    let world = World::without_bus(Says::Good);
    let target = world.target.written();
    let output = world.ran(&format!("run --target {target} -- true")).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("1 attempt)"), "{said}");
    assert!(output.stdout.is_empty());
}

#[tokio::test]
async fn the_command_finds_the_units_own_directories_and_not_the_gates() {
    let world = World::without_bus(Says::Good);
    let mut command = world.run_command("", "echo \"$STATE_DIRECTORY ${RUNTIME_DIRECTORY-none}\"");
    command
        .env("STATE_DIRECTORY", "/var/lib/a:/var/lib/upgrade-gate/a")
        .env("RUNTIME_DIRECTORY", "/run/upgrade-gate/a");
    let output = command.output().await.unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(told, "/var/lib/a none\n");
}

#[tokio::test]
async fn a_command_named_like_our_own_words_is_the_command() {
    for name in ["--argv0", "--", "-h", "--wait-online", "__probe", "__exec"] {
        let world = World::without_bus(Says::Good);
        world.write(&format!("bin/{name}"), "#!/bin/sh\necho \"$@\" > ran\n");
        let program = world.path("bin").join(name);
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(program, executable).unwrap();
        let target = world.target.written();
        let mut command = world.command(&format!("run --settle 0 --target {target} --"));
        command.args([name, "x", "-h"]).env(
            "PATH",
            format!("{}:/usr/bin:/bin", world.path("bin").display()),
        );
        assert_eq!(command.status().await.unwrap().code(), Some(0), "{name}");
        let ran = std::fs::read_to_string(world.path("ran")).unwrap();
        assert_eq!(ran, "x -h\n", "{name}");
    }
}

#[tokio::test]
async fn the_name_given_by_argv0_may_look_like_an_option_of_ours() {
    for name in ["--wait-online", "--exec-condition", "-h", "__exec"] {
        let world = World::without_bus(Says::Good);
        let target = world.target.written();
        let mut command = world.command(&format!("run --settle 0 --target {target} --argv0"));
        command.args([name, "--", "sh", "-c", "cat /proc/$$/cmdline"]);
        let output = command.output().await.unwrap();
        let ran = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(ran.starts_with(&format!("{name}\0-c\0")), "{name}: {ran}");
    }
}
