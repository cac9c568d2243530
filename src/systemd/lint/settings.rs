//! Rules about settings that do not do what they say.

use super::Diagnosis;
use super::case::{Case, exact, quoted, shown};
use super::limits::is_restarted;
use super::upgraders::says;
use super::words;
use crate::systemd::unit::{ExitStatuses, Load, Restart, RestartMode, ServiceType};

/// UG007: such a unit is not loaded at all.
pub(super) fn refused_restart(case: &Case<'_>) -> Option<Diagnosis> {
    let service = case.service;
    if service.kind != ServiceType::Oneshot {
        return None;
    }
    let (setting, fix) = match service.restart {
        Restart::Always => ("Restart=always", "Restart=on-failure"),
        Restart::OnSuccess => ("Restart=on-success", "Restart=on-failure"),
        _ => (forced(case)?, "RestartForceExitStatus="),
    };
    let said = match &case.unit.load {
        Load::Refused(why) => format!(" It says: {why}"),
        _ => String::new(),
    };
    Some(Diagnosis {
        what: format!(
            "{} does not load a unit of Type=oneshot with {setting}: it is never started, neither by a timer nor manually.{said}",
            case.version
        ),
        command: None,
        lines: vec!["[Service]".to_owned(), fix.to_owned()],
    })
}

fn forced(case: &Case<'_>) -> Option<&'static str> {
    let is_set = case.service.force != ExitStatuses::default();
    (is_set && !case.version.forces_restart_of_oneshots()).then_some("RestartForceExitStatus=")
}

/// UG008: one alone is ignored.
pub(super) fn lonely_steps(case: &Case<'_>) -> Option<Diagnosis> {
    let service = case.service;
    let delay = service.restart_delay?;
    let (has, lacks, line) = match (service.restart_steps, service.restart_max_delay) {
        (0, Some(longest)) if longest > delay => (
            format!("RestartMaxDelaySec={}", exact(Some(longest))),
            "RestartSteps=",
            "RestartSteps=5".to_owned(),
        ),
        (steps @ 1.., None) => (
            format!("RestartSteps={steps}"),
            "RestartMaxDelaySec=",
            "RestartMaxDelaySec=10min".to_owned(),
        ),
        _ => return None,
    };
    if service.restart == Restart::No {
        return None;
    }
    Some(Diagnosis {
        what: format!(
            "{has} is ignored without {lacks}: each restart comes after {}, with no increase.",
            quoted("RestartSec", Some(delay), 100)
        ),
        command: None,
        lines: vec!["[Service]".to_owned(), line],
    })
}

/// UG009: a mail for each attempt.
pub(super) fn on_failure(case: &Case<'_>) -> Option<Diagnosis> {
    let known = case.version.has_restart_steps();
    let openly = case.service.restart_mode != RestartMode::Direct;
    let units = &case.unit.on_failure;
    if units.is_empty() || !known || !openly || !is_restarted(case) {
        return None;
    }
    let timeline = case.timeline();
    Some(Diagnosis {
        what: format!(
            "Since systemd 254 a unit passes through \"failed\" before each automatic restart, and each time {} is started: {} \
             times in {} of failing attempts of {}.",
            units.join(" and "),
            timeline.on_failure,
            shown(Some(case.assumed.outage)),
            shown(timeline.attempt),
        ),
        command: None,
        lines: vec!["[Service]".to_owned(), "RestartMode=direct".to_owned()],
    })
    .filter(|_| timeline.on_failure > 1)
}

/// UG016: nixos-rebuild switch stops what it runs in.
pub(super) fn switches_itself(case: &Case<'_>) -> Option<Diagnosis> {
    let unit = case.unit;
    if unit.transient || !unit.nixos.restart_if_changed || !switches(case) {
        return None;
    }
    Some(Diagnosis {
        what: format!(
            "It switches the system, and switch-to-configuration restarts each unit that the new system has changed, with SIGTERM, in the middle of the switch. {} changes with every change of its own packages or script.",
            unit.name
        ),
        command: None,
        lines: [
            "[Unit]",
            "X-StopOnRemoval=false",
            "[Service]",
            "# on NixOS: restartIfChanged = false;",
            "X-RestartIfChanged=false",
        ]
        .map(str::to_owned)
        .into(),
    })
}

/// UG017: a setting that is not there, and looks as if it were.
pub(super) fn ignored_lines(case: &Case<'_>) -> Vec<Diagnosis> {
    let timers = case.unit.timers.iter().flat_map(|timer| &timer.ignored);
    let lines = case.unit.ignored.iter().chain(timers);
    let ignored = lines.filter(|ignored| ignored.by(case.version));
    let said = ignored.map(|ignored| Diagnosis {
        what: sentence(&ignored.to_string()),
        ..Diagnosis::default()
    });
    said.collect()
}

/// With its full stop, unless it ends as a question.
fn sentence(text: &str) -> String {
    let stop = if text.ends_with('?') { "" } else { "." };
    format!("{text}{stop}")
}

/// What activates another system on this machine.
const SWITCHES: &[(&str, &[&str])] = &[
    ("colmena", &["apply-local"]),
    ("nh", &["os switch", "os test"]),
    ("nixos-rebuild", &["switch", "test"]),
    ("switch-to-configuration", &["switch", "test"]),
];

fn switches(case: &Case<'_>) -> bool {
    let mut commands = words::lines(case.service).flat_map(|(_, exec)| words::commands(exec));
    commands.any(|words| switches_here(&words))
}

fn switches_here(words: &[String]) -> bool {
    let (name, rest) = (words::program(&words[0]), &words[1..]);
    let known = SWITCHES.iter().find(|(known, _)| *known == name);
    known.is_some_and(|(_, phrases)| phrases.iter().any(|phrase| says(rest, phrase)))
        && !rest.iter().any(|word| word.starts_with("--target-host"))
}
