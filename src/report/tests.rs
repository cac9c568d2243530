//! What a reporter leaves for `status` to read. Its decisions are tested where they are made.

use tempfile::TempDir;

use super::status_file::{Room, read_all};
use super::*;
use crate::gate::reason::Reason;
use crate::gate::verdict::{Evidence, Hold};

fn setup(kind: CommandKind, dir: Option<PathBuf>) -> ReporterSetup {
    ReporterSetup {
        kind,
        profile: "nixos-upgrade".to_owned(),
        targets: vec!["tcp://example.org:1".to_owned()],
        timeout: None,
        json: false,
        quiet: true,
        log: Log::Stderr,
        started: at(100),
        gates_dir: dir,
    }
}

fn at(seconds: u64) -> Now {
    Now {
        monotonic: Monotonic(Duration::from_secs(seconds)),
        ..Now::default()
    }
}

fn held(reason: Reason, look: u64) -> Verdict {
    Verdict::Held(vec![Hold {
        reason,
        detail: "no name".to_owned(),
        look_again: Some(at(look).monotonic),
    }])
}

fn open() -> Verdict {
    Verdict::Open(Evidence {
        epoch: 1,
        what: "x".to_owned(),
        guess: false,
    })
}

fn gates(dir: &TempDir) -> Vec<GateStatus> {
    let found = read_all(&[Room::at(dir.path())]);
    found.gates.into_iter().map(|living| living.gate).collect()
}

#[test]
fn the_status_file_follows_the_verdict_and_goes_with_the_reporter() {
    let dir = TempDir::new().expect("dir");
    let mut reporter = Reporter::new(setup(CommandKind::Run, Some(dir.path().to_owned())));
    reporter.verdict(&held(Reason::Dns, 104), at(101));
    let first = gates(&dir).remove(0);
    assert_eq!(first.command, "run");
    assert_eq!(first.profile, "nixos-upgrade");
    assert_eq!(first.reason.as_deref(), Some("dns"));
    assert_eq!(first.sentence, "held: dns: no name");
    assert_eq!(first.look_again_usec_monotonic, Some(104_000_000));

    reporter.verdict(&open(), at(107));
    let opened = gates(&dir).remove(0);
    assert_eq!((&*opened.verdict, opened.reason), ("open", None));
    drop(reporter);
    assert_eq!(gates(&dir), []);
}

#[test]
fn another_look_moves_the_look_but_not_the_since() {
    let dir = TempDir::new().expect("dir");
    let mut reporter = Reporter::new(setup(CommandKind::WaitOnline, Some(dir.path().to_owned())));
    reporter.verdict(&held(Reason::Dns, 104), at(101));
    let first = gates(&dir).remove(0);
    reporter.verdict(&held(Reason::Dns, 112), at(104));
    let second = gates(&dir).remove(0);
    assert_eq!(second.look_again_usec_monotonic, Some(112_000_000));
    assert_eq!(second.since_usec_realtime, first.since_usec_realtime);
}

fn interrupted() -> AttemptEnd {
    AttemptEnd {
        attempt: 1,
        judged: Judged::Interrupted,
        exit_status: None,
        signal: Some(15),
        took: Duration::from_secs(3),
        why: "the route was lost".to_owned(),
    }
}

#[test]
fn after_an_attempt_a_new_wait_begins() {
    let mut reporter = Reporter::new(setup(CommandKind::Run, None));
    reporter.verdict(&open(), at(107));
    assert_eq!(reporter.waited(at(107)), Duration::from_secs(7));
    reporter.attempt_started(1);
    reporter.attempt_ended(&interrupted(), at(500));
    assert_eq!(reporter.verdict, None);
    assert_eq!(reporter.waited(at(502)), Duration::from_secs(2));
}

#[test]
fn an_attempt_is_seen_while_it_runs_and_after() {
    let dir = TempDir::new().expect("dir");
    let mut reporter = Reporter::new(setup(CommandKind::Run, Some(dir.path().to_owned())));
    reporter.verdict(&open(), at(101));
    reporter.attempt_started(1);
    let running = gates(&dir).remove(0);
    assert_eq!((running.attempt, running.running), (1, true));
    reporter.attempt_ended(&interrupted(), at(104));
    let ended = gates(&dir).remove(0);
    assert_eq!((ended.attempt, ended.running), (1, false));
}

#[test]
fn check_leaves_no_status_file() {
    let dir = TempDir::new().expect("dir");
    let mut reporter = Reporter::new(setup(CommandKind::Check, Some(dir.path().to_owned())));
    reporter.verdict(&held(Reason::Dns, 104), at(101));
    assert_eq!(gates(&dir), []);
}

#[test]
fn a_directory_that_cannot_be_written_is_done_without() {
    let dir = TempDir::new().expect("dir");
    let file = dir.path().join("file");
    std::fs::write(&file, "").expect("written");
    let mut reporter = Reporter::new(setup(CommandKind::Run, Some(file.join("gates"))));
    reporter.verdict(&held(Reason::Dns, 104), at(101));
    assert!(reporter.file.is_none());
    reporter.verdict(&open(), at(107));
}
