//! Assignments, one after the other, into the settings of a unit. Pure.
//!
//! As systemd: a list grows and is reset by an empty assignment, anything else is replaced, a value that cannot be
//! read is left out with a warning.

use std::time::Duration;

use super::unit_text::Assignment;
use super::values::{
    add_exit_status, boolean, kind, restart, restart_mode, specifiers, time_span, timeout,
};
use crate::restart::exec_line;
use crate::restart::surroundings::Surroundings;
use crate::restart::unit::{
    ExitStatuses, Kind, Restart, RestartMode, Service, Span, StartLimit, Switch, Timer,
};

/// `DefaultTimeoutStartSec=` and its like, from systemd-system.conf(5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Defaults {
    pub(super) start_limit: StartLimit,
    pub(super) timeout_start: Span,
    pub(super) restart_delay: Span,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            start_limit: StartLimit::DEFAULT,
            timeout_start: Some(Duration::from_secs(90)),
            restart_delay: Some(Duration::from_millis(100)),
        }
    }
}

impl Defaults {
    /// Follows a line of system.conf; false if its value cannot be read.
    pub(super) fn assign(&mut self, assignment: &Assignment) -> bool {
        let value = assignment.value.as_str();
        let limit = &mut self.start_limit;
        match assignment.key.as_str() {
            "DefaultStartLimitIntervalSec" | "DefaultStartLimitInterval" => {
                set(&mut limit.interval, time_span(value))
            }
            "DefaultStartLimitBurst" => set(&mut limit.burst, value.parse().ok()),
            "DefaultTimeoutStartSec" => set(&mut self.timeout_start, timeout(value)),
            "DefaultRestartSec" => set(&mut self.restart_delay, time_span(value)),
            _ => true,
        }
    }
}

/// What the assignments so far make of a unit.
#[derive(Debug)]
pub(super) struct Settings {
    unit: String,
    pub(super) start_limit: StartLimit,
    pub(super) requires: Vec<String>,
    pub(super) wants: Vec<String>,
    pub(super) after: Vec<String>,
    pub(super) wanted_by: Vec<String>,
    pub(super) on_failure: Vec<String>,
    pub(super) nixos: Switch,
    pub(super) surroundings: Surroundings,
    pub(super) timer: Timer,
    /// `Unit=` of a timer.
    pub(super) triggers: Option<String>,
    /// Why systemd refuses the unit.
    pub(super) refused: Option<String>,
    pub(super) warnings: Vec<String>,
    service: Service,
    kind: Option<Kind>,
    timeout_start: Option<Span>,
    default_timeout: Span,
    bus_name: bool,
    stops: bool,
}

impl Settings {
    /// Those of a unit of this name without a file.
    pub(super) fn new(unit: &str, defaults: &Defaults) -> Self {
        Self {
            unit: unit.to_owned(),
            start_limit: defaults.start_limit,
            requires: Vec::new(),
            wants: Vec::new(),
            after: Vec::new(),
            wanted_by: Vec::new(),
            on_failure: Vec::new(),
            nixos: Switch::default(),
            surroundings: Surroundings::default(),
            timer: timer(unit),
            triggers: None,
            refused: None,
            warnings: Vec::new(),
            service: service(defaults),
            kind: None,
            timeout_start: None,
            default_timeout: defaults.timeout_start,
            bus_name: false,
            stops: false,
        }
    }

    /// Follows one more line of `file`.
    pub(super) fn assign(&mut self, assignment: &Assignment, file: &str) {
        let value = assignment.value.as_str();
        let understood = match assignment.section.as_str() {
            "Unit" => self.assign_unit(&assignment.key, value),
            "Service" => self.assign_service(&assignment.key, value, assignment.line, file),
            "Timer" => self.assign_timer(&assignment.key, value),
            "Install" => self.assign_install(&assignment.key, value),
            _ => true,
        };
        if !understood {
            self.warnings.push(format!(
                "{file}:{}: ignored, as {value:?} is no value of {}=",
                assignment.line, assignment.key
            ));
        }
    }

    fn assign_unit(&mut self, key: &str, value: &str) -> bool {
        let limit = &mut self.start_limit;
        match key {
            "StartLimitIntervalSec" | "StartLimitInterval" => {
                return set(&mut limit.interval, time_span(value));
            }
            "StartLimitBurst" => return set(&mut limit.burst, value.parse().ok()),
            "Requires" | "Requisite" | "BindsTo" => names(&mut self.requires, value, &self.unit),
            "Wants" => names(&mut self.wants, value, &self.unit),
            "After" => names(&mut self.after, value, &self.unit),
            "OnFailure" => names(&mut self.on_failure, value, &self.unit),
            "OnSuccess" => self.surroundings.on_success |= !value.is_empty(),
            "SuccessAction" => self.surroundings.on_success = !matches!(value, "" | "none"),
            "Before" => self.surroundings.before |= names_more_than_shutdown(value),
            _ => return self.assign_nixos(key, value),
        }
        true
    }

