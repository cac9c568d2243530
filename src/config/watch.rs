//! The table `[watch]`: what `upgrade-gate watch` follows, and which units it starts again.

use std::time::Duration;

use toml::Value;

use super::key::{Key, set, span};
use super::profile::{self, DEFAULT};
use super::read::{self, Node, ReadResult};

/// The settings of the watch. Every default is usable without any file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchSettings {
    /// The profile whose gate is followed.
    pub profile: String,
    /// Names of units and glob patterns of names, as systemctl(1) has them.
    pub rearm: Vec<String>,
    /// How many of them are being started at the same time.
    pub rearm_at_once: usize,
    /// The bound of each one's delay.
    pub rearm_spread: Duration,
}

impl Default for WatchSettings {
    fn default() -> Self {
        Self {
            profile: DEFAULT.to_owned(),
            rearm: Vec::new(),
            rearm_at_once: 1,
            rearm_spread: Duration::from_secs(30),
        }
    }
}

/// Every key, in the order in which they are shown.
pub const KEYS: &[Key<WatchSettings>] = &[
    Key {
        name: "profile",
        read: |node| set(name(node), |w, v| w.profile = v),
        show: |watch| Value::from(watch.profile.clone()),
    },
    Key {
        name: "rearm",
        read: |node| set(rearm(node), |w, v| w.rearm = v),
        show: |watch| Value::from(watch.rearm.clone()),
    },
    Key {
        name: "rearm_at_once",
        read: |node| {
            set(read::integer(node, 1, 1000), |w, v: u32| {
                w.rearm_at_once = v as usize;
            })
        },
        show: |watch| Value::from(i64::try_from(watch.rearm_at_once).unwrap_or(i64::MAX)),
    },
    Key {
        name: "rearm_spread",
        read: |node| {
            set(read::span_up_to(node, LONGEST_SPREAD), |w, v| {
                w.rearm_spread = v;
            })
        },
        show: |watch| span(watch.rearm_spread),
    },
];

const LONGEST_SPREAD: Duration = Duration::from_secs(3600);

fn name(node: &Node<'_>) -> ReadResult<String> {
    let name = read::string(node)?;
    match profile::check_name(name) {
        Ok(()) => Ok(name.to_owned()),
        Err(error) => read::refuse(node, error.to_string()),
    }
}

fn rearm(node: &Node<'_>) -> ReadResult<Vec<String>> {
    let list = read::array(node, "a list of unit names")?;
    read::each(list, read::unit_pattern)
}
