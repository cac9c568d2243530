//! The documentation against the program: what is typed in both places must agree.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use upgrade_gate::commands::lint::{LintReport, Looked, json};
use upgrade_gate::exit::{EXEC_CONDITION_TABLE, Row, TABLE};
use upgrade_gate::gate::reason::Reason;
use upgrade_gate::gate::time::{Monotonic, Wall};
use upgrade_gate::gate::verdict::{Evidence, Hold, Verdict};
use upgrade_gate::report::json::{JsonEvent, StatusLine};
use upgrade_gate::report::status_file::Living;
use upgrade_gate::systemd::lint::{Assumed, RULES};
use upgrade_gate::systemd::read::files::UnitFiles;
use upgrade_gate::systemd::read::scope::{Scope, UnitPaths};
use upgrade_gate::systemd::version::Version;

const JSON: &str = include_str!("../../docs/json.md");
const LINT: &str = include_str!("../../docs/lint.md");
const REFERENCE: &str = include_str!("../../docs/reference.md");

/// The rows of the only table in the part of `page` from `start` to the next heading or table.
fn rows<'a>(page: &'a str, start: &str) -> Vec<&'a str> {
    let (_, rest) = page
        .split_once(start)
        .unwrap_or_else(|| panic!("no {start:?}"));
    rest.lines()
        .skip_while(|line| !line.starts_with("|---"))
        .skip(1)
        .take_while(|line| line.starts_with('|'))
        .collect()
}

#[test]
fn the_reference_has_the_reasons_of_the_program() {
    let expected: Vec<_> = Reason::ALL
        .iter()
        .map(|reason| {
            let soft = if reason.is_soft() { "yes" } else { "no" };
            format!("| `{reason}` | {} | {soft} |", reason.meaning())
        })
        .collect();
    assert_eq!(rows(REFERENCE, "## Reasons"), expected);
}

#[test]
fn the_reference_has_the_exit_codes_of_the_program() {
    let written = |table: &[Row]| -> Vec<String> {
        let row = |row: &Row| format!("| {} | {} | {} |", row.code, row.name, row.meaning);
        table.iter().map(row).collect()
    };
    assert_eq!(rows(REFERENCE, "## Exit codes"), written(TABLE));
    assert_eq!(
        rows(REFERENCE, "With `--exec-condition`"),
        written(EXEC_CONDITION_TABLE)
    );
}

#[test]
fn the_reference_has_the_message_ids_of_the_program() {
    let source = include_str!("../../src/report/journal/mod.rs");
    let is_id = |text: &&str| text.len() == 32 && u128::from_str_radix(text, 16).is_ok();
    let ids: Vec<_> = source.split('"').filter(is_id).collect();
    let listed = rows(REFERENCE, "## Journal");
    assert_eq!(ids, listed.iter().map(|row| field(row)).collect::<Vec<_>>());
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 5);
}

#[test]
fn the_reference_has_the_journal_fields_of_the_program() {
    let log = include_str!("../../src/report/log.rs");
    let set: BTreeSet<_> = log
        .split_whitespace()
        .filter(|word| word.starts_with("upgrade_gate_"))
        .map(|word| format!("{}=", word.to_uppercase()))
        .collect();
    let listed = rows(REFERENCE, "narrow it down");
    assert_eq!(set, listed.iter().map(|row| field(row)).collect());
}

type Fields = BTreeMap<String, BTreeSet<String>>;

fn documented() -> Fields {
    JSON.split("\n## ")
        .skip(1)
        .map(|section| {
            let title = section.lines().next().unwrap_or_default().to_owned();
            (
                title,
                rows(section, "").iter().map(|row| field(row)).collect(),
            )
        })
        .collect()
}

fn field(row: &str) -> String {
    row.split('`').nth(1).unwrap_or_default().to_owned()
}

fn keys(value: &Value) -> BTreeSet<String> {
    let object = value
        .as_object()
        .unwrap_or_else(|| panic!("no object: {value}"));
    object.keys().cloned().collect()
}

fn told(event: JsonEvent<'_>) -> Value {
    serde_json::from_str(&event.line("p", Wall::default())).expect("json")
}

