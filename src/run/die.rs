//! Dying of a signal, so that whoever waits for us sees what became of the command.
//!
//! Our own handlers stand in the way, and taking them off is not possible without `unsafe`. An exec takes
//! them off: so this process becomes a new image of itself, the hidden subcommand `__die`, which raises the signal.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal, raise};

use crate::ourselves;

/// The hidden subcommand.
pub const SUBCOMMAND: &str = "__die";

/// Dies of signal `number`; to be called last, as nothing is dropped.
///
/// Returns 128 + `number`, as a shell would say it, where that is not possible: the signal is ignored,
/// does not kill, or is a real-time signal.
pub fn of_signal(number: i32) -> ExitCode {
    // It only returns if it failed.
    let _ = Command::new(ourselves::PROGRAM)
        .arg0("upgrade-gate")
        .arg(SUBCOMMAND)
        .arg(number.to_string())
        .exec();
    as_exit_code(number)
}

/// The other side: `__die NUMBER`; none for invalid arguments.
pub fn main(mut args: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let number = args.next()?.to_str()?.parse().ok()?;
    Some(by(number))
}

/// Dies of signal `number` where nothing of ours stands in the way.
pub(super) fn by(number: i32) -> ExitCode {
    if let Ok(signal) = Signal::try_from(number) {
        kill_ourselves(signal);
    }
    as_exit_code(number)
}

fn kill_ourselves(signal: Signal) {
    // The command has left its own core dump if it wanted one. RLIMIT_CORE would not keep
    // systemd-coredump's pipe from making a second one, core(5).
    let _ = prctl::set_dumpable(false);
    let mut only = SigSet::empty();
    only.add(signal);
    let _ = only.thread_unblock();
    if signal == Signal::SIGPIPE {
        restore_default_sigpipe();
    }
    // Rust's runtime handles SIGSEGV and SIGBUS; its handler gives way to the default at the first one.
    let _ = raise(signal).and_then(|()| raise(signal));
}

/// Undoes what Rust's runtime did to SIGPIPE: `exec` sets it to the default, and leaves it so when it fails.
fn restore_default_sigpipe() {
    let _ = Command::new("").exec();
}

fn as_exit_code(number: i32) -> ExitCode {
    ExitCode::from(u8::try_from(number.saturating_add(128)).unwrap_or(u8::MAX))
}
