//! Rules about upgrade-gate within a unit: where it works, and where it does not.

use std::time::Duration;

use super::case::{Case, shown};
use super::local::is_local;
use super::words::{self, Call, GateCommand};
use super::{Diagnosis, waits};
use crate::systemd::exec_line;
use crate::systemd::restart::{AfterAttempt, ExecPhase, ProcessExit, next};
use crate::systemd::unit::{Exec, ServiceType, is_of_boot};

/// `EX_TEMPFAIL`: held at the deadline.
const NOT_NOW: u8 = 75;

/// UG010: it is held against the main process alone.
pub(super) fn prevent_before_start(case: &Case<'_>) -> Option<Diagnosis> {
    let call = call_in(case, ExecPhase::StartPre)?;
    let prevented = &case.service.prevent.codes;
    let code = *call.codes().iter().find(|code| prevented.contains(code))?;
    if next(case.service, ExecPhase::StartPre, ProcessExit::Code(code)) != AfterAttempt::Restart {
        return None;
    }
    let timeline = case.timeline_of_call(call, code);
    Some(case.wants_gate(format!(
            "RestartPreventExitStatus={code} applies to the exit of ExecStart= only. {} in ExecStartPre= that exits with \
             {code} is a failure like any other, and Restart= restarts the unit: {} starts in {}.",
            call.name(),
            timeline.count(),
            shown(Some(case.assumed.outage)),
        )))
}

/// UG011: at the deadline it exits with 75, a failure.
pub(super) fn finite_timeout(case: &Case<'_>) -> Option<Diagnosis> {
    let call = call_in(case, ExecPhase::StartPre).filter(|call| !call.waits() && !call.ignored)?;
    if goes_on(case, call, NOT_NOW) {
        return None;
    }
    let when = match call.timeout {
        Some(timeout) if call.command != GateCommand::Check => {
            format!("after {}", shown(Some(timeout)))
        }
        _ => "at once".to_owned(),
    };
    Some(case.wants_gate(format!(
            "Without a network {} in ExecStartPre= gives up {when} with exit code {NOT_NOW}: the unit fails, the machine is degraded, and OnFailure= units are started.",
            call.name()
        )))
}

/// UG012: `SuccessExitStatus=` and `-` hold for all commands of a start.
pub(super) fn ungated(case: &Case<'_>) -> Option<Diagnosis> {
    let before = [ExecPhase::Condition, ExecPhase::StartPre];
    let calls = before.iter().filter_map(|phase| call_in(case, *phase));
    // With "-" a wait with or without an end is a delay that is meant; a check has no effect at all.
    let mut meant = calls.filter(|call| !call.ignored || call.command == GateCommand::Check);
    let (call, code) = meant.find_map(|call| {
        let mut codes = call.codes().iter();
        codes
            .find(|code| goes_on(case, call, **code))
            .map(|code| (call, *code))
    })?;
    let why = if call.ignored {
        "the \"-\" in front of it ignores every failure".to_owned()
    } else {
        format!("SuccessExitStatus={code} applies to ExecCondition= and ExecStartPre= too")
    };
    Some(case.wants_gate(format!(
            "{} exits with {code} if the gate does not open, and {why}: systemd continues with ExecStart=, and the unit runs without a network.",
            call.name()
        )))
}

/// UG013: 64 and 78 skip the unit as well as 75.
pub(super) fn condition_without_option(case: &Case<'_>) -> Option<Diagnosis> {
    let call = call_in(case, ExecPhase::Condition).filter(|call| !call.exec_condition)?;
    Some(Diagnosis {
        what: format!(
            "ExecCondition= skips the unit, without a failure, for every exit code from 1 to 254. A wrong option (64) or a \
             wrong configuration (78) of {} then skips it indefinitely and silently.",
            call.name()
        ),
        command: None,
        lines: with_option(case),
    })
}

/// The conditions as they are, the gate's with the option.
fn with_option(case: &Case<'_>) -> Vec<String> {
    let head = ["[Service]", "ExecCondition="].map(str::to_owned);
    let conditions = case.service.exec_condition.iter().map(|exec| {
        let mut words = exec.argv.clone();
        if words::is_gate(exec) {
            words.push("--exec-condition".to_owned());
        }
        format!("ExecCondition={}", words.join(" "))
    });
    head.into_iter().chain(conditions).collect()
}

/// UG014: systemd is "starting" until the job is done.
pub(super) fn waiting_at_boot(case: &Case<'_>) -> Option<Diagnosis> {
    let (starter, waits) = waiting_call(case).or_else(|| waiting_companion(case))?;
    Some(case.wants_gate(format!(
        "{starter} starts it at boot, and {waits}: without a network the start job goes on that long, \"systemctl \
         is-system-running\" says starting, and what is ordered after it does not start."
    )))
}

/// What systemd-networkd-wait-online has a boot wait, too.
const BOOT_WAIT: Duration = Duration::from_secs(120);

