//! The hidden subcommand `__exec`: what stands between the fork and the command.
//!
//! `__exec PARENT default|ignored NAME COMMAND [ARG…]`, where NAME is the command's `argv[0]`: every word has its place, so
//! that no command is taken for an option. It is a fresh image of ourselves because only a program that runs between fork and
//! exec can ask for PDEATHSIG, and running code there takes `unsafe` otherwise.

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{execvp, getppid};

use crate::report::{journal, output};
use crate::sys::limits;

/// The hidden subcommand.
pub const SUBCOMMAND: &str = "__exec";

/// sh(1): a command that was found and cannot be executed.
const NOT_EXECUTABLE: u8 = 126;
/// sh(1): a command that was not found.
const NOT_FOUND: u8 = 127;

/// What the command is to find of SIGPIPE.
///
/// Rust's runtime ignores SIGPIPE before `main`, and what stood there before is lost. A shell leaves it at the
/// default; systemd ignores it (`IgnoreSIGPIPE=yes`, the default), and so do, in turn, the scripts it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sigpipe {
    /// It kills.
    Default,
    /// It is ignored.
    Ignored,
}

impl Sigpipe {
    /// What a process found at its start: ignored if it, or the script that started it, is the process that
    /// systemd executed (`$SYSTEMD_EXEC_PID`, systemd ≥ 248). `IgnoreSIGPIPE=no` cannot be seen.
    pub fn found_at_start(exec_pid: Option<&OsStr>, process: u32, parent: u32) -> Self {
        let executed: Option<u32> = exec_pid.and_then(|pid| pid.to_str()?.parse().ok());
        match executed {
            Some(pid) if pid == process || pid == parent => Self::Ignored,
            _ => Self::Default,
        }
    }

    /// What this very process found.
    pub fn of_process() -> Self {
        let exec_pid = std::env::var_os("SYSTEMD_EXEC_PID");
        Self::found_at_start(
            exec_pid.as_deref(),
            std::process::id(),
            std::os::unix::process::parent_id(),
        )
    }

    fn from_word(word: &str) -> Option<Self> {
        [Self::Default, Self::Ignored]
            .into_iter()
            .find(|it| it.word() == word)
    }

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Ignored => "ignored",
        }
    }
}

/// Becomes the command; returns only if that fails, with a shell's exit codes and a message like a shell's. None for
/// invalid arguments.
pub fn main(args: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let order = parse(args)?;
    // Kept across exec, except by set-user-ID programs and those with file capabilities, prctl(2).
    let _ = prctl::set_pdeathsig(Signal::SIGTERM);
    if getppid().as_raw() != order.parent {
        // It died before we could ask to be told.
        return Some(super::die::of_signal(Signal::SIGTERM as i32));
    }
    let error = become_command(&order);
    journal::start(0, false);
    tracing::error!("{}", message(&order.program, &error));
    output::flush();
    Some(ExitCode::from(match error.kind() {
        io::ErrorKind::NotFound => NOT_FOUND,
        _ => NOT_EXECUTABLE,
    }))
}

struct ExecRequest {
    parent: i32,
    sigpipe: Sigpipe,
    argv0: OsString,
    program: OsString,
    args: Vec<OsString>,
}

fn parse(mut args: impl Iterator<Item = OsString>) -> Option<ExecRequest> {
    let parent = args.next()?.to_str()?.parse().ok()?;
    let sigpipe = Sigpipe::from_word(args.next()?.to_str()?)?;
    Some(ExecRequest {
        parent,
        sigpipe,
        argv0: args.next()?,
        program: args.next()?,
        args: args.collect(),
    })
}

/// Rust's runtime has set SIGPIPE to be ignored: `execvp` leaves it so, std's `exec` sets the default.
fn become_command(order: &ExecRequest) -> io::Error {
    let (program, argv0, args) = (&order.program, &order.argv0, &order.args);
    match order.sigpipe {
        Sigpipe::Ignored => execvp_of(program, argv0, args).into(),
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
            format!("cannot execute {name}: no such file, or its interpreter is missing")
        }
        io::ErrorKind::NotFound => format!("cannot execute {name}: not found in $PATH"),
        io::ErrorKind::PermissionDenied => {
            format!("cannot execute {name}: permission denied; is it an executable file?")
        }
        _ => format!("cannot execute {name}: {}", limits::refusal(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str]) -> Option<ExecRequest> {
        parse(args.iter().map(OsString::from))
    }

    #[test]
    fn a_command_may_be_named_like_any_option_of_ours() {
        for name in ["--argv0", "--", "-h", "__die", "ignored"] {
            let order = parsed(&["42", "ignored", name, name, "--", "-c"]).unwrap();
            assert_eq!((order.parent, order.sigpipe), (42, Sigpipe::Ignored));
            assert_eq!(order.argv0, name);
            assert_eq!(order.program, name);
            assert_eq!(order.args, ["--", "-c"]);
        }
    }

    #[test]
    fn the_commands_own_name_may_be_another() {
        let order = parsed(&["42", "default", "login", "sh", "--argv0"]).unwrap();
        assert_eq!(order.argv0, "login");
        assert_eq!(
            (&*order.program, &*order.args),
            (OsStr::new("sh"), &["--argv0".into()][..])
        );
    }

    #[test]
    fn anything_else_is_refused() {
        for args in [
            &[][..],
            &["42"],
            &["42", "default"],
            &["42", "default", "login"],
            &["x", "default", "sh", "sh"],
            &["42", "perhaps", "sh", "sh"],
        ] {
            assert!(parsed(args).is_none(), "{args:?}");
        }
    }

    #[test]
    fn sigpipe_is_ignored_below_systemd_and_at_its_default_below_a_shell() {
        let found = |exec_pid: &str| Sigpipe::found_at_start(Some(OsStr::new(exec_pid)), 20, 10);
        assert_eq!(found("20"), Sigpipe::Ignored, "the unit's process");
        assert_eq!(
            found("10"),
            Sigpipe::Ignored,
            "started by the unit's script"
        );
        assert_eq!(found("5"), Sigpipe::Default, "a terminal below a unit");
        assert_eq!(found("x"), Sigpipe::Default);
        assert_eq!(Sigpipe::found_at_start(None, 20, 10), Sigpipe::Default);
    }
}
