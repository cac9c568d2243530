//! R1 to R10, one table or sentence each.

use super::bench::*;
use crate::gate::Action;
use crate::gate::event::{Bell, Connectivity, Event, Ground, Logind, Outcome, Report, WayOut};
use crate::gate::policy::{Policy, PowerPolicy};
use crate::gate::reason::Reason;
use crate::gate::verdict::Verdict;

#[test]
fn a_machine_long_online_opens_on_its_first_probe() {
    let mut bench = Bench::ready(Policy::default());
    assert!(matches!(bench.reach()[..], [Action::Open(_)]));
}

#[test]
fn the_probe_begins_before_any_source_has_spoken() {
    let mut bench = Bench::silent(Policy::default());
    bench.tell(Event::Tick);
    assert_eq!(bench.probes, 1);
}

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
fn r1_a_gate_started_while_preparing_for_sleep_waits_and_then_settles() {
    let mut bench = Bench::silent(Policy::default());
    bench.tell(Event::Logind(Report::Known(Logind {
        preparing_for_sleep: true,
        ..Default::default()
    })));
    bench.tell(Event::NetworkManager(Report::Absent));
    bench.tell(way("wlan0"));
    assert_eq!(bench.reason(), Some(Reason::Asleep));
    bench.tell(Event::PrepareForSleep(false));
    bench.reach();
    assert_eq!(bench.reason(), Some(Reason::Settling));
    bench.pass(secs(2));
    assert!(bench.opened);
}

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
fn r1_suspend_then_hibernate_stays_asleep_through_the_wake_up_in_the_middle() {
    let mut bench = Bench::ready(Policy::default());
    bench.tell(Event::PrepareForSleep(true));
    bench.sleep_silently(secs(7200));
    bench.tell(Event::SuspendCount(1));
    bench.tell(Event::SuspendCount(2));
    assert_eq!(bench.reason(), Some(Reason::Asleep));
    assert_eq!(bench.running, None);
    bench.tell(Event::PrepareForSleep(false));
    assert!(bench.running.is_some());
}

#[test]
fn r1_a_shutdown_holds_and_a_cancelled_one_no_longer() {
    let mut bench = Bench::ready(Policy::default());
    bench.tell(Event::PrepareForShutdown(true));
    assert_eq!(
        (bench.reason(), bench.running),
        (Some(Reason::ShuttingDown), None)
    );
    bench.tell(Event::PrepareForShutdown(false));
    bench.reach();
    assert!(bench.opened);
}

#[test]
fn r2_every_sign_of_a_resume_voids_the_running_probe() {
    let signs: [fn(&mut Bench); 4] = [
        |b| drop(b.tell(Event::PrepareForSleep(false))),
        |b| b.sleep_silently(std::time::Duration::from_millis(101)),
        |b| drop(b.tell(Event::SuspendCount(8))),
        |b| {
            b.tell(Event::PrepareForSleep(true));
            b.tell(Event::Logind(Report::Absent));
        },
    ];
    for (number, sign) in signs.iter().enumerate() {
        let mut bench = Bench::ready(Policy::default());
        bench.tell(Event::SuspendCount(7));
        let old = bench.running.expect("a first probe");
        sign(&mut bench);
        bench.tell(Event::Tick);
        assert_ne!(bench.running, Some(old), "sign {number}");
        bench.tell(Event::Probed(old, Outcome::Reached("stale".into())));
        assert!(
            !bench.opened,
            "sign {number}: opened on evidence from before the resume"
        );
        bench.reach();
        assert_eq!(bench.reason(), Some(Reason::Settling), "sign {number}");
    }
}

#[test]
fn r2_a_result_that_arrives_in_the_very_step_that_shows_the_resume_is_void() {
    let mut bench = Bench::ready(Policy::default());
    let old = bench.running.unwrap();
    bench.sleep_silently(secs(60));
    let actions = bench.gate.step(
        Event::Probed(old, Outcome::Reached("stale".into())),
        bench.now,
    );
    assert!(actions.contains(&Action::Abandon(old)), "{actions:?}");
    assert!(
        !actions
            .iter()
            .any(|action| matches!(action, Action::Open(_)))
    );
}

