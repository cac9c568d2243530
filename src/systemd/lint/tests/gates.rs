//! The rules about upgrade-gate within a unit.

use super::*;

#[test]
fn ug010_a_list_that_is_not_held_against_the_gate() {
    let gate = "upgrade-gate wait-online --timeout 1min";
    let with = |unit, code| {
        changed(restarting(unit, 20, 0, 5), |service| {
            service.prevent = codes(&[code]);
        })
    };
    table(
        "UG010",
        &[
            with(before(job(), gate), 75),
            with(before(job(), "upgrade-gate check"), 69),
        ],
        &[
            with(before(job(), gate), 3),
            with(before(job(), "upgrade-gate wait-online"), 75),
            with(runs(job(), "upgrade-gate run --timeout 1min -- a"), 75),
            before(job(), gate),
        ],
    );
}

#[test]
fn ug011_a_gate_that_gives_up_in_the_wrong_place() {
    let gate = "upgrade-gate wait-online --timeout 10min";
    table(
        "UG011",
        &[before(job(), gate), before(job(), "upgrade-gate check")],
        &[
            before(job(), "upgrade-gate wait-online"),
            before(job(), "upgrade-gate wait-online --timeout infinity"),
            condition(job(), &format!("{gate} --exec-condition")),
            runs(job(), "upgrade-gate run --timeout 10min -- a"),
            before(job(), &format!("-{gate}")),
        ],
    );
    assert!(what(&before(job(), gate), "UG011").contains("after 10min with exit code 75"));
    assert!(what(&before(job(), "upgrade-gate check"), "UG011").contains("gives up at once"));
}

#[test]
fn ug012_a_no_that_is_taken_for_a_yes() {
    let success = |unit, code| changed(unit, |service| service.success = codes(&[code]));
    let timeout = "upgrade-gate wait-online --timeout 10min";
    table(
        "UG012",
        &[
            success(before(job(), timeout), 75),
            success(before(job(), "upgrade-gate wait-online"), 78),
            success(condition(job(), "upgrade-gate check --exec-condition"), 1),
            before(job(), "-/usr/bin/upgrade-gate check"),
        ],
        &[
            // The network is waited for a while, and then gone without.
            before(job(), &format!("-{timeout}")),
            before(job(), "-/usr/bin/upgrade-gate wait-online"),
            success(runs(job(), "upgrade-gate run -- a"), 75),
            success(before(job(), "upgrade-gate wait-online"), 75),
            success(before(job(), timeout), 2),
            success(condition(job(), "upgrade-gate check --exec-condition"), 75),
            before(job(), timeout),
        ],
    );
}

#[test]
fn ug013_a_condition_that_skips_whatever_is_wrong() {
    table(
        "UG013",
        &[
            condition(job(), "upgrade-gate check"),
            condition(job(), "upgrade-gate wait-online --timeout 1min"),
        ],
        &[
            condition(job(), "upgrade-gate check --exec-condition"),
            condition(job(), "upgrade-gate status"),
            condition(job(), "/usr/bin/test -e /etc/nixos"),
            before(job(), "upgrade-gate check"),
        ],
    );
    let two = condition(condition(job(), "/bin/a b"), "/bin/upgrade-gate check -p x");
    let found = found(&two, V257);
    let expected = [
        "ExecCondition=",
        "ExecCondition=/bin/a b",
        "ExecCondition=/bin/upgrade-gate check -p x --exec-condition",
    ];
    assert_eq!(found[0].said.lines[1..], expected);
}

