//! The table `[profile.NAME.guard]`: how `run` tries the NixOS system that its command has built.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use toml::Value;

use super::key::{Key, set, span, spelling};
use super::read::{self, Node, ReadResult};
use crate::text::secret;

/// The settings of a try. Nothing is tried unless it is enabled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardSettings {
    /// Whether the command only builds, and the guard activates.
    pub enable: bool,
    /// The system, or a link to it.
    pub system: PathBuf,
    /// How it is activated.
    pub activation: Activation,
    /// How long it is watched, in awake time.
    pub within: Duration,
    /// How long it must be worse before it is undone.
    pub settle_after: Duration,
    /// Whether it is undone unless somebody confirms it.
    pub confirm: bool,
    /// Whether the machine may be rebooted to undo it.
    pub reboot: bool,
    /// What is done without a verdict.
    pub on_doubt: OnDoubt,
    /// Commands that must succeed.
    pub checks: Vec<String>,
    /// How long each of them may take.
    pub check_timeout: Duration,
    /// Units that do not count, by names and patterns.
    pub ignore_units: Vec<String>,
    /// Units that the candidate must start at boot if the baseline does.
    pub must_have: Vec<String>,
    /// Packages whose data cannot go back to another major version.
    pub one_way: Vec<String>,
    /// The command that tells somebody what went wrong.
    pub notify: Option<String>,
    /// The command that may reboot into what is staged.
    pub on_staged: Option<String>,
    /// How a system other than NixOS is known, changed and brought back.
    pub commands: CommandSettings,
}

/// The commands of a system other than NixOS; none of them on NixOS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandSettings {
    /// Prints the identity of the system that runs.
    pub identify: Option<String>,
    /// Prints the identity of the system that boots next.
    pub boots_next: Option<String>,
    /// Prints what would be installed.
    pub offer: Option<String>,
    /// Makes what the way back leads to, and prints its name.
    pub snapshot: Option<String>,
    /// Upgrades the system.
    pub activate: Option<String>,
    /// Goes back.
    pub rollback: Option<String>,
}

/// How a system is activated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `switch-to-configuration test`.
    Live,
    /// By the next boot.
    Reboot,
    /// Live, or by the next boot if its checks refuse the switch, or if it has another kernel.
    Auto,
}

/// What is done at the end of the grace if there is no verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum OnDoubt {
    /// It is undone.
    #[default]
    Undo,
    /// It is kept.
    Keep,
    /// It is undone, and the system before is looked at for as long: if that is good, the candidate was to blame.
    Experiment,
}

impl Default for GuardSettings {
    fn default() -> Self {
        Self {
            enable: false,
            system: PathBuf::from("result"),
            activation: Activation::Live,
            within: Duration::from_secs(10 * 60),
            settle_after: Duration::from_secs(30),
            confirm: false,
            reboot: true,
            on_doubt: OnDoubt::Undo,
            checks: Vec::new(),
            check_timeout: Duration::from_secs(60),
            ignore_units: Vec::new(),
            must_have: must_have(),
            one_way: Vec::new(),
            notify: None,
            on_staged: None,
            commands: CommandSettings::default(),
        }
    }
}

/// What a machine is reached by.
pub fn must_have() -> Vec<String> {
    let units = [
        "sshd.service",
        "NetworkManager.service",
        "systemd-networkd.service",
    ];
    units.map(str::to_owned).into()
}

