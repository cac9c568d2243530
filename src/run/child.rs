//! The hidden subcommand `__exec`: what stands between the fork and the command.
//!
//! `__exec PARENT default|ignored COMMAND [ARG…]`. It is a fresh image of ourselves because only a program that
//! runs between fork and exec can ask for PDEATHSIG, and running code there takes `unsafe` otherwise.

use std::ffi::{CString, OsStr, OsString};
use std::io::{self, Write};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{execvp, getppid};

use super::command::Sigpipe;

/// The hidden subcommand.
pub const SUBCOMMAND: &str = "__exec";

/// sh(1): a command that was found and cannot be executed.
const NOT_EXECUTABLE: u8 = 126;
/// sh(1): a command that was not found.
const NOT_FOUND: u8 = 127;

/// Becomes the command; returns only if that fails, with a shell's exit codes and a message like a shell's.
pub fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    let Some((parent, sigpipe, words)) = parse(args) else {
        return ExitCode::from(64);
    };
    // Kept across exec, except by set-user-ID programs and those with file capabilities, prctl(2).
    let _ = prctl::set_pdeathsig(Signal::SIGTERM);
    if getppid().as_raw() != parent {
        // It died before we could ask to be told.
        return super::die::main(std::iter::once("15".into()));
    }
    let error = become_command(&words, sigpipe);
    let program = words.first().map(OsString::as_os_str).unwrap_or_default();
    let _ = writeln!(io::stderr(), "upgrade-gate: {}", message(program, &error));
    ExitCode::from(if error.kind() == io::ErrorKind::NotFound {
        NOT_FOUND
    } else {
        NOT_EXECUTABLE
    })
}

fn parse(mut args: impl Iterator<Item = OsString>) -> Option<(i32, Sigpipe, Vec<OsString>)> {
    let parent = args.next()?.to_str()?.parse().ok()?;
    let sigpipe = Sigpipe::from_word(args.next()?.to_str()?)?;
    let words: Vec<_> = args.collect();
    (!words.is_empty()).then_some((parent, sigpipe, words))
}

/// Rust's runtime has set SIGPIPE to be ignored: `execvp` leaves it so, std's `exec` sets the default.
fn become_command(words: &[OsString], sigpipe: Sigpipe) -> io::Error {
    match (sigpipe, words) {
        (Sigpipe::Ignored, _) => execvp_of(words).into(),
        (Sigpipe::Default, [program, args @ ..]) => Command::new(program).args(args).exec(),
        (Sigpipe::Default, []) => Errno::ENOENT.into(),
    }
}

fn execvp_of(words: &[OsString]) -> Errno {
    let strings: Result<Vec<_>, _> = words
        .iter()
        .map(|arg| CString::new(arg.clone().into_vec()))
        .collect();
    match strings.as_deref() {
        Ok([program, ..]) => match execvp(program, strings.as_deref().unwrap_or_default()) {
            Ok(never) => match never {},
            Err(errno) => errno,
        },
        _ => Errno::EINVAL,
    }
}

fn message(program: &OsStr, error: &io::Error) -> String {
    let name = program.display();
    match error.kind() {
        io::ErrorKind::NotFound if program.as_encoded_bytes().contains(&b'/') => {
            format!("{name}: no such file, or its interpreter is missing")
        }
        io::ErrorKind::NotFound => format!("{name}: command not found in $PATH"),
        io::ErrorKind::PermissionDenied => {
            format!("{name}: permission denied: is it an executable file?")
        }
        _ => format!("{name}: cannot be executed: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str]) -> Option<(i32, Sigpipe, Vec<OsString>)> {
        parse(args.iter().map(OsString::from))
    }

    #[test]
    fn the_commands_arguments_are_left_alone() {
        let (parent, sigpipe, words) = parsed(&["42", "ignored", "sh", "--", "-c"]).unwrap();
        assert_eq!((parent, sigpipe), (42, Sigpipe::Ignored));
        assert_eq!(words, ["sh", "--", "-c"]);
    }

    #[test]
    fn anything_else_is_refused() {
        for args in [
            &[][..],
            &["42"],
            &["42", "default"],
            &["x", "default", "sh"],
            &["42", "perhaps", "sh"],
        ] {
            assert!(parsed(args).is_none(), "{args:?}");
        }
    }
}
