//! The hidden subcommand `__exec`: what stands between the fork and the command.
//!
//! `__exec PARENT default|ignored [--argv0 NAME] COMMAND [ARG…]`. It is a fresh image of ourselves because only a program that
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
    let Some(Order {
        parent,
        sigpipe,
        argv0,
        words,
    }) = parse(args)
    else {
        return ExitCode::from(64);
    };
    // Kept across exec, except by set-user-ID programs and those with file capabilities, prctl(2).
    let _ = prctl::set_pdeathsig(Signal::SIGTERM);
    if getppid().as_raw() != parent {
        // It died before we could ask to be told.
        return super::die::of_signal(15);
    }
    let error = become_command(&words, argv0, sigpipe);
    let program = words.first().map(OsString::as_os_str).unwrap_or_default();
    let _ = writeln!(io::stderr(), "upgrade-gate: {}", message(program, &error));
    ExitCode::from(if error.kind() == io::ErrorKind::NotFound {
        NOT_FOUND
    } else {
        NOT_EXECUTABLE
    })
}

const ARGV0: &str = "--argv0";

/// The words that tell the command's `argv[0]`, if it is not its path.
pub(super) fn argv0_words(argv0: Option<&OsStr>) -> impl Iterator<Item = &OsStr> {
    argv0.into_iter().flat_map(|name| [OsStr::new(ARGV0), name])
}

struct Order {
    parent: i32,
    sigpipe: Sigpipe,
    argv0: Option<OsString>,
    words: Vec<OsString>,
}

fn parse(mut args: impl Iterator<Item = OsString>) -> Option<Order> {
    let parent = args.next()?.to_str()?.parse().ok()?;
    let sigpipe = Sigpipe::from_word(args.next()?.to_str()?)?;
    let mut args = args.peekable();
    let argv0 = match args.next_if(|word| word == ARGV0) {
        Some(_) => Some(args.next()?),
        None => None,
    };
    let words: Vec<_> = args.collect();
    (!words.is_empty()).then_some(Order {
        parent,
        sigpipe,
        argv0,
        words,
    })
}

/// Rust's runtime has set SIGPIPE to be ignored: `execvp` leaves it so, std's `exec` sets the default.
fn become_command(words: &[OsString], argv0: Option<OsString>, sigpipe: Sigpipe) -> io::Error {
    let [program, args @ ..] = words else {
        return Errno::ENOENT.into();
    };
    let argv0 = argv0.unwrap_or_else(|| program.clone());
    match sigpipe {
        Sigpipe::Ignored => execvp_of(program, &argv0, args).into(),
        Sigpipe::Default => Command::new(program).arg0(argv0).args(args).exec(),
    }
}

fn execvp_of(program: &OsStr, name: &OsStr, args: &[OsString]) -> Errno {
    let string = |word: &OsStr| CString::new(word.to_owned().into_vec());
    let words = [name]
        .into_iter()
        .chain(args.iter().map(OsString::as_os_str));
    let strings: Result<Vec<_>, _> = words.map(string).collect();
    match (string(program), strings) {
        (Ok(program), Ok(strings)) => match execvp(&program, &strings) {
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

    fn parsed(args: &[&str]) -> Option<Order> {
        parse(args.iter().map(OsString::from))
    }

    #[test]
    fn the_commands_arguments_are_left_alone() {
        let order = parsed(&["42", "ignored", "sh", "--", "-c"]).unwrap();
        assert_eq!((order.parent, order.sigpipe), (42, Sigpipe::Ignored));
        assert_eq!(order.words, ["sh", "--", "-c"]);
        assert_eq!(order.argv0, None);
    }

    #[test]
    fn the_commands_own_name_may_be_another() {
        let order = parsed(&["42", "default", "--argv0", "login", "sh", "--argv0"]).unwrap();
        assert_eq!(order.argv0.unwrap(), "login");
        assert_eq!(order.words, ["sh", "--argv0"]);
    }

    #[test]
    fn anything_else_is_refused() {
        for args in [
            &[][..],
            &["42"],
            &["42", "default"],
            &["42", "default", "--argv0"],
            &["42", "default", "--argv0", "login"],
            &["x", "default", "sh"],
            &["42", "perhaps", "sh"],
        ] {
            assert!(parsed(args).is_none(), "{args:?}");
        }
    }
}
