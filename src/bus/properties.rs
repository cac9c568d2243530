//! The properties a service answered with, as plain values: what the decoders decide from.

use std::collections::{BTreeMap, HashMap};

use crate::text::line;
use zbus::{Message, Variant, message::Type};

/// One thing asked of a service: some properties of one interface of one object.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PropertyQuery {
    /// The object.
    pub(crate) path: &'static str,
    /// The interface.
    pub(crate) interface: &'static str,
    /// The properties. A single one is asked for with `Get`, several with `GetAll`.
    pub(crate) names: &'static [&'static str],
}

/// The types of D-Bus that matter here.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Bool(bool),
    Number(u32),
    Real(f64),
    Text(String),
}

/// The wanted properties by name; one that is missing, or of another type, is simply not here.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Properties(BTreeMap<&'static str, Value>);

impl Properties {
    pub(crate) fn bool(&self, name: &str) -> Option<bool> {
        match self.0.get(name) {
            Some(Value::Bool(value)) => Some(*value),
            _ => None,
        }
    }

    pub(crate) fn number(&self, name: &str) -> Option<u32> {
        match self.0.get(name) {
            Some(Value::Number(value)) => Some(*value),
            _ => None,
        }
    }

    pub(crate) fn real(&self, name: &str) -> Option<f64> {
        match self.0.get(name) {
            Some(Value::Real(value)) => Some(*value),
            _ => None,
        }
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match self.0.get(name) {
            Some(Value::Text(value)) => Some(value),
            _ => None,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Reads the reply to `question`; the error says what the service answered instead.
    pub(crate) fn from_reply(question: &PropertyQuery, reply: &Message) -> Result<Self, String> {
        if reply.message_type() == Type::Error {
            return Err(error_text(reply));
        }
        let body = reply.body();
        let found = match question.names {
            [name] => body
                .deserialize()
                .map(|v| Self::wanted([(*name, v)], question)),
            _ => body
                .deserialize::<HashMap<&str, Variant<'_>>>()
                .map(|all| Self::wanted(all, question)),
        };
        found.map_err(|_| "the reply is of an unexpected type".to_owned())
    }

    fn wanted<'m>(
        all: impl IntoIterator<Item = (&'m str, Variant<'m>)>,
        question: &PropertyQuery,
    ) -> Self {
        let known = |name: &str| question.names.iter().find(|wanted| **wanted == name);
        Self(
            all.into_iter()
                .filter_map(|(name, value)| Some((*known(name)?, Value::from_dbus(&value)?)))
                .collect(),
        )
    }
}

#[cfg(test)]
impl<const N: usize> From<[(&'static str, Value); N]> for Properties {
    fn from(values: [(&'static str, Value); N]) -> Self {
        Self(values.into())
    }
}

impl Value {
    fn from_dbus(value: &Variant<'_>) -> Option<Self> {
        match value {
            Variant::Bool(value) => Some(Self::Bool(*value)),
            Variant::U32(value) => Some(Self::Number(*value)),
            Variant::F64(value) => Some(Self::Real(*value)),
            Variant::Str(value) => Some(Self::Text(shortened(value))),
            _ => None,
        }
    }
}

/// The error's name and its text.
pub(crate) fn error_text(reply: &Message) -> String {
    let header = reply.header();
    let name = header.error_name().map_or("an error", |name| name.as_str());
    match reply.body().deserialize::<&str>() {
        Ok(text) if !text.is_empty() => shortened(&format!("{name}: {text}")),
        _ => shortened(name),
    }
}

/// A service may say as much as it likes; nobody wants to read or keep more than a line of it.
fn shortened(text: &str) -> String {
    const LONGEST: usize = 200;
    line::shortened(text, LONGEST)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    const ONE: PropertyQuery = PropertyQuery {
        path: "/",
        interface: "org.example.One",
        names: &["State"],
    };
    const TWO: PropertyQuery = PropertyQuery {
        path: "/",
        interface: "org.example.Two",
        names: &["State", "Metered"],
    };

    fn reply<B: serde::Serialize + zbus::DynamicType>(body: &B) -> Message {
        let call = Message::method_call("/", "Get").build(&()).unwrap();
        Message::method_return(&call.header()).build(body).unwrap()
    }

    #[test]
    fn a_single_property_is_read_from_its_variant() {
        let found = Properties::from_reply(&ONE, &reply(&Variant::U32(70))).unwrap();
        assert_eq!(found.number("State"), Some(70));
    }

    #[test]
    fn only_wanted_properties_of_a_known_type_are_kept() {
        let all = HashMap::from([
            ("State", Variant::U32(70)),
            ("Metered", Variant::I64(-1)),
            ("Version", Variant::from("1.52")),
        ]);
        let found = Properties::from_reply(&TWO, &reply(&all)).unwrap();
        assert_eq!(found, Properties::from([("State", Value::Number(70))]));
    }

    #[test]
    fn a_reply_of_another_type_is_an_error() {
        assert!(Properties::from_reply(&ONE, &reply(&70_u32)).is_err());
        assert!(Properties::from_reply(&TWO, &reply(&"state")).is_err());
        assert!(Properties::from_reply(&TWO, &reply(&())).is_err());
    }

    #[test]
    fn an_error_reply_is_named_with_its_text() {
        let call = Message::method_call("/", "Get").build(&()).unwrap();
        let name = "org.freedesktop.DBus.Error.AccessDenied";
        let refused = Message::error(&call.header(), name)
            .build(&"not you")
            .unwrap();
        let text = Properties::from_reply(&ONE, &refused).unwrap_err();
        assert_eq!(text, format!("{name}: not you"));
    }

    proptest! {
        #[test]
        fn text_is_kept_short_and_on_one_line(text in ".{0,400}") {
            let short = shortened(&text);
            prop_assert!(short.chars().count() <= 200);
            prop_assert!(!short.contains('\n'));
        }
    }
}
