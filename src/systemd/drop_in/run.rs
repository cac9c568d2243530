//! Mode run: each of the unit's commands behind `upgrade-gate run`.

use std::time::Duration;

use super::super::surroundings::Surroundings;
use super::super::unit::{Exec, NotifyAccess, Prefixes, Restart, Service, ServiceType};
use super::refusal::use_companion;
use super::{DropInRefusal, DropInSpec, Lines, command, exec_line, is_template, without_variables};

/// "Not now", which is not a failure.
const NOT_NOW: u8 = 75;
/// Starts commands that end, too.
const ONLINE_TARGET: &str = "upgrade-gate-online.target";

pub(super) fn lines(spec: &DropInSpec<'_>, service: &Service) -> Result<Lines, DropInRefusal> {
    if let Some(why) = obstacle(spec, service) {
        return Err(use_companion(spec, why));
    }
    let mut lines = Lines::new("Service");
    note_that_it_must_end(&mut lines, spec, service);
    set_type(&mut lines, service);
    set_commands(&mut lines, spec, service)?;
    lines.set("SuccessExitStatus", "75");
    if service.notify_access == NotifyAccess::None {
        lines.set("NotifyAccess", "main");
    }
    if service.runtime_max.is_some() {
        lines.note(
            "RuntimeMaxSec= would include the wait; attempt_timeout of the profile does not.",
        );
        lines.set("RuntimeMaxSec", "infinity");
    }
    set_restart(&mut lines, service);
    if is_template(&spec.unit.name) && !spec.profile.contains('%') {
        lines.note("All instances share the profile, and so run one at a time; --profile %i, %N or %p-%i gives each its own.");
    }
    lines.make_room(spec, service);
    Ok(lines)
}

/// Whether it applies, and why the command must not be wrapped then.
type Obstacle = (bool, &'static str);

/// Why its command must not be wrapped, if so.
fn obstacle(spec: &DropInSpec<'_>, service: &Service) -> Option<String> {
    let daemon = daemon(service).map(|setting| {
        format!("{setting} is for a daemon, and upgrade-gate run is for a command that ends")
    });
    let oneshot = service.kind == ServiceType::Oneshot;
    let table = in_commands(service)
        .into_iter()
        .chain(in_success(spec, service))
        .chain(in_surroundings(spec.surroundings, oneshot))
        .chain(in_words(service));
    let mut found = table.filter(|(applies, _)| *applies);
    daemon.or_else(|| found.next().map(|(_, why)| why.to_owned()))
}

fn in_commands(service: &Service) -> [Obstacle; 3] {
    [
        (service.exec_start.is_empty(), "it has no ExecStart= to run"),
        (
            service.exec_start.len() > 1,
            "it has several commands, and the later ones would run after one whose gate is held",
        ),
        (
            !service.exec_condition.is_empty(),
            "its ExecCondition= would be checked before the gate is open",
        ),
    ]
}

fn in_success(spec: &DropInSpec<'_>, service: &Service) -> [Obstacle; 2] {
    [
        (
            spec.surroundings.success_action || !spec.unit.on_success.is_empty(),
            "OnSuccess= or SuccessAction= would treat \"not now\" (75) as success",
        ),
        (
            service.remain_after_exit,
            "RemainAfterExit= would treat \"not now\" (75) as success, and the unit would not be started again",
        ),
    ]
}

fn in_surroundings(around: &Surroundings, oneshot: bool) -> [Obstacle; 5] {
    [
        (
            around.start_post,
            "its ExecStartPost= would be run while the gate is still held",
        ),
        (
            around.stop || around.stop_post,
            "its ExecStop= or ExecStopPost= would run although its command did not",
        ),
        (
            around.before && oneshot,
            "what it is ordered before (Before=) would no longer wait for its end",
        ),
        (
            around.socket,
            "it is socket-activated, and upgrade-gate would not pass the sockets on",
        ),
        (
            around.watchdog,
            "WatchdogSec= expects its main process to report, which would be upgrade-gate",
        ),
    ]
}

fn in_words(service: &Service) -> [Obstacle; 2] {
    let mut commands = service.exec_start.iter();
    let via_shell = commands.any(|exec| exec.prefixes.via_shell);
    [
        (
            !service.user.is_empty() && service.exec_start.iter().any(names_a_directory),
            "$STATE_DIRECTORY and $RUNTIME_DIRECTORY in its command line would have upgrade-gate's directory in them, too",
        ),
        (
            via_shell,
            "only systemd knows which shell the prefix | stands for",
        ),
    ]
}

fn names_a_directory(exec: &Exec) -> bool {
    let named = |word: &String| {
        word.contains('$')
            && (word.contains("STATE_DIRECTORY") || word.contains("RUNTIME_DIRECTORY"))
    };
    exec.argv.iter().any(named)
}

fn daemon(service: &Service) -> Option<&'static str> {
    Some(match service.kind {
        ServiceType::Forking => "Type=forking",
        ServiceType::Dbus => "Type=dbus",
        ServiceType::Notify => "Type=notify",
        ServiceType::NotifyReload => "Type=notify-reload",
        ServiceType::Simple | ServiceType::Exec | ServiceType::Oneshot | ServiceType::Idle => {
            match service.restart {
                Restart::Always => "Restart=always",
                Restart::OnSuccess => "Restart=on-success",
                _ => return None,
            }
        }
    })
}

