//! Log lines as journald's own socket takes them (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL>), without ever waiting for it.

use std::fmt::{Debug, Write as _};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::report::output::JOURNAL;

/// Longer values are cut: a datagram has to fit the socket's buffer, and journald cuts lines of text there, too.
const LONGEST: usize = 48 * 1024;

/// Sends each event as one entry.
#[derive(Debug)]
pub(super) struct Native;

impl<S: Subscriber> Layer<S> for Native {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut entry = JournalEntry::new(event.metadata());
        event.record(&mut entry);
        // A journal that is gone has nobody to tell.
        let _ = JOURNAL.say(entry.0);
    }
}

/// The entry that says how many were dropped while the journal was not read.
pub(super) fn notice(lost: u64) -> Vec<u8> {
    let mut entry = JournalEntry::of_level(Level::WARN);
    entry.put("MESSAGE", &crate::report::output::lost_lines(lost));
    entry.0
}

/// One entry: field after field.
struct JournalEntry(Vec<u8>);

impl JournalEntry {
    fn new(metadata: &Metadata<'_>) -> Self {
        let mut entry = Self::of_level(*metadata.level());
        entry.put("TARGET", metadata.target());
        if let Some(file) = metadata.file() {
            entry.put("CODE_FILE", file);
        }
        if let Some(line) = metadata.line() {
            entry.put("CODE_LINE", &line.to_string());
        }
        entry
    }

    fn of_level(level: Level) -> Self {
        let mut entry = Self(Vec::with_capacity(256));
        entry.put("PRIORITY", priority(level));
        entry.put("SYSLOG_IDENTIFIER", "upgrade-gate");
        entry
    }

    /// With the length in front: a value may have lines.
    fn put(&mut self, name: &str, value: &str) {
        let value = cut(value);
        let letters = name.bytes().map(|byte| match byte {
            b'.' => b'_',
            byte => byte.to_ascii_uppercase(),
        });
        // journald ignores names that begin with one, unless they are its own.
        self.0.extend(letters.skip_while(|byte| *byte == b'_'));
        self.0.push(b'\n');
        self.0.extend((value.len() as u64).to_le_bytes());
        self.0.extend(value.as_bytes());
        self.0.push(b'\n');
    }
}

/// As much as fits, whole letters.
fn cut(value: &str) -> &str {
    let mut ends = (0..=LONGEST.min(value.len())).rev();
    let end = ends.find(|end| value.is_char_boundary(*end));
    &value[..end.unwrap_or_default()]
}

impl Visit for JournalEntry {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = write!(text, "{value:?}");
        self.put(field.name(), &text);
    }
}

/// syslog(3): our INFO is not a notice, and nothing is less than debug.
fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "3",
        Level::WARN => "4",
        Level::INFO => "6",
        _ => "7",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_told_with_its_length_and_may_have_lines() {
        let mut entry = JournalEntry(Vec::new());
        entry.put("message", "a\nb");
        assert_eq!(entry.0, b"MESSAGE\n\x03\0\0\0\0\0\0\0a\nb\n");
    }

    #[test]
    fn a_name_that_journald_would_ignore_is_made_one_that_it_takes() {
        let mut entry = JournalEntry(Vec::new());
        entry.put("__log.line", "");
        assert!(entry.0.starts_with(b"LOG_LINE\n"));
    }

    #[test]
    fn a_value_that_would_not_fit_is_cut_between_two_letters() {
        let mut entry = JournalEntry(Vec::new());
        entry.put("message", &format!("a{}", "ü".repeat(LONGEST)));
        assert_eq!(entry.0.len(), "MESSAGE\n".len() + 8 + LONGEST - 1 + 1);
    }
}
