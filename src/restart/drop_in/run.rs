//! Mode run: each of the unit's commands behind `upgrade-gate run`.

use super::super::unit::{Exec, Kind, Restart, Service};
use super::refusal::{refuse, use_companion};
use super::{Lines, Refusal, Wish, command, print, without_variables};

/// "Not now", which is no failure.
const NOT_NOW: u8 = 75;

pub(super) fn lines(wish: &Wish<'_>, service: &Service) -> Result<Lines, Refusal> {
    check(wish, service)?;
    let mut lines = Lines::new("Service");
    let several = service.exec_start.len() > 1;
    let stays_oneshot = service.kind == Kind::Oneshot && (several || wish.surroundings.start_post);
    set_type(&mut lines, service, stays_oneshot);
    lines.set("ExecStart", "");
    for exec in &service.exec_start {
        lines.set("ExecStart", &print(&wrapped(exec, wish)?, wish));
    }
    if stays_oneshot {
        lines.note("A oneshot that waits at boot keeps the boot \"starting\"; SIGTERM: stopping it is no failure.");
        lines.set("TimeoutStartSec", "infinity");
        lines.set("SuccessExitStatus", "75 SIGTERM");
    } else {
        lines.set("SuccessExitStatus", "75");
    }
    if several {
        lines.note(
            "Each command has a gate of its own; if one gives up (75), the next one is still run.",
        );
    }
    if !service.may_notify {
        lines.set("NotifyAccess", "main");
    }
    if service.runtime_max.is_some() {
        lines.note(
            "RuntimeMaxSec= would count the waiting, too: attempt_timeout in the profile does not.",
        );
        lines.set("RuntimeMaxSec", "infinity");
    }
    set_restart(&mut lines, service);
    lines.make_room(wish, service);
    Ok(lines)
}

fn check(wish: &Wish<'_>, service: &Service) -> Result<(), Refusal> {
    if service.exec_start.is_empty() {
        return Err(use_companion(wish, "it has no ExecStart= to run"));
    }
    let lasting = match service.kind {
        Kind::Forking => "Type=forking",
        Kind::Dbus => "Type=dbus",
        Kind::Notify => "Type=notify",
        Kind::NotifyReload => "Type=notify-reload",
        Kind::Simple | Kind::Exec | Kind::Oneshot | Kind::Idle => match service.restart {
            Restart::Always => "Restart=always",
            Restart::OnSuccess => "Restart=on-success",
            _ => return Ok(()),
        },
    };
    let why = format!("{lasting} is for a daemon, and upgrade-gate run for a command that ends");
    Err(use_companion(wish, &why))
}

fn set_type(lines: &mut Lines, service: &Service, stays_oneshot: bool) {
    match service.kind {
        Kind::Oneshot if stays_oneshot => {}
        Kind::Oneshot => {
            lines.note("Type=exec: a oneshot that waits keeps the boot \"starting\", and counts as failed when it is stopped.");
            lines.note("Units ordered after it no longer wait for its end.");
            if service.timeout_start.is_some() {
                lines.note("TimeoutStartSec= no longer bounds the command: attempt_timeout in the profile does.");
            }
            lines.set("Type", "exec");
        }
        Kind::Simple => lines.set("Type", "exec"),
        _ => {}
    }
}

/// 75 must neither be a failure nor begin everything anew.
fn set_restart(lines: &mut Lines, service: &Service) {
    if service.restart != Restart::No {
        lines.note("Restart= stays, for failures that are the command's own: it is run again for all others.");
    }
    if service.force.codes.contains(&NOT_NOW) {
        // It counts before RestartForceExitStatus= (systemd.service(5)).
        lines.set("RestartPreventExitStatus", "75");
    }
}

/// The command behind the gate: its prefixes stay in front, and its `argv[0]` is handed on.
fn wrapped(exec: &Exec, wish: &Wish<'_>) -> Result<Exec, Refusal> {
    if exec.prefixes.via_shell {
        let why = "which shell the prefix | stands for is known to systemd alone; write ExecStart=/bin/sh -c …";
        return Err(refuse(wish, why));
    }
    let mut gate = command(wish, exec.prefixes, &["run", "--profile", wish.profile]);
    let mut argv = exec.argv.iter();
    let argv0 = argv.next().filter(|argv0| **argv0 != exec.path);
    gate.argv
        .extend(argv0.map(|argv0| format!("--argv0={argv0}")));
    gate.argv.push("--".to_owned());
    // systemd substitutes no variables in a program's path, but in arguments.
    gate.argv.push(without_variables(&exec.path, exec.prefixes));
    gate.argv.extend(argv.cloned());
    Ok(gate)
}
