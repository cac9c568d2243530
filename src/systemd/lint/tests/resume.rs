//! The rules about what starts on resume.

use super::*;

#[test]
fn ug003_a_timer_that_starts_an_upgrade_in_the_second_of_the_resume() {
    let companion = |name: &str| {
        let mut unit = timed(job(), |_| {});
        unit.requires.push(name.to_owned());
        unit
    };
    table(
        "UG003",
        &[
            timed(job(), |_| {}),
            timed(online(tool()), |_| {}),
            timed(runs(tool(), "/usr/bin/fwupdmgr refresh"), |_| {}),
            timed(job(), |timer| timer.wake_system = true),
            // After the boot that is not a wait.
            timed(before(online(job()), "nm-online -s"), |_| {}),
        ],
        &[
            timed(tool(), |_| {}),
            online(job()),
            timed(job(), |timer| {
                timer.calendar = false;
            }),
            timed(before(job(), "/usr/bin/upgrade-gate wait-online"), |_| {}),
            timed(
                condition(job(), "upgrade-gate check --exec-condition"),
                |_| {},
            ),
            timed(before(online(job()), "nm-online -q"), |_| {}),
            // As apt-daily.service has it.
            timed(
                before(online(job()), "-/usr/lib/apt/apt-helper wait-online"),
                |_| {},
            ),
            companion("upgrade-gate@upgrade.service"),
            companion("upgrade-gate-online.target"),
        ],
    );
    let relying = what(&timed(online(job()), |_| {}), "UG003");
    assert!(relying.contains("network-online.target"), "{relying}");
    let plain = what(&timed(job(), |_| {}), "UG003");
    assert!(!plain.contains("network-online.target"), "{plain}");
}

#[test]
fn ug004_nm_online_in_front_of_the_work() {
    table(
        "UG004",
        &[
            before(tool(), "/usr/bin/nm-online -s -q"),
            before(tool(), "/usr/bin/nm-online -q"),
            condition(tool(), "nm-online --wait-for-startup"),
        ],
        &[
            tool(),
            // NetworkManager-wait-online.service.
            runs(tool(), "/usr/bin/nm-online -s -q"),
            runs(
                before(tool(), "nm-online -s"),
                "upgrade-gate run -- /usr/bin/tool",
            ),
        ],
    );
    let startup = what(&before(tool(), "/usr/bin/nm-online -qs"), "UG004");
    assert!(startup.contains("nm-online -s"), "{startup}");
    let state = what(&before(tool(), "/usr/bin/nm-online --timeout=60"), "UG004");
    assert!(state.contains("docker0"), "{state}");
}

#[test]
fn ug005_persistent_false_is_no_cure() {
    let not = |unit| timed(unit, |timer| timer.persistent = false);
    table(
        "UG005",
        &[not(job()), not(online(tool()))],
        &[
            timed(job(), |_| {}),
            not(tool()),
            not(before(job(), "upgrade-gate wait-online")),
        ],
    );
}

#[test]
fn ug006_a_random_delay_that_has_passed() {
    let random = |unit| timed(unit, |timer| timer.randomized_delay = secs(43200));
    table(
        "UG006",
        &[random(job())],
        &[
            timed(job(), |_| {}),
            random(tool()),
            random(runs(job(), "upgrade-gate run -- /usr/bin/upgrade")),
        ],
    );
    assert!(what(&random(job()), "UG006").contains("RandomizedDelaySec=12h"));
}
