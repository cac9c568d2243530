//! The other modes: what waits, or looks, before the unit's own commands.

use std::collections::BTreeSet;

use super::super::read::scope::Scope;
use super::super::unit::{NotifyAccess, Prefixes, Service, ServiceType};
use super::refusal::use_companion;
use super::{DropInRefusal, DropInSpec, Lines, command, exec_line};

/// What `wait-online` exits with when it cannot even wait.
const CANNOT_WAIT: &[u8] = &[64, 69, 70, 75, 78];
/// What `check --exec-condition` exits with when the unit must not run.
const MUST_NOT_RUN: &[u8] = &[1, 255];

/// The gate comes first of all `ExecStartPre=`: what they fetch needs it, too.
pub(super) fn pre(spec: &DropInSpec<'_>, service: &Service) -> Result<Lines, DropInRefusal> {
    if !service.exec_condition.is_empty() {
        let why = "its ExecCondition= would be checked before the gate is open";
        return Err(use_companion(spec, why));
    }
    refuse_ungated(spec, &service.success.codes, CANNOT_WAIT)?;
    let mut lines = Lines::new("Service");
    if service.kind == ServiceType::Oneshot || !spec.unit.wanted_by.is_empty() {
        lines
            .note("While it waits, it is starting, and at boot keeps the machine in \"starting\".");
    }
    lines.note("NotifyAccess= lets the gate ask for more time than TimeoutStartSec=.");
    note_job_timeouts(&mut lines, spec);
    let access = service.notify_access.max(NotifyAccess::Exec);
    lines.set("NotifyAccess", access.name());
    if !service.exec_start_pre.is_empty() {
        lines.set("ExecStartPre", "");
    }
    let gate = command(spec, Prefixes::default(), &["wait-online"]);
    for exec in std::iter::once(&gate).chain(&service.exec_start_pre) {
        lines.set("ExecStartPre", &exec_line::print(exec));
    }
    lines.make_room(spec, service);
    Ok(lines)
}

/// The start job lasts as long as the gate waits.
fn note_job_timeouts(lines: &mut Lines, spec: &DropInSpec<'_>) {
    let all = [
        ("JobTimeoutSec", spec.unit.job_timeout),
        ("JobRunningTimeoutSec", spec.unit.job_running_timeout),
    ];
    if let Some((key, _)) = all.iter().find(|(_, timeout)| timeout.is_some()) {
        lines.note(format!(
            "{key}= still cancels the start job of a longer wait; the unit then goes on waiting."
        ));
    }
}

pub(super) fn condition(spec: &DropInSpec<'_>, service: &Service) -> Result<Lines, DropInRefusal> {
    refuse_ungated(spec, &service.success.codes, MUST_NOT_RUN)?;
    let mut lines = Lines::new("Service");
    lines.note("Skipped, without a failure, while the gate is held.");
    if spec.unit.timers.is_empty() && spec.scope == Scope::System {
        lines.note("No timer starts it again: let upgrade-gate-online.target want it.");
    }
    let words = ["check", "--exec-condition"];
    if !service.exec_condition.is_empty() {
        lines.set("ExecCondition", "");
    }
    let gate = command(spec, Prefixes::default(), &words);
    for exec in std::iter::once(&gate).chain(&service.exec_condition) {
        lines.set("ExecCondition", &exec_line::print(exec));
    }
    lines.make_room(spec, service);
    Ok(lines)
}

/// A gate's code that `SuccessExitStatus=` lists lets the unit run, gate or no gate (systemd.service(5)).
fn refuse_ungated(
    spec: &DropInSpec<'_>,
    success: &BTreeSet<u8>,
    codes: &[u8],
) -> Result<(), DropInRefusal> {
    match codes.iter().find(|code| success.contains(code)) {
        None => Ok(()),
        Some(code) => Err(use_companion(
            spec,
            format!(
                "SuccessExitStatus= lists {code}: a held gate would be treated as success, and the service would run anyway"
            ),
        )),
    }
}
