//! Time spans as systemd writes and reads them (systemd.time(7)): `10min`, `1h 30min`, `90`, `infinity`.
//!
//! Apart because the command line, the configuration and the reports all speak it, and because it is held
//! against `systemd-analyze timespan`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A time span, to the microsecond; `infinity` is larger than all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Span {
    /// This long.
    Finite(Duration),
    /// `infinity`: indefinitely.
    Infinite,
}

/// A text that systemd would not take for a time span either.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid time span {0:?} (examples: 2s, 1min 30s, infinity)")]
pub struct SpanParseError(String);

impl Span {
    /// The length, or none for `infinity`.
    pub const fn finite(self) -> Option<Duration> {
        match self {
            Self::Finite(length) => Some(length),
            Self::Infinite => None,
        }
    }
}

impl From<Option<Duration>> for Span {
    /// The opposite of [`Span::finite`].
    fn from(length: Option<Duration>) -> Self {
        length.map_or(Self::Infinite, Self::Finite)
    }
}

const SECOND: u64 = 1_000_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A unit of time: the spellings that are read, the one that is written first, and its length in µs.
struct TimeUnit {
    spellings: &'static [&'static str],
    micros: u64,
}

/// Largest first, as they are written. The two micro signs are U+00B5 and U+03BC.
#[rustfmt::skip]
const UNITS: &[TimeUnit] = &[
    TimeUnit { spellings: &["y", "year", "years"], micros: 31_557_600 * SECOND },
    TimeUnit { spellings: &["month", "months", "M"], micros: 2_629_800 * SECOND },
    TimeUnit { spellings: &["w", "week", "weeks"], micros: 7 * DAY },
    TimeUnit { spellings: &["d", "day", "days"], micros: DAY },
    TimeUnit { spellings: &["h", "hr", "hour", "hours"], micros: HOUR },
    TimeUnit { spellings: &["min", "m", "minute", "minutes"], micros: MINUTE },
    TimeUnit { spellings: &["s", "sec", "second", "seconds"], micros: SECOND },
    TimeUnit { spellings: &["ms", "msec"], micros: 1_000 },
    TimeUnit { spellings: &["us", "usec", "\u{b5}s", "\u{3bc}s"], micros: 1 },
];

impl FromStr for Span {
    type Err = SpanParseError;

    fn from_str(text: &str) -> Result<Self, SpanParseError> {
        if text.trim_matches(BLANK) == "infinity" {
            return Ok(Self::Infinite);
        }
        sum(text)
            .map(|micros| Self::Finite(Duration::from_micros(micros)))
            .ok_or_else(|| SpanParseError(text.to_owned()))
    }
}

const BLANK: [char; 4] = [' ', '\t', '\n', '\r'];

/// The sum of all parts in µs; one part at least. systemd keeps the largest number for `infinity`.
fn sum(text: &str) -> Option<u64> {
    let mut rest = text.trim_matches(BLANK);
    let mut total = 0_u64;
    loop {
        let (micros, after) = part(rest)?;
        total = total.checked_add(micros).filter(|sum| *sum < u64::MAX)?;
        rest = after.trim_start_matches(BLANK);
        if rest.is_empty() {
            return Some(total);
        }
    }
}

/// One number with or without a unit, in µs, and what follows it.
fn part(text: &str) -> Option<(u64, &str)> {
    let (whole, fraction, rest) = number(text)?;
    let (unit, after) = unit(rest.trim_start_matches(BLANK));
    if after.len() == rest.len() && !rest.is_empty() {
        return None;
    }
    // systemd reads the whole number with strtoll(3), hence the signed bound.
    let whole = u64::try_from(whole.parse::<i64>().ok()?).ok()?;
    if whole >= u64::MAX / unit {
        return None;
    }
    let whole = whole * unit;
    Some((whole.checked_add(fraction_of(unit, fraction))?, after))
}

/// Splits `+12.34…` into whole digits, digits of the fraction, and the rest.
fn number(text: &str) -> Option<(&str, &str, &str)> {
    let (whole, rest) = digits(text.strip_prefix('+').unwrap_or(text));
    let Some(rest) = rest.strip_prefix('.') else {
        return (!whole.is_empty()).then_some((whole, "", rest));
    };
    let (fraction, rest) = digits(rest);
    if fraction.is_empty() || (whole.is_empty() && text.starts_with('+')) {
        return None;
    }
    Some((if whole.is_empty() { "0" } else { whole }, fraction, rest))
}

