//! R3, R4, R6 and R8: what opens the gate and what never does.

use super::bench::*;
use crate::gate::Action;
use crate::gate::event::{Connectivity, Event, Hint, LinkState, Report};
use crate::gate::policy::{Policy, PowerPolicy, Reach};
use crate::gate::reason::Reason;
use crate::gate::verdict::Verdict;

#[test]
fn a_proof_does_not_open_before_every_source_has_spoken() {
    let events = [awake(), Event::NetworkManager(Report::Absent), way("eth0")];
    for missing in 0..events.len() {
        let mut bench = Bench::silent(Policy::default());
        bench.tell(Event::Tick);
        bench.reach();
        for (index, event) in events.iter().enumerate() {
            if index != missing {
                bench.tell(event.clone());
            }
        }
        assert!(!bench.opened, "opened without event {missing}");
        assert_eq!(bench.reason(), Some(Reason::Unknown));
        bench.tell(events[missing].clone());
        assert!(bench.opened, "event {missing} was the last one missing");
    }
}

#[test]
fn r3_nothing_that_a_service_says_opens_the_gate_or_forbids_a_probe() {
    for state in [0, 10, 20, 30, 40, 50, 60, 70, 999] {
        for connectivity in [Connectivity::None, Connectivity::Portal, Connectivity::Full] {
            let mut bench = Bench::silent(Policy::default());
            bench.tell(awake());
            bench.tell(way("wlan0"));
            bench.tell(manager(state, connectivity, true));
            assert!(
                !bench.opened && bench.running.is_some(),
                "{state} {connectivity:?}"
            );
            bench.reach();
            assert!(bench.opened, "{state} {connectivity:?}");
        }
    }
}

#[test]
fn r4_a_full_without_a_check_is_called_a_guess() {
    let mut bench = Bench::ready(Policy::default());
    bench.tell(manager(70, Connectivity::Full, false));
    bench.fail(Reason::Dns);
    let Verdict::Held(holds) = bench.gate.verdict(bench.now.monotonic) else {
        panic!("open")
    };
    assert_eq!(holds[0].reason, Reason::Dns);
    assert!(holds[0].detail.contains("guess"), "{}", holds[0].detail);
}

#[test]
fn r6_a_service_that_hangs_is_unknown_and_holds_and_an_absent_one_does_not() {
    let hung = || "it does not answer".to_owned();
    let unknown = [
        Event::Logind(Report::Unknown(hung())),
        Event::NetworkManager(Report::Unknown(hung())),
        Event::PowerSupply(Report::Unknown(hung())),
    ];
    let absent = [
        Event::Logind(Report::Absent),
        Event::NetworkManager(Report::Absent),
        Event::PowerSupply(Report::Absent),
    ];
    for (unknown, absent) in unknown.into_iter().zip(absent) {
        let mut bench = Bench::ready(Policy {
            power: PowerPolicy::Mains,
            ..Policy::default()
        });
        bench.tell(Event::UPower(Report::Absent));
        bench.tell(Event::ExternalPower(Report::Absent));
        bench.tell(Event::PowerSupply(Report::Absent));
        bench.tell(unknown.clone());
        bench.reach();
        assert_eq!(bench.reason(), Some(Reason::Unknown), "{unknown:?}");
        bench.tell(absent);
        assert!(bench.opened, "{unknown:?}");
    }
}

#[test]
fn a_proof_grown_old_during_a_long_hold_is_made_anew() {
    let mut bench = Bench::ready(Policy::default());
    bench.tell(metered(true));
    bench.reach();
    bench.pass(secs(5 * 3600));
    assert_eq!(
        bench.probes, 1,
        "nothing is probed while another condition holds"
    );
    bench.tell(metered(false));
    assert!(!bench.opened && bench.running.is_some());
    bench.reach();
    assert!(bench.opened);
}

#[test]
fn a_proof_that_is_renewed_changes_nothing_that_was_said() {
    let mut bench = Bench::ready(Policy::default());
    bench.tell(manager(70, Connectivity::Full, true));
    bench.tell(way("eth0"));
    bench.tell(way("wlan0"));
    bench.reach();
    assert_eq!(bench.reason(), Some(Reason::Settling));
    bench.tell(Event::Hint(Hint::ResolvConf));
    bench.advance(secs(2));
    let actions = bench.tell(Event::Tick);
    assert!(matches!(actions[..], [Action::Probe(_)]), "{actions:?}");
}

#[test]
fn r8_limited_is_normal_in_company_networks() {
    let mut bench = Bench::ready(Policy::default());
    bench.tell(manager(60, Connectivity::Limited, true));
    bench.reach();
    assert!(bench.opened);
}

#[test]
fn a_clock_step_probes_at_once_on_a_board_without_a_clock() {
    let mut bench = Bench::ready(Policy::default());
    bench.fail(Reason::Clock);
    assert_eq!(bench.reason(), Some(Reason::Clock));
    bench.advance(secs(1));
    bench.tell(Event::Hint(Hint::ClockStep));
    bench.reach();
    assert!(
        bench.opened,
        "no suspend was seen, so there is nothing to settle"
    );
}

#[test]
fn a_guess_opens_on_a_route_and_says_that_it_is_one() {
    let mut bench = Bench::silent(Policy {
        reach: Reach::Anywhere,
        ..Policy::default()
    });
    bench.tell(awake());
    bench.tell(Event::NetworkManager(Report::Absent));
    assert_eq!(bench.reason(), Some(Reason::Unknown));
    bench.tell(no_way(LinkState::NoLink));
    assert_eq!(bench.reason(), Some(Reason::NoNetwork));
    bench.tell(way("eth0"));
    assert_eq!(bench.reason(), Some(Reason::Settling));
    bench.pass(secs(2));
    assert!(bench.opened);
    let Verdict::Open(evidence) = bench.gate.verdict(bench.now.monotonic) else {
        panic!("held")
    };
    assert!(evidence.guess);
}

#[test]
fn where_nothing_has_to_be_reached_no_network_is_needed() {
    let mut bench = Bench::silent(Policy {
        reach: Reach::Nothing,
        ..Policy::default()
    });
    bench.tell(awake());
    bench.tell(Event::NetworkManager(Report::Absent));
    assert!(!bench.opened, "the routes have not been heard");
    bench.tell(no_way(LinkState::NoLink));
    assert!(bench.opened);
}
