//! R5: after a change that was seen, all must hold together for a while.

use super::bench::*;
use crate::gate::event::{Event, LinkState, Routes};
use crate::gate::policy::{Policy, PowerPolicy};
use crate::gate::reason::Reason;

#[test]
fn r5_a_settling_that_ended_before_anyone_looked_when_is_due_and_not_slept_through() {
    let mut bench = Bench::ready(Policy::default());
    bench.tell(Event::PrepareForSleep(false));
    bench.reach();
    assert_eq!(bench.reason(), Some(Reason::Settling));
    let at = bench.gate.look_again(bench.now.monotonic).expect("settled");
    let late = at.after(secs(1));
    assert!(bench.gate.look_again(late).is_some_and(|at| at <= late));
}

#[test]
fn r5_a_change_of_the_route_voids_the_proof_and_settles_anew() {
    let mut bench = Bench::ready(Policy {
        settle: secs(5),
        ..Policy::default()
    });
    bench.tell(way("eth0"));
    bench.reach();
    bench.pass(secs(4));
    bench.tell(way("wlan0"));
    assert!(!bench.opened && bench.running.is_some());
    bench.reach();
    bench.pass(secs(4));
    assert!(!bench.opened);
    bench.pass(secs(1));
    assert!(bench.opened);
}

#[test]
fn r5_the_same_route_told_again_changes_nothing() {
    let mut bench = Bench::ready(Policy::default());
    for _ in 0..100 {
        assert_eq!(bench.tell(way("wlan0")), []);
    }
    bench.reach();
    assert!(bench.opened);
}

#[test]
fn r5_other_addresses_of_the_same_name_are_no_change() {
    let mut bench = Bench::ready(Policy::default());
    let other = std::collections::BTreeMap::from([([198, 51, 100, 7].into(), Some(hop("wlan0")))]);
    bench.tell(Event::Routes(Routes {
        hops: other,
        known: true,
        link_state: LinkState::Addressed,
    }));
    bench.reach();
    assert!(bench.opened);
}

#[test]
fn r5_losing_a_condition_while_settling_starts_the_settling_anew() {
    let mut bench = Bench::ready(Policy {
        power: PowerPolicy::Mains,
        ..Policy::default()
    });
    bench.tell(Event::PrepareForSleep(false));
    bench.reach();
    bench.pass(secs(1));
    bench.tell(power(true, None));
    bench.tell(power(false, None));
    bench.pass(secs(1));
    assert_eq!(bench.reason(), Some(Reason::Settling));
    bench.pass(secs(1));
    assert!(bench.opened);
}
