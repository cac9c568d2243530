//! A key of a table: how it is read and shown. What it means is in docs/configuration.md. One kind for profiles and the watch.

use std::time::Duration;

use toml::Value;

use super::read::{Node, ReadResult};
use crate::text::span::Span;

/// One key of the settings `S`.
pub struct Key<S: 'static> {
    /// As it is written.
    pub name: &'static str,
    /// From TOML, validated.
    pub(super) read: fn(&Node<'_>) -> ReadResult<SettingChange<S>>,
    /// Back to TOML; what cannot be unset by leaving it out has a value that unsets it.
    pub(super) show: fn(&S) -> Value,
}

/// One validated value, on its way into the settings: puts it in its place.
pub(super) type SettingChange<S> = Box<dyn Fn(&mut S)>;

impl<S> Key<S> {
    /// The value it has in these settings, as TOML.
    pub fn show(&self, settings: &S) -> Value {
        (self.show)(settings)
    }
}

/// The change that puts a value in its place by `put`.
pub(super) fn set<S: 'static, V: Clone + 'static>(
    value: ReadResult<V>,
    put: fn(&mut S, V),
) -> ReadResult<SettingChange<S>> {
    value
        .map(|value| -> SettingChange<S> { Box::new(move |settings| put(settings, value.clone())) })
}

/// A time span, as it is written.
pub(super) fn span(length: Duration) -> Value {
    Value::from(Span::Finite(length).to_string())
}

/// How `value` is written.
pub(super) fn spelling<T: Copy + PartialEq>(words: &[(&str, T)], value: T) -> Value {
    let found = words.iter().find(|(_, known)| *known == value);
    Value::from(found.map_or("", |(word, _)| *word))
}
