//! What is so where a unit's files say nothing: systemd's own defaults, and those of system.conf. Pure.

use std::time::Duration;

use super::values::{time_span, timeout, unsigned};
use crate::systemd::unit::{
    ExitStatuses, NotifyAccess, Restart, RestartMode, Service, ServiceType, StartLimit, SystemdSpan,
};

/// `DefaultTimeoutStartSec=` and its like, from systemd-system.conf(5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ManagerDefaults {
    pub(super) start_limit: StartLimit,
    pub(super) timeout_start: SystemdSpan,
    pub(super) restart_delay: SystemdSpan,
}

impl Default for ManagerDefaults {
    fn default() -> Self {
        Self {
            start_limit: StartLimit::DEFAULT,
            timeout_start: Some(Duration::from_secs(90)),
            restart_delay: Some(Duration::from_millis(100)),
        }
    }
}

impl ManagerDefaults {
    /// Follows a line of system.conf; false if its value cannot be read.
    pub(super) fn assign(&mut self, key: &str, value: &str) -> bool {
        let limit = &mut self.start_limit;
        match key {
            "DefaultStartLimitIntervalSec" | "DefaultStartLimitInterval" => {
                set(&mut limit.interval, time_span(value))
            }
            "DefaultStartLimitBurst" => set(&mut limit.burst, unsigned(value)),
            "DefaultTimeoutStartSec" => set(&mut self.timeout_start, timeout(value)),
            "DefaultRestartSec" => set(&mut self.restart_delay, time_span(value)),
            _ => true,
        }
    }

    /// A service of which nothing is written.
    pub(super) fn service(&self) -> Service {
        Service {
            kind: ServiceType::Simple,
            exec_condition: Vec::new(),
            exec_start_pre: Vec::new(),
            exec_start: Vec::new(),
            restart: Restart::No,
            restart_delay: self.restart_delay,
            restart_steps: 0,
            restart_max_delay: None,
            restart_mode: RestartMode::Normal,
            success: ExitStatuses::default(),
            prevent: ExitStatuses::default(),
            force: ExitStatuses::default(),
            timeout_start: self.timeout_start,
            runtime_max: None,
            notify_access: NotifyAccess::None,
            remain_after_exit: false,
            user: String::new(),
            dynamic_user: false,
            standard_output: "journal".to_owned(),
        }
    }
}

/// Puts a value that could be read in its place; whether it could.
pub(super) fn set<T>(place: &mut T, value: Option<T>) -> bool {
    let understood = value.is_some();
    if let Some(value) = value {
        *place = value;
    }
    understood
}

/// The same for a value that may never have been set.
pub(super) fn set_some<T>(place: &mut Option<T>, value: Option<T>) -> bool {
    let understood = value.is_some();
    *place = value.or(place.take());
    understood
}
