//! One entry of `targets`, as TOML and as an argument of the command line.
//!
//! A plain string is a target or `auto`; a table says what a string cannot: `{ any = […] }`, and
//! `{ url = "http://…", expect = "…" }` for what the body must begin with.

use std::str::FromStr;

use toml::Value;
use toml::de::{DeTable, DeValue};

use super::read::{self, Node, ReadResult};
use crate::targets::{Target, TargetEntry, TargetParseError};

impl FromStr for TargetEntry {
    type Err = TargetParseError;

    /// `auto` or one target, as `--target` has it.
    fn from_str(text: &str) -> Result<Self, TargetParseError> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        text.parse().map(Self::One)
    }
}

/// The list of `targets`, never empty.
pub(super) fn read_all(node: &Node<'_>) -> ReadResult<Vec<TargetEntry>> {
    let list = read::array(node, "a list of targets")?;
    if list.is_empty() {
        return read::refuse(
            node,
            "is empty; name a target, or leave the key out for the default",
        );
    }
    read::each(list, entry)
}

fn entry(node: &Node<'_>) -> ReadResult<TargetEntry> {
    match node.get_ref() {
        DeValue::String(text) if text == "auto" => Ok(TargetEntry::Auto),
        DeValue::Table(table) if table.contains_key("any") => any(table).map(TargetEntry::Any),
        _ => target(node).map(TargetEntry::One),
    }
}

fn any(table: &DeTable<'_>) -> ReadResult<Vec<Target>> {
    let [Some(node)] = read::members(table, ["any"])? else {
        return Ok(Vec::new());
    };
    let list = read::array(node, "a list of targets")?;
    if list.is_empty() {
        return read::refuse(node, "any is empty; name a target");
    }
    read::each(list, target)
}

fn target(node: &Node<'_>) -> ReadResult<Target> {
    match node.get_ref() {
        DeValue::String(text) if text == "auto" => read::refuse(
            node,
            "\"auto\" cannot be used inside any; make it a separate entry",
        ),
        DeValue::String(text) => parse(node, text),
        DeValue::Table(table) => with_expect(node, table),
        _ => read::not_a(node, "a target such as \"https://example.org\", or a table"),
    }
}

fn parse(node: &Node<'_>, text: &str) -> ReadResult<Target> {
    text.parse::<Target>()
        .or_else(|error| read::refuse(node, error.to_string()))
}

/// `{ url = "http://…", expect = "…" }`.
fn with_expect(node: &Node<'_>, table: &DeTable<'_>) -> ReadResult<Target> {
    let [Some(url), Some(expect)] = read::members(table, ["url", "expect"])? else {
        return read::refuse(
            node,
            "must have both url and expect, or be a string, or { any = […] }",
        );
    };
    let Target::Http { url, .. } = parse(url, read::string(url)?)? else {
        return read::refuse(url, "only an http:// target has an expect");
    };
    let body = read::string(expect)?;
    if body.is_empty() {
        // Every body begins with nothing, a portal's too.
        return read::refuse(expect, "expect is empty; write what the body begins with");
    }
    let expect = Some(body.to_owned());
    Ok(Target::Http { url, expect })
}

/// As it is written in a file.
pub(super) fn show(entry: &TargetEntry) -> Value {
    match entry {
        TargetEntry::Auto => Value::from("auto"),
        TargetEntry::One(target) => show_target(target),
        TargetEntry::Any(targets) => {
            let targets = targets.iter().map(show_target).collect();
            Value::Table(toml::Table::from_iter([(
                "any".to_owned(),
                Value::Array(targets),
            )]))
        }
    }
}

fn show_target(target: &Target) -> Value {
    match target {
        Target::Http {
            expect: Some(expect),
            ..
        } => Value::Table(toml::Table::from_iter([
            ("url".to_owned(), Value::from(target.to_string())),
            ("expect".to_owned(), Value::from(expect.as_str())),
        ])),
        other => Value::from(other.to_string()),
    }
}
