//! The keys of a profile: one table for the reader, the messages, the effective view and the documentation.

use std::path::PathBuf;
use std::time::Duration;

use toml::Value;
use toml::de::DeValue;

use super::entry;
use super::profile::{Inhibit, Profile};
use super::read::{self, Node, Read};
use super::span::Span;
use super::target::Entry;
use crate::gate::policy::PowerPolicy;
use crate::secret;

/// One key of `[profile.NAME]`.
pub struct Key {
    /// As it is written.
    pub name: &'static str,
    /// What is written after it, for people.
    pub kind: &'static str,
    /// What it does, for people.
    pub meaning: &'static str,
    /// From TOML, validated.
    pub(super) read: fn(&Node<'_>) -> Read<Change>,
    /// Back to TOML; what cannot be unset by leaving it out has a value that unsets it.
    show: fn(&Profile) -> Value,
}

impl Key {
    /// The value it has in this profile, as TOML.
    pub fn show(&self, profile: &Profile) -> Value {
        (self.show)(profile)
    }
}

/// One validated value, on its way into a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Targets(Vec<Entry>),
    Flake(Option<String>),
    AllowGuess(bool),
    Settle(Duration),
    HoldMetered(bool),
    Power(PowerPolicy),
    AtMostEvery(Option<Duration>),
    Attempts(u32),
    AttemptTimeout(Option<Duration>),
    FinalExitStatus(Vec<u8>),
    FinalIfChanged(Vec<PathBuf>),
    Inhibit(Vec<Inhibit>),
}

impl Change {
    /// Puts the value in its place.
    pub(super) fn apply(self, profile: &mut Profile) {
        match self {
            Self::Targets(value) => profile.targets = value,
            Self::Flake(value) => profile.flake = value,
            Self::AllowGuess(value) => profile.allow_guess = value,
            Self::Settle(value) => profile.settle = value,
            Self::HoldMetered(value) => profile.hold_metered = value,
            Self::Power(value) => profile.power = value,
            Self::AtMostEvery(value) => profile.at_most_every = value,
            Self::Attempts(value) => profile.attempts = value,
            Self::AttemptTimeout(value) => profile.attempt_timeout = value,
            Self::FinalExitStatus(value) => profile.final_exit_status = value,
            Self::FinalIfChanged(value) => profile.final_if_changed = value,
            Self::Inhibit(value) => profile.inhibit = value,
        }
    }
}

/// Every key, in the order in which they are shown.
pub const KEYS: &[Key] = &[
    Key {
        name: TARGETS,
        kind: "list of targets",
        meaning: "what must be reached: every entry, and of `{ any = […] }` one",
        read: |node| entry::read_all(node).map(Change::Targets),
        show: |profile| list(profile.targets.iter().map(entry::show)),
    },
    Key {
        name: "flake",
        kind: "flake reference, or `\"\"` for none",
        meaning: "the flake whose host `auto` asks for",
        read: flake,
        show: |profile| {
            Value::from(
                profile
                    .flake
                    .as_deref()
                    .map(secret::url)
                    .unwrap_or_default(),
            )
        },
    },
    Key {
        name: "allow_guess",
        kind: "`true` or `false`",
        meaning: "where nothing can be derived for `auto`, open on a way out to anywhere",
        read: |node| read::boolean(node).map(Change::AllowGuess),
        show: |profile| Value::from(profile.allow_guess),
    },
    Key {
        name: "settle",
        kind: "time span up to 1h",
        meaning: "how long everything must hold after a resume or a change of the way out",
        read: |node| read::span_up_to(node, LONGEST_SETTLE).map(Change::Settle),
        show: |profile| span(profile.settle),
    },
    Key {
        name: "metered",
        kind: "`\"hold\"` or `\"allow\"`",
        meaning: "whether a metered connection holds the upgrade",
        read: |node| read::word(node, METERED).map(Change::HoldMetered),
        show: |profile| spelling(METERED, profile.hold_metered),
    },
    Key {
        name: "power",
        kind: "`\"any\"`, `\"mains\"` or `{ battery_at_least = PERCENT }`",
        meaning: "the power the upgrade asks for; with a percentage, mains or a battery that full",
        read: power,
        show: show_power,
    },
    Key {
        name: "at_most_every",
        kind: "time span, or `\"0\"` for no limit",
        meaning: "`run` only: so long after a success, the next run ends at once with success",
        read: at_most_every,
        show: |profile| span(profile.at_most_every.unwrap_or_default()),
    },
    Key {
        name: "attempts",
        kind: "whole number from 1",
        meaning: "`run` only: how often an interrupted command is run at most",
        read: |node| read::integer(node, 1, u32::MAX).map(Change::Attempts),
        show: |profile| Value::from(profile.attempts),
    },
    Key {
        name: "attempt_timeout",
        kind: "time span, or `\"infinity\"`",
        meaning: "`run` only: awake time after which the command gets SIGTERM and counts as interrupted",
        read: attempt_timeout,
        show: |profile| Value::from(Span::from(profile.attempt_timeout).to_string()),
    },
    Key {
        name: "final_exit_status",
        kind: "list of numbers from 0 to 255",
        meaning: "`run` only: exit codes that are verdicts of the command, never an interruption",
        read: final_exit_status,
        show: |profile| list(profile.final_exit_status.iter().copied()),
    },
    Key {
        name: "final_if_changed",
        kind: "list of absolute paths",
        meaning: "`run` only: if one of these changes during an attempt, the command has done its work",
        read: final_if_changed,
        show: |profile| {
            list(
                profile
                    .final_if_changed
                    .iter()
                    .map(|path| path.to_string_lossy().into_owned()),
            )
        },
    },
    Key {
        name: "inhibit",
        kind: "list of `\"shutdown\"` and `\"sleep\"`",
        meaning: "`run` and `wait-online --stay`: what is inhibited meanwhile; `sleep` covers closing the lid",
        read: inhibit,
        show: |profile| list(profile.inhibit.iter().map(|what| spelling(INHIBIT, *what))),
    },
];

