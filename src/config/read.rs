//! From one TOML value to one typed value, or to all that is wrong with it and where.

use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use crate::text::span::Span;

/// A TOML value that knows where it stands.
pub(super) type Node<'i> = Spanned<DeValue<'i>>;

/// What is wrong with a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InvalidValue {
    /// Where, in bytes of the file.
    pub(super) at: Range<usize>,
    /// The key inside the value, if it is a table and one of its keys is meant.
    pub(super) key: Option<String>,
    /// What, as a sentence that follows the key.
    pub(super) message: String,
}

/// A typed value, or everything that is wrong with what was written.
pub(super) type ReadResult<T> = Result<T, Vec<InvalidValue>>;

/// Refuses `node` for this reason.
pub(super) fn refuse<T>(node: &Node<'_>, message: impl Into<String>) -> ReadResult<T> {
    Err(vec![InvalidValue {
        at: node.span(),
        key: None,
        message: message.into(),
    }])
}

/// Refuses `node` because it is not `what`.
pub(super) fn not_a<T>(node: &Node<'_>, what: &str) -> ReadResult<T> {
    refuse(node, format!("must be {what}, not {}", kind_of(node)))
}

/// `a string`, `an array`, …
pub(super) fn kind_of(node: &Node<'_>) -> String {
    let kind = node.get_ref().type_str();
    let article = if kind.starts_with(['a', 'i']) {
        "an"
    } else {
        "a"
    };
    format!("{article} {kind}")
}

pub(super) fn boolean(node: &Node<'_>) -> ReadResult<bool> {
    match node.get_ref() {
        DeValue::Boolean(value) => Ok(*value),
        _ => not_a(node, "true or false"),
    }
}

pub(super) fn string<'n>(node: &'n Node<'_>) -> ReadResult<&'n str> {
    match node.get_ref() {
        DeValue::String(text) => Ok(text),
        _ => not_a(node, "a string"),
    }
}

pub(super) fn array<'n, 'i>(node: &'n Node<'i>, what: &str) -> ReadResult<&'n DeArray<'i>> {
    match node.get_ref() {
        DeValue::Array(array) => Ok(array),
        _ => not_a(node, what),
    }
}

/// Every element by `read`; all faults of all elements together.
pub(super) fn each<T>(
    array: &DeArray<'_>,
    read: impl Fn(&Node<'_>) -> ReadResult<T>,
) -> ReadResult<Vec<T>> {
    let mut values = Vec::new();
    let mut wrong = Vec::new();
    for node in array {
        match read(node) {
            Ok(value) => values.push(value),
            Err(more) => wrong.extend(more),
        }
    }
    if wrong.is_empty() {
        Ok(values)
    } else {
        Err(wrong)
    }
}

/// A whole number in `from..=to`.
pub(super) fn integer(node: &Node<'_>, from: u32, to: u32) -> ReadResult<u32> {
    let DeValue::Integer(number) = node.get_ref() else {
        return not_a(node, &format!("a whole number from {from} to {to}"));
    };
    u32::from_str_radix(number.as_str(), number.radix())
        .ok()
        .filter(|value| (from..=to).contains(value))
        .map_or_else(
            || refuse(node, format!("must be from {from} to {to}, not {number}")),
            Ok,
        )
}

/// A whole number in `from..=to`, which both fit.
pub(super) fn byte(node: &Node<'_>, from: u8, to: u8) -> ReadResult<u8> {
    let value = integer(node, from.into(), to.into())?;
    u8::try_from(value).or_else(|_| refuse(node, format!("must be from {from} to {to}")))
}

/// One of these words.
pub(super) fn word<T: Copy>(node: &Node<'_>, words: &[(&str, T)]) -> ReadResult<T> {
    let written = string(node)?;
    let found = words.iter().find(|(word, _)| *word == written);
    found.map_or_else(
        || {
            let known: Vec<_> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
            refuse(
                node,
                format!("must be {}, not {written:?}", known.join(" or ")),
            )
        },
        |(_, value)| Ok(*value),
    )
}

/// A time span in systemd's spelling.
pub(super) fn span(node: &Node<'_>) -> ReadResult<Span> {
    let DeValue::String(text) = node.get_ref() else {
        return not_a(node, "a time span in quotes, such as \"1min 30s\"");
    };
    text.parse()
        .or_else(|error| refuse(node, format!("{error}")))
}

/// A time span up to `most`.
pub(super) fn span_up_to(node: &Node<'_>, most: Duration) -> ReadResult<Duration> {
    let span = span(node)?;
    span.finite().filter(|length| *length <= most).map_or_else(
        || {
            let most = Span::Finite(most);
            refuse(node, format!("must be at most {most}, not {span}"))
        },
        Ok,
    )
}

/// An absolute path.
pub(super) fn absolute_path(node: &Node<'_>) -> ReadResult<PathBuf> {
    let text = string(node)?;
    if text.starts_with('/') && !text.contains('\0') {
        Ok(PathBuf::from(text))
    } else {
        refuse(node, format!("must be an absolute path, not {text:?}"))
    }
}

/// The table's values for these keys, in their order; every other key is refused.
pub(super) fn members<'n, 'i, const N: usize>(
    table: &'n DeTable<'i>,
    keys: [&str; N],
) -> ReadResult<[Option<&'n Node<'i>>; N]> {
    let unknown: Vec<_> = table
        .iter()
        .filter(|(key, _)| !keys.contains(&key.get_ref().as_ref()))
        .map(|(key, _)| InvalidValue {
            at: key.span(),
            key: Some(key.get_ref().to_string()),
            message: format!("unknown key; only {} belongs here", keys.join(" or ")),
        })
        .collect();
    if !unknown.is_empty() {
        return Err(unknown);
    }
    Ok(keys.map(|key| table.get(key)))
}

/// What systemd lets stand in a unit's name (systemd.unit(5)), and in a pattern of names (glob(7)).
pub(super) fn unit_pattern(node: &Node<'_>) -> ReadResult<String> {
    let text = string(node)?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@*?[]!^".contains(c);
    if text.is_empty() || text.len() > 255 || !text.chars().all(allowed) {
        return refuse(node, format!("invalid unit name {text:?}"));
    }
    if !text.contains(['.', '*']) {
        return refuse(
            node,
            format!("must be a full unit name such as \"{text}.service\", not {text:?}"),
        );
    }
    Ok(text.to_owned())
}
