//! The conditions, and how a hold is explained.

use super::bench::*;
use crate::gate::event::{Connectivity, Event, LinkState, Logind, Report};
use crate::gate::policy::{Policy, PowerPolicy};
use crate::gate::reason::Reason;

#[test]
fn the_power_condition_holds_as_its_table_says() {
    use PowerPolicy::{Any, BatteryAtLeast, Mains};
    let table = [
        (Any, true, Some(3), None),
        (Mains, false, Some(3), None),
        (Mains, true, Some(99), Some(Reason::OnBattery)),
        (BatteryAtLeast(40), true, Some(39), Some(Reason::BatteryLow)),
        (BatteryAtLeast(40), true, Some(40), None),
        (BatteryAtLeast(40), false, Some(1), None),
        (BatteryAtLeast(40), true, None, Some(Reason::Unknown)),
    ];
    for (policy, on_battery, charge, expected) in table {
        let mut bench = Bench::ready(Policy {
            power: policy,
            ..Policy::default()
        });
        bench.tell(power(on_battery, charge));
        bench.reach();
        assert_eq!(
            bench.reason(),
            expected,
            "{policy:?} on_battery={on_battery} {charge:?}"
        );
    }
}

#[test]
fn metered_holds_unless_it_is_allowed_or_waived() {
    for (policy, held) in [
        (Policy::default(), true),
        (
            Policy {
                hold_metered: false,
                ..Policy::default()
            },
            false,
        ),
        (
            Policy {
                waived: [Reason::Metered].into(),
                ..Policy::default()
            },
            false,
        ),
    ] {
        let mut bench = Bench::ready(policy);
        bench.tell(metered(true));
        bench.reach();
        assert_eq!(!bench.opened, held);
    }
}

#[test]
fn the_hold_is_explained_by_what_the_sources_say() {
    let full = |state| manager(state, Connectivity::Full, true);
    let portal = manager(70, Connectivity::Portal, true);
    let guessed_portal = manager(70, Connectivity::Portal, false);
    let table = [
        (
            no_way(LinkState::NoLink),
            full(20),
            Reason::Unreachable,
            Reason::NoNetwork,
        ),
        (
            no_way(LinkState::NoAddress),
            full(20),
            Reason::Dns,
            Reason::NoNetwork,
        ),
        (
            no_way(LinkState::Addressed),
            full(50),
            Reason::Unreachable,
            Reason::NoRoute,
        ),
        (
            no_way(LinkState::NoLink),
            full(40),
            Reason::Dns,
            Reason::Connecting,
        ),
        (
            way("wlan0"),
            full(40),
            Reason::Unreachable,
            Reason::Connecting,
        ),
        (
            no_way(LinkState::NoLink),
            full(20),
            Reason::NoRoute,
            Reason::NoNetwork,
        ),
        (way("wlan0"), full(40), Reason::NoRoute, Reason::Connecting),
        // The kernel has not been asked about the target's own address yet.
        (way("wlan0"), full(50), Reason::NoRoute, Reason::NoRoute),
        (way("wlan0"), full(70), Reason::Dns, Reason::Dns),
        (way("wlan0"), portal, Reason::Unreachable, Reason::Portal),
        (
            way("wlan0"),
            guessed_portal,
            Reason::Unreachable,
            Reason::Unreachable,
        ),
        (way("wlan0"), full(40), Reason::Tls, Reason::Tls),
        (way("wlan0"), full(70), Reason::Clock, Reason::Clock),
    ];
    for (routes, manager, failed, expected) in table {
        let mut bench = Bench::silent(Policy::default());
        bench.tell(awake());
        bench.tell(routes.clone());
        bench.tell(manager.clone());
        bench.fail(failed);
        assert_eq!(
            bench.reason(),
            Some(expected),
            "{routes:?} {manager:?} {failed}"
        );
    }
}

#[test]
fn networkd_explains_a_missing_route_and_no_other_failure() {
    for (routes, state, failed, expected) in [
        (
            no_way(LinkState::NoAddress),
            "degraded",
            Reason::Dns,
            Reason::Connecting,
        ),
        (
            no_way(LinkState::NoLink),
            "carrier",
            Reason::Unreachable,
            Reason::Connecting,
        ),
        (
            no_way(LinkState::NoLink),
            "no-carrier",
            Reason::Dns,
            Reason::NoNetwork,
        ),
        (
            no_way(LinkState::Addressed),
            "routable",
            Reason::Unreachable,
            Reason::NoRoute,
        ),
        (
            way("wlan0"),
            "degraded",
            Reason::Unreachable,
            Reason::Unreachable,
        ),
    ] {
        let mut bench = Bench::silent(Policy::default());
        bench.tell(awake());
        bench.tell(routes.clone());
        bench.tell(networkd(state));
        bench.fail(failed);
        assert_eq!(bench.reason(), Some(expected), "{routes:?} {state}");
    }
}

#[test]
fn a_change_that_networkd_tells_of_is_a_hint() {
    let mut bench = Bench::ready(Policy::default());
    bench.tell(networkd("degraded"));
    let before = bench.gate.hints();
    bench.tell(networkd("degraded"));
    assert_eq!(bench.gate.hints(), before);
    bench.tell(networkd("routable"));
    assert_eq!(bench.gate.hints(), before + 1);
}

#[test]
fn the_resume_sequence_of_a_laptop_with_docker() {
    use Reason::{Asleep, Connecting, NoRoute, Portal, Settling};
    let mut bench = Bench::silent(Policy::default());
    let asleep = Logind {
        preparing_for_sleep: true,
        ..Default::default()
    };
    let mut seen = Vec::new();
    let note = |bench: &Bench, seen: &mut Vec<Reason>| {
        let reason = bench.reason().unwrap();
        if seen.last() != Some(&reason) {
            seen.push(reason);
        }
    };
    bench.tell(Event::Logind(Report::Known(asleep)));
    bench.tell(manager(10, Connectivity::Unknown, false));
    bench.tell(no_way(LinkState::NoLink));
    note(&bench, &mut seen);
    bench.tell(Event::PrepareForSleep(false));
    bench.fail(Reason::Unreachable);
    bench.tell(manager(50, Connectivity::Limited, false));
    bench.tell(no_way(LinkState::Addressed));
    bench.pass(secs(1));
    bench.fail(Reason::Unreachable);
    note(&bench, &mut seen);
    bench.tell(manager(40, Connectivity::None, false));
    note(&bench, &mut seen);
    bench.pass(secs(1));
    bench.tell(way("wlan0"));
    bench.tell(manager(60, Connectivity::Portal, true));
    bench.fail(Reason::Portal);
    note(&bench, &mut seen);
    bench.tell(manager(70, Connectivity::Full, true));
    bench.pass(secs(1));
    bench.reach();
    note(&bench, &mut seen);
    assert_eq!(seen, [Asleep, NoRoute, Connecting, Portal, Settling]);
    bench.pass(secs(2));
    assert!(bench.opened);
}

#[test]
fn every_reason_has_a_stable_label_of_its_own() {
    for reason in Reason::ALL {
        assert_eq!(Reason::from_label(reason.label()), Some(*reason));
        assert!(!reason.meaning().ends_with('.'));
    }
}