/// The key that `--target` replaces.
pub(super) const TARGETS: &str = "targets";

const LONGEST_SETTLE: Duration = Duration::from_secs(3600);

const METERED: &[(&str, bool)] = &[("hold", true), ("allow", false)];

const INHIBIT: &[(&str, Inhibit)] = &[("shutdown", Inhibit::Shutdown), ("sleep", Inhibit::Sleep)];

const POWER: &[(&str, PowerPolicy)] = &[("any", PowerPolicy::Any), ("mains", PowerPolicy::Mains)];

const BATTERY: &str = "battery_at_least";

/// The key of this name.
pub(super) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

fn flake(node: &Node<'_>) -> Read<Change> {
    let text = read::string(node)?;
    Ok(Change::Flake((!text.is_empty()).then(|| text.to_owned())))
}

fn power(node: &Node<'_>) -> Read<Change> {
    let policy = match node.get_ref() {
        DeValue::Table(table) => match read::members(table, [BATTERY])? {
            [Some(percent)] => PowerPolicy::BatteryAtLeast(read::byte(percent, 1, 100)?),
            [None] => return read::refuse(node, "is empty; write { battery_at_least = PERCENT }"),
        },
        DeValue::String(_) => read::word(node, POWER)?,
        _ => return read::not_a(node, "\"any\", \"mains\" or { battery_at_least = PERCENT }"),
    };
    Ok(Change::Power(policy))
}

fn show_power(profile: &Profile) -> Value {
    match profile.power {
        PowerPolicy::BatteryAtLeast(percent) => Value::Table(toml::Table::from_iter([(
            BATTERY.to_owned(),
            Value::from(percent),
        )])),
        policy => spelling(POWER, policy),
    }
}

fn at_most_every(node: &Node<'_>) -> Read<Change> {
    let Some(length) = read::span(node)?.finite() else {
        return read::refuse(node, "must not be infinity: it would never run again");
    };
    Ok(Change::AtMostEvery((!length.is_zero()).then_some(length)))
}

fn attempt_timeout(node: &Node<'_>) -> Read<Change> {
    let span = read::span(node)?;
    if span < Span::Finite(Duration::from_secs(1)) {
        return read::refuse(node, format!("must be 1s or more, or infinity, not {span}"));
    }
    Ok(Change::AttemptTimeout(span.finite()))
}

fn final_exit_status(node: &Node<'_>) -> Read<Change> {
    let codes = read::array(node, "a list of exit codes")?;
    read::each(codes, |code| read::byte(code, 0, u8::MAX)).map(Change::FinalExitStatus)
}

fn final_if_changed(node: &Node<'_>) -> Read<Change> {
    let paths = read::array(node, "a list of absolute paths")?;
    read::each(paths, read::absolute_path).map(Change::FinalIfChanged)
}

fn inhibit(node: &Node<'_>) -> Read<Change> {
    let list = read::array(node, "a list of \"shutdown\" and \"sleep\"")?;
    let mut what = read::each(list, |node| read::word(node, INHIBIT))?;
    what.sort_unstable();
    what.dedup();
    Ok(Change::Inhibit(what))
}

fn span(length: Duration) -> Value {
    Value::from(Span::Finite(length).to_string())
}

fn list<T: Into<Value>>(values: impl Iterator<Item = T>) -> Value {
    Value::Array(values.map(Into::into).collect())
}

/// How `value` is written.
fn spelling<T: Copy + PartialEq>(words: &[(&str, T)], value: T) -> Value {
    let found = words.iter().find(|(_, known)| *known == value);
    Value::from(found.map_or("", |(word, _)| *word))
}
