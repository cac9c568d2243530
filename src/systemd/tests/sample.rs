//! Units for tests: as systemd has them when nothing but the essential is written.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::systemd::unit::{
    Exec, ExitStatuses, Load, NotifyAccess, Restart, RestartMode, Service, ServiceType, StartLimit,
    Switch, Unit,
};

/// `upgrade.service`: a oneshot with `Restart=on-failure`.
pub(in crate::systemd) fn unit() -> Unit {
    Unit {
        name: "upgrade.service".to_owned(),
        load: Load::Loaded,
        fragment: Some("/etc/systemd/system/upgrade.service".into()),
        drop_ins: Vec::new(),
        transient: false,
        start_limit: StartLimit::DEFAULT,
        job_timeout: None,
        job_running_timeout: None,
        requires: Vec::new(),
        wants: Vec::new(),
        after: Vec::new(),
        wanted_by: Vec::new(),
        on_failure: Vec::new(),
        on_success: Vec::new(),
        nixos: Switch::default(),
        service: Some(service()),
        timers: Vec::new(),
        ignored: Vec::new(),
    }
}

/// The same with `StartLimitIntervalSec=` in seconds, `StartLimitBurst=` and `RestartSec=`.
pub(in crate::systemd) fn limited(interval: u64, burst: u32, delay: Duration) -> Unit {
    Unit {
        start_limit: StartLimit {
            interval: Some(Duration::from_secs(interval)),
            burst,
        },
        service: Some(Service {
            restart_delay: Some(delay),
            ..service()
        }),
        ..unit()
    }
}

/// Its service part.
pub(in crate::systemd) fn service() -> Service {
    Service {
        kind: ServiceType::Oneshot,
        exec_condition: Vec::new(),
        exec_start_pre: Vec::new(),
        exec_start: vec![exec("/usr/bin/upgrade")],
        restart: Restart::OnFailure,
        restart_delay: Some(Duration::from_millis(100)),
        restart_steps: 0,
        restart_max_delay: None,
        restart_mode: RestartMode::Normal,
        success: ExitStatuses::default(),
        prevent: ExitStatuses::default(),
        force: ExitStatuses::default(),
        timeout_start: None,
        runtime_max: None,
        notify_access: NotifyAccess::None,
        remain_after_exit: false,
        user: String::new(),
        dynamic_user: false,
        standard_output: "journal".to_owned(),
    }
}

/// A command without arguments.
pub(in crate::systemd) fn exec(path: &str) -> Exec {
    Exec {
        path: path.to_owned(),
        argv: vec![path.to_owned()],
        ..Exec::default()
    }
}

/// `SuccessExitStatus=75 143` and the like.
pub(in crate::systemd) fn codes(codes: &[u8]) -> ExitStatuses {
    ExitStatuses {
        codes: codes.iter().copied().collect(),
        signals: BTreeSet::new(),
    }
}

/// `SuccessExitStatus=SIGTERM` and the like.
pub(in crate::systemd) fn signals(signals: &[u8]) -> ExitStatuses {
    ExitStatuses {
        codes: BTreeSet::new(),
        signals: signals.iter().copied().collect(),
    }
}
