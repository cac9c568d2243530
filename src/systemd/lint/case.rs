//! A unit with what is evident about it: whether it needs a network, and what gates it.

use std::time::Duration;

use super::words::{self, Call, GateCommand};
use super::{Assumed, Diagnosis, Prediction, upgraders, waits};
use crate::systemd::restart::{ExecPhase, ProcessExit};
use crate::systemd::simulate::{Outage, SimulatedAttempt, Timeline, simulate};
use crate::systemd::unit::{Load, Service, ServiceType, SystemdSpan, Timer, Unit};
use crate::systemd::version::Version;
use crate::text::span::Span;
use crate::text::span::format_span;

/// What the rules look at.
#[derive(Debug)]
pub struct Case<'a> {
    pub(super) unit: &'a Unit,
    pub(super) service: &'a Service,
    pub(super) version: Version,
    pub(super) assumed: Assumed,
    pub(super) calls: Vec<Call>,
}

impl<'a> Case<'a> {
    /// None if it is not a service, or one that is masked or not there.
    pub fn of(unit: &'a Unit, version: Version, assumed: Assumed) -> Option<Self> {
        let service = unit.service.as_ref()?;
        matches!(unit.load, Load::Loaded | Load::Refused(_)).then(|| Self {
            unit,
            service,
            version,
            assumed,
            calls: words::calls(service),
        })
    }

    /// Whether it evidently needs the network.
    pub(super) fn needs_network(&self) -> bool {
        self.relies_on_online_target() || self.upgrades() || self.is_gated()
    }

    /// Whether it waits for network-online.target, as it thinks.
    pub(super) fn relies_on_online_target(&self) -> bool {
        let mut names = self
            .unit
            .after
            .iter()
            .chain(&self.unit.wants)
            .chain(&self.unit.requires);
        names.any(|name| name == "network-online.target")
    }

    /// Whether it is known to upgrade something.
    fn upgrades(&self) -> bool {
        upgraders::is_called_upgrade(&self.unit.name)
            || words::lines(self.service).any(|(_, exec)| upgraders::upgrades(exec))
    }

    /// Whether it needs the network for a piece of work, rather than serving it.
    pub(super) fn is_network_job(&self) -> bool {
        let is_job = !self.unit.timers.is_empty() || self.service.kind == ServiceType::Oneshot;
        self.needs_network() && (is_job || self.upgrades())
    }

    /// Whether upgrade-gate gates it, in whatever way.
    pub(super) fn is_gated(&self) -> bool {
        !self.calls.is_empty() || self.companion().is_some() || self.waits_for_our_target()
    }

    /// The `upgrade-gate@NAME.service` that gates it.
    pub(super) fn companion(&self) -> Option<&'a str> {
        let mut requires = self.unit.requires.iter().map(String::as_str);
        requires.find(|name| name.starts_with("upgrade-gate@"))
    }

    fn waits_for_our_target(&self) -> bool {
        let mut names = self.unit.wanted_by.iter().chain(&self.unit.requires);
        names.any(|name| name == "upgrade-gate-online.target")
    }

    /// Whether something else in it waits for a network, well or not.
    pub(super) fn waits_otherwise(&self) -> bool {
        let nm_online = self.nm_online();
        nm_online.is_some_and(|options| !asks_startup(&options))
            || words::lines(self.service).any(|(phase, exec)| waits::waits(phase, exec))
    }

    /// The words after `nm-online`, if something calls it before the work begins.
    pub(super) fn nm_online(&self) -> Option<Vec<String>> {
        let mut work = self.service.exec_start.iter();
        if work.any(|exec| words::program(&exec.path) == "nm-online") {
            // A unit that is nothing but the wait, as NetworkManager-wait-online.service.
            return None;
        }
        words::lines(self.service).find_map(|(_, exec)| {
            let commands = words::commands(exec);
            words::arguments(&commands, "nm-online").map(<[String]>::to_vec)
        })
    }

    /// The timers that elapse during a sleep.
    pub(super) fn calendar_timers(&self) -> impl Iterator<Item = &'a Timer> {
        self.unit.timers.iter().filter(|timer| timer.calendar)
    }

    /// What becomes of it, if `ExecStart=` fails.
    pub(super) fn timeline(&self) -> Timeline {
        self.story_of(self.assumed.outage, self.assumed.attempt)
    }

    /// The same, with another outage and attempt.
    pub(super) fn story_of(&self, outage: Duration, attempt: Duration) -> Timeline {
        simulate(self.unit, self.version, &Outage::new(outage, attempt))
    }

    /// What becomes of it, if this command of a start gives up after so long.
    pub(super) fn timeline_of_call(&self, call: Call, code: u8) -> Timeline {
        let mut outage = Outage::new(self.assumed.outage, self.assumed.attempt);
        outage.attempt = SimulatedAttempt {
            length: Some(call.timeout.unwrap_or(self.assumed.attempt)),
            phase: call.phase,
            exit: ProcessExit::Code(code),
        };
        simulate(self.unit, self.version, &outage)
    }

    pub(super) fn prediction(&self) -> Prediction {
        let waiting = self.calls.iter().any(|call| call.waits());
        let gives_up = self
            .calls
            .iter()
            .find(|call| !call.waits() && call.phase != ExecPhase::Start);
        match gives_up {
            Some(call) if call.phase == ExecPhase::Condition && call.exec_condition => {
                Prediction::Skipped
            }
            Some(call) => Prediction::Tried(self.timeline_of_call(*call, 75)),
            None if waiting || self.companion().is_some() || self.waits_for_our_target() => {
                Prediction::Held
            }
            None => match self.calls.first() {
                Some(call) if call.command == GateCommand::Run => {
                    Prediction::Tried(self.timeline_of_call(*call, 75))
                }
                _ => Prediction::Tried(self.timeline()),
            },
        }
    }

    /// What is to be said, if putting the gate before the unit's commands fixes it.
    pub(super) fn wants_gate(&self, what: String) -> Diagnosis {
        Diagnosis {
            what,
            command: Some(format!("upgrade-gate drop-in {} --write", self.unit.name)),
            lines: Vec::new(),
        }
    }
}

/// Whether these options of nm-online have it wait for NetworkManager's start alone.
pub(super) fn asks_startup(options: &[String]) -> bool {
    options.iter().any(|word| match word.strip_prefix("--") {
        Some(long) => long == "wait-for-startup",
        None => word.starts_with('-') && word.contains('s'),
    })
}

/// A span as it is written in a setting.
pub(super) fn exact(span: SystemdSpan) -> String {
    Span::from(span).to_string()
}

/// A setting as the unit has it, or as it has it by not writing it.
pub(super) fn quoted(key: &str, span: SystemdSpan, default_ms: u64) -> String {
    let is_default = span == Some(Duration::from_millis(default_ms));
    let note = if is_default { " (the default)" } else { "" };
    format!("{key}={}{note}", exact(span))
}

/// A span for people.
pub(super) fn shown(span: SystemdSpan) -> String {
    span.map_or_else(|| "infinity".to_owned(), format_span)
}
