//! R1 and R2: a machine that sleeps or shuts down holds, and evidence from before a resume is worth nothing.

use super::bench::*;
use crate::gate::Action;
use crate::gate::event::{Event, Logind, Outcome, Report};
use crate::gate::policy::Policy;
use crate::gate::reason::Reason;

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
