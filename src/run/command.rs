//! The running command: started as if directly, waited for, and ended if it must be.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

use super::child::{self, Sigpipe};
use super::directories;
use super::judge::CommandExit;
use super::signals;
use crate::gate::time::Monotonic;
use crate::sys::clock;
use crate::sys::ourselves;

/// How long the command may take to end after [`Running::terminate`]: systemd's `DefaultTimeoutStopSec=`.
const KILL_AFTER: Duration = Duration::from_secs(90);

/// How commands are started.
#[derive(Clone, Debug)]
pub struct Launcher {
    /// The program that knows `__exec`.
    pub ourselves: PathBuf,
    /// What the command is to find of SIGPIPE.
    pub sigpipe: Sigpipe,
    /// What the command is to find as `argv[0]`, if not its path.
    pub argv0: Option<OsString>,
}

/// The command could not even be tried: there is no starting ourselves. A command that is missing is no such
/// error, but an ending with 127.
#[derive(Debug, thiserror::Error)]
#[error("cannot start the command: {0}")]
pub struct StartError(String);

/// A command that runs. Dropped before its end, it gets SIGTERM.
#[derive(Debug)]
pub struct Running {
    child: Child,
    pid: Option<Pid>,
    kill_at: Option<Monotonic>,
}

impl Launcher {
    /// As this process was started itself.
    pub fn of_process() -> Self {
        Self {
            ourselves: ourselves::PROGRAM.into(),
            sigpipe: Sigpipe::of_process(),
            argv0: None,
        }
    }

    /// The same, for a command that is to find this as `argv[0]`.
    #[must_use]
    pub fn named(&self, argv0: Option<OsString>) -> Self {
        Self {
            argv0,
            ..self.clone()
        }
    }

    /// Starts `argv` with our terminal, stdin, environment, process group, and ignored and blocked signals.
    ///
    /// To be called within tokio's runtime, by the thread that lives as long as the process: the command gets
    /// SIGTERM when that thread ends. What the command has started in turn does not: under systemd the control
    /// group takes care of it. Variables that name the main process (`LISTEN_PID`) keep naming us.
    pub fn start(&self, argv: &[OsString]) -> Result<Running, StartError> {
        let mut command = Command::new(&self.ourselves);
        hide_our_directories(&mut command);
        let child = command
            .arg0("upgrade-gate")
            .arg(child::SUBCOMMAND)
            .arg(std::process::id().to_string())
            .arg(self.sigpipe.word())
            .args(self.argv0.as_ref().or(argv.first()))
            .args(argv)
            .spawn()
            .map_err(|error| StartError(ourselves::why_not(&self.ourselves, &error)))?;
        let pid = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .map(Pid::from_raw);
        Ok(Running {
            child,
            pid,
            kill_at: None,
        })
    }
}

fn hide_our_directories(command: &mut Command) {
    for name in directories::VARIABLES {
        let Some(list) = std::env::var_os(name) else {
            continue;
        };
        match directories::of_command(&list) {
            theirs if theirs == list => continue,
            theirs if theirs.is_empty() => command.env_remove(name),
            theirs => command.env(name, theirs),
        };
    }
}

impl Running {
    /// Waits for the command to end. Cancel-safe: may be dropped and called again.
    pub async fn ending(&mut self) -> io::Result<CommandExit> {
        if let Some(deadline) = self.kill_at {
            tokio::select! {
                biased;
                ended = self.child.wait() => return self.ended(ended),
                () = clock::sleep_until(deadline) => self.send(Signal::SIGKILL),
            }
            self.kill_at = None;
        }
        let ended = self.child.wait().await;
        self.ended(ended)
    }

    /// Asks the command to end with SIGTERM; [`Self::ending`] sends SIGKILL if it has not after 90 s of awake time.
    pub fn terminate(&mut self) {
        self.send(Signal::SIGTERM);
        self.kill_at = Some(clock::now().monotonic.after(KILL_AFTER));
    }

    /// Passes on a signal that we got, unless the terminal has sent it to the command already.
    pub fn pass_on(&self, signal: Signal) {
        let delivered = self
            .pid
            .is_some_and(|pid| signals::terminal_sent_it_to_both(signal, pid));
        if !delivered {
            self.send(signal);
        }
    }

    fn send(&self, signal: Signal) {
        // The process id is ours until it is waited for, and then it is forgotten: it cannot be another's.
        if let Some(Err(error)) = self.pid.map(|pid| kill(pid, signal)) {
            tracing::warn!("cannot send {signal} to the command: {error}");
        }
    }

    fn ended(&mut self, ended: io::Result<ExitStatus>) -> io::Result<CommandExit> {
        self.pid = None;
        ended.map(ending_of)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.send(Signal::SIGTERM);
    }
}

fn ending_of(status: ExitStatus) -> CommandExit {
    match (status.code(), status.signal()) {
        (_, Some(signal)) => CommandExit::Killed(signal),
        // wait(2) hands out eight bits.
        (code, None) => CommandExit::Exited(
            code.and_then(|code| u8::try_from(code).ok())
                .unwrap_or(u8::MAX),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_a_code_or_a_signal() {
        assert_eq!(
            ending_of(ExitStatus::from_raw(4 << 8)),
            CommandExit::Exited(4)
        );
        assert_eq!(ending_of(ExitStatus::from_raw(15)), CommandExit::Killed(15));
        assert_eq!(
            ending_of(ExitStatus::from_raw(0x80 + 11)),
            CommandExit::Killed(11),
            "with a core dump"
        );
    }
}