/// Every key, in the order in which they are shown.
pub const KEYS: &[Key<GuardSettings>] = &[
    Key {
        name: "enable",
        read: |node| set(read::boolean(node), |g, v| g.enable = v),
        show: |guard| Value::from(guard.enable),
    },
    Key {
        name: "system",
        read: |node| set(path(node), |g, v| g.system = v),
        show: |guard| Value::from(guard.system.to_string_lossy().into_owned()),
    },
    Key {
        name: "mode",
        read: |node| set(read::word(node, MODES), |g, v| g.activation = v),
        show: |guard| spelling(MODES, guard.activation),
    },
    Key {
        name: "within",
        read: |node| set(grace(node), |g, v| g.within = v),
        show: |guard| span(guard.within),
    },
    Key {
        name: "settle_after",
        read: |node| {
            set(read::span_up_to(node, LONGEST_SETTLE), |g, v| {
                g.settle_after = v;
            })
        },
        show: |guard| span(guard.settle_after),
    },
    Key {
        name: "confirm",
        read: |node| set(read::boolean(node), |g, v| g.confirm = v),
        show: |guard| Value::from(guard.confirm),
    },
    Key {
        name: "reboot",
        read: |node| set(read::boolean(node), |g, v| g.reboot = v),
        show: |guard| Value::from(guard.reboot),
    },
    Key {
        name: "on_doubt",
        read: |node| set(read::word(node, DOUBTS), |g, v| g.on_doubt = v),
        show: |guard| spelling(DOUBTS, guard.on_doubt),
    },
    Key {
        name: "checks",
        read: |node| set(commands(node), |g, v| g.checks = v),
        show: |guard| {
            let checks = guard.checks.iter().map(|check| secret::text(check));
            checks.collect::<Vec<_>>().into()
        },
    },
    Key {
        name: "check_timeout",
        read: |node| {
            set(read::span_up_to(node, LONGEST_CHECK), |g, v| {
                g.check_timeout = v;
            })
        },
        show: |guard| span(guard.check_timeout),
    },
    Key {
        name: "ignore_units",
        read: |node| set(units(node), |g, v| g.ignore_units = v),
        show: |guard| guard.ignore_units.clone().into(),
    },
    Key {
        name: "must_have",
        read: |node| set(names(node), |g, v| g.must_have = v),
        show: |guard| guard.must_have.clone().into(),
    },
    Key {
        name: "one_way",
        read: |node| set(packages(node), |g, v| g.one_way = v),
        show: |guard| guard.one_way.clone().into(),
    },
    Key {
        name: "notify",
        read: |node| set(optional(node, command), |g, v| g.notify = v),
        show: |guard| shown(guard.notify.as_ref()),
    },
    Key {
        name: "on_staged",
        read: |node| set(optional(node, command), |g, v| g.on_staged = v),
        show: |guard| shown(guard.on_staged.as_ref()),
    },
    Key {
        name: "identify",
        read: |node| set(optional(node, program), |g, v| g.commands.identify = v),
        show: |guard| shown(guard.commands.identify.as_ref()),
    },
    Key {
        name: "boots_next",
        read: |node| set(optional(node, program), |g, v| g.commands.boots_next = v),
        show: |guard| shown(guard.commands.boots_next.as_ref()),
    },
    Key {
        name: "offer",
        read: |node| set(optional(node, program), |g, v| g.commands.offer = v),
        show: |guard| shown(guard.commands.offer.as_ref()),
    },
    Key {
        name: "snapshot",
        read: |node| set(optional(node, program), |g, v| g.commands.snapshot = v),
        show: |guard| shown(guard.commands.snapshot.as_ref()),
    },
    Key {
        name: "activate",
        read: |node| set(optional(node, program), |g, v| g.commands.activate = v),
        show: |guard| shown(guard.commands.activate.as_ref()),
    },
    Key {
        name: "rollback",
        read: |node| set(optional(node, program), |g, v| g.commands.rollback = v),
        show: |guard| shown(guard.commands.rollback.as_ref()),
    },
];

fn shown(command: Option<&String>) -> Value {
    Value::from(secret::text(command.map_or("", String::as_str)))
}

const MODES: &[(&str, Activation)] = &[
    ("live", Activation::Live),
    ("reboot", Activation::Reboot),
    ("auto", Activation::Auto),
];

const DOUBTS: &[(&str, OnDoubt)] = &[
    ("undo", OnDoubt::Undo),
    ("keep", OnDoubt::Keep),
    ("experiment", OnDoubt::Experiment),
];

const LONGEST_SETTLE: Duration = Duration::from_secs(3600);
const LONGEST_CHECK: Duration = Duration::from_secs(600);

fn path(node: &Node<'_>) -> ReadResult<PathBuf> {
    let text = read::string(node)?;
    if text.is_empty() || text.contains('\0') {
        return read::refuse(node, "must be a path, such as \"result\"");
    }
    Ok(PathBuf::from(text))
}

fn grace(node: &Node<'_>) -> ReadResult<Duration> {
    let span = read::span(node)?;
    let long_enough = |length: &Duration| *length >= Duration::from_secs(1);
    match span.finite().filter(long_enough) {
        Some(length) => Ok(length),
        None => read::refuse(node, format!("must be 1s or more, and finite, not {span}")),
    }
}

fn commands(node: &Node<'_>) -> ReadResult<Vec<String>> {
    let list = read::array(node, "a list of commands")?;
    read::each(list, command)
}

fn units(node: &Node<'_>) -> ReadResult<Vec<String>> {
    let list = read::array(node, "a list of unit names")?;
    read::each(list, read::unit_pattern)
}

fn names(node: &Node<'_>) -> ReadResult<Vec<String>> {
    let list = read::array(node, "a list of unit names")?;
    read::each(list, |node| match read::unit_pattern(node)? {
        pattern if pattern.contains(['*', '?', '[']) => {
            read::refuse(node, "must be a unit name, not a pattern")
        }
        name => Ok(name),
    })
}

fn packages(node: &Node<'_>) -> ReadResult<Vec<String>> {
    let list = read::array(node, "a list of packages")?;
    read::each(list, |node| Ok(read::string(node)?.to_owned()))
}

fn command(node: &Node<'_>) -> ReadResult<String> {
    let text = read::string(node)?;
    if text.trim().is_empty() || text.contains('\0') {
        return read::refuse(
            node,
            "must be a command, such as \"systemctl is-active sshd\"",
        );
    }
    Ok(text.to_owned())
}

/// What systemd runs too, which looks for no program.
fn program(node: &Node<'_>) -> ReadResult<String> {
    let text = command(node)?;
    if !text.trim_start().starts_with('/') {
        return read::refuse(
            node,
            "must begin with the whole path of a program, such as \"/usr/local/sbin/upgrade\"",
        );
    }
    Ok(text)
}

fn optional(
    node: &Node<'_>,
    read: impl Fn(&Node<'_>) -> ReadResult<String>,
) -> ReadResult<Option<String>> {
    match read::string(node)? {
        "" => Ok(None),
        _ => read(node).map(Some),
    }
}