/// Why it looks like a daemon, if it does; only whoever wrote it knows.
pub(super) fn long_lived(spec: &DropInSpec<'_>, service: &Service) -> Option<String> {
    if service.kind == ServiceType::Oneshot || !spec.unit.timers.is_empty() {
        return None;
    }
    let mut targets = spec.unit.wanted_by.iter();
    let target = targets.find(|name| name.ends_with(".target") && *name != ONLINE_TARGET)?;
    Some(format!(
        "{target} starts it, no timer does, and it is not a oneshot"
    ))
}

fn note_that_it_must_end(lines: &mut Lines, spec: &DropInSpec<'_>, service: &Service) {
    if let Some(why) = long_lived(spec, service) {
        lines.note(format!("It looks like a daemon: {why}."));
    }
    if service.kind != ServiceType::Oneshot && spec.unit.timers.is_empty() {
        lines.note("The command must end by itself: if it takes longer than attempt_timeout of the profile, it is terminated and run again.");
    }
}

fn set_type(lines: &mut Lines, service: &Service) {
    match service.kind {
        ServiceType::Oneshot => {
            lines.note("Type=exec: a waiting oneshot keeps the boot in \"starting\", and fails when it is stopped.");
            lines.note("Units ordered after it no longer wait for its end.");
            if service.timeout_start.is_some() {
                lines.note("TimeoutStartSec= no longer limits the command; attempt_timeout of the profile does.");
            }
            lines.set("Type", "exec");
            set_timeout_start(lines, service.timeout_start);
        }
        ServiceType::Simple => lines.set("Type", "exec"),
        _ => {}
    }
}

/// A oneshot has none unless it is written; `Type=exec` has `DefaultTimeoutStartSec=`.
fn set_timeout_start(lines: &mut Lines, written: Option<Duration>) {
    if written.is_none() {
        lines.set("TimeoutStartSec", "infinity");
    }
}

/// 75 must neither be a failure nor begin everything again.
fn set_restart(lines: &mut Lines, service: &Service) {
    if service.restart != Restart::No {
        lines.note("Restart= stays for failures of the command itself; interruptions are retried without it.");
    }
    if service.force.codes.contains(&NOT_NOW) {
        // It counts before RestartForceExitStatus= (systemd.service(5)).
        lines.set("RestartPreventExitStatus", "75");
    }
}