    /// NixOS writes these into either section.
    fn assign_nixos(&mut self, key: &str, value: &str) -> bool {
        match key {
            "X-RestartIfChanged" => set(&mut self.nixos.restart_if_changed, boolean(value)),
            "X-StopOnRemoval" => set(&mut self.nixos.stop_on_removal, boolean(value)),
            _ => true,
        }
    }

    fn assign_install(&mut self, key: &str, value: &str) -> bool {
        if matches!(key, "WantedBy" | "RequiredBy" | "UpheldBy") {
            names(&mut self.wanted_by, value, &self.unit);
        }
        true
    }

    fn assign_timer(&mut self, key: &str, value: &str) -> bool {
        let timer = &mut self.timer;
        match key {
            "OnCalendar" => timer.calendar = !value.is_empty(),
            "Persistent" => return set(&mut timer.persistent, boolean(value)),
            "RandomizedDelaySec" => return set(&mut timer.randomized_delay, time_span(value)),
            "WakeSystem" => return set(&mut timer.wake_system, boolean(value)),
            "Unit" => self.triggers = Some(specifiers(value, &self.unit)),
            _ => {}
        }
        true
    }

    fn assign_service(&mut self, key: &str, value: &str, line: usize, file: &str) -> bool {
        let service = &mut self.service;
        match key {
            "ExecCondition" | "ExecStartPre" | "ExecStart" | "ExecStartPost" | "ExecStop"
            | "ExecStopPost" => {
                self.assign_exec(key, value, line, file);
                true
            }
            "Type" => set_some(&mut self.kind, kind(value)),
            "Restart" => set(&mut service.restart, restart(value)),
            "RestartMode" => set(&mut service.restart_mode, restart_mode(value)),
            "RestartSec" => set(&mut service.restart_delay, time_span(value)),
            "RestartSteps" => set(&mut service.restart_steps, value.parse().ok()),
            "RestartMaxDelaySec" => set(&mut service.restart_max_delay, time_span(value)),
            "TimeoutStartSec" | "TimeoutSec" => set_some(&mut self.timeout_start, timeout(value)),
            "RuntimeMaxSec" => set(&mut service.runtime_max, time_span(value)),
            "SuccessExitStatus" => statuses(&mut service.success, value),
            "RestartPreventExitStatus" => statuses(&mut service.prevent, value),
            "RestartForceExitStatus" => statuses(&mut service.force, value),
            "NotifyAccess" => {
                service.may_notify = matches!(value, "main" | "exec" | "all");
                service.may_notify || value == "none"
            }
            "RemainAfterExit" => set(&mut service.remain_after_exit, boolean(value)),
            _ => self.assign_execution(key, value),
        }
    }

    /// What systemd.exec(5) and systemd.resource-control(5) have.
    fn assign_execution(&mut self, key: &str, value: &str) -> bool {
        let (service, around) = (&mut self.service, &mut self.surroundings);
        match key {
            "User" => service.user = specifiers(value, &self.unit),
            "DynamicUser" => return set(&mut service.dynamic_user, boolean(value)),
            "StandardOutput" => value.clone_into(&mut service.standard_output),
            "BusName" => self.bus_name = !value.is_empty(),
            "PrivateNetwork" => return set(&mut around.own_network, boolean(value)),
            "NetworkNamespacePath" => around.own_network |= !value.is_empty(),
            "RootDirectory" | "RootImage" => around.own_root = !matches!(value, "" | "/"),
            "ProtectSystem" => around.read_only = value == "strict",
            "RuntimeDirectory" => around.runtime_directory = !value.is_empty(),
            "StateDirectory" => around.state_directory = !value.is_empty(),
            "RestrictAddressFamilies" => around.families.assign(value),
            "Sockets" => around.socket |= !value.is_empty(),
            "WatchdogSec" => around.watchdog = timeout(value).flatten().is_some(),
            "IPAddressDeny" => around.addresses_denied = !value.is_empty(),
            _ if around.environment.assign(key, value) => {}
            _ => return self.assign_nixos(key, value),
        }
        true
    }

