//! What becomes of a proof after the gate has opened on it, for those who stay.

use super::bench::*;
use crate::gate::event::{Event, Hint, LinkState};
use crate::gate::policy::Policy;
use crate::gate::reason::Reason;
use crate::gate::verdict::{Evidence, Loss, Verdict};

/// A gate that has opened, and on what.
fn opened() -> (Bench, Evidence) {
    let mut bench = Bench::ready(Policy::default());
    bench.reach();
    assert!(bench.opened);
    match bench.gate.verdict(bench.now.monotonic) {
        Verdict::Open(evidence) => (bench, evidence),
        Verdict::Held(holds) => panic!("held: {holds:?}"),
    }
}

#[test]
fn a_proof_lasts_while_only_hints_ring_and_these_are_counted() {
    let (mut bench, evidence) = opened();
    bench.tell(way("wlan0"));
    bench.tell(power(true, Some(3)));
    bench.tell(Event::Hint(Hint::ResolvConf));
    assert_eq!(bench.gate.loss(&evidence), None);
    assert_eq!(bench.gate.hints(), 1);
    assert!(bench.gate.is_proven());
}

#[test]
fn going_to_sleep_a_resume_and_another_route_each_end_a_proof() {
    type Happens = fn(&mut Bench);
    let losses: [(Happens, Loss); 5] = [
        (|b| drop(b.tell(Event::PrepareForSleep(true))), Loss::Sleep),
        (
            |b| drop(b.tell(Event::PrepareForSleep(false))),
            Loss::Resume,
        ),
        (
            |b| {
                b.sleep_silently(secs(60));
                b.tell(Event::Tick);
            },
            Loss::Resume,
        ),
        (|b| drop(b.tell(way("eth0"))), Loss::Routes),
        (|b| drop(b.tell(no_way(LinkState::NoLink))), Loss::Routes),
    ];
    for (happens, loss) in losses {
        let (mut bench, evidence) = opened();
        happens(&mut bench);
        assert_eq!(bench.gate.loss(&evidence), Some(loss));
        assert!(!bench.gate.is_proven(), "{loss:?}");
    }
}

#[test]
fn a_cable_that_was_out_for_a_moment_is_a_loss_although_it_is_back() {
    let (mut bench, evidence) = opened();
    bench.tell(no_way(LinkState::NoLink));
    bench.tell(way("wlan0"));
    assert_eq!(bench.gate.loss(&evidence), Some(Loss::Routes));
}

#[test]
fn a_shutdown_that_is_called_off_has_taken_no_proof_away() {
    let (mut bench, evidence) = opened();
    bench.tell(Event::PrepareForShutdown(true));
    assert!(bench.gate.is_shutting_down());
    bench.tell(Event::PrepareForShutdown(false));
    assert_eq!(bench.gate.loss(&evidence), None);
    assert!(bench.gate.is_proven());
}

#[test]
fn a_gate_held_for_something_else_may_be_proven_and_one_that_has_not_asked_is_not() {
    let policy = Policy {
        hold_metered: true,
        ..Policy::default()
    };
    let mut bench = Bench::ready(policy);
    bench.tell(metered(true));
    assert!(!bench.gate.is_proven());
    bench.reach();
    assert_eq!(bench.reason(), Some(Reason::Metered));
    assert!(bench.gate.is_proven());
}
