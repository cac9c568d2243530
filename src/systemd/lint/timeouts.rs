//! Rules about what ends a gate, or its start job, while it waits.

use std::time::Duration;

use super::Diagnosis;
use super::case::{Case, exact, quoted, shown};
use super::words::Call;
use crate::systemd::restart::ExecPhase;
use crate::systemd::unit::{NotifyAccess, ServiceType};

/// UG015: no wait is longer than these allow.
pub(super) fn ends_the_wait(case: &Case<'_>) -> Vec<Diagnosis> {
    let killed = case.calls.iter().find_map(|call| killed(case, *call));
    killed.into_iter().chain(job_cancelled(case)).collect()
}

/// By `TimeoutStartSec=`, unless the gate can ask for more time.
fn killed(case: &Case<'_>, call: Call) -> Option<Diagnosis> {
    let timeout = case.service.timeout_start?;
    let has = case.service.notify_access;
    let needs = needs(call);
    if !is_part_of_start(case, call) || !call.outlasts(timeout) || has >= needs {
        return None;
    }
    let why = match (has, call.is_child) {
        (NotifyAccess::None, _) => {
            "Without NotifyAccess= it cannot ask systemd for more time.".to_owned()
        }
        (_, true) => format!(
            "NotifyAccess={} ignores its request for more time: it is a child of the process that systemd started.",
            has.name()
        ),
        (_, false) => format!(
            "NotifyAccess={} ignores its request for more time: it is not the main process.",
            has.name()
        ),
    };
    Some(Diagnosis {
        what: format!(
            "{} in {} waits {}, but {} ends it with SIGTERM before that: the unit fails (Result=timeout). {why}",
            call.name(),
            setting(call.phase),
            how_long(call),
            quoted("TimeoutStartSec", Some(timeout), 90_000),
        ),
        command: None,
        lines: [
            "[Service]".to_owned(),
            format!("NotifyAccess={}", needs.name()),
        ]
        .into(),
    })
}

/// Whose messages must be accepted, service.c in systemd: `service_exec_needs_notify_socket`.
fn needs(call: Call) -> NotifyAccess {
    match call.phase {
        _ if call.is_child => NotifyAccess::All,
        ExecPhase::Start => NotifyAccess::Main,
        ExecPhase::Condition | ExecPhase::StartPre => NotifyAccess::Exec,
    }
}

/// Whether the unit is still starting while it waits.
fn is_part_of_start(case: &Case<'_>, call: Call) -> bool {
    call.phase != ExecPhase::Start || case.service.kind == ServiceType::Oneshot
}

/// By `JobTimeoutSec=` and `JobRunningTimeoutSec=`, which nobody can ask to be longer.
fn job_cancelled(case: &Case<'_>) -> Option<Diagnosis> {
    let unit = case.unit;
    let queued = unit.job_timeout.map(|timeout| ("JobTimeoutSec", timeout));
    let running = unit.job_running_timeout;
    let running = running.map(|timeout| ("JobRunningTimeoutSec", timeout));
    if let Some(companion) = case.companion() {
        // Until it has started, the job of the unit itself is not running.
        let (key, timeout) = queued?;
        return Some(cancelled(
            key,
            timeout,
            &format!("{companion}, which it requires, waits indefinitely"),
            NOT_STARTED,
        ));
    }
    let (key, timeout) = queued
        .into_iter()
        .chain(running)
        .min_by_key(|(_, timeout)| *timeout)?;
    let mut calls = case.calls.iter();
    let call = calls.find(|call| is_part_of_start(case, **call) && call.outlasts(timeout))?;
    let waits = format!(
        "{} in {} waits {}",
        call.name(),
        setting(call.phase),
        how_long(*call)
    );
    Some(cancelled(key, timeout, &waits, WAITS_ON))
}

const NOT_STARTED: &str = "it is not started when the gate opens";
const WAITS_ON: &str = "what requires it fails (Result=dependency), although the gate waits on";

fn cancelled(key: &str, timeout: Duration, waits: &str, then: &str) -> Diagnosis {
    Diagnosis {
        what: format!(
            "{waits}, but {key}={} cancels the start job before that, whatever NotifyAccess= says: {then}, and JobTimeoutAction= is \
             taken.",
            exact(Some(timeout))
        ),
        command: None,
        lines: ["[Unit]".to_owned(), format!("{key}=infinity")].into(),
    }
}

fn how_long(call: Call) -> String {
    match call.timeout {
        None => "indefinitely".to_owned(),
        waits => shown(waits),
    }
}

const fn setting(phase: ExecPhase) -> &'static str {
    match phase {
        ExecPhase::Condition => "ExecCondition=",
        ExecPhase::StartPre => "ExecStartPre=",
        ExecPhase::Start => "ExecStart=",
    }
}