fn digits(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

/// The unit `text` begins with, in µs, and what follows it; seconds if there is none.
fn unit(text: &str) -> (u64, &str) {
    UNITS
        .iter()
        .flat_map(|TimeUnit { spellings, micros }| {
            spellings.iter().map(move |word| (*word, *micros))
        })
        .filter_map(|(word, micros)| Some((micros, text.strip_prefix(word)?)))
        .min_by_key(|(_, rest)| rest.len())
        .unwrap_or((SECOND, text))
}

/// The fraction `0.DIGITS` of `unit`, each digit's share rounded down, as systemd does it.
fn fraction_of(unit: u64, digits: &str) -> u64 {
    let mut share = unit;
    let mut total = 0;
    for digit in digits.bytes() {
        share /= 10;
        total += u64::from(digit - b'0') * share;
    }
    total
}

impl fmt::Display for Span {
    /// As `systemd-analyze timespan` writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Infinite => f.write_str("infinity"),
            Self::Finite(length) if length.as_micros() == 0 => f.write_str("0"),
            Self::Finite(length) => write_parts(f, length.as_micros()),
        }
    }
}

fn write_parts(f: &mut fmt::Formatter<'_>, micros: u128) -> fmt::Result {
    let mut left = micros;
    let mut gap = "";
    for TimeUnit { spellings, micros } in UNITS {
        let micros = u128::from(*micros);
        let (count, remainder) = (left / micros, left % micros);
        if count == 0 {
            continue;
        }
        write!(f, "{gap}{count}")?;
        // Below a minute systemd writes what is left as a decimal fraction.
        if left < u128::from(MINUTE) && remainder > 0 {
            let places = micros.ilog10() as usize;
            return write!(f, ".{remainder:0places$}{}", spellings[0]);
        }
        f.write_str(spellings[0])?;
        left = remainder;
        gap = " ";
    }
    Ok(())
}

/// Writes a span for people, no finer than they care for: rounded down to seconds, or to milliseconds below one second.
pub fn format_span(span: Duration) -> String {
    let rounded = match span.as_secs() {
        0 => Duration::from_millis(span.subsec_millis().into()),
        seconds => Duration::from_secs(seconds),
    };
    Span::Finite(rounded).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn micros(text: &str) -> Option<u128> {
        Some(text.parse::<Span>().ok()?.finite()?.as_micros())
    }

    #[test]
    fn spans_are_read_as_systemd_time_7_has_them() {
        for (text, seconds) in [
            ("2 h", 7200),
            ("2hours", 7200),
            ("48hr", 172_800),
            ("1y 12month", 31_557_600 * 2),
            ("300s20s 5day", 432_320),
            ("90", 90),
            ("1h30", 3630),
            (".5h", 1800),
            (" 1h\t30min\n", 5400),
            ("1s1", 2),
            ("1M", 2_629_800),
            ("1m", 60),
            ("+1", 1),
            ("0", 0),
        ] {
            assert_eq!(micros(text), Some(seconds * 1_000_000), "{text:?}");
        }
        assert_eq!(micros("55s500ms"), Some(55_500_000));
        assert_eq!(micros("1\u{b5}s 1\u{3bc}s 1.9us"), Some(3));
        assert_eq!("infinity".parse(), Ok(Span::Infinite));
    }

    #[test]
    fn what_systemd_refuses_is_refused_and_named() {
        for text in [
            "",
            " ",
            "1.",
            "1.h",
            "-1",
            "1 -1",
            "+.5",
            "1H",
            "INFINITY",
            "infinity 1",
            "1e3",
            "1..5s",
            "1.5.5s",
            "1,5s",
            "1nsec",
            "1mo",
            "584543y",
            "18446744073709551615us",
        ] {
            let error = text.parse::<Span>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("invalid time span {text:?} ")));
        }
    }

    #[test]
    fn spans_are_written_as_systemd_does() {
        for (text, written) in [
            ("90min", "1h 30min"),
            ("7d", "1w"),
            ("1.5", "1.500000s"),
            ("0.0015", "1.500ms"),
            ("61.5", "1min 1.500000s"),
            ("1y1us", "1y 1us"),
            ("0", "0"),
            ("infinity", "infinity"),
        ] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), written);
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in "\\PC*|[0-9. +a-zM\u{b5}]*|([0-9]{1,20}(\\.[0-9]{1,30})?(s|min|y|M| )?)*") {
            let _ = text.parse::<Span>();
        }

        #[test]
        fn what_is_written_reads_back_the_same(micros in 0..u64::MAX / 2) {
            let span = Span::Finite(Duration::from_micros(micros));
            prop_assert_eq!(span.to_string().parse(), Ok(span));
        }
    }

    #[test]
    fn spans_read_as_systemd_writes_them() {
        let table = [
            (0, "0"),
            (999, "999ms"),
            (12_999, "12s"),
            (60_000, "1min"),
            (5_400_000, "1h 30min"),
            (90_061_000, "1d 1h 1min 1s"),
            (2_629_800_000, "1month"),
            (31_557_600_000, "1y"),
        ];
        for (ms, written) in table {
            assert_eq!(format_span(Duration::from_millis(ms)), written);
        }
        assert_eq!(format_span(Duration::from_micros(7)), "0");
        assert!(format_span(Duration::MAX).starts_with("584542046090y"));
    }
}
