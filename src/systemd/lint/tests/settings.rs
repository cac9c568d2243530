//! The rules about settings that do not do what they say.

use super::*;

#[test]
fn ug007_a_oneshot_with_a_restart_that_systemd_refuses() {
    let with = |restart| changed(tool(), |service| service.restart = restart);
    let mut refused = with(Restart::Always);
    refused.load = Load::Refused("Refusing.".to_owned());
    table(
        "UG007",
        &[
            with(Restart::Always),
            with(Restart::OnSuccess),
            refused.clone(),
        ],
        &[
            with(Restart::No),
            with(Restart::OnFailure),
            changed(with(Restart::Always), |service| {
                service.kind = ServiceType::Exec;
            }),
        ],
    );
    assert!(what(&refused, "UG007").contains("It says: Refusing."));
    let forced = changed(with(Restart::No), |service| service.force = codes(&[1]));
    assert_eq!(ids(&forced, Version(255)), ["UG007"]);
    assert!(ids(&forced, Version(256)).is_empty());
}

#[test]
fn ug008_one_of_two_settings_that_need_each_other() {
    let with = |steps, longest| {
        changed(restarting(tool(), 1, 10, 5), |service| {
            service.restart_steps = steps;
            service.restart_max_delay = longest;
        })
    };
    table(
        "UG008",
        &[with(5, None), with(0, secs(600))],
        &[
            with(0, None),
            with(5, secs(600)),
            changed(with(5, None), |service| service.restart = Restart::No),
        ],
    );
}

#[test]
fn ug009_a_notification_for_each_attempt() {
    let with = |delay| {
        let mut unit = restarting(tool(), delay, 0, 5);
        unit.on_failure.push("mail@tool.service".to_owned());
        unit
    };
    let direct = changed(with(20), |service| {
        service.restart_mode = RestartMode::Direct;
    });
    let once = changed(with(20), |service| service.restart = Restart::No);
    table(
        "UG009",
        &[with(20)],
        &[direct, once, restarting(tool(), 20, 0, 5)],
    );
    assert!(what(&with(20), "UG009").contains("mail@tool.service is started: 72 times in 30min"));
    assert!(ids(&with(20), Version(253)).is_empty());
}

#[test]
fn ug016_a_switch_that_stops_itself() {
    let switch = runs(
        job(),
        "/run/current-system/sw/bin/nixos-rebuild switch --upgrade",
    );
    let mut spared = switch.clone();
    spared.nixos = Switch {
        restart_if_changed: false,
        stop_on_removal: false,
    };
    let mut transient = switch.clone();
    transient.transient = true;
    table(
        "UG016",
        &[
            switch,
            runs(job(), "upgrade-gate run -- nixos-rebuild switch"),
            runs(
                job(),
                "/nix/store/x-system/bin/switch-to-configuration test",
            ),
            runs(job(), "nh os switch /etc/nixos"),
        ],
        &[
            spared,
            transient,
            runs(job(), "nixos-rebuild boot"),
            // It is another machine that switches.
            runs(job(), "nixos-rebuild --target-host box switch"),
            runs(job(), "nh os test --target-host=box ."),
            job(),
        ],
    );
}

#[test]
fn ug017_lines_that_systemd_ignores() {
    let ignored = |line, since| IgnoredLine {
        file: "/etc/systemd/system/tool.service".to_owned(),
        line,
        why: format!("reason {line}"),
        since,
    };
    let mut unit = tool();
    unit.ignored = vec![ignored(3, None), ignored(7, Some(Version(254)))];
    let mut starts = timer();
    starts.ignored.push(IgnoredLine {
        why: "did you mean OnCalendar=?".to_owned(),
        ..ignored(9, None)
    });
    unit.timers.push(starts);
    let said = |version| {
        let found = found(&unit, version).into_iter();
        let found = found.filter(|finding| finding.rule.id == "UG017");
        found.map(|finding| finding.said.what).collect::<Vec<_>>()
    };
    let new = [
        "/etc/systemd/system/tool.service:3: reason 3.",
        "/etc/systemd/system/tool.service:9: did you mean OnCalendar=?",
    ];
    assert_eq!(said(V257), new);
    assert_eq!(said(Version(252)).len(), 3);
}
