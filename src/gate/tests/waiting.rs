//! R9, and how a wait begins and ends.

use super::bench::*;
use crate::gate::Action;
use crate::gate::event::{Event, LinkState};
use crate::gate::policy::Policy;
use crate::gate::reason::Reason;

#[test]
fn a_machine_long_online_opens_on_its_first_probe() {
    let mut bench = Bench::ready(Policy::default());
    assert!(matches!(bench.reach()[..], [Action::Open(_)]));
}

#[test]
fn r9_the_deadline_counts_awake_time_only() {
    let mut bench = Bench::ready(Policy {
        timeout: Some(secs(600)),
        ..Policy::default()
    });
    bench.tell(no_way(LinkState::NoLink));
    bench.fail(Reason::Unreachable);
    bench.pass(secs(60));
    bench.tell(Event::PrepareForSleep(true));
    bench.sleep_silently(secs(8 * 3600));
    bench.tell(Event::PrepareForSleep(false));
    bench.fail(Reason::Unreachable);
    bench.pass(secs(539));
    assert!(!bench.gave_up);
    bench.pass(secs(1));
    assert!(bench.gave_up);
}

#[test]
fn an_open_gate_at_the_very_deadline_is_open() {
    let mut bench = Bench::ready(Policy {
        timeout: Some(secs(10)),
        ..Policy::default()
    });
    bench.advance(secs(10));
    bench.reach();
    assert!(bench.opened && !bench.gave_up);
}

#[test]
fn a_check_takes_one_look_and_does_not_settle() {
    let once = || Policy {
        once: true,
        ..Policy::default()
    };
    let mut bench = Bench::ready(once());
    bench.fail(Reason::Tls);
    assert!(bench.gave_up);
    let mut bench = Bench::ready(once());
    bench.tell(way("eth0"));
    bench.reach();
    assert!(bench.opened);
    let mut bench = Bench::ready(once());
    bench.tell(Event::PrepareForSleep(true));
    assert!(bench.gave_up);
}

#[test]
fn after_opening_the_gate_rests_but_counts_what_happens() {
    let mut bench = Bench::ready(Policy::default());
    bench.reach();
    bench.tell(Event::PrepareForSleep(true));
    bench.tell(Event::PrepareForSleep(false));
    bench.tell(way("eth0"));
    assert_eq!((bench.gate.sleeps(), bench.gate.route_changes()), (2, 1));
    assert_eq!(bench.gate.look_again(bench.now.monotonic), None);
    bench.opened = false;
    bench.gate.begin(bench.now);
    bench.tell(Event::Tick);
    bench.reach();
    assert_eq!(
        bench.reason(),
        Some(Reason::Settling),
        "the change during the run must settle"
    );
    bench.pass(secs(2));
    assert!(bench.opened);
}
