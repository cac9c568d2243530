//! A fault is always said, and a reader who went away is not a fault.

use std::io::pipe;
use std::process::{ExitStatus, Stdio};

use tokio::process::Command;
use tokio::time::timeout;

use crate::harness::{GENEROUS, Says, World};

/// A lock that can never be taken.
fn spoiled_lock() -> World {
    let world = World::without_bus(Says::Good);
    std::fs::create_dir_all(world.path("run/upgrade-gate/lock/default.lock")).unwrap();
    world
}

#[tokio::test]
async fn a_fault_of_run_is_an_error_with_and_without_quiet_and_beside_json() {
    for option in ["", "--quiet", "--json", "--json --quiet"] {
        let world = spoiled_lock();
        let target = world.target.written();
        let words = format!("run --settle 0 --target {target} {option} -- true");
        let output = world.ran(&words).await;
        assert_eq!(output.status.code(), Some(70), "{option}");
        let said = String::from_utf8(output.stderr).unwrap();
        let errors = said
            .lines()
            .filter(|line| line.starts_with("upgrade-gate: error: "));
        let errors: Vec<_> = errors.collect();
        assert_eq!(errors.len(), 1, "{option}: {said}");
        assert!(errors[0].contains("default.lock"), "{errors:?}");
    }
}

#[tokio::test]
async fn every_refusal_is_an_error_even_under_quiet() {
    let cases = [
        ("lint --quiet", "", 64),
        ("check --quiet --target nonsense", "", 64),
        ("check --quiet --profile nobody", "", 69),
        ("check --quiet", "x = 1", 78),
        ("config --quiet", "x = 1", 78),
        ("watch --quiet", "targets = ['tcp://127.0.0.1:1']", 69),
        ("man --quiet /nonexistent", "", 70),
        ("drop-in --quiet nobody", "", 69),
    ];
    for (words, keys, code) in cases {
        let world = World::without_bus(Says::Good);
        world.configure(keys);
        let output = world.ran(words).await;
        assert_eq!(output.status.code(), Some(code), "{words}: {output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.starts_with("upgrade-gate: error: "), "{words}: {said}");
    }
}

/// Its end, with standard output that nobody holds the other end of.
async fn unheard(mut command: Command) -> ExitStatus {
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    command.stdout(writer).stderr(Stdio::null());
    timeout(GENEROUS, command.status()).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_reader_who_went_away_changes_no_exit_code() {
    let world = World::without_bus(Says::Good);
    for (unit, restart) in [("x", "always"), ("y", "no")] {
        let text = format!(
            "[Service]
Type=oneshot
Restart={restart}
ExecStart=/bin/true
"
        );
        world.write(&format!("etc/systemd/system/{unit}.service"), &text);
    }
    let target = world.target.written();
    let cases = [
        (format!("check --target {target}"), 0),
        (format!("check --json --target {target}"), 0),
        ("check --target tcp://127.0.0.1:1".to_owned(), 75),
        (
            format!("wait-online --json --settle 0 --target {target}"),
            0,
        ),
        ("status".to_owned(), 0),
        ("config".to_owned(), 0),
        ("lint x".to_owned(), 1),
        ("lint --json x".to_owned(), 1),
        ("drop-in y".to_owned(), 0),
        ("--help".to_owned(), 0),
        ("man".to_owned(), 0),
        ("completions bash".to_owned(), 0),
    ];
    for (words, code) in cases {
        let status = unheard(world.command(&words)).await;
        assert_eq!(status.code(), Some(code), "{words}");
    }
    world.configure("x = 1");
    for words in ["config", "config --json"] {
        let status = unheard(world.command(words)).await;
        assert_eq!(status.code(), Some(78), "{words}");
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_written_is_a_fault() {
    let world = World::without_bus(Says::Good);
    let mut command = world.command(&format!("check --target {}", world.target.written()));
    command
        .stdout(std::fs::File::create("/dev/full").unwrap())
        .stderr(Stdio::piped());
    let output = command.spawn().unwrap().wait_with_output();
    let output = timeout(GENEROUS, output).await.unwrap().unwrap();
    assert_eq!(output.status.code(), Some(70));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("error: cannot print the verdict: No space"),
        "{said}"
    );
}
