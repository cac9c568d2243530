//! The line on a terminal that says what is waited for, rewritten in place.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use terminal_size::{Width, terminal_size_of};

use super::output::STDERR;

/// Back to the start of the line, and clear it.
const CLEAR: &str = "\r\x1b[K";
/// Where the terminal does not say how wide it is.
const USUAL_WIDTH: usize = 80;

/// Whether standard error can show a line that is rewritten in place.
pub fn is_possible() -> bool {
    let dumb = env::var_os("TERM").is_none_or(|term| term == "dumb");
    io::stderr().is_terminal() && !dumb
}

/// The live line; without a terminal it does nothing and has no timer.
#[derive(Debug)]
pub struct Live {
    possible: bool,
    shown: bool,
}

impl Live {
    /// A live line that shows nothing yet.
    pub fn new(possible: bool) -> Self {
        Self {
            possible,
            shown: false,
        }
    }

    /// Whether it can be shown at all.
    pub fn is_possible(&self) -> bool {
        self.possible
    }

    /// Shows `text` in place of what was shown.
    pub fn show(&mut self, text: &str) {
        if self.possible {
            self.shown = true;
            STDERR.say_now_or_never(format!("{CLEAR}{}", fitted(text, width())));
        }
    }

    /// Takes the line away, for what comes after it.
    pub fn clear(&mut self) {
        if self.shown {
            self.shown = false;
            STDERR.say_now_or_never(CLEAR);
        }
    }

    /// When the line is to be drawn again; `None` where there is none.
    pub fn tick(&self) -> Option<Duration> {
        self.possible.then_some(Duration::from_secs(1))
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.clear();
    }
}

/// The text cut to fit, since a line that wraps can no longer be rewritten. The last column stays free.
fn fitted(text: &str, width: usize) -> String {
    let room = width.saturating_sub(1);
    if text.chars().count() <= room {
        return text.to_owned();
    }
    let kept = text.chars().take(room.saturating_sub(1));
    kept.chain(['…']).take(room).collect()
}

fn width() -> usize {
    match terminal_size_of(io::stderr()) {
        Some((Width(columns), _)) if columns > 0 => columns.into(),
        _ => USUAL_WIDTH,
    }
}

/// Standard error for log lines: on a terminal each begins where the live line stood.
#[derive(Debug)]
pub struct StderrLines {
    possible: bool,
}

impl Default for StderrLines {
    fn default() -> Self {
        Self {
            possible: is_possible(),
        }
    }
}

impl Write for StderrLines {
    /// Always said to succeed: whoever is told of a failure would complain of it, on standard error.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let clear = if self.possible { CLEAR } else { "" };
        let _ = STDERR.say([clear.as_bytes(), line].concat());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_to_leave_the_last_column_free() {
        assert_eq!(fitted("held", 5), "held");
        assert_eq!(fitted("held: dns", 6), "held…");
        assert_eq!(fitted("wärmer", 6), "wärm…");
        assert_eq!(fitted("held", 1), "");
        assert_eq!(fitted("held", 2), "…");
        assert_eq!(fitted("held", 0), "");
    }

    #[test]
    fn without_a_terminal_nothing_is_shown_and_nothing_ticks() {
        let mut live = Live::new(false);
        live.show("held");
        assert_eq!(live.tick(), None);
    }

    #[test]
    fn only_a_terminal_makes_it_tick() {
        assert_eq!(Live::new(true).tick(), Some(Duration::from_secs(1)));
        assert_eq!(Live::new(false).tick(), None);
    }
}
