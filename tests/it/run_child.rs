//! The command as it finds itself, and what its waiter sees: the real `__exec`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests are tests"
)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use upgrade_gate::run::child::Sigpipe;
use upgrade_gate::run::command::{Launcher, Running};
use upgrade_gate::run::judge::CommandExit;
use upgrade_gate::run::lock::{self, Tried};

const BINARY: &str = env!("CARGO_BIN_EXE_upgrade-gate");

/// Far beyond any machine's load; only a test that fails waits so long.
const GENEROUS: Duration = Duration::from_secs(60);

/// `__exec` of this command, with us as its parent.
fn exec(sigpipe: &str, argv: &[&str]) -> Command {
    exec_as(argv[0], sigpipe, argv)
}

/// The same, with another `argv[0]` for the command.
fn exec_as(name: &str, sigpipe: &str, argv: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command
        .args(["__exec", &std::process::id().to_string(), sigpipe, name])
        .args(argv);
    command
}

fn output(sigpipe: &str, argv: &[&str]) -> Output {
    exec(sigpipe, argv).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// `sh -c SCRIPT` with `$exec` for `__exec` with the shell as the parent.
fn shell(script: &str) -> Command {
    let mut shell = Command::new("sh");
    let script = format!("exec=\"$0 __exec $$ default\"; {script}");
    shell.args(["-c", &script, BINARY]);
    shell
}

/// Whether the program that prints /proc/self/status ignores `signal`.
fn ignores(status: &str, signal: Signal) -> bool {
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .unwrap();
    u64::from_str_radix(mask.trim(), 16).unwrap() & (1 << (signal as i32 - 1)) != 0
}

struct Lines(BufReader<ChildStdout>);

impl Lines {
    fn of(child: &mut Child) -> Self {
        Self(BufReader::new(child.stdout.take().unwrap()))
    }

    fn next(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn rest(mut self) -> String {
        let mut rest = String::new();
        self.0.read_to_string(&mut rest).unwrap();
        rest
    }
}

fn launcher() -> Launcher {
    Launcher {
        ourselves: BINARY.into(),
        sigpipe: Sigpipe::Default,
        argv0: None,
    }
}

fn start(argv: &[&str]) -> Running {
    launcher()
        .start(&argv.iter().map(Into::into).collect::<Vec<_>>())
        .unwrap()
}

async fn ending(running: &mut Running) -> CommandExit {
    tokio::time::timeout(GENEROUS, running.ending())
        .await
        .unwrap()
        .unwrap()
}

/// Waits until the command has created this file.
async fn appears(path: &Path) {
    let look = async {
        while !path.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(GENEROUS, look).await.unwrap();
}

#[test]
fn the_commands_exit_code_is_handed_on() {
    for code in [0, 1, 2, 100, 255] {
        let ended = output("default", &["sh", "-c", &format!("exit {code}")]);
        assert_eq!(ended.status.code(), Some(code));
    }
}

#[test]
fn arguments_reach_the_command_byte_for_byte() {
    let ended = output("ignored", &["printf", "%s|", "a b", "", "--", "\u{fc}\n"]);
    assert_eq!(stdout(&ended), "a b||--|\u{fc}\n|");
}

#[test]
fn the_command_can_be_given_another_name() {
    for sigpipe in ["default", "ignored"] {
        let script = ["sh", "-c", "cat /proc/$$/cmdline"];
        let ended = exec_as("named", sigpipe, &script).output().unwrap();
        assert!(stdout(&ended).starts_with("named\0-c\0"), "{sigpipe}");
    }
}

#[test]
fn a_command_that_is_missing_is_127_as_in_a_shell() {
    for (sigpipe, name) in [
        ("default", "no-such-command"),
        ("ignored", "/no/such/command"),
        ("default", ""),
    ] {
        let ended = output(sigpipe, &[name]);
        assert_eq!(ended.status.code(), Some(127), "{name}");
        let message = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(
            message.starts_with(&format!("upgrade-gate: error: cannot execute {name}: ")),
            "{message}"
        );
    }
}

#[test]
fn a_command_that_cannot_be_executed_is_126_as_in_a_shell() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::set_permissions(file.path(), fs::Permissions::from_mode(0o644)).unwrap();
    for sigpipe in ["default", "ignored"] {
        for path in [file.path(), Path::new("/")] {
            let ended = output(sigpipe, &[path.to_str().unwrap()]);
            assert_eq!(ended.status.code(), Some(126), "{path:?}");
            assert!(String::from_utf8_lossy(&ended.stderr).contains("permission denied"));
        }
    }
}

#[test]
fn a_command_killed_by_a_signal_is_seen_to_be() {
    let ended = output("default", &["sh", "-c", "kill -TERM $$"]);
    assert_eq!(ended.status.signal(), Some(15));
}

#[test]
fn sigpipe_is_what_the_command_would_have_found_itself() {
    let status = ["cat", "/proc/self/status"];
    assert!(!ignores(
        &stdout(&output("default", &status)),
        Signal::SIGPIPE
    ));
    assert!(ignores(
        &stdout(&output("ignored", &status)),
        Signal::SIGPIPE
    ));
}

#[test]
fn what_nohup_ignores_stays_ignored() {
    let ended = shell("trap '' HUP; $exec cat cat /proc/self/status; exit $?")
        .output()
        .unwrap();
    assert!(ignores(&stdout(&ended), Signal::SIGHUP));
    assert!(!ignores(&stdout(&ended), Signal::SIGTERM));
}

#[test]
fn stdin_and_the_environment_are_the_commands() {
    let mut command = exec("ignored", &["sh", "-c", "cat; printf %s \"$GIVEN\""]);
    command
        .env("GIVEN", "value")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"typed ").unwrap();
    assert_eq!(stdout(&child.wait_with_output().unwrap()), "typed value");
}

#[test]
fn the_command_stays_in_our_process_group_and_session() {
    let ours = format!(
        "{} {}",
        nix::unistd::getpgrp(),
        nix::unistd::getsid(None).unwrap()
    );
    let ended = output(
        "default",
        &[
            "sh",
            "-c",
            "read -r _ _ _ _ group session _ < /proc/$$/stat; echo $group $session",
        ],
    );
    assert_eq!(stdout(&ended).trim(), ours);
}

#[test]
fn the_command_gets_sigterm_when_upgrade_gate_is_killed() {
    let script = "$exec sh sh -c 'trap \"echo told; exit 0\" TERM; echo ready; while :; do sleep 0.05; done' & wait";
    let mut parent = shell(script).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = Lines::of(&mut parent);
    assert_eq!(lines.next(), "ready");
    parent.kill().unwrap();
    parent.wait().unwrap();
    assert_eq!(
        lines.rest(),
        "told\n",
        "and then the pipe is closed: nobody is left"
    );
}

#[test]
fn a_command_whose_parent_is_gone_already_does_not_start() {
    let mut orphan = Command::new(BINARY);
    orphan.args(["__exec", "1", "default", "echo", "echo", "started"]);
    let ended = orphan.output().unwrap();
    assert_eq!(stdout(&ended), "");
    assert_eq!(ended.status.signal(), Some(15));
}

#[test]
fn wrong_arguments_to_the_hidden_subcommand_are_refused() {
    for args in [&["__exec"][..], &["__exec", "1", "default", "name"]] {
        let ended = Command::new(BINARY).args(args).output().unwrap();
        assert_eq!(ended.status.code(), Some(64), "{args:?}");
    }
}

#[test]
fn upgrade_gate_dies_of_the_commands_signal_and_leaves_no_core_of_its_own() {
    let target = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("tcp://{}", target.local_addr().unwrap());
    let directory = tempfile::tempdir().unwrap();
    for signal in [1, 2, 3, 6, 7, 9, 11, 13, 15, 16, 29, 30] {
        let script = "ulimit -c unlimited; exec \"$0\" run --target $1 -- sh -c \"ulimit -c 0; kill -$2 \\$\\$\"";
        let ended = Command::new("sh")
            .args(["-c", script, BINARY, &target, &signal.to_string()])
            .env("DBUS_SYSTEM_BUS_ADDRESS", "")
            .env("XDG_RUNTIME_DIR", directory.path())
            .env("XDG_STATE_HOME", directory.path())
            .current_dir(&directory)
            .status()
            .unwrap();
        assert_eq!(ended.signal(), Some(signal));
        assert!(!ended.core_dumped());
    }
}

#[tokio::test]
async fn a_command_is_started_and_waited_for() {
    assert_eq!(
        ending(&mut start(&["sh", "-c", "exit 4"])).await,
        CommandExit::Exited(4)
    );
    assert_eq!(
        ending(&mut start(&["no-such-command"])).await,
        CommandExit::Exited(127)
    );
    assert_eq!(
        ending(&mut start(&["sh", "-c", "kill -KILL $$"])).await,
        CommandExit::Killed(9)
    );
}

#[tokio::test]
async fn waiting_may_be_given_up_and_taken_up_again() {
    let mut running = start(&["sleep", "infinity"]);
    assert!(futures::poll!(Box::pin(running.ending())).is_pending());
    running.terminate();
    assert_eq!(ending(&mut running).await, CommandExit::Killed(15));
}

#[tokio::test]
async fn a_signal_that_we_got_is_passed_on() {
    let directory = tempfile::tempdir().unwrap();
    let ready = directory.path().join("ready");
    let script = format!(
        "trap 'exit 7' HUP; : > {}; while :; do sleep 0.05; done",
        ready.display()
    );
    let mut running = start(&["sh", "-c", &script]);
    appears(&ready).await;
    running.pass_on(Signal::SIGHUP);
    assert_eq!(ending(&mut running).await, CommandExit::Exited(7));
}

#[tokio::test]
async fn a_command_that_is_dropped_is_told_to_end() {
    let directory = tempfile::tempdir().unwrap();
    let (ready, told) = (
        directory.path().join("ready"),
        directory.path().join("told"),
    );
    let script = format!(
        "trap ': > {}; exit' TERM; : > {}; while :; do sleep 0.05; done",
        told.display(),
        ready.display()
    );
    let running = start(&["sh", "-c", &script]);
    appears(&ready).await;
    drop(running);
    appears(&told).await;
}

#[tokio::test]
async fn a_program_that_is_not_there_to_become_the_command_is_an_error() {
    let launcher = Launcher {
        ourselves: "/no/such/upgrade-gate".into(),
        sigpipe: Sigpipe::Default,
        argv0: None,
    };
    let message = launcher.start(&["true".into()]).unwrap_err().to_string();
    assert!(message.contains("/no/such/upgrade-gate"), "{message}");
}

#[test]
fn the_command_has_the_terminal() {
    let inner = format!(
        "{BINARY} __exec $$ default sh sh -c 'test -t 0 && test -t 1 && : < /dev/tty && exit 9'; exit $?"
    );
    let ended = Command::new("script")
        .args(["--quiet", "--return", "--command", &inner, "/dev/null"])
        .env("SHELL", "/bin/sh")
        .stdin(Stdio::null())
        .output()
        .expect("script(1) of util-linux");
    assert_eq!(ended.status.code(), Some(9), "{}", stdout(&ended));
}

#[tokio::test]
async fn a_lock_held_by_another_process_is_released_by_its_death() {
    let runtime = tempfile::tempdir().unwrap();
    fs::create_dir(runtime.path().join("lock")).unwrap();
    let path = runtime.path().join("lock/a.lock");
    let mut holder = Command::new("flock")
        .args([
            "--no-fork",
            path.to_str().unwrap(),
            "sh",
            "-c",
            "echo held; read -r _",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("flock(1) of util-linux");
    assert_eq!(Lines::of(&mut holder).next(), "held");
    let Tried::Busy(busy) = lock::try_take(runtime.path(), "a", "us").unwrap() else {
        panic!("the other process does not hold it");
    };
    kill(
        Pid::from_raw(holder.id().try_into().unwrap()),
        Signal::SIGKILL,
    )
    .unwrap();
    tokio::time::timeout(GENEROUS, busy.taken())
        .await
        .unwrap()
        .unwrap();
    holder.wait().unwrap();
}

#[tokio::test]
async fn the_command_does_not_inherit_the_lock() {
    let runtime = tempfile::tempdir().unwrap();
    let held = lock::try_take(runtime.path(), "a", "us").unwrap();
    let mut running = start(&["sleep", "infinity"]);
    drop(held);
    let Tried::Taken(_lock) = lock::try_take(runtime.path(), "a", "us").unwrap() else {
        panic!("the command holds it");
    };
    running.terminate();
    ending(&mut running).await;
}
