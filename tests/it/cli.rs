//! The real binary: what it refuses and with which code, and the commands that need no gate.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::fcntl::{FcntlArg, fcntl};
use serde_json::Value;
use tempfile::TempDir;
use upgrade_gate::report::status_file::{GateStatus, StatusFile};

fn upgrade_gate() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_upgrade-gate"));
    command.env_remove("XDG_RUNTIME_DIR").stdin(Stdio::null());
    command
}

fn ran(line: &str) -> Output {
    let mut command = upgrade_gate();
    command.args(line.split_whitespace()).output().expect("ran")
}

fn status(root: &Path, option: &str) -> Command {
    let mut command = upgrade_gate();
    command.arg("--root").arg(root).args(["status", option]);
    command
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("utf-8")
}

#[test]
fn wrong_arguments_exit_with_64_and_say_why() {
    for line in [
        "",
        "nonsense",
        "check --nonsense",
        "wait-online --timeout",
        "wait-online surplus",
        "--wait-online --allow dns",
        "run",
        "run --profile p",
        "completions tcsh",
        "status --follow=yes",
        "watch surplus",
        "watch --profile p",
        "check --stay",
        "--quiet --verbose status",
    ] {
        let output = ran(line);
        assert_eq!(output.status.code(), Some(64), "{line}");
        assert!(!output.stderr.is_empty(), "{line}");
        assert!(output.stdout.is_empty(), "{line}");
    }
}

#[test]
fn wrong_arguments_never_skip_a_unit_with_exec_condition() {
    for line in [
        "check --exec-condition --nonsense",
        "wait-online --timeout --exec-condition",
        "--wait-online --exec-condition surplus",
        "--nonsense --exec-condition",
        "check --exec-conditon",
        "check --exec-condition --help",
    ] {
        assert_eq!(ran(line).status.code(), Some(255), "{line}");
    }
}

#[test]
fn help_and_version_are_answers_not_errors() {
    for line in [
        "--help",
        "-h",
        "--version",
        "check --help",
        "--wait-online --help",
        "help run",
    ] {
        let output = ran(line);
        assert_eq!(output.status.code(), Some(0), "{line}");
        assert!(text(&output.stdout).contains("upgrade-gate"), "{line}");
        assert!(output.stderr.is_empty(), "{line}");
    }
}

#[test]
fn every_command_s_help_shows_how_a_unit_or_a_person_uses_it() {
    let table = [
        ("wait-online", "ExecStartPre="),
        ("check", "ExecCondition="),
        ("run", "ExecStart="),
        ("status", "--follow"),
        ("watch", "ExecReload="),
        ("config", "--profile"),
    ];
    for (command, example) in table {
        let output = ran(&format!("{command} --help"));
        let (_, examples) = text(&output.stdout).split_once("Examples:").expect(command);
        assert!(examples.contains(example), "{command}: {examples}");
    }
}

#[test]
fn what_upgrade_gate_says_to_itself_is_hidden() {
    for line in [
        "--help",
        "completions bash",
        "completions zsh",
        "completions fish",
        "man",
    ] {
        let output = ran(line);
        for hidden in ["__probe", "__exec", "--root", "-l root"] {
            assert!(!text(&output.stdout).contains(hidden), "{line}: {hidden}");
        }
    }
}

#[test]
fn completions_are_made_for_three_shells() {
    for shell in ["bash", "zsh", "fish"] {
        let output = ran(&format!("completions {shell}"));
        assert!(output.status.success(), "{shell}");
        assert!(text(&output.stdout).contains("wait-online"), "{shell}");
    }
}

#[test]
fn man_prints_one_page_or_writes_one_for_each_command() {
    let page = ran("man");
    assert!(page.status.success());
    assert!(text(&page.stdout).contains("EXIT STATUS"));

    let dir = TempDir::new().expect("dir");
    let output = ran(&format!("man {}", dir.path().display()));
    assert!(output.status.success(), "{}", text(&output.stderr));
    for name in [
        "upgrade-gate",
        "upgrade-gate-wait-online",
        "upgrade-gate-run",
    ] {
        assert!(dir.path().join(format!("{name}.1")).is_file(), "{name}");
    }
    let run = std::fs::read_to_string(dir.path().join("upgrade-gate-run.1")).expect("page");
    assert!(
        run.contains("\n.br\nhttps://HOST"),
        "targets have a line each"
    );
    let hidden = dir.path().join("upgrade-gate-__probe.1");
    assert!(!hidden.exists());
}

#[test]
fn man_into_a_directory_that_is_not_there_says_which() {
    let output = ran("man /nonexistent/dir");
    assert_eq!(output.status.code(), Some(70));
    assert!(text(&output.stderr).contains("/nonexistent/dir/upgrade-gate.1"));
}

