//! The other modes: what waits, or looks, before the unit's own commands.

use std::collections::BTreeSet;

use super::super::read::scope::Scope;
use super::super::unit::{Kind, NotifyAccess, Prefixes, Service};
use super::refusal::use_companion;
use super::{Lines, Refusal, Wish, command, print};

/// What `wait-online` exits with when it cannot even wait.
const CANNOT_WAIT: &[u8] = &[64, 69, 70, 75, 78];
/// What `check --exec-condition` exits with when the unit must not run.
const MUST_NOT_RUN: &[u8] = &[1, 255];

/// The gate comes first of all `ExecStartPre=`: what they fetch needs it, too.
pub(super) fn pre(wish: &Wish<'_>, service: &Service) -> Result<Lines, Refusal> {
    if !service.exec_condition.is_empty() {
        let why = "its ExecCondition= would be checked before the gate is open";
        return Err(use_companion(wish, why));
    }
    refuse_ungated(wish, &service.success.codes, CANNOT_WAIT)?;
    let mut lines = Lines::new("Service");
    if service.kind == Kind::Oneshot || !wish.unit.wanted_by.is_empty() {
        lines
            .note("While it waits, it is starting, and at boot keeps the machine in \"starting\".");
    }
    lines.note("NotifyAccess= lets the gate ask for more time than TimeoutStartSec=.");
    note_job_timeouts(&mut lines, wish);
    let access = service.notify_access.max(NotifyAccess::Exec);
    lines.set("NotifyAccess", access.name());
    if !service.exec_start_pre.is_empty() {
        lines.set("ExecStartPre", "");
    }
    let gate = command(wish, Prefixes::default(), &["wait-online"]);
    for exec in std::iter::once(&gate).chain(&service.exec_start_pre) {
        lines.set("ExecStartPre", &print(exec, wish));
    }
    lines.make_room(wish, service);
    Ok(lines)
}

/// The start job lasts as long as the gate waits.
fn note_job_timeouts(lines: &mut Lines, wish: &Wish<'_>) {
    let all = [
        ("JobTimeoutSec", wish.unit.job_timeout),
        ("JobRunningTimeoutSec", wish.unit.job_running_timeout),
    ];
    if let Some((key, _)) = all.iter().find(|(_, timeout)| timeout.is_some()) {
        lines.note(format!(
            "{key}= still cancels the start job of a longer wait; the unit then goes on waiting."
        ));
    }
}

pub(super) fn condition(wish: &Wish<'_>, service: &Service) -> Result<Lines, Refusal> {
    refuse_ungated(wish, &service.success.codes, MUST_NOT_RUN)?;
    let mut lines = Lines::new("Service");
    lines.note("Skipped, without a failure, while the gate is held.");
    if wish.unit.timers.is_empty() && wish.scope == Scope::System {
        lines.note("No timer starts it again: let upgrade-gate-online.target want it.");
    }
    let words = ["check", "--exec-condition"];
    if !service.exec_condition.is_empty() {
        lines.set("ExecCondition", "");
    }
    let gate = command(wish, Prefixes::default(), &words);
    for exec in std::iter::once(&gate).chain(&service.exec_condition) {
        lines.set("ExecCondition", &print(exec, wish));
    }
    lines.make_room(wish, service);
    Ok(lines)
}

/// A gate's code that `SuccessExitStatus=` lists lets the unit run, gate or no gate (systemd.service(5)).
fn refuse_ungated(wish: &Wish<'_>, success: &BTreeSet<u8>, codes: &[u8]) -> Result<(), Refusal> {
    match codes.iter().find(|code| success.contains(code)) {
        None => Ok(()),
        Some(code) => Err(use_companion(
            wish,
            format!(
                "SuccessExitStatus= lists {code}: a held gate would be treated as success, and the service would run anyway"
            ),
        )),
    }
}
