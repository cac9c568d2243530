//! The keys of a profile: one table for the reader, the messages, the effective view and the documentation.

use std::path::PathBuf;
use std::time::Duration;

use toml::Value;
use toml::de::DeValue;

use super::entry;
use super::key::{Key, set, span, spelling};
use super::profile::{Inhibit, Profile};
use super::read::{self, Node, ReadResult};
use crate::gate::policy::PowerPolicy;
use crate::text::secret;
use crate::text::span::Span;

/// Every key, in the order in which they are shown.
pub const KEYS: &[Key<Profile>] = &[
    Key {
        name: TARGETS,
        read: |node| set(entry::read_all(node), |p, v| p.targets = v),
        show: |profile| list(profile.targets.iter().map(entry::show)),
    },
    Key {
        name: "flake",
        read: |node| set(flake(node), |p, v| p.flake = v),
        show: |profile| {
            let flake = profile.flake.as_deref();
            Value::from(flake.map(secret::url).unwrap_or_default())
        },
    },
    Key {
        name: "allow_guess",
        read: |node| set(read::boolean(node), |p, v| p.allow_guess = v),
        show: |profile| Value::from(profile.allow_guess),
    },
    Key {
        name: "settle",
        read: |node| set(read::span_up_to(node, LONGEST_SETTLE), |p, v| p.settle = v),
        show: |profile| span(profile.settle),
    },
    Key {
        name: "metered",
        read: |node| set(read::word(node, METERED), |p, v| p.hold_metered = v),
        show: |profile| spelling(METERED, profile.hold_metered),
    },
    Key {
        name: "power",
        read: |node| set(power(node), |p, v| p.power = v),
        show: show_power,
    },
    Key {
        name: "at_most_every",
        read: |node| set(at_most_every(node), |p, v| p.at_most_every = v),
        show: |profile| span(profile.at_most_every.unwrap_or_default()),
    },
    Key {
        name: "attempts",
        read: |node| set(read::integer(node, 1, u32::MAX), |p, v| p.attempts = v),
        show: |profile| Value::from(profile.attempts),
    },
    Key {
        name: "attempt_timeout",
        read: |node| set(attempt_timeout(node), |p, v| p.attempt_timeout = v),
        show: |profile| Value::from(Span::from(profile.attempt_timeout).to_string()),
    },
    Key {
        name: "final_exit_status",
        read: |node| set(final_exit_status(node), |p, v| p.final_exit_status = v),
        show: |profile| list(profile.final_exit_status.iter().copied()),
    },
    Key {
        name: "final_if_changed",
        read: |node| set(final_if_changed(node), |p, v| p.final_if_changed = v),
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
        read: |node| set(inhibit(node), |p, v| p.inhibit = v),
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

fn flake(node: &Node<'_>) -> ReadResult<Option<String>> {
    let text = read::string(node)?;
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

fn power(node: &Node<'_>) -> ReadResult<PowerPolicy> {
    let policy = match node.get_ref() {
        DeValue::Table(table) => match read::members(table, [BATTERY])? {
            [Some(percent)] => PowerPolicy::BatteryAtLeast(read::byte(percent, 1, 100)?),
            [None] => return read::refuse(node, "is empty; write { battery_at_least = PERCENT }"),
        },
        DeValue::String(_) => read::word(node, POWER)?,
        _ => return read::not_a(node, "\"any\", \"mains\" or { battery_at_least = PERCENT }"),
    };
    Ok(policy)
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

fn at_most_every(node: &Node<'_>) -> ReadResult<Option<Duration>> {
    let Some(length) = read::span(node)?.finite() else {
        return read::refuse(node, "must not be infinity: it would never run again");
    };
    Ok((!length.is_zero()).then_some(length))
}

fn attempt_timeout(node: &Node<'_>) -> ReadResult<Option<Duration>> {
    let span = read::span(node)?;
    if span < Span::Finite(Duration::from_secs(1)) {
        return read::refuse(node, format!("must be 1s or more, or infinity, not {span}"));
    }
    Ok(span.finite())
}

fn final_exit_status(node: &Node<'_>) -> ReadResult<Vec<u8>> {
    let codes = read::array(node, "a list of exit codes")?;
    read::each(codes, |code| read::byte(code, 0, u8::MAX))
}

fn final_if_changed(node: &Node<'_>) -> ReadResult<Vec<PathBuf>> {
    let paths = read::array(node, "a list of absolute paths")?;
    read::each(paths, read::absolute_path)
}

fn inhibit(node: &Node<'_>) -> ReadResult<Vec<Inhibit>> {
    let list = read::array(node, "a list of \"shutdown\" and \"sleep\"")?;
    let mut what = read::each(list, |node| read::word(node, INHIBIT))?;
    what.sort_unstable();
    what.dedup();
    Ok(what)
}

fn list<T: Into<Value>>(values: impl Iterator<Item = T>) -> Value {
    Value::Array(values.map(Into::into).collect())
}
