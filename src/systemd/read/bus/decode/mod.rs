//! From systemd's properties to a [`Unit`]. Pure.
//!
//! What an older systemd does not tell has its default. What a newer one says and this program does not know is an error
//! where a rule would be built on it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use zbus::Variant;

use super::properties::{GetAllReply, array, fields, one_line, text, texts};
use crate::systemd::read::{ReadError, values};
use crate::systemd::unit::{
    Exec, ExitStatuses, Load, Prefixes, Privileges, Service, StartLimit, Switch, SystemdSpan,
    Timer, Unit,
};

/// From the properties of `org.freedesktop.systemd1.Unit` and `….Service` together; without its timers, and without what
/// only its files tell.
pub(super) fn unit(unit: &GetAllReply<'_>) -> Result<Unit, ReadError> {
    let name = unit.text("Id").unwrap_or_default().to_owned();
    let (fragment, drop_ins) = files(unit);
    let list = |names: &[&str]| names.iter().flat_map(|name| unit.texts(name)).collect();
    let load = load(unit);
    let service = match load {
        Load::NotFound | Load::Masked => None,
        Load::Loaded | Load::Refused(_) | Load::Unreadable(_) => Some(service(&name, unit)?),
    };
    Ok(Unit {
        load,
        fragment,
        drop_ins,
        transient: unit.bool("Transient").unwrap_or(false),
        start_limit: StartLimit {
            interval: unit
                .span("StartLimitIntervalUSec")
                .unwrap_or(StartLimit::DEFAULT.interval),
            burst: unit
                .number("StartLimitBurst")
                .unwrap_or(StartLimit::DEFAULT.burst),
        },
        job_timeout: unit.span("JobTimeoutUSec").unwrap_or(None),
        job_running_timeout: unit.span("JobRunningTimeoutUSec").unwrap_or(None),
        requires: list(&["Requires", "Requisite", "BindsTo"]),
        wants: list(&["Wants"]),
        after: list(&["After"]),
        wanted_by: list(&["WantedBy", "RequiredBy"]),
        on_failure: list(&["OnFailure"]),
        on_success: list(&["OnSuccess"]),
        nixos: Switch::default(),
        service,
        timers: Vec::new(),
        ignored: Vec::new(),
        name,
    })
}

/// The file that a unit comes from, if any, and its drop-ins.
pub(super) fn files(unit: &GetAllReply<'_>) -> (Option<PathBuf>, Vec<PathBuf>) {
    let path = unit.text("FragmentPath").filter(|path| !path.is_empty());
    let drop_ins = unit.texts("DropInPaths").into_iter();
    (path.map(Into::into), drop_ins.map(Into::into).collect())
}

/// The timers that start it.
pub(super) fn timers(unit: &GetAllReply<'_>) -> Vec<String> {
    let mut triggers = unit.texts("TriggeredBy");
    triggers.retain(|name| name.strip_suffix(".timer").is_some());
    triggers
}

/// From the properties of `org.freedesktop.systemd1.Timer`.
pub(super) fn timer(name: &str, own: &GetAllReply<'_>) -> Timer {
    let has = |list| own.array(list).is_some_and(|timers| !timers.is_empty());
    Timer {
        name: name.to_owned(),
        calendar: has("TimersCalendar"),
        persistent: own.bool("Persistent").unwrap_or(false),
        randomized_delay: own
            .span("RandomizedDelayUSec")
            .unwrap_or(Some(Duration::ZERO)),
        wake_system: own.bool("WakeSystem").unwrap_or(false),
        ignored: Vec::new(),
    }
}

fn load(unit: &GetAllReply<'_>) -> Load {
    match unit.text("LoadState").unwrap_or_default() {
        "loaded" => Load::Loaded,
        "not-found" => Load::NotFound,
        "masked" => Load::Masked,
        other => Load::Refused(why(unit).unwrap_or_else(|| format!("its load state is {other:?}"))),
    }
}

/// The text of `LoadError`, or its name if it has none.
fn why(unit: &GetAllReply<'_>) -> Option<String> {
    let error = unit.fields("LoadError")?.iter().rev();
    let mut told = error.filter_map(text).filter(|text| !text.is_empty());
    told.next().map(one_line)
}

