//! The signals that are passed on to the command: which of them are ours to take, and when they come.

use std::fs;
use std::io;
use std::sync::Arc;
use std::task::Poll;

use nix::sys::signal::Signal;
use nix::unistd::{Pid, getpgid, getpgrp, tcgetpgrp};
use tokio::signal::unix::{self, SignalKind};

const TAKEN: [Signal; 4] = [
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
];

/// The signals that were ignored when this process started, as by nohup(1) or a shell's `&`.
///
/// They stay ignored, for us and so for the command: a handler of ours would be reset to the default in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IgnoredSignals(u64);

impl IgnoredSignals {
    /// What is ignored now; to be read before any handler is installed. Without /proc nothing is known to be.
    pub fn read() -> Self {
        fs::read_to_string("/proc/self/status").map_or(Self(0), |status| Self::parse(&status))
    }

    /// `proc_pid_status(5)`: `SigIgn:` is a mask in hexadecimal, the lowest bit is signal 1.
    pub fn parse(status: &str) -> Self {
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        Self(
            mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
                .unwrap_or(0),
        )
    }

    fn contains(self, signal: Signal) -> bool {
        self.0 & (1 << (signal as i32 - 1)) != 0
    }
}

/// Makes a write beyond `RLIMIT_FSIZE` an error, and not our end by SIGXFSZ.
///
/// By a handler: what we start finds the default again, as it would not if the signal were ignored.
pub fn outlive_file_size(ignored: IgnoredSignals) {
    if !ignored.contains(Signal::SIGXFSZ) {
        // Without the handler it is as it was.
        let _ = signal_hook::flag::register(Signal::SIGXFSZ as i32, Arc::default());
    }
}

/// SIGTERM, SIGHUP, SIGINT and SIGQUIT as they come, but for those that were ignored at our start.
#[derive(Debug)]
pub struct Signals {
    taken: Vec<(Signal, unix::Signal)>,
    /// While SIGCHLD is ignored the kernel waits for our children in our place and their endings are lost.
    _child: Option<unix::Signal>,
}

impl Signals {
    /// Takes the signals: from now on they no longer kill us.
    pub fn install(ignored: IgnoredSignals) -> io::Result<Self> {
        let wanted = TAKEN
            .into_iter()
            .filter(|signal| !ignored.contains(*signal));
        let taken =
            wanted.map(|signal| Ok((signal, unix::signal(SignalKind::from_raw(signal as i32))?)));
        let child = ignored
            .contains(Signal::SIGCHLD)
            .then(|| unix::signal(SignalKind::child()));
        Ok(Self {
            taken: taken.collect::<io::Result<_>>()?,
            _child: child.transpose()?,
        })
    }

    /// Waits for the next of them. Cancel-safe; several of one kind may arrive as one.
    pub async fn next(&mut self) -> Signal {
        std::future::poll_fn(|context| {
            for (signal, arrivals) in &mut self.taken {
                if arrivals.poll_recv(context).is_ready() {
                    return Poll::Ready(*signal);
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// Whether a signal that we got was sent by the terminal, and so to the command `child` as well.
///
/// The sender cannot be seen, so it is judged by what a terminal would do: SIGINT and SIGQUIT go to its
/// foreground process group. (`kill -INT` from elsewhere, meanwhile, is then not passed on.)
pub(super) fn terminal_sent_it_to_both(signal: Signal, child: Pid) -> bool {
    matches!(signal, Signal::SIGINT | Signal::SIGQUIT)
        && all_in_foreground(foreground(), getpgrp(), getpgid(Some(child)).ok())
}

/// The foreground process group of our controlling terminal, wherever stdin and stderr may go.
fn foreground() -> Option<Pid> {
    let terminal = fs::File::open("/dev/tty").ok()?;
    tcgetpgrp(&terminal).ok()
}

fn all_in_foreground(foreground: Option<Pid>, ours: Pid, childs: Option<Pid>) -> bool {
    foreground == Some(ours) && childs == Some(ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ignored_signals_are_read_from_the_kernels_mask() {
        let ignored = IgnoredSignals::parse(
            "Name:\tx\nSigBlk:\tffff\nSigIgn:\t0000000000001001\nSigCgt:\t0\n",
        );
        assert!(ignored.contains(Signal::SIGHUP));
        assert!(ignored.contains(Signal::SIGPIPE));
        assert!(!ignored.contains(Signal::SIGTERM));
    }

    #[test]
    fn a_status_without_the_mask_ignores_nothing() {
        for text in [
            "",
            "SigIgn:",
            "SigIgn:\tnonsense",
            "SigIgn:\t10000000000000000",
        ] {
            assert_eq!(IgnoredSignals::parse(text), IgnoredSignals(0), "{text:?}");
        }
    }

    #[test]
    fn rusts_runtime_is_seen_to_ignore_sigpipe() {
        assert!(IgnoredSignals::read().contains(Signal::SIGPIPE));
    }

    #[test]
    fn the_terminal_reaches_the_command_only_in_the_common_foreground_group() {
        let (ours, other) = (Pid::from_raw(10), Pid::from_raw(11));
        assert!(all_in_foreground(Some(ours), ours, Some(ours)));
        assert!(!all_in_foreground(None, ours, Some(ours)), "no terminal");
        assert!(
            !all_in_foreground(Some(other), ours, Some(ours)),
            "in the background"
        );
        assert!(
            !all_in_foreground(Some(ours), ours, Some(other)),
            "a group of its own"
        );
        assert!(!all_in_foreground(Some(ours), ours, None), "already gone");
    }

    #[tokio::test]
    async fn a_signal_that_was_ignored_at_the_start_is_left_alone() {
        let all = IgnoredSignals(!(1 << (Signal::SIGCHLD as i32 - 1)));
        let signals = Signals::install(all).unwrap();
        assert!(signals.taken.is_empty());
    }

    #[tokio::test]
    async fn a_signal_that_is_taken_is_told() {
        // Only SIGHUP: its handler stays, and the others shall still be able to end the tests.
        let all_but_hup = IgnoredSignals(!1);
        let mut signals = Signals::install(all_but_hup).unwrap();
        nix::sys::signal::raise(Signal::SIGHUP).unwrap();
        assert_eq!(signals.next().await, Signal::SIGHUP);
    }
}
