//! The table `[watch]`: what `upgrade-gate watch` follows, and which units it starts again.

use std::time::Duration;

use toml::Value;

use super::profile::{self, DEFAULT};
use super::read::{self, Node, Read};
use super::span::Span;

/// The settings of the watch. Every default is usable without any file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    /// The profile whose gate is followed.
    pub profile: String,
    /// Names of units and glob patterns of names, as systemctl(1) has them.
    pub rearm: Vec<String>,
    /// How many of them are being started at the same time.
    pub rearm_at_once: usize,
    /// The bound of each one's delay.
    pub rearm_spread: Duration,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            profile: DEFAULT.to_owned(),
            rearm: Vec::new(),
            rearm_at_once: 1,
            rearm_spread: Duration::from_secs(30),
        }
    }
}

/// One key of `[watch]`.
pub struct Key {
    /// As it is written.
    pub name: &'static str,
    /// What is written after it, for people.
    pub kind: &'static str,
    /// What it does, for people.
    pub meaning: &'static str,
    /// From TOML, validated.
    pub(super) read: fn(&Node<'_>) -> Read<Change>,
    show: fn(&Watch) -> Value,
}

impl Key {
    /// The value it has, as TOML.
    pub fn show(&self, watch: &Watch) -> Value {
        (self.show)(watch)
    }
}

/// One validated value, on its way into the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Profile(String),
    Rearm(Vec<String>),
    RearmAtOnce(usize),
    RearmSpread(Duration),
}

impl Change {
    /// Puts the value in its place.
    pub(super) fn apply(self, watch: &mut Watch) {
        match self {
            Self::Profile(value) => watch.profile = value,
            Self::Rearm(value) => watch.rearm = value,
            Self::RearmAtOnce(value) => watch.rearm_at_once = value,
            Self::RearmSpread(value) => watch.rearm_spread = value,
        }
    }
}

/// Every key, in the order in which they are shown.
pub const KEYS: &[Key] = &[
    Key {
        name: "profile",
        kind: "name of a profile",
        meaning: "whose gate `upgrade-gate-online.target` follows",
        read: name,
        show: |watch| Value::from(watch.profile.clone()),
    },
    Key {
        name: "rearm",
        kind: "list of unit names, or patterns of them",
        meaning: "units to start once more, when the gate opens, if they failed for want of the network",
        read: rearm,
        show: |watch| Value::from(watch.rearm.clone()),
    },
    Key {
        name: "rearm_at_once",
        kind: "whole number from 1 to 1000",
        meaning: "how many of these may be starting at the same time",
        read: |node| read::integer(node, 1, 1000).map(|most| Change::RearmAtOnce(most as usize)),
        show: |watch| Value::from(i64::try_from(watch.rearm_at_once).unwrap_or(i64::MAX)),
    },
    Key {
        name: "rearm_spread",
        kind: "time span up to 1h",
        meaning: "each of these waits for a part of this, its own on each machine, so that not all machines ask at once",
        read: |node| read::span_up_to(node, LONGEST_SPREAD).map(Change::RearmSpread),
        show: |watch| Value::from(Span::Finite(watch.rearm_spread).to_string()),
    },
];

const LONGEST_SPREAD: Duration = Duration::from_secs(3600);

/// The key of this name.
pub(super) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

fn name(node: &Node<'_>) -> Read<Change> {
    let name = read::string(node)?;
    match profile::check_name(name) {
        Ok(()) => Ok(Change::Profile(name.to_owned())),
        Err(error) => read::refuse(node, error.to_string()),
    }
}

fn rearm(node: &Node<'_>) -> Read<Change> {
    let list = read::array(node, "a list of unit names")?;
    read::each(list, pattern).map(Change::Rearm)
}

/// What systemd lets stand in a unit's name (systemd.unit(5)), and in a pattern of names (glob(7)).
fn pattern(node: &Node<'_>) -> Read<String> {
    let text = read::string(node)?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@*?[]!^".contains(c);
    if text.is_empty() || text.len() > 255 || !text.chars().all(allowed) {
        return read::refuse(node, format!("must be the name of a unit, not {text:?}"));
    }
    if !text.contains(['.', '*']) {
        return read::refuse(
            node,
            format!("must be a whole name such as \"{text}.service\", not {text:?}"),
        );
    }
    Ok(text.to_owned())
}
