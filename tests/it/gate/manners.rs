//! How it behaves towards systemd and journald: fields, `STATUS=`, and where its lines go.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;
use tokio::sync::mpsc;

use crate::datagrams::{assignments, receive, until};
use crate::harness::{Gate, Says, World};
use crate::namespace::{enter_mounts, own_run};

/// systemd's native journal protocol: `NAME=value`, or a name, a length of eight bytes, and the value.
fn fields(mut datagram: &[u8]) -> String {
    let mut text = String::new();
    while let Some(end) = datagram.iter().position(|byte| *byte == b'\n') {
        let (line, rest) = datagram.split_at(end);
        let (line, mut rest) = (String::from_utf8_lossy(line), &rest[1..]);
        text.push_str(&line);
        if !line.contains('=') {
            let (length, value) = rest.split_first_chunk().unwrap();
            let length = u64::from_le_bytes(*length).try_into().unwrap();
            text.push('=');
            text.push_str(&String::from_utf8_lossy(&value[..length]));
            rest = &value[length + 1..];
        }
        text.push('\n');
        datagram = rest;
    }
    text
}

#[tokio::test]
async fn systemd_is_told_each_change_and_once_how_long_it_may_take() {
    let world = World::without_bus(Says::Nothing);
    let socket = world.path("notify");
    let mut told = receive(&socket, assignments);
    let mut command = world.run_command("--timeout 10min", "true");
    command.env("NOTIFY_SOCKET", &socket);
    let mut run = Gate::of(command);
    let mut all = until(&mut told, |text| text.contains("STATUS=held: unreachable")).await;
    world.target.say(Says::Good);
    assert_eq!(run.ends().await.code(), Some(0));
    all.extend(until(&mut told, |text| text == "STATUS=the command succeeded").await);
    let extended: Vec<_> = all
        .iter()
        .filter(|text| text.starts_with("EXTEND_TIMEOUT_USEC="))
        .collect();
    assert_eq!(extended, ["EXTEND_TIMEOUT_USEC=660000000"], "{all:#?}");
    assert!(all.iter().any(|text| text == "STATUS=running: attempt 1"));
    assert!(!all.iter().any(|text| text.contains("READY=1")), "{all:#?}");
}

#[tokio::test]
async fn the_command_finds_the_notify_socket_as_if_it_were_started_directly() {
    let world = World::without_bus(Says::Good);
    let socket = world.path("notify");
    let _told = receive(&socket, assignments);
    let mut command = world.run_command("", "echo found $NOTIFY_SOCKET");
    command.env("NOTIFY_SOCKET", &socket);
    let mut run = Gate::of(command);
    assert_eq!(run.ends().await.code(), Some(0));
    assert!(run.heard().contains(&format!("found {}", socket.display())));
}

/// A journal that nobody else hears.
fn journal() -> mpsc::UnboundedReceiver<String> {
    own_run();
    std::fs::create_dir_all("/run/systemd/journal").unwrap();
    receive(Path::new("/run/systemd/journal/socket"), fields)
}

fn plain(world: &World) -> Command {
    let target = world.target.written();
    world.command(&format!("wait-online --settle 0 --target {target}"))
}

/// The very number that systemd gives to a unit whose stderr is this file.
fn stream(file: &File) -> String {
    let metadata = file.metadata().unwrap();
    format!("{}:{}", metadata.dev(), metadata.ino())
}

#[tokio::test]
#[ignore = "needs root"]
async fn a_unit_whose_stderr_is_the_journal_writes_fields_to_it_and_no_text() {
    if !enter_mounts(
        "gate::manners::a_unit_whose_stderr_is_the_journal_writes_fields_to_it_and_no_text",
    ) {
        return;
    }
    let mut told = journal();
    let world = World::without_bus(Says::Nothing);
    let stderr = File::create(world.path("stderr")).unwrap();
    let mut command = plain(&world);
    command
        .env("JOURNAL_STREAM", stream(&stderr))
        .stderr(stderr)
        .stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    let held = until(&mut told, |text| {
        text.contains("UPGRADE_GATE_REASON=unreachable")
    })
    .await;
    let entry = &held[held.len() - 1];
    for field in [
        "MESSAGE_ID=a89b86d20b8a4a0788618d92f1707fb4\n",
        "PRIORITY=6\n",
        "SYSLOG_IDENTIFIER=upgrade-gate\n",
        "UPGRADE_GATE_VERDICT=held\n",
        "UPGRADE_GATE_PROFILE=default\n",
        "UPGRADE_GATE_TARGET=nix-cache:http://127.0.0.1:",
        "UPGRADE_GATE_WAITED_USEC=",
        "MESSAGE=held: unreachable: nix-cache:http://127.0.0.1:",
    ] {
        assert!(entry.contains(field), "{field} is not in\n{entry}");
    }
    world.target.say(Says::Good);
    until(&mut told, |text| {
        text.contains("MESSAGE_ID=8a01de7cf12143549e7c369e1a7277f2")
    })
    .await;
    assert!(child.wait().await.unwrap().success());
    assert_eq!(std::fs::read_to_string(world.path("stderr")).unwrap(), "");
}

#[tokio::test]
#[ignore = "needs root"]
async fn a_unit_silenced_by_dev_null_is_heard_in_the_journal() {
    if !enter_mounts("gate::manners::a_unit_silenced_by_dev_null_is_heard_in_the_journal") {
        return;
    }
    let mut told = journal();
    let world = World::without_bus(Says::Nothing);
    let mut command = plain(&world);
    command
        .arg("--timeout=300ms")
        .env("INVOCATION_ID", "0123456789abcdef0123456789abcdef")
        .stderr(Stdio::null())
        .stdout(Stdio::null());
    assert_eq!(command.status().await.unwrap().code(), Some(75));
    let all = until(&mut told, |text| {
        text.contains("MESSAGE_ID=ac83cb43d4154a87bd4fb554d5210007")
    })
    .await;
    assert!(all[all.len() - 1].contains("PRIORITY=4\n"), "{all:#?}");
}

#[tokio::test]
#[ignore = "needs root"]
async fn a_terminal_that_inherited_journal_stream_gets_plain_lines_and_the_journal_nothing() {
    if !enter_mounts(
        "gate::manners::a_terminal_that_inherited_journal_stream_gets_plain_lines_and_the_journal_nothing",
    ) {
        return;
    }
    let mut told = journal();
    let world = World::without_bus(Says::Good);
    let mut command = plain(&world);
    command
        .env("JOURNAL_STREAM", "9:4711")
        .env("INVOCATION_ID", "0123456789abcdef0123456789abcdef");
    let output = command.output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("upgrade-gate: open"), "{said}");
    assert!(told.try_recv().is_err());
}

#[tokio::test]
#[ignore = "needs root"]
async fn wrong_arguments_in_a_silenced_unit_are_in_the_journal() {
    if !enter_mounts("gate::manners::wrong_arguments_in_a_silenced_unit_are_in_the_journal") {
        return;
    }
    let mut told = journal();
    let world = World::without_bus(Says::Good);
    let mut command = world.command("check --nonsense");
    command
        .env("INVOCATION_ID", "0123456789abcdef0123456789abcdef")
        .stderr(Stdio::null());
    assert_eq!(command.status().await.unwrap().code(), Some(64));
    let all = until(&mut told, |text| text.contains("--nonsense")).await;
    assert!(all[all.len() - 1].contains("PRIORITY=3\n"), "{all:#?}");
}