fn set_commands(
    lines: &mut Lines,
    spec: &DropInSpec<'_>,
    service: &Service,
) -> Result<(), DropInRefusal> {
    let pre = moved(spec, service).map_err(|why| use_companion(spec, why))?;
    if !pre.is_empty() {
        lines.note("ExecStartPre= is run behind the gate too, in each attempt.");
        lines.set("ExecStartPre", "");
    }
    lines.set("ExecStart", "");
    for exec in &service.exec_start {
        lines.set("ExecStart", &exec_line::print(&wrapped(exec, &pre, spec)));
    }
    Ok(())
}

/// The lines of `ExecStartPre=` as words of `run`, or why they cannot be.
fn moved(spec: &DropInSpec<'_>, service: &Service) -> Result<Vec<String>, &'static str> {
    let all = &service.exec_start_pre;
    let plain = Prefixes::default();
    let as_the_unit = |exec: &Exec| exec.prefixes == plain || exec.prefixes == no_env_expand();
    if all.is_empty() {
        return Ok(Vec::new());
    }
    if !matches!(&service.exec_start[..], [exec] if as_the_unit(exec)) {
        return Err("ExecStartPre= cannot be run with a command that has a prefix");
    }
    if !service.success.codes.is_empty() || !service.success.signals.is_empty() {
        return Err(
            "SuccessExitStatus= applies to its ExecStartPre= too, which upgrade-gate run does not know",
        );
    }
    if !all.iter().all(|exec| exec.prefixes.is_plain()) {
        return Err("ExecStartPre= has a prefix (+, ! or |) that only systemd can apply");
    }
    if all.iter().any(has_variables) {
        return Err(
            "ExecStartPre= has a variable ($), which would be split differently behind the gate",
        );
    }
    if all.iter().any(|exec| has_odd_specifiers(exec, spec)) {
        return Err(
            "ExecStartPre= has a specifier (%) that may stand for a backslash, which would be lost behind the gate",
        );
    }
    Ok(all.iter().map(pre_word).collect())
}

const fn no_env_expand() -> Prefixes {
    Prefixes {
        ignore_failure: false,
        no_env_expand: true,
        privileges: super::super::unit::Privileges::Unit,
        via_shell: false,
    }
}

fn has_variables(exec: &Exec) -> bool {
    exec.path.contains('$') || exec.argv.iter().any(|word| word.contains('$'))
}

/// Whether a part of the unit's name is filled in that has, or may have, escapes.
fn has_odd_specifiers(exec: &Exec, spec: &DropInSpec<'_>) -> bool {
    let name = &spec.unit.name;
    let odd_name = is_template(name) || name.contains('\\');
    let filled_in = |word: &String| word.replace("%%", "").contains('%');
    let words = std::iter::once(&exec.path).chain(&exec.argv);
    odd_name && words.into_iter().any(filled_in)
}

fn pre_word(exec: &Exec) -> String {
    let prefixes = Prefixes {
        no_env_expand: false,
        ..exec.prefixes
    };
    let exec = Exec {
        prefixes,
        ..exec.clone()
    };
    // What it prints is unquoted once more as a word of ours, which is where specifiers are resolved.
    let line = exec_line::print(&exec);
    format!("--exec-start-pre={line}")
}

/// The command behind the gate: its prefixes stay in front, and its `argv[0]` is handed on.
fn wrapped(exec: &Exec, pre: &[String], spec: &DropInSpec<'_>) -> Exec {
    let mut gate = command(spec, exec.prefixes, &["run"]);
    gate.argv.extend(pre.iter().cloned());
    let mut argv = exec.argv.iter();
    let argv0 = argv.next().filter(|argv0| **argv0 != exec.path);
    gate.argv
        .extend(argv0.map(|argv0| format!("--argv0={argv0}")));
    gate.argv.push("--".to_owned());
    // systemd substitutes no variables in a program's path, but in arguments.
    gate.argv.push(without_variables(&exec.path, exec.prefixes));
    gate.argv.extend(argv.cloned());
    gate
}