fn waiting_call<'a>(case: &Case<'a>) -> Option<(&'a str, String)> {
    let call = case.calls.iter().find(|call| call.outlasts(BOOT_WAIT))?;
    let place = match call.phase {
        ExecPhase::Start if case.service.kind == ServiceType::Oneshot => "in a oneshot",
        ExecPhase::Start => return None,
        _ => "before ExecStart=",
    };
    let starter = started_at_boot(case, call.phase)?;
    let limit = call
        .timeout
        .map(|limit| format!("up to {} ", shown(Some(limit))));
    let waits = format!("{} waits {}{place}", call.name(), limit.unwrap_or_default());
    Some((starter, waits))
}

fn waiting_companion<'a>(case: &Case<'a>) -> Option<(&'a str, String)> {
    let companion = case.companion()?;
    let target = case.unit.wanted_by.iter().find(|name| is_of_boot(name))?;
    Some((
        target,
        format!("{companion}, which it requires, waits before it counts as started"),
    ))
}

/// A target of the boot, or a timer that makes up for the time the machine was off. Several lines of `ExecStart=` are
/// a oneshot, and a timer is then the best that can be had.
fn started_at_boot<'a>(case: &Case<'a>, phase: ExecPhase) -> Option<&'a str> {
    let target = case.unit.wanted_by.iter().find(|name| is_of_boot(name));
    let must_be_oneshot = phase == ExecPhase::Start && case.service.exec_start.len() > 1;
    let timers = case.unit.timers.iter().filter(|_| !must_be_oneshot);
    let mut after_power_off = timers.filter(|timer| timer.calendar && timer.persistent);
    target
        .or_else(|| after_power_off.next().map(|timer| &timer.name))
        .map(String::as_str)
}

/// UG018: a success that has done nothing.
pub(super) fn not_now_is_done(case: &Case<'_>) -> Option<Diagnosis> {
    let call = call_in(case, ExecPhase::Start)?;
    let may_give_up = call.command == GateCommand::Run || !call.waits();
    if !may_give_up || !goes_on(case, call, NOT_NOW) {
        return None;
    }
    let units = &case.unit.on_success;
    let follows = if !units.is_empty() {
        format!(
            "OnSuccess= starts {}, although nothing was done",
            units.join(" and ")
        )
    } else if case.service.remain_after_exit {
        "RemainAfterExit=yes keeps the unit active, so no timer starts it again until it is stopped"
            .to_owned()
    } else {
        return None;
    };
    let name = &case.unit.name;
    Some(Diagnosis {
        what: format!(
            "{} exits with {NOT_NOW} for \"not now\": held at the deadline, or interrupted too often. Here that is a success, \
             and {follows}.",
            call.name()
        ),
        command: Some(format!(
            "upgrade-gate drop-in {name} --mode companion --write"
        )),
        lines: Vec::new(),
    })
}

/// UG019: the gate holds back only what comes after it.
pub(super) fn before_the_gate(case: &Case<'_>) -> Vec<Diagnosis> {
    let mut ungated: Vec<_> = words::lines(case.service).collect();
    let gate = ungated.iter().position(|(_, exec)| words::is_gate(exec));
    ungated.truncate(gate.unwrap_or(0));
    let first = case.calls.first();
    let is_last =
        first.is_some_and(|call| call.phase == ExecPhase::Start) && case.companion().is_none();
    let exposed = ungated
        .into_iter()
        .filter(|(_, exec)| is_last && needs_gate(exec));
    exposed
        .map(|(phase, exec)| case.wants_gate(runs_ungated(phase, exec)))
        .collect()
}

/// Whether the line does not wait itself, and does not evidently keep to this machine.
fn needs_gate(exec: &Exec) -> bool {
    let commands = words::commands(exec);
    let mut programs = commands.iter().map(|words| words::program(&words[0]));
    !waits::holds_back(exec) && programs.any(|name| !is_local(name))
}

fn runs_ungated(phase: ExecPhase, exec: &Exec) -> String {
    let (setting, fails) = match phase {
        ExecPhase::Condition => ("ExecCondition", "skips the unit"),
        ExecPhase::StartPre if exec.prefixes.ignore_failure => ("ExecStartPre", "fails unnoticed"),
        ExecPhase::StartPre => ("ExecStartPre", "fails the unit"),
        ExecPhase::Start => ("ExecStart", "fails the unit"),
    };
    let line = exec_line::print(exec);
    format!(
        "{setting}={line} runs before the gate in ExecStart=. If it needs the network and there is none, it {fails} before the \
         gate is asked."
    )
}

fn call_in(case: &Case<'_>, phase: ExecPhase) -> Option<Call> {
    case.calls.iter().find(|call| call.phase == phase).copied()
}

/// Whether systemd takes this exit of the gate for a success.
fn goes_on(case: &Case<'_>, call: Call, code: u8) -> bool {
    call.ignored || case.service.success.codes.contains(&code)
}
