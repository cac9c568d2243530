//! The properties of an object, as plain values; one that is missing, or of another type, is simply not there.

use std::collections::HashMap;
use std::time::Duration;

use zbus::Variant;
use zbus::message::Body;

use crate::systemd::unit::SystemdSpan;
use crate::text::line;

/// The reply to `GetAll`.
#[derive(Debug, Default)]
pub(super) struct GetAllReply<'m>(pub(super) HashMap<&'m str, Variant<'m>>);

impl<'m> GetAllReply<'m> {
    /// Reads the reply; the error says what is wrong with it.
    pub(super) fn read(body: &'m Body) -> Result<Self, String> {
        let read = body.deserialize().map(Self);
        read.map_err(|error| one_line(&format!("unexpected reply: {error}")))
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(text)
    }

    pub(super) fn bool(&self, name: &str) -> Option<bool> {
        match self.0.get(name) {
            Some(Variant::Bool(value)) => Some(*value),
            _ => None,
        }
    }

    pub(super) fn number(&self, name: &str) -> Option<u32> {
        match self.0.get(name) {
            Some(Variant::U32(value)) => Some(*value),
            _ => None,
        }
    }

    /// A time in µs, of which the largest is `infinity`.
    pub(super) fn span(&self, name: &str) -> Option<SystemdSpan> {
        match self.0.get(name) {
            Some(Variant::U64(u64::MAX)) => Some(None),
            Some(Variant::U64(micros)) => Some(Some(Duration::from_micros(*micros))),
            _ => None,
        }
    }

    /// Strings; none if there are none.
    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        self.array(name).map_or_else(Vec::new, texts)
    }

    pub(super) fn array(&self, name: &str) -> Option<&[Variant<'m>]> {
        self.0.get(name).and_then(array)
    }

    pub(super) fn fields(&self, name: &str) -> Option<&[Variant<'m>]> {
        self.0.get(name).and_then(fields)
    }
}

pub(super) fn text<'v>(value: &'v Variant<'_>) -> Option<&'v str> {
    match value {
        Variant::Str(text) => Some(text.as_str()),
        _ => None,
    }
}

pub(super) fn texts(values: &[Variant<'_>]) -> Vec<String> {
    values.iter().filter_map(text).map(str::to_owned).collect()
}

pub(super) fn array<'v, 'm>(value: &'v Variant<'m>) -> Option<&'v [Variant<'m>]> {
    match value {
        Variant::Array(array) => Some(array.inner()),
        _ => None,
    }
}

pub(super) fn fields<'v, 'm>(value: &'v Variant<'m>) -> Option<&'v [Variant<'m>]> {
    match value {
        Variant::Structure(structure) => Some(structure.fields()),
        _ => None,
    }
}

/// What a service says may be of any length, and nobody wants more than a line of it.
pub(super) fn one_line(text: &str) -> String {
    const LONGEST: usize = 300;
    line::shortened(text, LONGEST)
}
