//! The rule about what ends a gate while it waits.

use super::*;

/// A daemon with the gate before its command, and the default start timeout.
fn daemon(gate: &str) -> Unit {
    changed(before(job(), gate), |service| {
        service.kind = ServiceType::Simple;
        service.timeout_start = secs(90);
    })
}

fn with_access(unit: Unit, access: NotifyAccess) -> Unit {
    changed(unit, |service| service.notify_access = access)
}

#[test]
fn ug015_a_gate_that_is_killed_while_it_waits() {
    let waiting = daemon("upgrade-gate wait-online");
    table(
        "UG015",
        &[
            waiting.clone(),
            daemon("upgrade-gate wait-online --timeout 10min"),
        ],
        &[
            with_access(waiting.clone(), NotifyAccess::Exec),
            with_access(waiting.clone(), NotifyAccess::All),
            changed(waiting.clone(), |service| service.timeout_start = None),
            daemon("upgrade-gate wait-online --timeout 1min"),
            daemon("upgrade-gate check"),
        ],
    );
    assert!(what(&waiting, "UG015").contains("TimeoutStartSec=1min 30s"));
}

#[test]
fn ug015_the_main_process_alone_may_ask_for_more_time() {
    let main = |unit| with_access(unit, NotifyAccess::Main);
    let skipped = condition(job(), "upgrade-gate wait-online --exec-condition");
    let limited = |unit| changed(unit, |service| service.timeout_start = secs(3600));
    let oneshot = limited(runs(job(), "upgrade-gate run -- /usr/bin/upgrade"));
    table(
        "UG015",
        &[
            main(daemon("upgrade-gate wait-online")),
            main(limited(skipped.clone())),
            oneshot.clone(),
        ],
        &[
            main(oneshot.clone()),
            with_access(limited(skipped), NotifyAccess::Exec),
            // It has started when the gate begins to wait.
            changed(oneshot, |service| service.kind = ServiceType::Exec),
        ],
    );
    let said = what(&main(daemon("upgrade-gate wait-online")), "UG015");
    assert!(said.contains("NotifyAccess=main ignores"), "{said}");
}

#[test]
fn ug015_a_child_of_what_systemd_starts_needs_more_than_exec() {
    let behind = |exec: Exec| {
        let daemon = changed(daemon("/bin/true"), |service| {
            service.exec_start_pre = vec![exec];
        });
        with_access(daemon, NotifyAccess::Exec)
    };
    let forks = [
        script("upgrade-gate wait-online || exit 0"),
        script("logger waits; upgrade-gate wait-online"),
        line("/usr/bin/timeout 1h upgrade-gate wait-online"),
    ];
    let execs = [
        script("logger waits; exec upgrade-gate wait-online"),
        script("upgrade-gate wait-online"),
        line("/usr/bin/env A=b nice upgrade-gate wait-online"),
    ];
    let [forks, execs] = [forks, execs].map(|list| list.map(behind));
    table("UG015", &forks, &execs);
    for unit in forks {
        let found = found(&unit, V257);
        let fixed = found.iter().find(|found| found.rule.id == "UG015").unwrap();
        assert_eq!(fixed.said.lines, ["[Service]", "NotifyAccess=all"]);
        table("UG015", &[], &[with_access(unit, NotifyAccess::All)]);
    }
}

#[test]
fn ug015_a_start_job_that_is_cancelled_whatever_the_gate_asks_for() {
    let queued = |mut unit: Unit| {
        (unit.job_timeout, unit.job_running_timeout) = (secs(300), secs(300));
        unit
    };
    let running = |mut unit: Unit| {
        unit.job_running_timeout = secs(300);
        unit
    };
    let gated = before(job(), "upgrade-gate wait-online");
    let mut companion = job();
    companion.requires = vec!["upgrade-gate@upgrade.service".to_owned()];
    let exec = changed(runs(job(), "upgrade-gate run -- a"), |service| {
        service.kind = ServiceType::Exec;
    });
    table(
        "UG015",
        &[
            queued(gated.clone()),
            running(gated.clone()),
            queued(runs(job(), "upgrade-gate run -- a")),
            queued(companion.clone()),
        ],
        &[
            queued(exec),
            // Its own job does not run before the companion has started.
            running(companion.clone()),
            queued(before(job(), "upgrade-gate wait-online --timeout 5min")),
            queued(job()),
        ],
    );
    let said = what(&running(gated), "UG015");
    assert!(said.contains("JobRunningTimeoutSec=5min cancels"), "{said}");
    let said = what(&queued(companion), "UG015");
    assert!(said.contains("not started when the gate opens"), "{said}");
}
