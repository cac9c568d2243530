//! Where log lines go: straight to the journal with fields, or to standard error as plain text; never both.

mod native;

use std::env;
use std::fmt;
use std::io;
use std::os::fd::AsFd;

use nix::libc;
use nix::sys::stat::{FileStat, fstat};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer, debug_fn};
use tracing_subscriber::fmt::{FmtContext, FormattedFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;

use self::native::Native;
use super::output::JOURNAL;
use crate::text::line;

/// `MESSAGE_ID=` of a gate that is held, or held for another reason.
pub const HELD: &str = "a89b86d20b8a4a0788618d92f1707fb4";
/// `MESSAGE_ID=` of a gate that opened.
pub const OPEN: &str = "8a01de7cf12143549e7c369e1a7277f2";
/// `MESSAGE_ID=` of a wait or a run that ended without its work done.
pub const GAVE_UP: &str = "ac83cb43d4154a87bd4fb554d5210007";
/// `MESSAGE_ID=` of an attempt that a suspend or the network interrupted.
pub const INTERRUPTED: &str = "4ad7f07216134a8889d122fa2740d7a8";
/// `MESSAGE_ID=` of an attempt that ended in any other way.
pub const ATTEMPT_FINISHED: &str = "b153952116224f4b9389a54bcfe9e741";

/// Where log lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Log {
    /// To journald's own socket, with fields.
    Journal,
    /// To standard error, as plain text.
    Stderr,
}

/// What the place of log lines is decided from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct LogEnvironment {
    /// `$JOURNAL_STREAM`: device and inode, as `8:4711`.
    journal_stream: Option<String>,
    /// `$INVOCATION_ID` is set: systemd started this, or the terminal it was typed in.
    invoked: bool,
    /// Standard error's device and inode.
    stderr: Option<(u64, u64)>,
    /// Standard error is /dev/null.
    stderr_is_null: bool,
}

/// Sets up logging for the process, and says where its lines go.
///
/// Without a journal socket they go to standard error, whatever the surroundings say.
pub fn start(verbose: u8, quiet: bool) -> Log {
    let log = match destination(&surroundings()) {
        Log::Journal if JOURNAL.open().is_ok() => Log::Journal,
        _ => Log::Stderr,
    };
    JOURNAL.set_notice(native::notice);
    let all = tracing_subscriber::registry()
        .with((log == Log::Journal).then_some(Native))
        .with((log == Log::Stderr).then(plain))
        .with(levels(verbose, quiet));
    // Refused only where logging is set up already: then there is nothing to do.
    let _ = tracing::subscriber::set_global_default(all);
    log
}

/// INFO is our "a verdict changed"; libraries are heard from the second `--verbose` on.
fn levels(verbose: u8, quiet: bool) -> Targets {
    let (ours, others) = match (quiet, verbose) {
        (true, _) => (LevelFilter::WARN, LevelFilter::OFF),
        (false, 0) => (LevelFilter::INFO, LevelFilter::OFF),
        (false, 1) => (LevelFilter::DEBUG, LevelFilter::WARN),
        (false, _) => (LevelFilter::TRACE, LevelFilter::DEBUG),
    };
    Targets::new()
        .with_target("upgrade_gate", ours)
        .with_default(others)
}

fn plain<S>() -> impl tracing_subscriber::Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    tracing_subscriber::fmt::layer()
        .fmt_fields(debug_fn(|writer, field, value| match field.name() {
            "message" => write!(writer, "{value:?}"),
            name if is_for_the_journal(name) => Ok(()),
            name => write!(writer, " {name}={value:?}"),
        }))
        .event_format(Plain)
        .with_writer(super::live::StderrLines::default)
}

/// These repeat in machine's words what the message says.
fn is_for_the_journal(field: &str) -> bool {
    field == "message_id" || field.starts_with("upgrade_gate_")
}

/// `upgrade-gate: warning: the message`: no time, which journald and people's own clocks have.
struct Plain;

