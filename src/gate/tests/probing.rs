//! R7: when it is probed, and when not.

use super::bench::*;
use crate::gate::event::{Connectivity, Event, Hint, LinkState};
use crate::gate::policy::Policy;
use crate::gate::reason::Reason;

#[test]
fn the_probe_begins_before_any_source_has_spoken() {
    let mut bench = Bench::silent(Policy::default());
    bench.tell(Event::Tick);
    assert_eq!(bench.probes, 1);
}

#[test]
fn r7_without_a_route_there_is_no_timer_and_a_returning_one_is_probed_at_once() {
    let mut bench = Bench::ready(Policy::default());
    bench.tell(no_way(LinkState::NoLink));
    bench.fail(Reason::Unreachable);
    assert_eq!(bench.reason(), Some(Reason::NoNetwork));
    assert_eq!(bench.gate.look_again(bench.now.monotonic), None);
    bench.pass(secs(7 * 24 * 3600));
    let before = bench.probes;
    bench.tell(way("wlan0"));
    assert_eq!(bench.probes, before + 1);
}

#[test]
fn r7_a_route_that_is_unknown_does_not_stop_the_timer() {
    let mut bench = Bench::silent(Policy::default());
    bench.tell(Event::Tick);
    bench.fail(Reason::Dns);
    assert!(bench.gate.look_again(bench.now.monotonic).is_some());
}

#[test]
fn r7_a_hint_brings_the_next_probe_forward_but_a_thousand_hints_make_no_storm() {
    let mut bench = Bench::ready(Policy::default());
    for _ in 0..8 {
        bench.fail(Reason::Dns);
        bench.pass(secs(60));
    }
    bench.fail(Reason::Dns);
    bench.advance(secs(2));
    bench.tell(Event::Hint(Hint::ResolvConf));
    assert!(bench.running.is_some(), "a hint probes at once");
    let before = bench.probes;
    for _ in 0..1000 {
        bench.tell(Event::Hint(Hint::ResolvConf));
        if bench.running.is_some() {
            bench.fail(Reason::Dns);
        }
        bench.pass(std::time::Duration::from_millis(10));
    }
    assert!(
        bench.probes - before <= 25,
        "{} probes in 10 s",
        bench.probes - before
    );
}

#[test]
fn r7_hints_before_a_probe_that_is_due_do_not_use_up_the_probes_of_later_ones() {
    let mut bench = Bench::ready(Policy::default());
    for _ in 0..8 {
        bench.fail(Reason::Dns);
        bench.pass(secs(60));
    }
    bench.fail(Reason::Dns);
    let before = bench.probes;
    for _ in 0..800 {
        bench.tell(Event::Hint(Hint::ResolvConf));
        if bench.running.is_some() {
            bench.fail(Reason::Dns);
        }
        bench.pass(std::time::Duration::from_millis(10));
    }
    assert!(
        bench.probes - before >= 7,
        "{} probes in 8 s",
        bench.probes - before
    );
}

#[test]
fn r7_a_hint_while_all_settles_asks_for_another_look_before_the_gate_opens() {
    let mut bench = Bench::ready(Policy::default());
    bench.tell(manager(70, Connectivity::Full, true));
    bench.tell(way("eth0"));
    bench.reach();
    bench.advance(secs(1));
    bench.tell(manager(70, Connectivity::Portal, true));
    bench.pass(secs(1));
    assert!(!bench.opened && bench.running.is_some());
    bench.tell(Event::Hint(Hint::ResolvConf));
    bench.reach();
    assert!(
        bench.opened,
        "a hint during the second look does not ask for a third"
    );
}

#[test]
fn r7_a_hint_during_a_probe_that_fails_is_not_lost() {
    let mut bench = Bench::ready(Policy::default());
    for _ in 0..8 {
        bench.fail(Reason::Dns);
        bench.pass(secs(60));
    }
    bench.tell(Event::Hint(Hint::ResolvConf));
    bench.advance(secs(3));
    bench.fail(Reason::Dns);
    assert!(bench.running.is_some(), "the answer may predate the hint");
}

#[test]
fn r7_a_flapping_route_is_probed_but_makes_no_storm() {
    let mut bench = Bench::ready(Policy::default());
    for round in 0..1000 {
        bench.tell(way(if round % 2 == 0 { "eth0" } else { "wlan0" }));
        bench.pass(std::time::Duration::from_millis(10));
    }
    assert!(bench.probes <= 25, "{} probes in 10 s", bench.probes);
    bench.pass(secs(10));
    bench.reach();
    bench.pass(secs(2));
    assert!(bench.opened);
}
