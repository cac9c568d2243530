//! Assignments, one after the other, into the settings of a unit. Pure.
//!
//! As systemd: a list grows and is reset by an empty assignment, anything else is replaced, a value that cannot be
//! read is left out with a warning.

use super::defaults::{ManagerDefaults, set, set_some};
use super::keys;
use super::timers::TimerSettings;
use super::unit_text::{Assignment, Text};
use super::values::{
    add_exit_status, boolean, is_output, is_unit_name, is_user, kind, notify_access, restart,
    restart_mode, specifiers, time_span, timeout, unsigned,
};
use crate::systemd::environment;
use crate::systemd::exec_line;
use crate::systemd::surroundings::Surroundings;
use crate::systemd::unit::{
    ExitStatuses, IgnoredLine, NotifyAccess, Restart, Service, ServiceType, StartLimit, Switch,
    SystemdSpan,
};
use crate::systemd::version::Version;

/// What the assignments so far make of a unit.
#[derive(Debug)]
pub(super) struct UnitSettings {
    unit: String,
    pub(super) start_limit: StartLimit,
    pub(super) job_timeout: SystemdSpan,
    job_running_timeout: Option<SystemdSpan>,
    pub(super) requires: Vec<String>,
    pub(super) wants: Vec<String>,
    pub(super) after: Vec<String>,
    pub(super) wanted_by: Vec<String>,
    pub(super) on_failure: Vec<String>,
    pub(super) on_success: Vec<String>,
    pub(super) nixos: Switch,
    pub(super) surroundings: Surroundings,
    pub(super) timer: TimerSettings,
    /// Why systemd refuses the unit.
    pub(super) refused: Option<String>,
    /// Which of its files cannot be read, and why.
    pub(super) unreadable: Option<String>,
    /// What is left out of its files.
    pub(super) ignored: Vec<IgnoredLine>,
    /// What else systemd warns of.
    pub(super) warnings: Vec<String>,
    service: Service,
    kind: Option<ServiceType>,
    timeout_start: Option<SystemdSpan>,
    default_timeout: SystemdSpan,
    bus_name: bool,
    stops: bool,
}

impl UnitSettings {
    /// Those of a unit of this name without a file.
    pub(super) fn new(unit: &str, defaults: &ManagerDefaults) -> Self {
        Self {
            unit: unit.to_owned(),
            start_limit: defaults.start_limit,
            job_timeout: None,
            job_running_timeout: None,
            requires: Vec::new(),
            wants: Vec::new(),
            after: Vec::new(),
            wanted_by: Vec::new(),
            on_failure: Vec::new(),
            on_success: Vec::new(),
            nixos: Switch::default(),
            surroundings: Surroundings::default(),
            timer: TimerSettings::new(unit),
            refused: None,
            unreadable: None,
            ignored: Vec::new(),
            warnings: Vec::new(),
            service: defaults.service(),
            kind: None,
            timeout_start: None,
            default_timeout: defaults.timeout_start,
            bus_name: false,
            stops: false,
        }
    }

    /// Follows the text of one more file. A drop-in is read up to what breaks it; a unit's own file is refused.
    pub(super) fn follow(&mut self, text: &Text, file: &str, is_drop_in: bool) {
        let before = self.ignored.len();
        for (line, why) in &text.ignored {
            self.ignore(file, *line, why.clone(), None);
        }
        for (line, name) in &text.sections {
            if let Some(why) = keys::unknown_section(&self.unit, name) {
                self.ignore(file, *line, why, None);
            }
        }
        for assignment in &text.assignments {
            self.assign(assignment, file);
        }
        match &text.broken {
            Some((line, why)) if is_drop_in => {
                let why = format!("{why}, ignoring the rest of the file");
                self.ignore(file, *line, why, None);
            }
            Some((line, why)) => self.refused = Some(format!("{file}:{line}: {why}")),
            None => {}
        }
        self.ignored[before..].sort_by_key(|ignored| ignored.line);
    }

    fn ignore(&mut self, file: &str, line: usize, why: String, since: Option<Version>) {
        let file = file.to_owned();
        self.ignored.push(IgnoredLine {
            file,
            line,
            why,
            since,
        });
    }