impl<S, N> FormatEvent<S, N> for Plain
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let level = match *event.metadata().level() {
            Level::ERROR => "error: ",
            Level::WARN => "warning: ",
            _ => "",
        };
        let mut text = FormattedFields::<N>::new(String::new());
        ctx.field_format().format_fields(text.as_writer(), event)?;
        let text = line::one_line(&text.fields);
        writeln!(writer, "upgrade-gate: {level}{text}")
    }
}

/// systemd sets `$JOURNAL_STREAM` for exactly this comparison (systemd.exec(5)); terminals inherit it, so it
/// alone says nothing. Standard error is /dev/null where a unit silences its command (fwupd-refresh).
fn destination(here: &LogEnvironment) -> Log {
    let named = here.journal_stream.as_deref().and_then(device_and_inode);
    let is_stream = named.is_some() && named == here.stderr;
    let silenced = here.invoked && here.stderr_is_null;
    if is_stream || silenced {
        Log::Journal
    } else {
        Log::Stderr
    }
}

fn device_and_inode(text: &str) -> Option<(u64, u64)> {
    let (device, inode) = text.split_once(':')?;
    Some((device.parse().ok()?, inode.parse().ok()?))
}

fn surroundings() -> LogEnvironment {
    let stderr = fstat(io::stderr().as_fd()).ok();
    LogEnvironment {
        journal_stream: env::var("JOURNAL_STREAM").ok(),
        invoked: env::var_os("INVOCATION_ID").is_some(),
        stderr: stderr.map(|stat| (stat.st_dev, stat.st_ino)),
        stderr_is_null: stderr.is_some_and(|stat| is_dev_null(&stat)),
    }
}

/// The kernel's character device 1:3, by whatever name.
fn is_dev_null(stat: &FileStat) -> bool {
    let character = stat.st_mode & libc::S_IFMT == libc::S_IFCHR;
    character && stat.st_rdev == libc::makedev(1, 3)
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    fn here(stream: Option<&str>, stderr: (u64, u64)) -> LogEnvironment {
        LogEnvironment {
            journal_stream: stream.map(ToOwned::to_owned),
            invoked: true,
            stderr: Some(stderr),
            stderr_is_null: false,
        }
    }

    #[test]
    fn the_journal_is_written_to_only_where_stderr_is_its_stream() {
        let table = [
            (Some("8:4711"), (8, 4711), Log::Journal),
            (Some("8:4711"), (8, 4712), Log::Stderr),
            (Some("8:4711"), (9, 4711), Log::Stderr),
            (Some("nonsense"), (0, 0), Log::Stderr),
            (Some("8:"), (8, 0), Log::Stderr),
            (None, (8, 4711), Log::Stderr),
        ];
        for (stream, stderr, expected) in table {
            assert_eq!(destination(&here(stream, stderr)), expected, "{stream:?}");
        }
    }

    #[test]
    fn a_stderr_that_cannot_be_looked_at_is_not_the_stream() {
        let closed = LogEnvironment {
            stderr: None,
            ..here(Some("nonsense"), (0, 0))
        };
        assert_eq!(destination(&closed), Log::Stderr);
    }

    #[test]
    fn a_silenced_unit_still_speaks_to_the_journal_but_a_silenced_shell_does_not() {
        let mut silenced = here(None, (5, 6));
        silenced.stderr_is_null = true;
        assert_eq!(destination(&silenced), Log::Journal);
        silenced.invoked = false;
        assert_eq!(destination(&silenced), Log::Stderr);
    }

    #[test]
    fn dev_null_is_known_by_its_number() {
        let null = fstat(File::open("/dev/null").expect("/dev/null")).expect("stat");
        let zero = fstat(File::open("/dev/zero").expect("/dev/zero")).expect("stat");
        assert!(is_dev_null(&null));
        assert!(!is_dev_null(&zero));
    }

    #[test]
    fn the_machine_s_words_stay_out_of_plain_text() {
        assert!(is_for_the_journal("message_id"));
        assert!(is_for_the_journal("upgrade_gate_reason"));
        assert!(!is_for_the_journal("path"));
    }
}
