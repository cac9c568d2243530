//! Mode companion: another unit waits, and needs what the unit's own gate would find.

use super::super::environment::OfGate;
use super::super::exec_line::quote;
use super::super::read::scope::Scope;
use super::refusal::refuse;
use super::{DropInRefusal, DropInSpec, DropIns, Lines, is_template, stem};
use crate::text::span::Span as Written;

/// The longest name of a unit, systemd.unit(5).
const LONGEST: usize = 255;

/// The drop-ins of the unit and of its companion; `why` it is not run, if that was not asked for.
pub(super) fn drop_ins(
    spec: &DropInSpec<'_>,
    why: Option<String>,
) -> Result<DropIns, DropInRefusal> {
    let companion = checked_name(spec)?;
    let untold = untold(&spec.surroundings.environment.of_gate(), spec);
    let mut lines = Lines::new("Unit");
    if let Some(why) = &why {
        lines.note(format!("Not mode run: {why}."));
    }
    set_companion(&mut lines, spec, &companion);
    if let Some(note) = &untold {
        lines.note(note);
    }
    Ok(DropIns {
        mode: spec.mode,
        why,
        untold,
        own: lines.text(spec),
        companion: environment(spec),
    })
}

/// `Requires=` and `After=` of the companion.
fn set_companion(lines: &mut Lines, spec: &DropInSpec<'_>, companion: &str) {
    lines.note(format!(
        "{companion} waits, and holds the profile's inhibitor locks until {} ends.",
        stem(&spec.unit.name)
    ));
    if !spec.unit.wanted_by.is_empty() && spec.scope == Scope::System {
        lines.note("Its start job waits too, and at boot keeps the machine in \"starting\". To start it later instead,");
        lines.note("let only upgrade-gate-online.target want it.");
    }
    lines.set("Requires", companion);
    lines.set("After", companion);
    if spec.unit.job_timeout.is_some() {
        lines.note("JobTimeoutSec= would cancel the start while the companion waits; JobRunningTimeoutSec= begins after that.");
        let running = Written::from(spec.unit.job_running_timeout);
        lines.set("JobTimeoutSec", "infinity");
        lines.set("JobRunningTimeoutSec", &running.to_string());
    }
}

fn name(spec: &DropInSpec<'_>) -> String {
    format!("upgrade-gate@{}.service", spec.profile)
}

fn checked_name(spec: &DropInSpec<'_>) -> Result<String, DropInRefusal> {
    let instance = |c: char| c.is_ascii_alphanumeric() || ":_.-@\\%".contains(c);
    let name = name(spec);
    let why = if spec.profile.is_empty() || !spec.profile.chars().all(instance) {
        "has characters that a unit name cannot have"
    } else if name.len() > LONGEST {
        "is too long for a unit name"
    } else {
        return Ok(name);
    };
    let why = format!(
        "the companion is named after the profile, and {:?} {why}; rename the profile",
        spec.profile
    );
    Err(refuse(spec, why, false))
}

/// The companion's own drop-in, if the unit's environment says anything that it must know; its name, and the text.
fn environment(spec: &DropInSpec<'_>) -> Option<(String, String)> {
    let found = spec.surroundings.environment.of_gate();
    if found.settings.is_empty() || is_shared(spec) {
        return None;
    }
    let mut lines = Lines::new("Service");
    lines.note(format!(
        "The part of the environment of {} that its gate needs too.",
        spec.unit.name
    ));
    for (key, value) in &found.settings {
        let value = resolved(value, spec);
        let value = match *key {
            "Environment" => quote(&value),
            _ => value,
        };
        lines.set(key, &value);
    }
    Some((name(spec), lines.text(spec)))
}

/// Whether the instances of a template share the companion.
fn is_shared(spec: &DropInSpec<'_>) -> bool {
    spec.profile.contains('%') || is_template(&spec.unit.name)
}

/// What the companion is not given, and what to do about it.
fn untold(found: &OfGate, spec: &DropInSpec<'_>) -> Option<String> {
    let (unit, companion) = (&spec.unit.name, name(spec));
    let shared: Vec<_> = found.settings.iter().filter(|_| is_shared(spec)).collect();
    if !found.secret.is_empty() {
        return Some(format!(
            "{} contains a password, which is not copied into a world-readable file: move it to a file that only root can read, and set EnvironmentFile= to it in both {unit} and {companion} (systemctl edit)",
            found.secret.join(", ")
        ));
    }
    let names = shared
        .iter()
        .map(|(_, value)| value.split('=').next().unwrap_or(value));
    (!shared.is_empty()).then(|| {
        format!(
            "{} is set in the environment of {unit}, but not of {companion}: set it there too (systemctl edit)",
            names.collect::<Vec<_>>().join(", ")
        )
    })
}

/// What the unit's name fills in, as it would be another in the companion. `%%` stays, and what does not depend on the name.
fn resolved(value: &str, spec: &DropInSpec<'_>) -> String {
    let Some((stem, _)) = spec.unit.name.rsplit_once('.') else {
        return value.to_owned();
    };
    let (prefix, instance) = stem.split_once('@').unwrap_or((stem, ""));
    let parts = value.split("%%").map(|part| {
        let filled = [
            ("%i", instance),
            ("%n", &spec.unit.name),
            ("%N", stem),
            ("%p", prefix),
        ];
        let fill = |text: String, (from, to): (&str, &str)| text.replace(from, to);
        filled.into_iter().fold(part.to_owned(), fill)
    });
    parts.collect::<Vec<_>>().join("%%")
}