    fn assign(&mut self, assignment: &Assignment, file: &str) {
        let Assignment {
            section,
            key,
            value,
            line,
        } = assignment;
        if let Some(why) = keys::unknown_key(section, key) {
            return self.ignore(file, *line, why, None);
        }
        let understood = match section.as_str() {
            "Unit" => self.assign_unit(key, value),
            "Service" => self.assign_service(key, value, *line, file),
            "Timer" => self.timer.assign(key, value),
            "Install" => self.assign_install(key, value),
            _ => true,
        };
        let bad = match section.as_str() {
            "Unit" if keys::is_dependency(key) => not_names(value, &self.unit),
            _ if key.ends_with("ExitStatus") => not_statuses(value),
            "Service" if key == "Environment" => environment::not_assigned(value),
            _ if understood => String::new(),
            _ => value.clone(),
        };
        if let Some(what) = keys::needed(key).filter(|_| !understood) {
            self.refused = Some(format!("{file}:{line}: {key}={value} is not a {what}"));
        } else if !understood || !bad.is_empty() {
            self.ignore(file, *line, keys::not_parsed(key, &bad), None);
        }
        if let Some(since) = keys::since(key, value) {
            let why = format!("{key}={value} is known from {since} on, ignoring");
            self.ignore(file, *line, why, Some(since));
        }
    }

