//! The JSON for programs: version 1, documented field by field in docs/json.md.

use std::time::Duration;

use serde::Serialize;

use super::sentence;
use super::status_file::Living;
use crate::gate::time::{Monotonic, Wall};
use crate::gate::verdict::{Evidence, Hold, Verdict};

/// The version of everything here. Fields may be added to a version, but never change or go.
pub const VERSION: u32 = 1;

/// One line of JSON.
#[derive(Clone, Debug, Serialize)]
pub struct JsonLine<'a> {
    version: u32,
    at_usec_realtime: u64,
    profile: &'a str,
    #[serde(flatten)]
    event: JsonEvent<'a>,
}

/// What a line tells.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum JsonEvent<'a> {
    /// `wait-online` and `run`: a verdict that differs from the one before; `check`: the verdict.
    Verdict(VerdictFields<'a>),
    /// `run`: the command was started.
    AttemptStarted {
        /// Which attempt, from 1.
        attempt: u32,
    },
    /// `run`: the command ended.
    AttemptEnded {
        /// Which attempt, from 1.
        attempt: u32,
        /// How it is judged: `succeeded`, `final`, `failed`, `interrupted`.
        outcome: &'static str,
        /// The command's exit code.
        exit_status: Option<i32>,
        /// The signal that killed it.
        signal: Option<i32>,
        /// How long it ran, in awake time.
        took_usec: u64,
        /// Why it is judged so.
        detail: &'a str,
    },
    /// The reader did not read: lines that were to be told before this one are lost.
    Lost {
        /// How many.
        lines: u64,
    },
    /// The end of a wait or a run.
    Summary {
        /// How often the command was run.
        attempts: u32,
        /// What upgrade-gate exits with.
        exit_status: u8,
        /// All waiting, in awake time.
        waited_usec: u64,
        /// Why it ends so.
        detail: &'a str,
    },
}

/// A verdict, and when it was given.
#[derive(Clone, Debug, Serialize)]
pub struct VerdictFields<'a> {
    verdict: &'static str,
    reason: Option<&'static str>,
    sentence: String,
    holds: Vec<HoldFields<'a>>,
    evidence: Option<EvidenceFields<'a>>,
    waited_usec: u64,
}

#[derive(Clone, Debug, Serialize)]
struct HoldFields<'a> {
    reason: &'static str,
    detail: &'a str,
    look_again_in_usec: Option<u64>,
}

#[derive(Clone, Debug, Serialize)]
struct EvidenceFields<'a> {
    what: &'a str,
    epoch: u64,
    guess: bool,
}

impl<'a> JsonEvent<'a> {
    /// Tells a verdict as it stands at `now`, after `waited` of awake time.
    pub fn verdict(verdict: &'a Verdict, waited: Duration, now: Monotonic) -> Self {
        Self::Verdict(VerdictFields {
            verdict: label(verdict),
            reason: verdict.hold().map(|hold| hold.reason.label()),
            sentence: sentence::lasting(verdict),
            holds: holds(verdict, now),
            evidence: evidence(verdict),
            waited_usec: usec(waited),
        })
    }

    /// The line for this event of a gate with this profile, without the line's end.
    pub fn line(self, profile: &'a str, at: Wall) -> String {
        written(&JsonLine {
            version: VERSION,
            at_usec_realtime: usec(at.0),
            profile,
            event: self,
        })
    }
}

/// `status --json`.
#[derive(Clone, Debug, Serialize)]
pub struct StatusLine<'a> {
    version: u32,
    gates: &'a [Living],
    warnings: &'a [String],
}

impl<'a> StatusLine<'a> {
    /// The line for these gates, and for what could not be read.
    pub fn line(gates: &'a [Living], warnings: &'a [String]) -> String {
        written(&Self {
            version: VERSION,
            gates,
            warnings,
        })
    }
}

/// `open` or `held`.
pub fn label(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Open(_) => "open",
        Verdict::Held(_) => "held",
    }
}

/// Microseconds, as systemd counts; saturates after 584,000 years.
pub fn usec(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

fn holds(verdict: &Verdict, now: Monotonic) -> Vec<HoldFields<'_>> {
    let holds: &[Hold] = match verdict {
        Verdict::Open(_) => &[],
        Verdict::Held(holds) => holds,
    };
    let fields = |hold: &'_ Hold| -> Option<u64> { hold.look_again.map(|at| usec(at.since(now))) };
    holds
        .iter()
        .map(|hold| HoldFields {
            reason: hold.reason.label(),
            detail: &hold.detail,
            look_again_in_usec: fields(hold),
        })
        .collect()
}

fn evidence(verdict: &Verdict) -> Option<EvidenceFields<'_>> {
    let Verdict::Open(Evidence { epoch, what, guess }) = verdict else {
        return None;
    };
    Some(EvidenceFields {
        what,
        epoch: *epoch,
        guess: *guess,
    })
}

/// Structs of strings and numbers always serialize; an empty line would say that they did not.
fn written(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::gate::reason::Reason;

    const NOW: Monotonic = Monotonic(Duration::from_secs(100));

    fn told(event: JsonEvent<'_>) -> Value {
        let at = Wall(Duration::from_secs(1_700_000_000));
        serde_json::from_str(&event.line("p", at)).expect("json")
    }

    #[test]
    fn a_hold_is_told_with_its_next_look_counted_from_now() {
        let held = Verdict::Held(vec![Hold {
            reason: Reason::Dns,
            detail: "no name".to_owned(),
            look_again: Some(NOW.after(Duration::from_secs(4))),
        }]);
        let expected = json!({
            "version": 1, "event": "verdict", "at_usec_realtime": 1_700_000_000_000_000_u64,
            "profile": "p", "verdict": "held", "reason": "dns",
            "sentence": "held: dns: no name",
            "holds": [{"reason": "dns", "detail": "no name", "look_again_in_usec": 4_000_000}],
            "evidence": null, "waited_usec": 7_000_000,
        });
        assert_eq!(
            told(JsonEvent::verdict(&held, Duration::from_secs(7), NOW)),
            expected
        );
    }

    #[test]
    fn a_guess_is_marked_in_the_evidence() {
        let open = Verdict::Open(Evidence {
            epoch: 2,
            what: "a route through wlan0".to_owned(),
            guess: true,
        });
        let line = told(JsonEvent::verdict(&open, Duration::ZERO, NOW));
        assert_eq!(line["evidence"]["guess"], true);
        assert_eq!(line["reason"], Value::Null);
        assert_eq!(line["holds"], json!([]));
    }

    #[test]
    fn lost_lines_are_counted_in_an_event_of_their_own() {
        let lost = told(JsonEvent::Lost { lines: 3 });
        assert_eq!(
            (&lost["event"], &lost["lines"]),
            (&json!("lost"), &json!(3))
        );
    }

    #[test]
    fn a_line_is_one_line() {
        let held = Verdict::Held(vec![Hold {
            reason: Reason::Portal,
            detail: "a\nb".to_owned(),
            look_again: None,
        }]);
        let line = JsonEvent::verdict(&held, Duration::ZERO, NOW).line("p", Wall::default());
        assert!(!line.contains('\n'));
    }
}
