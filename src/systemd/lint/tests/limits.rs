//! The rules about the start limit.

use super::*;

#[test]
fn ug001_a_limit_whose_window_ends_before_its_starts_do() {
    let hack = restarting(job(), 20, 100, 5);
    table(
        "UG001",
        &[
            hack.clone(),
            restarting(tool(), 20, 100, 5),
            // An attempt of 5 s: 5 × (20 + 5) > 120.
            restarting(job(), 20, 120, 5),
        ],
        &[
            job(),
            restarting(job(), 20, 600, 5),
            // Nobody has decided on the default.
            restarting(tool(), 5, 10, 5),
            restarting(tool(), 20, 0, 5),
            // How long a tool's attempts take is not known.
            restarting(tool(), 20, 120, 5),
            changed(hack.clone(), |service| service.restart = Restart::No),
            changed(hack.clone(), |service| service.restart = Restart::OnAbort),
            changed(hack.clone(), |service| service.restart_delay = None),
        ],
    );
    let what = what(&hack, "UG001");
    for part in [
        "RestartSec=20s",
        "StartLimitIntervalSec=1min 40s",
        "2min 5s",
        "every 25s",
    ] {
        assert!(what.contains(part), "{part}: {what}");
    }
}

#[test]
fn ug001_quotes_what_the_unit_says() {
    let grows = changed(restarting(tool(), 1, 5, 10), |service| {
        service.restart_steps = 5;
        service.restart_max_delay = secs(10);
    });
    let said = what(&grows, "UG001");
    assert!(
        said.contains("RestartSec=1s, which grows to RestartMaxDelaySec=10s,"),
        "{said}"
    );
    let mut silent = restarting(tool(), 0, 10, 200);
    silent.service.as_mut().unwrap().restart_delay = Some(Duration::from_millis(100));
    let said = what(&silent, "UG001");
    assert!(said.contains("RestartSec=100ms (the default)"), "{said}");
    assert!(
        said.contains("StartLimitIntervalSec=10s (the default)"),
        "{said}"
    );
}

#[test]
fn ug001_growing_delays_may_let_the_limit_bite_at_first() {
    let steps = |first| {
        changed(restarting(job(), first, 60, 3), |service| {
            service.restart_steps = 10;
            service.restart_max_delay = secs(3600);
        })
    };
    table("UG001", &[steps(40)], &[steps(1)]);
}

#[test]
fn ug002_a_limit_that_ends_the_attempts_before_the_outage() {
    let quick = restarting(job(), 20, 300, 5);
    table(
        "UG002",
        &[
            quick.clone(),
            online(restarting(tool(), 1, 100, 5)),
            runs(restarting(tool(), 1, 100, 5), "/usr/bin/fwupdmgr refresh"),
        ],
        &[
            job(),
            restarting(tool(), 1, 100, 5),
            restarting(job(), 20, 100, 5),
            restarting(job(), 20, 0, 5),
            runs(
                quick.clone(),
                "/usr/bin/upgrade-gate run -- /usr/bin/upgrade",
            ),
            // A daemon that orders itself after the network at boot.
            online(changed(restarting(tool(), 1, 100, 5), |service| {
                service.kind = ServiceType::Notify;
            })),
        ],
    );
    let what = what(&quick, "UG002");
    for part in [
        "5 times within 2min 5s",
        "27min 55s before",
        "started manually",
    ] {
        assert!(what.contains(part), "{part}: {what}");
    }
}

#[test]
fn what_mends_ug001_is_no_finding_of_ug002() {
    let lines = |unit: &Unit| found(unit, V257).remove(0).said.lines;
    assert_eq!(
        lines(&restarting(job(), 20, 100, 5))[2],
        "StartLimitIntervalSec=0"
    );
    // 5 × 20 s, and half as much again.
    assert_eq!(
        lines(&restarting(tool(), 20, 100, 5))[2],
        "StartLimitIntervalSec=3min"
    );
    assert!(ids(&restarting(job(), 20, 0, 5), V257).is_empty());
    assert!(ids(&restarting(tool(), 20, 180, 5), V257).is_empty());
}