    fn assign_unit(&mut self, key: &str, value: &str) -> bool {
        let limit = &mut self.start_limit;
        match key {
            "StartLimitIntervalSec" | "StartLimitInterval" => {
                return set(&mut limit.interval, time_span(value));
            }
            "StartLimitBurst" => return set(&mut limit.burst, unsigned(value)),
            "JobTimeoutSec" => return set(&mut self.job_timeout, timeout(value)),
            "JobRunningTimeoutSec" => {
                return set_some(&mut self.job_running_timeout, timeout(value));
            }
            "Requires" | "Requisite" | "BindsTo" => names(&mut self.requires, value, &self.unit),
            "Wants" => names(&mut self.wants, value, &self.unit),
            "After" => names(&mut self.after, value, &self.unit),
            "OnFailure" => names(&mut self.on_failure, value, &self.unit),
            "OnSuccess" => names(&mut self.on_success, value, &self.unit),
            "SuccessAction" => self.surroundings.success_action = !matches!(value, "" | "none"),
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

    fn assign_service(&mut self, key: &str, value: &str, line: usize, file: &str) -> bool {
        let service = &mut self.service;
        match key {
            "ExecCondition" | "ExecStartPre" | "ExecStart" | "ExecStartPost" | "ExecStop"
            | "ExecStopPost" => {
                self.assign_exec(key, value, line, file);
                true
            }
            "Type" => set_some(&mut self.kind, kind(value)),
            "StartLimitInterval" => set(&mut self.start_limit.interval, time_span(value)),
            "StartLimitBurst" => set(&mut self.start_limit.burst, unsigned(value)),
            "Restart" => set(&mut service.restart, restart(value)),
            "RestartMode" => set(&mut service.restart_mode, restart_mode(value)),
            "RestartSec" => set(&mut service.restart_delay, time_span(value)),
            "RestartSteps" => set(&mut service.restart_steps, unsigned(value)),
            "RestartMaxDelaySec" => set(&mut service.restart_max_delay, time_span(value)),
            "TimeoutStartSec" | "TimeoutSec" => set_some(&mut self.timeout_start, timeout(value)),
            "RuntimeMaxSec" => set(&mut service.runtime_max, time_span(value)),
            "SuccessExitStatus" => statuses(&mut service.success, value),
            "RestartPreventExitStatus" => statuses(&mut service.prevent, value),
            "RestartForceExitStatus" => statuses(&mut service.force, value),
            "NotifyAccess" => set(&mut service.notify_access, notify_access(value)),
            "RemainAfterExit" => set(&mut service.remain_after_exit, boolean(value)),
            _ => self.assign_execution(key, value),
        }
    }

    /// What systemd.exec(5) and systemd.resource-control(5) have.
    fn assign_execution(&mut self, key: &str, value: &str) -> bool {
        let (service, around) = (&mut self.service, &mut self.surroundings);
        match key {
            "User" => {
                service.user = specifiers(value, &self.unit);
                return value.is_empty() || is_user(&service.user);
            }
            "Group" => return value.is_empty() || is_user(&specifiers(value, &self.unit)),
            "DynamicUser" => return set(&mut service.dynamic_user, boolean(value)),
            "StandardOutput" if !is_output(value) => return false,
            "StandardOutput" => value.clone_into(&mut service.standard_output),
            "BusName" => self.bus_name = !value.is_empty(),
            "PrivateNetwork" => return set(&mut around.own_network, boolean(value)),
            "NetworkNamespacePath" => around.own_network |= !value.is_empty(),
            "RootDirectory" | "RootImage" => around.own_root = !matches!(value, "" | "/"),
            "ProtectSystem" if !matches!(value, "full" | "strict") => {
                around.read_only &= boolean(value).is_none();
                return boolean(value).is_some();
            }
            "ProtectSystem" => around.read_only = value == "strict",
            "RuntimeDirectory" => around.runtime_directory = !value.is_empty(),
            "StateDirectory" => around.state_directory = !value.is_empty(),
            "RestrictAddressFamilies" => around.families.assign(value),
            "Sockets" => around.socket |= !value.is_empty(),
            "WatchdogSec" => around.watchdog = timeout(value).flatten().is_some(),
            "IPAddressDeny" => around.addresses_denied = !value.is_empty(),
            _ => {
                let environment = around.environment.assign(key, value);
                return environment.unwrap_or_else(|| self.assign_nixos(key, value));
            }
        }
        true
    }

    fn assign_exec(&mut self, key: &str, value: &str, line: usize, file: &str) {
        let parsed = exec_line::parse(value);
        let reset = value.is_empty();
        for why in keys::misread_command(key, value, &parsed) {
            self.ignore(file, line, why, None);
        }
        if let Some((why, since)) = keys::command_since(key, &parsed) {
            self.ignore(file, line, why, Some(since));
        }
        if let Some(why) = parsed.refused {
            self.refused = Some(format!("{file}:{line}: {key}=: {why}"));
        }
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
            ServiceType::Oneshot => None,
            _ => self.default_timeout,
        };
        service.timeout_start = self.timeout_start.unwrap_or(default_timeout);
        if matches!(
            service.kind,
            ServiceType::Notify | ServiceType::NotifyReload
        ) {
            service.notify_access = service.notify_access.max(NotifyAccess::Main);
        }
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

    /// `JobRunningTimeoutSec=`, its default filled in.
    pub(super) fn job_running_timeout(&self) -> SystemdSpan {
        self.job_running_timeout.unwrap_or(self.job_timeout)
    }

    fn default_kind(&self) -> ServiceType {
        if self.bus_name {
            ServiceType::Dbus
        } else if self.service.exec_start.is_empty() {
            ServiceType::Oneshot
        } else {
            ServiceType::Simple
        }
    }

    /// What systemd checks when all of a service is read.
    fn verify(&self, service: &Service) -> Option<String> {
        let oneshot = service.kind == ServiceType::Oneshot;
        // A service may consist of it.
        let acts = self.surroundings.success_action;
        let restarts_good = matches!(service.restart, Restart::Always | Restart::OnSuccess);
        let why = match service.exec_start.len() {
            0 if !self.stops && !acts => "it has neither ExecStart= nor ExecStop=",
            0 if !oneshot => "it has no ExecStart=, and is not of Type=oneshot",
            0 if !service.remain_after_exit && !acts => {
                "it has no ExecStart=, and no RemainAfterExit=yes"
            }
            2.. if !oneshot => "it has more than one ExecStart=, which is for Type=oneshot only",
            _ if oneshot && restarts_good => {
                "Restart=always and on-success are not for Type=oneshot"
            }
            _ if service.kind == ServiceType::Dbus && !self.bus_name => {
                "it is of Type=dbus and has no BusName="
            }
            _ => return None,
        };
        Some(why.to_owned())
    }
}

/// Adds the names of units; an empty list resets nothing here, systemd.unit(5).
fn names(list: &mut Vec<String>, value: &str, unit: &str) {
    let names = value.split_whitespace().map(|name| specifiers(name, unit));
    for name in names.filter(|name| is_unit_name(name)) {
        if !list.contains(&name) {
            list.push(name);
        }
    }
}

fn names_more_than_shutdown(value: &str) -> bool {
    let mut names = value.split_whitespace();
    names.any(|name| name != "shutdown.target")
}

/// What systemd leaves out of a list of units.
fn not_names(value: &str, unit: &str) -> String {
    let words = value.split_whitespace();
    let bad: Vec<_> = words
        .filter(|word| !is_unit_name(&specifiers(word, unit)))
        .collect();
    bad.join(" ")
}

/// What systemd leaves out of a list of exit statuses.
fn not_statuses(value: &str) -> String {
    let mut scratch = ExitStatuses::default();
    let words = value.split_whitespace();
    let bad: Vec<_> = words
        .filter(|word| !add_exit_status(&mut scratch, word))
        .collect();
    bad.join(" ")
}

fn statuses(list: &mut ExitStatuses, value: &str) -> bool {
    if value.is_empty() {
        *list = ExitStatuses::default();
    }
    // One bad word does not spoil the others.
    let words = value.split_whitespace();
    words.filter(|word| !add_exit_status(list, word)).count() == 0
}