#[test]
fn a_machine_without_gates_says_so() {
    let root = TempDir::new().expect("dir");
    let output = upgrade_gate()
        .arg("--root")
        .arg(root.path())
        .arg("status")
        .output()
        .expect("ran");
    assert!(output.status.success());
    assert_eq!(text(&output.stdout), "no gate is waiting\n");
}

fn gates(root: &TempDir) -> std::path::PathBuf {
    root.path().join("run/upgrade-gate/gates")
}

fn held(reason: &str) -> GateStatus {
    GateStatus {
        version: 1,
        pid: 7,
        command: "run".to_owned(),
        profile: "p".to_owned(),
        reason: Some(reason.to_owned()),
        ..GateStatus::default()
    }
}

fn reasons(line: &str) -> Vec<Value> {
    let value: Value = serde_json::from_str(line).expect("json");
    let gates = value["gates"].as_array().expect("gates").clone();
    gates.iter().map(|gate| gate["reason"].clone()).collect()
}

#[test]
fn a_waiting_gate_is_listed_and_nonsense_beside_it_is_a_warning() {
    let root = TempDir::new().expect("dir");
    let mut file = StatusFile::new(&gates(&root), 7, 1);
    file.write(&held("dns")).expect("written");
    std::fs::create_dir(gates(&root).join("x.json")).expect("made");

    let output = status(root.path(), "--json").output().expect("ran");
    assert!(output.status.success());
    assert_eq!(reasons(text(&output.stdout)), ["dns"]);
    assert!(text(&output.stdout).contains("x.json"));
}

/// Ends the process with the test, however that ends.
struct Following(Child);

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn follow(root: &TempDir) -> (Following, impl FnMut() -> Vec<Value>) {
    let mut command = status(root.path(), "--json");
    let child = command.arg("--follow").stdout(Stdio::piped()).spawn();
    let mut following = Following(child.expect("started"));
    let stdout = following.0.stdout.take().expect("piped");
    let (told, lines) = mpsc::channel();
    // A thread of its own, so that a line that never comes is a failure and not a hang.
    thread::spawn(move || {
        let lines = BufReader::new(stdout).lines();
        lines
            .map_while(Result::ok)
            .try_for_each(|line| told.send(line))
    });
    (following, move || {
        let line = lines.recv_timeout(Duration::from_secs(60));
        reasons(&line.expect("another line"))
    })
}

#[test]
fn follow_sees_a_gate_that_was_killed_go() {
    let root = TempDir::new().expect("dir");
    std::fs::create_dir_all(gates(&root)).expect("made");
    let (new, path) = (gates(&root).join("new"), gates(&root).join("7-1.json"));
    let line = serde_json::to_string(&held("dns")).expect("json");
    std::fs::write(&new, line).expect("written");
    let file = std::fs::File::options()
        .append(true)
        .open(&new)
        .expect("open");
    let lock = nix::libc::flock {
        l_type: nix::libc::F_WRLCK.try_into().expect("it is small"),
        l_whence: 0,
        l_start: 0,
        l_len: 1,
        l_pid: 0,
    };
    fcntl(&file, FcntlArg::F_OFD_SETLK(&lock)).expect("lock");
    std::fs::rename(&new, &path).expect("renamed");

    let (_following, mut next) = follow(&root);
    assert_eq!(next(), ["dns"]);
    // What the kernel does for a process that is killed: it closes the file, and nothing more.
    drop(file);
    assert_eq!(next(), [""; 0]);
    assert!(!path.exists());
}

#[test]
fn follow_prints_each_change_even_of_a_directory_made_later() {
    let root = TempDir::new().expect("dir");
    std::fs::create_dir(root.path().join("run")).expect("made");
    let (_following, mut next) = follow(&root);
    assert_eq!(next(), [""; 0]);

    let mut file = StatusFile::new(&gates(&root), 7, 1);
    file.write(&held("dns")).expect("written");
    assert_eq!(next(), ["dns"]);
    file.write(&held("portal")).expect("written");
    assert_eq!(next(), ["portal"]);
    drop(file);
    assert_eq!(next(), [""; 0]);
}

#[test]
fn follow_ends_when_its_reader_goes_and_nothing_has_changed() {
    let root = TempDir::new().expect("dir");
    let mut command = status(root.path(), "--follow");
    let mut child = command.stdout(Stdio::piped()).spawn().expect("started");
    let mut reader = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    reader.read_line(&mut line).expect("a line");
    assert_eq!(line, "no gate is waiting\n");
    drop(reader);
    assert!(child.wait().expect("ended").success());
}
