//! Sockets and pipes that nobody reads: they delay no decision, no signal and no command.

use std::fs::File;
use std::io::{PipeReader, PipeWriter, Write, pipe};
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::pty::openpty;
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{FlowArg, tcflow};
use nix::unistd::Pid;
use tokio::process::Command;
use tokio::time::timeout;

use crate::datagrams::assignments;
use crate::harness::{GENEROUS, Gate, Says, World, appears};
use crate::namespace::{enter_mounts, own_run};

/// A socket at this path whose queue is full; how many datagrams are in it.
fn full_socket(path: &Path) -> (UnixDatagram, usize) {
    let reader = UnixDatagram::bind(path).unwrap();
    let writer = UnixDatagram::unbound().unwrap();
    writer.connect(path).unwrap();
    writer.set_nonblocking(true).unwrap();
    let mut sent = 0;
    while writer.send(b"X=filling\n").is_ok() {
        sent += 1;
    }
    (reader, sent)
}

/// A pipe that takes nothing more; it blocks its writers, as a shell's pipes do.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, writer) = pipe().unwrap();
    let set = |flags| fcntl(writer.as_fd(), FcntlArg::F_SETFL(flags)).unwrap();
    set(OFlag::O_NONBLOCK);
    while (&writer).write(b"filling\n").is_ok() {}
    set(OFlag::empty());
    (reader, writer)
}

async fn ended(mut command: Command) -> ExitStatus {
    let mut child = command.spawn().unwrap();
    let ended = timeout(GENEROUS, child.wait()).await;
    ended.expect("it ends").unwrap()
}

/// `wait-online` that gives up, with this in addition.
fn waiting(world: &World, options: &str) -> Command {
    let target = world.target.written();
    world.command(&format!(
        "wait-online --timeout 300ms --target {target} {options}"
    ))
}

#[tokio::test]
async fn the_deadline_is_kept_whoever_does_not_read() {
    let world = World::without_bus(Says::Nothing);
    let (_socket, _) = full_socket(&world.path("notify"));
    let (_out, stdout) = full_pipe();
    let (_err, stderr) = full_pipe();
    let mut command = waiting(&world, "--json -v");
    command
        .env("NOTIFY_SOCKET", world.path("notify"))
        .stdout(stdout)
        .stderr(stderr);
    assert_eq!(ended(command).await.code(), Some(75));
}

#[tokio::test]
async fn a_verdict_is_exited_with_though_nobody_reads_it() {
    for (says, code) in [(Says::Good, 0), (Says::Nothing, 75)] {
        let world = World::without_bus(says);
        let (_out, stdout) = full_pipe();
        let (_err, stderr) = full_pipe();
        let mut command = world.command(&format!("check --target {}", world.target.written()));
        command.stdout(stdout).stderr(stderr);
        assert_eq!(ended(command).await.code(), Some(code));
    }
}

#[tokio::test]
async fn the_command_is_started_and_gets_its_signal_whoever_does_not_read() {
    let world = World::without_bus(Says::Good);
    let (_socket, _) = full_socket(&world.path("notify"));
    let (_err, stderr) = full_pipe();
    let script = "trap ': > told; exit 3' TERM; : > started; while :; do sleep 0.02; done";
    let mut command = world.run_command("-v", script);
    command
        .env("NOTIFY_SOCKET", world.path("notify"))
        .stdout(Stdio::null())
        .stderr(stderr);
    let mut child = command.spawn().unwrap();
    appears(&world.path("started")).await;
    let pid = Pid::from_raw(child.id().unwrap().try_into().unwrap());
    kill(pid, Signal::SIGTERM).unwrap();
    let status = timeout(GENEROUS, child.wait()).await.unwrap().unwrap();
    assert!(world.path("told").exists());
    assert_eq!(status.signal(), Some(15));
}

#[tokio::test]
async fn a_command_that_is_missing_is_127_though_nobody_reads_of_it() {
    let world = World::without_bus(Says::Good);
    let (_err, stderr) = full_pipe();
    let target = world.target.written();
    let words = format!("run --settle 0 --target {target} -- no-such-command");
    let mut command = world.command(&words);
    command.stdout(Stdio::null()).stderr(stderr);
    assert_eq!(ended(command).await.code(), Some(127));
}

