//! `lint --json`: documented field by field in docs/json.md.

use serde::Serialize;

use super::{JudgedService, LintReport};
use crate::report::json::{VERSION, usec};
use crate::systemd::lint::{Finding, Prediction};
use crate::systemd::simulate::{OutageEnding, Timeline};

#[derive(Serialize)]
struct LintLine<'a> {
    version: u32,
    systemd: u32,
    outage_usec: u64,
    attempt_usec: u64,
    units: Vec<UnitFields<'a>>,
    services: Option<usize>,
    templates: Option<usize>,
}

#[derive(Serialize)]
struct UnitFields<'a> {
    unit: &'a str,
    file: Option<String>,
    findings: Vec<FindingFields<'a>>,
    fate: &'static str,
    story: Option<StoryFields>,
}

#[derive(Serialize)]
struct FindingFields<'a> {
    id: &'static str,
    title: &'static str,
    what: &'a str,
    command: Option<&'a str>,
    drop_in: &'a [String],
}

#[derive(Serialize)]
struct StoryFields {
    starts: u64,
    refused: usize,
    on_failure: u64,
    ending: &'static str,
    at_usec: u64,
}

/// The line, without its end.
pub fn line(report: &LintReport) -> String {
    let line = LintLine {
        version: VERSION,
        systemd: report.version.0,
        outage_usec: usec(report.assumed.outage),
        attempt_usec: usec(report.assumed.attempt),
        units: report.judged.iter().map(unit).collect(),
        services: report.looked.map(|looked| looked.services),
        templates: report.looked.and_then(|looked| looked.templates),
    };
    // Structs of strings and numbers always serialize.
    serde_json::to_string(&line).unwrap_or_default()
}

fn unit(judged: &JudgedService) -> UnitFields<'_> {
    let file = judged.unit.fragment.as_ref();
    let (fate, story) = match &judged.prediction {
        None => ("not_startable", None),
        Some(Prediction::Held) => ("held", None),
        Some(Prediction::Skipped) => ("skipped", None),
        Some(Prediction::Tried(story)) => ("tried", Some(self::story(story))),
    };
    UnitFields {
        unit: &judged.unit.name,
        file: file.map(|path| path.to_string_lossy().into_owned()),
        findings: judged.findings.iter().map(finding).collect(),
        fate,
        story,
    }
}

fn finding(Finding { rule, said }: &Finding) -> FindingFields<'_> {
    FindingFields {
        id: rule.id,
        title: rule.title,
        what: &said.what,
        command: said.command.as_deref(),
        drop_in: &said.lines,
    }
}

fn story(story: &Timeline) -> StoryFields {
    StoryFields {
        starts: story.count(),
        refused: story.refused.len(),
        on_failure: story.on_failure,
        ending: ending(story.ending),
        at_usec: usec(story.ending.at()),
    }
}

const fn ending(ending: OutageEnding) -> &'static str {
    match ending {
        OutageEnding::Survives { .. } => "survives",
        OutageEnding::LimitHit { .. } => "start_limit_hit",
        OutageEnding::GivesUp { .. } => "gives_up",
        OutageEnding::Hangs { .. } => "hangs",
        OutageEnding::WaitsForEver { .. } => "waits_for_ever",
        OutageEnding::Unknown { .. } => "unknown",
    }
}