fn verdict(verdict: &Verdict) -> Value {
    told(JsonEvent::verdict(
        verdict,
        Duration::ZERO,
        Monotonic::default(),
    ))
}

fn held() -> Value {
    verdict(&Verdict::Held(vec![Hold {
        reason: Reason::Dns,
        detail: String::new(),
        look_again: None,
    }]))
}

fn open() -> Value {
    verdict(&Verdict::Open(Evidence {
        epoch: 0,
        what: String::new(),
        guess: false,
    }))
}

fn attempt_ended() -> Value {
    told(JsonEvent::AttemptEnded {
        attempt: 1,
        outcome: "failed",
        exit_status: None,
        signal: None,
        took_usec: 0,
        detail: "",
    })
}

fn summary() -> Value {
    told(JsonEvent::Summary {
        attempts: 0,
        exit_status: 0,
        waited_usec: 0,
        detail: "",
    })
}

fn status() -> Value {
    let line = StatusLine::line(&[Living::default()], &[]);
    serde_json::from_str(&line).expect("json")
}

/// A unit with a finding, which `--all` has found.
fn lint() -> Value {
    let root = tempfile::tempdir().expect("a folder");
    let units = root.path().join("etc/systemd/system");
    std::fs::create_dir_all(&units).expect("a folder");
    let text = "[Service]\nType=oneshot\nExecStart=/bin/nixos-rebuild switch\n";
    std::fs::write(units.join("u.service"), text).expect("a file");
    let unit = UnitFiles::in_paths(root.path(), UnitPaths::of(Scope::System))
        .unit("u.service")
        .unit;
    let mut report = LintReport {
        version: Version(257),
        scope: Scope::System,
        assumed: Assumed::default(),
        judged: Vec::new(),
        looked: Some(Looked {
            services: 1,
            templates: Some(0),
        }),
    };
    report.judged.push(report.judge(unit));
    serde_json::from_str(&json::line(&report)).expect("json")
}

fn actual() -> Fields {
    let started = told(JsonEvent::AttemptStarted { attempt: 1 });
    let ended = attempt_ended();
    let common = &keys(&started) & &keys(&ended);
    let common: BTreeSet<_> = common.into_iter().filter(|key| key != "attempt").collect();
    let own = |value: &Value| &keys(value) - &common;
    [
        ("every event", common.clone()),
        ("verdict", own(&held())),
        ("verdict.holds", keys(&held()["holds"][0])),
        ("verdict.evidence", keys(&open()["evidence"])),
        ("attempt_started", own(&started)),
        ("attempt_ended", own(&ended)),
        ("lost", own(&told(JsonEvent::Lost { lines: 1 }))),
        ("summary", own(&summary())),
        ("lint", keys(&lint())),
        ("lint.units", keys(&lint()["units"][0])),
        (
            "lint.units.findings",
            keys(&lint()["units"][0]["findings"][0]),
        ),
        ("lint.units.story", keys(&lint()["units"][0]["story"])),
        ("status", keys(&status())),
        ("status.gates", keys(&status()["gates"][0])),
    ]
    .map(|(title, fields)| (title.to_owned(), fields))
    .into()
}

#[test]
fn every_rule_of_lint_is_explained_with_its_source_and_its_fix() {
    let sections: Vec<_> = LINT.split("\n## ").skip(1).collect();
    let titles: Vec<_> = sections
        .iter()
        .filter_map(|text| text.lines().next())
        .collect();
    let rules = RULES
        .iter()
        .map(|rule| format!("{}: {}", rule.id, rule.title));
    assert_eq!(titles, rules.collect::<Vec<_>>());
    for section in sections {
        for part in ["* **Fires for**: ", "* **Source**: ", "* **Fix**: "] {
            assert_eq!(section.matches(part).count(), 1, "{part}: {section}");
        }
    }
}

#[test]
fn every_field_of_the_json_is_documented_and_every_documented_field_is_there() {
    assert_eq!(actual(), documented());
}

#[test]
fn open_and_held_have_the_same_fields() {
    assert_eq!(keys(&open()), keys(&held()));
}
