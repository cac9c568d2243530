//! Rules about the start limit.

use std::time::Duration;

use super::Diagnosis;
use super::case::{Case, exact, quoted, shown};
use crate::systemd::delay::Delays;
use crate::systemd::restart::{AfterAttempt, ExecPhase, ProcessExit, next};
use crate::systemd::simulate::{OutageEnding, Timeline};
use crate::systemd::start_limit;
use crate::systemd::unit::StartLimit;

/// What does not bite within a year never does.
const A_YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// UG001: 100 s, 5 times and `RestartSec=20`.
///
/// The default limit is nobody's decision. Of what is not a network job it is not known how long an attempt takes: only what
/// could not bite if it took no time at all is reported.
pub(super) fn never_bites(case: &Case<'_>) -> Option<Diagnosis> {
    let limit = case.unit.start_limit;
    let is_meant = limit != StartLimit::DEFAULT && start_limit::is_on(limit);
    let attempt = if case.is_network_job() {
        case.assumed.attempt
    } else {
        Duration::ZERO
    };
    if !is_meant || !is_restarted(case) || limit_hit(&case.story_of(A_YEAR, attempt)).is_some() {
        return None;
    }
    let delay = Delays::of(case.service, case.version).before(u32::MAX)?;
    let cycle = delay.saturating_add(attempt);
    let needed = cycle.saturating_mul(limit.burst);
    let what = format!(
        "With {} and attempts of {}, {burst} starts take {}, which is no less than {}: the window is over before start {} \
         comes, and a new one begins. It is restarted indefinitely, every {}.",
        delay_quoted(case, delay),
        shown(Some(attempt)),
        shown(Some(needed)),
        quoted("StartLimitIntervalSec", limit.interval, 10_000),
        limit.burst.saturating_add(1),
        shown(Some(cycle)),
        burst = limit.burst,
    );
    Some(if case.is_network_job() && !case.is_gated() {
        Diagnosis {
            lines: for_ever(),
            ..case.wants_gate(what)
        }
    } else {
        Diagnosis {
            what,
            command: None,
            lines: vec![
                "[Unit]".to_owned(),
                format!("# gives up after {} starts; 0 means never", limit.burst),
                format!("StartLimitIntervalSec={}", roomy(needed)),
            ],
        }
    })
}

/// The settings that make the delay what it is in the end.
fn delay_quoted(case: &Case<'_>, delay: Duration) -> String {
    let first = case.service.restart_delay;
    let longest = format!("RestartMaxDelaySec={}", exact(Some(delay)));
    match first {
        Some(first) if first == delay => quoted("RestartSec", Some(first), 100),
        Some(first) if first < delay => format!(
            "{}, which grows to {longest},",
            quoted("RestartSec", Some(first), 100)
        ),
        _ => longest,
    }
}

/// A limit that bit would only give up before the network is back (UG002).
fn for_ever() -> Vec<String> {
    [
        "[Unit]",
        "# explicit: it never gives up",
        "StartLimitIntervalSec=0",
    ]
    .map(str::to_owned)
    .into()
}

/// UG002: five quick attempts, and no more until someone looks.
pub(super) fn bites_too_soon(case: &Case<'_>) -> Option<Diagnosis> {
    if !case.is_network_job() || case.is_gated() || !is_restarted(case) {
        return None;
    }
    let timeline = case.timeline();
    let (at, starts) = limit_hit(&timeline)?;
    let timers: Vec<_> = case
        .unit
        .timers
        .iter()
        .map(|timer| timer.name.as_str())
        .collect();
    let until = match timers.as_slice() {
        [] => "it is started manually".to_owned(),
        names => format!("{} elapses again", names.join(" or ")),
    };
    Some(Diagnosis {
        lines: vec![
            "[Unit]".to_owned(),
            "StartLimitIntervalSec=0".to_owned(),
            "[Service]".to_owned(),
            "RestartSec=1min".to_owned(),
        ],
        ..case.wants_gate(format!(
            "Without a network for {}, with attempts of {}, it is started {starts} times within {}; then the start limit \
             ({} starts in {}) refuses it (Result=start-limit-hit), {} before the network is back. Nothing restarts it \
             until {until}.",
            shown(Some(case.assumed.outage)),
            shown(timeline.attempt),
            shown(Some(at)),
            case.unit.start_limit.burst,
            exact(case.unit.start_limit.interval),
            shown(Some(case.assumed.outage.saturating_sub(at))),
        ))
    })
}

/// Whether systemd restarts it after a command that exits with 1.
pub(super) fn is_restarted(case: &Case<'_>) -> bool {
    next(case.service, ExecPhase::Start, ProcessExit::Code(1)) == AfterAttempt::Restart
}

fn limit_hit(timeline: &Timeline) -> Option<(Duration, u64)> {
    match timeline.ending {
        OutageEnding::LimitHit { at, starts } => Some((at, starts)),
        _ => None,
    }
}

/// So long that a slow machine keeps within it too: half as much again, in whole minutes.
fn roomy(needed: Duration) -> String {
    let minutes = needed.as_secs().saturating_mul(3) / 2 / 60;
    format!("{}min", minutes.saturating_add(1))
}
