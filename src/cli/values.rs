//! The values of options. Pure.

use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::gate::reason::Reason;
use crate::systemd::drop_in::GateMode;
use crate::text::span::{self, Span};

pub(super) fn mode_parser() -> impl TypedValueParser<Value = GateMode> {
    PossibleValuesParser::new(GateMode::ALL.map(GateMode::name))
        .try_map(|name| GateMode::from_name(&name).ok_or("invalid mode"))
}

pub(super) fn parse_span(written: &str) -> Result<Span, String> {
    written
        .parse()
        .map_err(|error: span::SpanParseError| error.to_string())
}

pub(super) fn parse_finite(written: &str) -> Result<Duration, String> {
    let span = parse_span(written)?;
    span.finite()
        .ok_or_else(|| "give a finite span, such as 30min".to_owned())
}

pub(super) fn parse_waived(label: &str) -> Result<Reason, String> {
    Reason::from_label(label)
        .filter(|reason| reason.is_soft())
        .ok_or_else(|| format!("only these can be waived: {}", soft_labels()))
}

fn soft_labels() -> String {
    let soft = Reason::ALL.iter().filter(|reason| reason.is_soft());
    let labels: Vec<_> = soft.map(|reason| reason.label()).collect();
    labels.join(", ")
}

/// The full name of a unit, or a pattern of names.
pub(super) fn parse_unit(text: &str) -> Result<String, String> {
    if text.contains(['.', '*']) {
        Ok(text.to_owned())
    } else {
        Err(format!("a full unit name such as {text}.service is needed"))
    }
}