    fn assign_exec(&mut self, key: &str, value: &str, line: usize, file: &str) {
        let parsed = exec_line::parse(value);
        let warnings = parsed.warnings.into_iter();
        self.warnings
            .extend(warnings.map(|warning| format!("{file}:{line}: {key}=: {warning}")));
        if let Some(why) = parsed.refused {
            self.refused = Some(format!("{file}:{line}: {key}=: {why}"));
        }
        let reset = value.is_empty();
        let service = &mut self.service;
        let list = match key {
            "ExecCondition" => &mut service.exec_condition,
            "ExecStartPre" => &mut service.exec_start_pre,
            "ExecStart" => &mut service.exec_start,
            "ExecStop" => {
                self.stops = !reset;
                self.surroundings.stop = !reset;
                return;
            }
            "ExecStopPost" => {
                self.surroundings.stop_post = !reset;
                return;
            }
            _ => {
                self.surroundings.start_post = !reset;
                return;
            }
        };
        if reset {
            list.clear();
        }
        list.extend(parsed.commands);
    }

    /// The `[Service]` part, defaults filled in, and why systemd refuses it if it does.
    pub(super) fn service(&self) -> (Service, Option<String>) {
        let mut service = self.service.clone();
        service.kind = self.kind.unwrap_or_else(|| self.default_kind());
        let default_timeout = match service.kind {
            Kind::Oneshot => None,
            _ => self.default_timeout,
        };
        service.timeout_start = self.timeout_start.unwrap_or(default_timeout);
        service.may_notify |= matches!(service.kind, Kind::Notify | Kind::NotifyReload);
        if service.dynamic_user && service.user.is_empty() {
            let (stem, _) = self.unit.rsplit_once('.').unwrap_or((&self.unit, ""));
            stem.clone_into(&mut service.user);
        }
        if service.user == "root" || service.user == "0" {
            service.user.clear();
        }
        let refused = self.refused.clone().or_else(|| self.verify(&service));
        (service, refused)
    }

    fn default_kind(&self) -> Kind {
        if self.bus_name {
            Kind::Dbus
        } else if self.service.exec_start.is_empty() {
            Kind::Oneshot
        } else {
            Kind::Simple
        }
    }

    /// What systemd checks when all of a service is read.
    fn verify(&self, service: &Service) -> Option<String> {
        let oneshot = service.kind == Kind::Oneshot;
        let restarts_good = matches!(service.restart, Restart::Always | Restart::OnSuccess);
        let why = match service.exec_start.len() {
            0 if !self.stops && !oneshot => "it has no ExecStart=",
            0 if !self.stops && !service.remain_after_exit => {
                "it has neither ExecStart= nor ExecStop="
            }
            0 if !oneshot && !service.remain_after_exit => "it has no ExecStart=",
            2.. if !oneshot => "it has more than one ExecStart=, which is for Type=oneshot only",
            _ if oneshot && restarts_good => {
                "Restart=always and on-success are not for Type=oneshot"
            }
            _ if service.kind == Kind::Dbus && !self.bus_name => {
                "it is of Type=dbus and has no BusName="
            }
            _ => return None,
        };
        Some(why.to_owned())
    }
}

fn set<T>(place: &mut T, value: Option<T>) -> bool {
    let understood = value.is_some();
    if let Some(value) = value {
        *place = value;
    }
    understood
}

fn set_some<T>(place: &mut Option<T>, value: Option<T>) -> bool {
    let understood = value.is_some();
    *place = value.or(place.take());
    understood
}

/// Adds the names of units; an empty list resets nothing here, systemd.unit(5).
fn names(list: &mut Vec<String>, value: &str, unit: &str) {
    let names = value.split_whitespace().map(|name| specifiers(name, unit));
    for name in names {
        if !list.contains(&name) {
            list.push(name);
        }
    }
}

fn names_more_than_shutdown(value: &str) -> bool {
    let mut names = value.split_whitespace();
    names.any(|name| name != "shutdown.target")
}

fn statuses(list: &mut ExitStatuses, value: &str) -> bool {
    if value.is_empty() {
        *list = ExitStatuses::default();
    }
    // One bad word does not spoil the others.
    let words = value.split_whitespace();
    words.filter(|word| !add_exit_status(list, word)).count() == 0
}

fn timer(name: &str) -> Timer {
    Timer {
        name: name.to_owned(),
        calendar: false,
        persistent: false,
        randomized_delay: Some(Duration::ZERO),
        wake_system: false,
    }
}

fn service(defaults: &Defaults) -> Service {
    Service {
        kind: Kind::Simple,
        exec_condition: Vec::new(),
        exec_start_pre: Vec::new(),
        exec_start: Vec::new(),
        restart: Restart::No,
        restart_delay: defaults.restart_delay,
        restart_steps: 0,
        restart_max_delay: None,
        restart_mode: RestartMode::Normal,
        success: ExitStatuses::default(),
        prevent: ExitStatuses::default(),
        force: ExitStatuses::default(),
        timeout_start: defaults.timeout_start,
        runtime_max: None,
        may_notify: false,
        remain_after_exit: false,
        user: String::new(),
        dynamic_user: false,
        standard_output: "journal".to_owned(),
    }
}
