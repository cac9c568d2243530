//! The log lines of a gate, with the fields and message ids that operators search the journal by.

use std::time::Duration;

use tracing::{error, info, warn};

use super::journal::{ATTEMPT_FINISHED, GAVE_UP, HELD, INTERRUPTED, OPEN};
use super::json::{label, usec};
use super::sentence::sentence;
use super::{AttemptEnd, CommandKind, Judged, ReporterSetup, Summary};
use crate::exit::Exit;
use crate::gate::time::Monotonic;
use crate::gate::verdict::Verdict;
use crate::text::span::format_span;

/// Logs a verdict that has another reason than the one before.
pub(super) fn verdict(setup: &ReporterSetup, verdict: &Verdict, waited: Duration, now: Monotonic) {
    info!(
        message_id = if verdict.hold().is_some() { HELD } else { OPEN },
        upgrade_gate_verdict = label(verdict),
        upgrade_gate_reason = reason(Some(verdict)),
        upgrade_gate_profile = setup.profile,
        upgrade_gate_target = targets(setup),
        upgrade_gate_waited_usec = usec(waited),
        "{}",
        sentence(verdict, waited, now)
    );
}

/// Logs how an attempt ended: a failure or an interruption is a warning.
pub(super) fn attempt_ended(setup: &ReporterSetup, end: &AttemptEnd) {
    let text = ended(end);
    let profile = &setup.profile;
    match end.judged {
        Judged::Interrupted => warn!(
            message_id = INTERRUPTED,
            upgrade_gate_profile = profile,
            "{text}"
        ),
        Judged::Failed => warn!(
            message_id = ATTEMPT_FINISHED,
            upgrade_gate_profile = profile,
            "{text}"
        ),
        Judged::Succeeded | Judged::Final => info!(
            message_id = ATTEMPT_FINISHED,
            upgrade_gate_profile = profile,
            "{text}"
        ),
    }
}

/// `attempt 2 interrupted after 3min: the machine slept for 8h`.
pub(super) fn ended(end: &AttemptEnd) -> String {
    let judged = match end.judged {
        Judged::Final => "ended",
        other => other.label(),
    };
    format!(
        "attempt {} {judged} after {}: {}",
        end.attempt,
        format_span(end.took),
        end.why
    )
}

/// Logs the end as an error: a fault is said under `--quiet`, and beside JSON.
pub(super) fn fault(setup: &ReporterSetup, summary: &Summary) {
    let text = summed_up(setup.kind, summary);
    error!(upgrade_gate_profile = setup.profile, "{text}");
}

/// Logs the end. That a wait ended because the gate opened has been said by the verdict.
pub(super) fn summary(setup: &ReporterSetup, last: Option<&Verdict>, summary: &Summary) {
    let text = summed_up(setup.kind, summary);
    if summary.exit == Exit::NotNow {
        warn!(
            message_id = GAVE_UP,
            upgrade_gate_verdict = last.map(label),
            upgrade_gate_reason = reason(last),
            upgrade_gate_profile = setup.profile,
            upgrade_gate_target = targets(setup),
            upgrade_gate_waited_usec = usec(summary.waited),
            "{text}"
        );
    } else if setup.kind == CommandKind::Run {
        info!(
            upgrade_gate_profile = setup.profile,
            upgrade_gate_waited_usec = usec(summary.waited),
            "{text}"
        );
    }
}

fn summed_up(kind: CommandKind, summary: &Summary) -> String {
    let waited = format_span(summary.waited);
    let did = match (kind, summary.attempts) {
        (CommandKind::Run, 1) => format!("waited {waited}, 1 attempt"),
        (CommandKind::Run, n) => format!("waited {waited}, {n} attempts"),
        _ => format!("waited {waited}"),
    };
    match summary.exit {
        Exit::NotNow => format!("gave up: {} ({did})", summary.why),
        _ => format!("{} ({did})", summary.why),
    }
}

fn reason(verdict: Option<&Verdict>) -> Option<&'static str> {
    verdict
        .and_then(Verdict::hold)
        .map(|hold| hold.reason.label())
}

fn targets(setup: &ReporterSetup) -> Option<String> {
    (!setup.targets.is_empty()).then(|| setup.targets.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interruption_reads_as_one() {
        let end = AttemptEnd {
            attempt: 2,
            judged: Judged::Interrupted,
            exit_status: Some(1),
            signal: None,
            took: Duration::from_secs(180),
            why: "the machine slept for 8h".to_owned(),
        };
        assert_eq!(
            ended(&end),
            "attempt 2 interrupted after 3min: the machine slept for 8h"
        );
    }

    #[test]
    fn a_summary_says_what_was_done_and_why_it_ends() {
        let mut end = Summary {
            waited: Duration::from_secs(600),
            attempts: 0,
            exit: Exit::NotNow,
            why: "still held: dns".to_owned(),
        };
        assert_eq!(
            summed_up(CommandKind::WaitOnline, &end),
            "gave up: still held: dns (waited 10min)"
        );
        end.attempts = 1;
        end.exit = Exit::Ok;
        end.why = "the command succeeded".to_owned();
        assert_eq!(
            summed_up(CommandKind::Run, &end),
            "the command succeeded (waited 10min, 1 attempt)"
        );
    }
}