fn service(name: &str, own: &GetAllReply<'_>) -> Result<Service, ReadError> {
    let statuses = |list| own.fields(list).map(exit_statuses).unwrap_or_default();
    let word = |setting| own.text(setting).unwrap_or_default();
    Ok(Service {
        kind: required(name, "Type", own, values::kind)?,
        exec_condition: commands(own, "ExecCondition", "ExecConditionEx"),
        exec_start_pre: commands(own, "ExecStartPre", "ExecStartPreEx"),
        exec_start: commands(own, "ExecStart", "ExecStartEx"),
        restart: required(name, "Restart", own, values::restart)?,
        restart_delay: own.span("RestartUSec").unwrap_or(RESTART_SEC),
        restart_steps: own.number("RestartSteps").unwrap_or(0),
        restart_max_delay: own.span("RestartMaxDelayUSec").unwrap_or(None),
        // Before 254 there is none, which is `normal`, as is whatever may come: that one shows each failure.
        restart_mode: values::restart_mode(word("RestartMode")).unwrap_or_default(),
        success: statuses("SuccessExitStatus"),
        prevent: statuses("RestartPreventExitStatus"),
        force: statuses("RestartForceExitStatus"),
        timeout_start: own.span("TimeoutStartUSec").unwrap_or(None),
        runtime_max: own.span("RuntimeMaxUSec").unwrap_or(None),
        notify_access: values::notify_access(word("NotifyAccess")).unwrap_or_default(),
        remain_after_exit: own.bool("RemainAfterExit").unwrap_or(false),
        user: word("User").to_owned(),
        dynamic_user: own.bool("DynamicUser").unwrap_or(false),
        standard_output: word("StandardOutput").to_owned(),
    })
}

/// `RestartSec=`, if it is not told.
const RESTART_SEC: SystemdSpan = Some(Duration::from_millis(100));

/// A setting without which nothing can be said of the service.
fn required<T>(
    name: &str,
    setting: &'static str,
    own: &GetAllReply<'_>,
    parse: fn(&str) -> Option<T>,
) -> Result<T, ReadError> {
    let value = own.text(setting).unwrap_or_default();
    parse(value).ok_or_else(|| ReadError::Unknown {
        name: name.to_owned(),
        setting,
        value: one_line(value),
    })
}

/// Exit codes and signals: two lists of numbers.
fn exit_statuses(lists: &[Variant<'_>]) -> ExitStatuses {
    let numbers = |index: usize| -> BTreeSet<u8> {
        let list = lists.get(index).and_then(array).unwrap_or_default();
        list.iter().filter_map(byte).collect()
    };
    ExitStatuses {
        codes: numbers(0),
        signals: numbers(1),
    }
}

fn byte(value: &Variant<'_>) -> Option<u8> {
    match value {
        Variant::I32(number) => u8::try_from(*number).ok(),
        _ => None,
    }
}

/// The command lines of a setting: with their flags (`Ex`, systemd ≥ 243), or with no more than `-`.
fn commands(own: &GetAllReply<'_>, plain: &str, with_flags: &str) -> Vec<Exec> {
    let lines = own.array(with_flags).or_else(|| own.array(plain));
    let lines = lines.unwrap_or_default().iter();
    lines.filter_map(|line| command(fields(line)?)).collect()
}

/// Path, arguments, and flags or whether a failure is ignored; what follows tells of the last run.
fn command(line: &[Variant<'_>]) -> Option<Exec> {
    let [path, argv, flags, ..] = line else {
        return None;
    };
    let prefixes = match flags {
        Variant::Bool(ignore_failure) => Prefixes {
            ignore_failure: *ignore_failure,
            ..Prefixes::default()
        },
        flags => prefixes(&texts(array(flags)?)),
    };
    Some(Exec {
        prefixes,
        path: text(path)?.to_owned(),
        argv: texts(array(argv)?),
    })
}

/// A flag not known says nothing of what matters here.
fn prefixes(flags: &[String]) -> Prefixes {
    let has = |flag: &str| flags.iter().any(|word| word == flag);
    let privileges = if has("privileged") {
        Privileges::Full
    } else if has("ambient") {
        Privileges::Ambient
    } else if has("no-setuid") {
        Privileges::NoSetuid
    } else {
        Privileges::Unit
    };
    Prefixes {
        ignore_failure: has("ignore-failure"),
        no_env_expand: has("no-env-expand"),
        privileges,
        via_shell: has("via-shell"),
    }
}

#[cfg(test)]
mod tests;
