//! How an attempt to start a service ends, and what systemd then does: restart it, call it failed, start its
//! `OnFailure=` units (systemd.service(5), `Restart=`; `service_sigchld_event` and `service_shall_restart` in
//! systemd's src/core/service.c).

use std::fmt;

use super::unit::{Exec, ExitStatuses, Restart, RestartMode, Service, ServiceType};
use super::version::Version;

const SIGTERM: u8 = 15;

/// Which of the commands of a start it is that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExecPhase {
    /// `ExecCondition=`.
    Condition,
    /// `ExecStartPre=`.
    StartPre,
    /// `ExecStart=`.
    Start,
}

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessExit {
    /// It exits with this code.
    Code(u8),
    /// It is still running at its timeout, and dies of the SIGTERM it then gets.
    Timeout,
}

/// `Result`, as the property of a service names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceResult {
    /// `success`.
    Success,
    /// `protocol`: it ended before it said that it is ready.
    Protocol,
    /// `timeout`.
    Timeout,
    /// `exit-code`.
    ExitCode,
    /// `exec-condition`: skipped.
    ExecCondition,
}

impl ServiceResult {
    /// As systemd writes it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Protocol => "protocol",
            Self::Timeout => "timeout",
            Self::ExitCode => "exit-code",
            Self::ExecCondition => "exec-condition",
        }
    }
}

/// What follows an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterAttempt {
    /// An automatic restart, after the delay.
    Restart,
    /// None, for this reason.
    Stop(Why),
    /// The failure counts as success, and the commands after it are run: `SuccessExitStatus=` and `-` hold for
    /// `ExecCondition=` and `ExecStartPre=` too.
    GoesOn,
}

/// Why there is no automatic restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// `Restart=` does not ask for it after this result.
    Setting(ServiceResult),
    /// `RestartPreventExitStatus=` forbids it.
    Prevented,
    /// `ExecCondition=` skipped the unit, after which nothing restarts it, not even `Restart=always`.
    Skipped,
    /// Neither systemd's loading nor the unit's type lets it start: masked, not found, refused, no service.
    NotStartable,
    /// The failure counts as success, and what is started then is not gated by it.
    GoesOn,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setting(result) => {
                write!(f, "Restart= asks for none after {}", result.label())
            }
            Self::Prevented => f.write_str("RestartPreventExitStatus= forbids it"),
            Self::Skipped => f.write_str("ExecCondition= skipped the unit"),
            Self::NotStartable => f.write_str("systemd has no such service to start"),
            Self::GoesOn => f.write_str("the failure counts as success, and the start goes on"),
        }
    }
}

/// The result of an attempt in which a command of this phase ends so.
pub fn result(service: &Service, phase: ExecPhase, exit: ProcessExit) -> ServiceResult {
    match exit {
        ProcessExit::Timeout => ServiceResult::Timeout,
        _ if is_clean(service, exit) || failure_is_ignored(service, phase) => {
            success(service, phase)
        }
        ProcessExit::Code(1..=254) if phase == ExecPhase::Condition => ServiceResult::ExecCondition,
        ProcessExit::Code(_) => ServiceResult::ExitCode,
    }
}

/// What systemd does after an attempt in which a command of this phase ends so.
pub fn next(service: &Service, phase: ExecPhase, exit: ProcessExit) -> AfterAttempt {
    let result = result(service, phase, exit);
    if phase != ExecPhase::Start && result == ServiceResult::Success {
        return AfterAttempt::GoesOn;
    }
    // The lists are held against the main process alone, which a forking service has not got yet.
    let of_main_process = phase == ExecPhase::Start && service.kind != ServiceType::Forking;
    if of_main_process && holds(&service.prevent, exit) {
        return AfterAttempt::Stop(Why::Prevented);
    }
    if of_main_process && holds(&service.force, exit) {
        return AfterAttempt::Restart;
    }
    if restart_asks(service.restart, result) {
        return AfterAttempt::Restart;
    }
    AfterAttempt::Stop(match result {
        ServiceResult::ExecCondition => Why::Skipped,
        result => Why::Setting(result),
    })
}

/// Whether an attempt with this result starts the `OnFailure=` units.
///
/// A unit that is restarted passes through `failed` first since 254, unless `RestartMode=direct`; before, `unit_notify`
/// passed over a failure that was followed by a restart.
pub fn starts_on_failure(
    service: &Service,
    version: Version,
    result: ServiceResult,
    next: AfterAttempt,
) -> bool {
    let fails = !matches!(
        result,
        ServiceResult::Success | ServiceResult::ExecCondition
    );
    let shown = version.has_restart_steps() && service.restart_mode != RestartMode::Direct;
    fails && (next != AfterAttempt::Restart || shown)
}

/// The table of `Restart=` in systemd.service(5), without unclean signals and core dumps.
fn restart_asks(restart: Restart, result: ServiceResult) -> bool {
    use self::ServiceResult::{ExecCondition, ExitCode, Success};
    match restart {
        Restart::No | Restart::OnWatchdog | Restart::OnAbort => false,
        Restart::Always => result != ExecCondition,
        Restart::OnSuccess => result == Success,
        Restart::OnFailure => !matches!(result, Success | ExecCondition),
        Restart::OnAbnormal => !matches!(result, Success | ExecCondition | ExitCode),
    }
}

/// Exit codes 0 and those of `SuccessExitStatus=`, in every phase.
fn is_clean(service: &Service, exit: ProcessExit) -> bool {
    matches!(exit, ProcessExit::Code(code) if code == 0 || service.success.codes.contains(&code))
}

/// Which command of the phase fails is not known: one whose failure counts, if there is one.
fn failure_is_ignored(service: &Service, phase: ExecPhase) -> bool {
    let commands: &[Exec] = match phase {
        ExecPhase::Condition => &service.exec_condition,
        ExecPhase::StartPre => &service.exec_start_pre,
        ExecPhase::Start => &service.exec_start,
    };
    !commands.is_empty() && commands.iter().all(|exec| exec.prefixes.ignore_failure)
}

/// A notify service that is gone before it was ready has broken the protocol, however well it ended.
fn success(service: &Service, phase: ExecPhase) -> ServiceResult {
    let must_be_ready = matches!(
        service.kind,
        ServiceType::Notify | ServiceType::NotifyReload
    );
    if phase == ExecPhase::Start && must_be_ready {
        ServiceResult::Protocol
    } else {
        ServiceResult::Success
    }
}

fn holds(statuses: &ExitStatuses, exit: ProcessExit) -> bool {
    match exit {
        ProcessExit::Code(code) => statuses.codes.contains(&code),
        ProcessExit::Timeout => statuses.signals.contains(&SIGTERM),
    }
}

#[cfg(test)]
mod tests;
