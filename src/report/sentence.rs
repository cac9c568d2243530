//! A verdict as one line for people.

use std::time::Duration;

use crate::gate::reason::Reason;
use crate::gate::time::Monotonic;
use crate::gate::verdict::{Evidence, Hold, Verdict};
use crate::text::line::one_line;
use crate::text::span::format_span;

/// What holds whatever the time is: `held: connecting: NetworkManager is connecting; also metered`.
///
/// For wherever it is read later than it is written: STATUS=, the status files.
pub fn lasting(verdict: &Verdict) -> String {
    let text = match verdict {
        Verdict::Open(evidence) => opened_on(evidence),
        Verdict::Held(holds) => format!("held: {}", held_by(holds)),
    };
    one_line(&text)
}

/// The whole sentence at a moment, with the awake time waited and the time to the next look.
pub fn sentence(verdict: &Verdict, waited: Duration, now: Monotonic) -> String {
    let times = match verdict {
        Verdict::Open(_) => open_times(waited),
        Verdict::Held(_) => held_times(verdict.hold(), waited, now),
    };
    let said = lasting(verdict);
    if times.is_empty() {
        return said;
    }
    format!("{said} ({})", times.join(", "))
}

/// The sentence for a line that is cut where the terminal ends: the times come first.
pub fn live(verdict: Option<&Verdict>, waited: Duration, now: Monotonic) -> String {
    let times = held_times(verdict.and_then(Verdict::hold), waited, now);
    let said = match verdict {
        Some(Verdict::Held(holds)) => held_by(holds),
        Some(Verdict::Open(evidence)) => opened_on(evidence),
        None => "probing the targets".to_owned(),
    };
    if times.is_empty() {
        return said;
    }
    one_line(&format!("{}: {said}", times.join(", ")))
}

fn opened_on(evidence: &Evidence) -> String {
    if evidence.what.is_empty() {
        "open: everything it needs is on this machine".to_owned()
    } else if evidence.guess {
        format!("open on a guess: {}; nothing was probed", evidence.what)
    } else {
        format!("open: {} answered", evidence.what)
    }
}

fn held_by(holds: &[Hold]) -> String {
    let Some((first, others)) = holds.split_first() else {
        return format!("{}: {}", Reason::Unknown, Reason::Unknown.meaning());
    };
    let also: Vec<_> = others.iter().map(|hold| hold.reason.label()).collect();
    let named = format!("{}: {}", first.reason, explained(first));
    if also.is_empty() {
        return named;
    }
    format!("{named}; also {}", also.join(", "))
}

fn explained(hold: &Hold) -> &str {
    match hold.detail.as_str() {
        "" => hold.reason.meaning(),
        detail => detail,
    }
}

fn open_times(waited: Duration) -> Vec<String> {
    let after = (waited.as_millis() > 0).then(|| format!("after {}", format_span(waited)));
    after.into_iter().collect()
}

fn held_times(hold: Option<&Hold>, waited: Duration, now: Monotonic) -> Vec<String> {
    let waiting = (waited.as_secs() > 0).then(|| format!("waiting for {}", format_span(waited)));
    let look = hold.and_then(|hold| hold.look_again).map(|at| {
        let left = at.since(now);
        match left.as_millis() {
            0 => "checking now".to_owned(),
            _ => format!("next check in {}", format_span(left)),
        }
    });
    waiting.into_iter().chain(look).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_live_line_begins_with_the_times_so_that_a_narrow_terminal_cuts_the_particulars() {
        let held = Verdict::Held(vec![hold(Reason::Dns, "x does not resolve", Some(104))]);
        let waited = Duration::from_secs(12);
        assert_eq!(
            live(Some(&held), waited, NOW),
            "waiting for 12s, next check in 4s: dns: x does not resolve"
        );
        assert_eq!(
            live(None, waited, NOW),
            "waiting for 12s: probing the targets"
        );
        assert_eq!(
            live(None, Duration::from_millis(7), NOW),
            "probing the targets"
        );
    }

    const NOW: Monotonic = Monotonic(Duration::from_secs(100));

    fn hold(reason: Reason, detail: &str, look: Option<u64>) -> Hold {
        Hold {
            reason,
            detail: detail.to_owned(),
            look_again: look.map(|s| Monotonic(Duration::from_secs(s))),
        }
    }

    fn open(what: &str, guess: bool) -> Verdict {
        Verdict::Open(Evidence {
            epoch: 3,
            what: what.to_owned(),
            guess,
        })
    }

    fn said(verdict: &Verdict, waited: u64) -> String {
        sentence(verdict, Duration::from_secs(waited), NOW)
    }

    #[test]
    fn a_hold_is_named_with_its_particulars_and_times() {
        let connecting = hold(
            Reason::Connecting,
            "NetworkManager is connecting",
            Some(104),
        );
        assert_eq!(
            said(&Verdict::Held(vec![connecting.clone()]), 12),
            "held: connecting: NetworkManager is connecting (waiting for 12s, next check in 4s)"
        );
        let metered = hold(Reason::Metered, "Wi-Fi `phone` is metered", None);
        assert_eq!(
            said(&Verdict::Held(vec![connecting, metered.clone()]), 0),
            "held: connecting: NetworkManager is connecting; also metered (next check in 4s)"
        );
        assert_eq!(
            said(&Verdict::Held(vec![metered]), 0),
            "held: metered: Wi-Fi `phone` is metered"
        );
    }

    #[test]
    fn a_look_that_is_due_is_now() {
        let due = hold(Reason::Dns, "example.org does not resolve", Some(100));
        assert_eq!(
            said(&Verdict::Held(vec![due]), 60),
            "held: dns: example.org does not resolve (waiting for 1min, checking now)"
        );
    }

    #[test]
    fn an_opening_names_what_answered() {
        let cache = open("nix-cache:https://cache.nixos.org", false);
        assert_eq!(
            said(&cache, 7),
            "open: nix-cache:https://cache.nixos.org answered (after 7s)"
        );
        assert_eq!(
            said(&cache, 0),
            "open: nix-cache:https://cache.nixos.org answered"
        );
    }

    #[test]
    fn a_guess_is_called_a_guess() {
        assert_eq!(
            said(&open("a route through wlan0", true), 7),
            "open on a guess: a route through wlan0; nothing was probed (after 7s)"
        );
        let held = Verdict::Held(vec![hold(Reason::Guess, "", None)]);
        assert!(said(&held, 0).contains("guess"));
    }

    #[test]
    fn every_reason_makes_a_sentence_without_particulars() {
        for reason in Reason::ALL {
            let held = Verdict::Held(vec![hold(*reason, "", None)]);
            let expected = format!("held: {reason}: {}", reason.meaning());
            assert_eq!(said(&held, 0), expected);
        }
    }

    #[test]
    fn a_hold_without_a_reason_is_unknown_and_no_panic() {
        assert!(said(&Verdict::Held(Vec::new()), 0).starts_with("held: unknown: "));
    }

    #[test]
    fn what_a_portal_answers_cannot_command_the_terminal() {
        let nasty = hold(
            Reason::Portal,
            "sent to \x1b[2J\r\nhttp://\u{202e}x\u{2028}",
            None,
        );
        let line = said(&Verdict::Held(vec![nasty]), 0);
        assert_eq!(line, one_line(&line));
    }
}
