//! What is new in a verdict, and who is told.

use super::journal::Log;
use crate::gate::reason::Reason;
use crate::gate::verdict::Verdict;

/// How much a verdict differs from the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum VerdictChange {
    /// At most the times: when it is looked at again, the epoch.
    Times,
    /// The same reason is named, but not all is the same.
    Particulars,
    /// Another reason, or open after held or held after open.
    Reasons,
}

/// Compares a verdict with the one before, if there was one.
pub fn change(before: Option<&Verdict>, after: &Verdict) -> VerdictChange {
    match before {
        Some(before) if gist(before) != gist(after) => VerdictChange::Reasons,
        Some(before) if particulars(before) != particulars(after) => VerdictChange::Particulars,
        Some(_) => VerdictChange::Times,
        None => VerdictChange::Reasons,
    }
}

/// The reason that is named; none for open.
fn gist(verdict: &Verdict) -> Option<Reason> {
    verdict.hold().map(|hold| hold.reason)
}

fn particulars(verdict: &Verdict) -> Vec<(Option<Reason>, &str)> {
    match verdict {
        Verdict::Open(evidence) => vec![(None, &evidence.what)],
        Verdict::Held(holds) => holds
            .iter()
            .map(|hold| (Some(hold.reason), &*hold.detail))
            .collect(),
    }
}

/// Where a person or program may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listeners {
    /// Where log lines go.
    pub log: Log,
    /// A terminal shows the live line.
    pub live: bool,
    /// JSON lines were asked for, in place of log lines on the same screen.
    pub json: bool,
}

/// A line in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLine {
    /// For everyone.
    Plain,
    /// For whoever asked for `--verbose`.
    Verbose,
}

/// Who is told of one verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Telling {
    /// The log, if at all.
    pub line: Option<LogLine>,
    /// A JSON line.
    pub json: bool,
    /// The live line.
    pub live: bool,
}

/// Decides who is told of `verdict`, given how much is new in it.
///
/// Log lines are for changes of the reasons alone: a name that resolves to other addresses at each look
/// would otherwise fill a week's journal. A live line takes their place while it can be seen.
pub fn telling(change: VerdictChange, verdict: &Verdict, listeners: Listeners) -> Telling {
    let held = verdict.hold().is_some();
    let replaced = listeners.log == Log::Stderr && (listeners.json || listeners.live && held);
    let news = change > VerdictChange::Times;
    let line = match change {
        VerdictChange::Reasons => Some(LogLine::Plain),
        VerdictChange::Particulars => Some(LogLine::Verbose),
        VerdictChange::Times => None,
    };
    Telling {
        line: line.filter(|_| !replaced),
        json: news && listeners.json,
        live: listeners.live && held,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::gate::time::Monotonic;
    use crate::gate::verdict::{Evidence, Hold};

    fn held(reason: Reason, detail: &str, look: u64) -> Verdict {
        Verdict::Held(vec![Hold {
            reason,
            detail: detail.to_owned(),
            look_again: Some(Monotonic(Duration::from_secs(look))),
        }])
    }

    fn open() -> Verdict {
        Verdict::Open(Evidence {
            epoch: 1,
            what: "x".to_owned(),
            guess: false,
        })
    }

    const PIPE: Listeners = Listeners {
        log: Log::Stderr,
        live: false,
        json: false,
    };

    #[test]
    fn only_other_reasons_or_particulars_are_news() {
        let dns = held(Reason::Dns, "a", 1);
        assert_eq!(change(None, &dns), VerdictChange::Reasons);
        assert_eq!(change(Some(&dns), &dns), VerdictChange::Times);
        assert_eq!(
            change(Some(&dns), &held(Reason::Dns, "a", 2)),
            VerdictChange::Times
        );
        let detail = held(Reason::Dns, "b", 1);
        assert_eq!(change(Some(&dns), &detail), VerdictChange::Particulars);
        let portal = held(Reason::Portal, "a", 1);
        assert_eq!(change(Some(&dns), &portal), VerdictChange::Reasons);
        assert_eq!(change(Some(&dns), &open()), VerdictChange::Reasons);
        assert_eq!(change(Some(&open()), &dns), VerdictChange::Reasons);
    }

    #[test]
    fn a_second_hold_behind_the_one_that_is_named_is_a_particular() {
        let both = Verdict::Held(
            [Reason::Dns, Reason::Metered]
                .into_iter()
                .map(|reason| Hold {
                    reason,
                    detail: String::new(),
                    look_again: None,
                })
                .collect(),
        );
        assert_eq!(
            change(Some(&held(Reason::Dns, "", 1)), &both),
            VerdictChange::Particulars
        );
    }

    #[test]
    fn a_pipe_gets_one_line_for_each_change_of_the_reasons() {
        let dns = held(Reason::Dns, "a", 1);
        let line = |change| telling(change, &dns, PIPE).line;
        assert_eq!(line(VerdictChange::Reasons), Some(LogLine::Plain));
        assert_eq!(line(VerdictChange::Particulars), Some(LogLine::Verbose));
        assert_eq!(line(VerdictChange::Times), None);
        assert!(!telling(VerdictChange::Times, &dns, PIPE).live);
    }

    #[test]
    fn a_terminal_gets_the_live_line_instead_and_a_line_when_it_opens() {
        let terminal = Listeners { live: true, ..PIPE };
        let dns = telling(VerdictChange::Reasons, &held(Reason::Dns, "a", 1), terminal);
        assert!(dns.live && dns.line.is_none());
        assert!(telling(VerdictChange::Times, &held(Reason::Dns, "a", 1), terminal).live);
        let opened = telling(VerdictChange::Reasons, &open(), terminal);
        assert!(opened.line.is_some() && !opened.live);
    }

    #[test]
    fn json_takes_the_place_of_lines_on_stderr_but_not_in_the_journal() {
        let dns = held(Reason::Dns, "a", 1);
        let on_stderr = Listeners { json: true, ..PIPE };
        let told = telling(VerdictChange::Reasons, &dns, on_stderr);
        assert!(told.json && told.line.is_none());
        let in_journal = Listeners {
            log: Log::Journal,
            ..on_stderr
        };
        let told = telling(VerdictChange::Reasons, &dns, in_journal);
        assert!(told.json && told.line.is_some());
        assert!(!telling(VerdictChange::Times, &dns, in_journal).json);
    }
}
