//! Dying of a signal, so that whoever waits for us sees what became of the command.

use std::process::ExitCode;

use nix::sys::prctl;
use nix::sys::signal::{Signal, raise};
use nix::unistd::getpid;
use signal_hook::low_level::emulate_default_handler;

/// Dies of signal `number`; to be called last, as nothing is dropped.
///
/// Returns 128 + `number`, as a shell would say it, where that is not possible: it does not kill, is a real-time
/// signal, or we are the init of a container, which no signal of its own kills.
pub fn of_signal(number: i32) -> ExitCode {
    let signal = Signal::try_from(number).ok();
    if let Some(signal) = signal.filter(|signal| kills(*signal) && getpid().as_raw() != 1) {
        // The command has left its own core dump if it wanted one. RLIMIT_CORE would not keep
        // systemd-coredump's pipe from making a second one, core(5).
        let _ = prctl::set_dumpable(false);
        let _ = emulate_default_handler(number);
        // Those that the crate's table lacks have no handler to be removed.
        let _ = raise(signal);
    }
    ExitCode::from(u8::try_from(number.saturating_add(128)).unwrap_or(u8::MAX))
}

/// signal(7): the default of all others is to stop or to be ignored.
fn kills(signal: Signal) -> bool {
    !matches!(
        signal,
        Signal::SIGCHLD
            | Signal::SIGCONT
            | Signal::SIGSTOP
            | Signal::SIGTSTP
            | Signal::SIGTTIN
            | Signal::SIGTTOU
            | Signal::SIGURG
            | Signal::SIGWINCH
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_that_cannot_kill_becomes_a_shells_exit_code() {
        for (signal, code) in [(17, 145), (19, 147), (34, 162), (64, 192), (i32::MAX, 255)] {
            let expected = format!("{:?}", ExitCode::from(code));
            assert_eq!(format!("{:?}", of_signal(signal)), expected, "{signal}");
        }
    }
}