#[test]
fn ug014_a_boot_that_waits_with_the_unit() {
    let run = "upgrade-gate run -- /usr/bin/upgrade";
    let exec_type = |unit| changed(unit, |service| service.kind = ServiceType::Exec);
    let with_companion = |mut unit: Unit| {
        unit.requires
            .push("upgrade-gate@upgrade.service".to_owned());
        unit
    };
    let script = |text: &str| changed(job(), |service| service.exec_start = vec![script(text)]);
    let several = changed(runs(job(), run), |service| {
        service.exec_start.push(line("/bin/b"));
    });
    table(
        "UG014",
        &[
            wanted(runs(job(), run)),
            wanted(before(job(), "upgrade-gate wait-online")),
            wanted(exec_type(before(job(), "upgrade-gate wait-online"))),
            timed(runs(job(), run), |_| {}),
            wanted(several.clone()),
            wanted(with_companion(job())),
            wanted(script(
                "upgrade-gate wait-online --timeout 10min && upgrade",
            )),
            wanted(condition(job(), "upgrade-gate wait-online --timeout 1h")),
        ],
        &[
            with_companion(job()),
            runs(job(), run),
            wanted(exec_type(runs(job(), run))),
            timed(runs(job(), run), |timer| timer.persistent = false),
            wanted(condition(job(), "upgrade-gate check --exec-condition")),
            // Nothing better can be had.
            timed(several, |_| {}),
            wanted(job()),
            // No longer than systemd-networkd-wait-online.
            wanted(script("upgrade-gate wait-online --timeout 2min; upgrade")),
        ],
    );
}

#[test]
fn ug018_not_now_that_counts_as_done() {
    let run = |line: &str| {
        let gated = runs(job(), line);
        changed(gated, |service| service.success = codes(&[75]))
    };
    let followed = |mut unit: Unit| {
        unit.on_success.push("report.service".to_owned());
        unit
    };
    let remains = |unit| changed(unit, |service| service.remain_after_exit = true);
    let gate = "upgrade-gate run -- a";
    table(
        "UG018",
        &[
            followed(run(gate)),
            remains(run(gate)),
            followed(runs(job(), "-/usr/bin/upgrade-gate run -- a")),
            remains(run("upgrade-gate wait-online --timeout 1h")),
        ],
        &[
            run(gate),
            followed(runs(job(), gate)),
            remains(runs(job(), gate)),
            followed(run("/usr/bin/a")),
            // It never says "not now".
            remains(run("upgrade-gate wait-online")),
        ],
    );
    let said = what(&followed(run(gate)), "UG018");
    assert!(said.contains("OnSuccess= starts report.service"), "{said}");
    let said = what(&remains(run(gate)), "UG018");
    assert!(said.contains("RemainAfterExit=yes"), "{said}");
}

#[test]
fn ug019_what_the_gate_comes_too_late_for() {
    let gated = runs(job(), "/usr/bin/upgrade-gate run -- nixos-rebuild boot");
    table(
        "UG019",
        &[
            before(gated.clone(), "/usr/bin/git -C /etc/nixos pull"),
            // A script of its own may do anything, as preStart= of NixOS does.
            before(
                gated.clone(),
                "/nix/store/x-unit-script-u-pre-start/bin/u-pre-start",
            ),
            before(gated.clone(), "-/usr/bin/git pull"),
            before(
                gated.clone(),
                "/usr/bin/curl -fo /run/list https://example.org",
            ),
            before(gated.clone(), "/bin/ping -c1 example.org"),
            condition(gated.clone(), "/usr/bin/needs-upgrade"),
            changed(gated.clone(), |service| {
                service.exec_start.insert(0, line("/usr/bin/git pull"));
            }),
        ],
        &[
            gated.clone(),
            before(gated.clone(), "/bin/mkdir -p /var/lib/u"),
            before(gated.clone(), "/lib/systemd/systemd-networkd-wait-online"),
            {
                let mut behind = before(gated.clone(), "/usr/bin/git pull");
                behind.requires.push("upgrade-gate@u.service".to_owned());
                behind
            },
            condition(gated.clone(), "/usr/bin/test -e /etc/u"),
            before(
                before(job(), "upgrade-gate wait-online"),
                "/usr/bin/git pull",
            ),
            before(job(), "/usr/bin/git pull"),
            changed(gated.clone(), |service| {
                service.exec_start.push(line("/usr/bin/git push"));
            }),
        ],
    );
    let said = what(&before(gated.clone(), "/usr/bin/git pull"), "UG019");
    assert!(
        said.starts_with("ExecStartPre=/usr/bin/git pull runs before the gate"),
        "{said}"
    );
    let said = what(&condition(gated, "/usr/bin/needs-upgrade"), "UG019");
    assert!(said.contains("skips the unit"), "{said}");
}