#[tokio::test]
async fn wrong_arguments_are_refused_though_nobody_reads_why() {
    let world = World::without_bus(Says::Nothing);
    let (_err, stderr) = full_pipe();
    let mut command = world.command("check --exec-condition --nonsense");
    command.stdout(Stdio::null()).stderr(stderr);
    assert_eq!(ended(command).await.code(), Some(255));
}

#[tokio::test]
async fn a_terminal_stopped_by_control_s_stops_nothing_else() {
    let world = World::without_bus(Says::Nothing);
    let terminal = openpty(None, None).unwrap();
    tcflow(&terminal.slave, FlowArg::TCOOFF).unwrap();
    let mut command = waiting(&world, "-v");
    command
        .env("TERM", "xterm")
        .stdout(Stdio::null())
        .stderr(terminal.slave.try_clone().unwrap());
    assert_eq!(ended(command).await.code(), Some(75));
}

#[tokio::test]
async fn the_pipe_that_the_command_shares_stays_as_it_was() {
    let world = World::without_bus(Says::Good);
    let (reader, stderr) = pipe().unwrap();
    let shared = stderr.try_clone().unwrap();
    let mut command = world.run_command("", "true");
    command.stdout(Stdio::null()).stderr(stderr);
    assert_eq!(ended(command).await.code(), Some(0));
    let flags = fcntl(shared.as_fd(), FcntlArg::F_GETFL).unwrap();
    assert!(!OFlag::from_bits_retain(flags).contains(OFlag::O_NONBLOCK));
    drop(reader);
}

/// What is read from a socket until this comes.
fn read_until(reader: &UnixDatagram, wanted: &str) -> Vec<String> {
    reader.set_read_timeout(Some(GENEROUS)).unwrap();
    let mut buffer = vec![0; 65536];
    let mut all = Vec::new();
    while !all
        .last()
        .is_some_and(|last: &String| last.contains(wanted))
    {
        let length = reader.recv(&mut buffer).expect(wanted);
        all.push(assignments(&buffer[..length]));
    }
    all
}

#[tokio::test]
async fn readiness_is_told_as_soon_as_systemd_reads_and_only_the_last_status() {
    let world = World::without_bus(Says::Nothing);
    let (socket, filled) = full_socket(&world.path("notify"));
    let target = world.target.written();
    let words = format!("wait-online --stay --json --settle 0 --target {target}");
    let mut command = world.command(&words);
    command.env("NOTIFY_SOCKET", world.path("notify"));
    let mut gate = Gate::of(command);
    gate.held("unreachable").await;
    world.target.say(Says::Good);
    gate.opens().await;
    // Nothing happens to the gate from now on: the room in the socket alone lets it speak.
    let told = tokio::task::spawn_blocking(move || read_until(&socket, "READY=1"));
    let told = told.await.unwrap();
    let statuses: Vec<_> = told
        .iter()
        .filter(|text| text.starts_with("STATUS="))
        .collect();
    assert!(told.len() > filled);
    assert_eq!(statuses.len(), 1, "{statuses:?}");
    assert!(statuses[0].starts_with("STATUS=open: "), "{statuses:?}");
    gate.signal(Signal::SIGTERM);
    assert_eq!(gate.ends().await.signal(), Some(15));
}

#[tokio::test]
#[ignore = "needs root"]
async fn a_journal_that_does_not_read_delays_nothing_and_gets_it_later() {
    if !enter_mounts("unread::a_journal_that_does_not_read_delays_nothing_and_gets_it_later") {
        return;
    }
    own_run();
    std::fs::create_dir_all("/run/systemd/journal").unwrap();
    let socket = Path::new("/run/systemd/journal/socket");
    let (reader, _) = full_socket(socket);
    let world = World::without_bus(Says::Good);
    let target = world.target.written();
    let words = format!("wait-online --stay --settle 0 --target {target}");
    let mut command = world.command(&words);
    let null = File::options().write(true).open("/dev/null").unwrap();
    command
        .env("INVOCATION_ID", "0123456789abcdef0123456789abcdef")
        .env("NOTIFY_SOCKET", world.path("notify"))
        .stderr(null)
        .stdout(Stdio::null());
    let notify = UnixDatagram::bind(world.path("notify")).unwrap();
    let mut child = command.spawn().unwrap();
    let told = tokio::task::spawn_blocking(move || {
        read_until(&notify, "READY=1");
        read_until(&reader, "8a01de7cf12143549e7c369e1a7277f2")
    });
    let told = told.await.unwrap();
    assert!(told.len() > 1);
    child.start_kill().unwrap();
    child.wait().await.unwrap();
}