#[test]
fn r2_clocks_that_drift_by_100_ms_are_no_resume() {
    let mut bench = Bench::ready(Policy::default());
    bench.sleep_silently(std::time::Duration::from_millis(100));
    bench.reach();
    assert!(bench.opened);
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
fn r5_a_change_of_the_way_out_voids_the_proof_and_settles_anew() {
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
fn r5_the_same_way_out_told_again_changes_nothing() {
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
    bench.tell(Event::WayOut(WayOut {
        hops: other,
        known: true,
        ground: Ground::Addressed,
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

#[test]
fn r6_a_service_that_hangs_is_unknown_and_holds_and_an_absent_one_does_not() {
    let hung = || "it does not answer".to_owned();
    let unknown = [
        Event::Logind(Report::Unknown(hung())),
        Event::NetworkManager(Report::Unknown(hung())),
        Event::Power(Report::Unknown(hung())),
    ];
    let absent = [
        Event::Logind(Report::Absent),
        Event::NetworkManager(Report::Absent),
        Event::Power(Report::Absent),
    ];
    for (unknown, absent) in unknown.into_iter().zip(absent) {
        let mut bench = Bench::ready(Policy {
            power: PowerPolicy::Mains,
            ..Policy::default()
        });
        bench.tell(unknown.clone());
        bench.reach();
        assert_eq!(bench.reason(), Some(Reason::Unknown), "{unknown:?}");
        bench.tell(absent);
        assert!(bench.opened, "{unknown:?}");
    }
}

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
fn r7_without_a_way_out_there_is_no_timer_and_a_returning_one_is_probed_at_once() {
    let mut bench = Bench::ready(Policy::default());
    bench.tell(no_way(Ground::NoLink));
    bench.fail(Reason::Unreachable);
    assert_eq!(bench.reason(), Some(Reason::NoNetwork));
    assert_eq!(bench.gate.look_again(bench.now.monotonic), None);
    bench.pass(secs(7 * 24 * 3600));
    let before = bench.probes;
    bench.tell(way("wlan0"));
    assert_eq!(bench.probes, before + 1);
}

#[test]
fn r7_a_way_out_that_is_unknown_does_not_stop_the_timer() {
    let mut bench = Bench::silent(Policy::default());
    bench.tell(Event::Tick);
    bench.fail(Reason::Dns);
    assert!(bench.gate.look_again(bench.now.monotonic).is_some());
}

#[test]
fn r7_a_bell_brings_the_next_probe_forward_but_a_thousand_bells_make_no_storm() {
    let mut bench = Bench::ready(Policy::default());
    for _ in 0..8 {
        bench.fail(Reason::Dns);
        bench.pass(secs(60));
    }
    bench.fail(Reason::Dns);
    bench.advance(secs(2));
    bench.tell(Event::Bell(Bell::ResolvConf));
    assert!(bench.running.is_some(), "a bell probes at once");
    let before = bench.probes;
    for _ in 0..1000 {
        bench.tell(Event::Bell(Bell::ResolvConf));
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
fn r7_bells_before_a_probe_that_is_due_do_not_use_up_the_probes_of_later_ones() {
    let mut bench = Bench::ready(Policy::default());
    for _ in 0..8 {
        bench.fail(Reason::Dns);
        bench.pass(secs(60));
    }
    bench.fail(Reason::Dns);
    let before = bench.probes;
    for _ in 0..800 {
        bench.tell(Event::Bell(Bell::ResolvConf));
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
fn r7_a_bell_while_all_settles_asks_for_another_look_before_the_gate_opens() {
    let mut bench = Bench::ready(Policy::default());
    bench.tell(manager(70, Connectivity::Full, true));
    bench.tell(way("eth0"));
    bench.reach();
    bench.advance(secs(1));
    bench.tell(manager(70, Connectivity::Portal, true));
    bench.pass(secs(1));
    assert!(!bench.opened && bench.running.is_some());
    bench.tell(Event::Bell(Bell::ResolvConf));
    bench.reach();
    assert!(
        bench.opened,
        "a bell during the second look does not ask for a third"
    );
}

#[test]
fn a_proof_that_is_renewed_changes_nothing_that_was_said() {
    let mut bench = Bench::ready(Policy::default());
    bench.tell(manager(70, Connectivity::Full, true));
    bench.tell(way("eth0"));
    bench.tell(way("wlan0"));
    bench.reach();
    assert_eq!(bench.reason(), Some(Reason::Settling));
    bench.tell(Event::Bell(Bell::ResolvConf));
    bench.advance(secs(2));
    let actions = bench.tell(Event::Tick);
    assert!(matches!(actions[..], [Action::Probe(_)]), "{actions:?}");
}

#[test]
fn r7_a_bell_during_a_probe_that_fails_is_not_lost() {
    let mut bench = Bench::ready(Policy::default());
    for _ in 0..8 {
        bench.fail(Reason::Dns);
        bench.pass(secs(60));
    }
    bench.tell(Event::Bell(Bell::ResolvConf));
    bench.advance(secs(3));
    bench.fail(Reason::Dns);
    assert!(bench.running.is_some(), "the answer may predate the bell");
}

#[test]
fn r7_a_flapping_way_out_is_probed_but_makes_no_storm() {
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

#[test]
fn r8_limited_is_normal_in_company_networks() {
    let mut bench = Bench::ready(Policy::default());
    bench.tell(manager(60, Connectivity::Limited, true));
    bench.reach();
    assert!(bench.opened);
}

#[test]
fn r9_the_deadline_counts_awake_time_only() {
    let mut bench = Bench::ready(Policy {
        timeout: Some(secs(600)),
        ..Policy::default()
    });
    bench.tell(no_way(Ground::NoLink));
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
fn the_hold_is_explained_by_what_the_sources_say() {
    let full = |state| manager(state, Connectivity::Full, true);
    let portal = manager(70, Connectivity::Portal, true);
    let guessed_portal = manager(70, Connectivity::Portal, false);
    let table = [
        (
            no_way(Ground::NoLink),
            full(20),
            Reason::Unreachable,
            Reason::NoNetwork,
        ),
        (
            no_way(Ground::NoAddress),
            full(20),
            Reason::Dns,
            Reason::NoNetwork,
        ),
        (
            no_way(Ground::Addressed),
            full(50),
            Reason::Unreachable,
            Reason::NoRoute,
        ),
        (
            no_way(Ground::NoLink),
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
    for (way_out, manager, failed, expected) in table {
        let mut bench = Bench::silent(Policy::default());
        bench.tell(awake());
        bench.tell(way_out.clone());
        bench.tell(manager.clone());
        bench.fail(failed);
        assert_eq!(
            bench.reason(),
            Some(expected),
            "{way_out:?} {manager:?} {failed}"
        );
    }
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
    bench.tell(no_way(Ground::NoLink));
    note(&bench, &mut seen);
    bench.tell(Event::PrepareForSleep(false));
    bench.fail(Reason::Unreachable);
    bench.tell(manager(50, Connectivity::Limited, false));
    bench.tell(no_way(Ground::Addressed));
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
fn a_clock_step_probes_at_once_on_a_board_without_a_clock() {
    let mut bench = Bench::ready(Policy::default());
    bench.fail(Reason::Clock);
    assert_eq!(bench.reason(), Some(Reason::Clock));
    bench.advance(secs(1));
    bench.tell(Event::Bell(Bell::ClockStep));
    bench.reach();
    assert!(
        bench.opened,
        "no suspend was seen, so there is nothing to settle"
    );
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
fn a_guess_opens_on_a_way_out_and_says_that_it_is_one() {
    let mut bench = Bench::silent(Policy {
        guess: true,
        ..Policy::default()
    });
    bench.tell(awake());
    bench.tell(Event::NetworkManager(Report::Absent));
    assert_eq!(bench.reason(), Some(Reason::Unknown));
    bench.tell(no_way(Ground::NoLink));
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
fn after_opening_the_gate_rests_but_counts_what_happens() {
    let mut bench = Bench::ready(Policy::default());
    bench.reach();
    bench.tell(Event::PrepareForSleep(true));
    bench.tell(Event::PrepareForSleep(false));
    bench.tell(way("eth0"));
    assert_eq!((bench.gate.sleeps(), bench.gate.detours()), (2, 1));
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

#[test]
fn every_reason_has_a_stable_label_of_its_own() {
    for reason in Reason::ALL {
        assert_eq!(Reason::from_label(reason.label()), Some(*reason));
        assert!(!reason.meaning().ends_with('.'));
    }
}
