//! What the companion is given, and for whom it is there.

use super::*;

#[test]
fn where_there_is_no_network_to_see_only_the_companion_can_wait() {
    let closed: [fn(&mut Surroundings); 3] = [
        |around| around.own_network = true,
        |around| around.addresses_denied = true,
        |around| around.own_root = true,
    ];
    for close in closed {
        for mode in [GateMode::Run, GateMode::Pre, GateMode::Condition] {
            let mut case = Case::new(mode);
            close(&mut case.surroundings);
            assert!(case.refused().contains("--mode companion"));
        }
        let mut case = Case::new(GateMode::Companion);
        close(&mut case.surroundings);
        case.result().unwrap();
    }
}

/// The companion of a unit with these settings in its environment.
fn companion_with(name: &str, environment: &[(&str, &str)]) -> DropIns {
    let mut case = Case::new(GateMode::Companion);
    case.unit.name = name.to_owned();
    for (key, value) in environment {
        case.surroundings.environment.assign(key, value);
    }
    in_mode(&case.spec()).unwrap()
}

#[test]
fn the_companion_finds_what_the_unit_has_in_its_environment() {
    let made = companion_with(
        "bk@a.service",
        &[
            (
                "Environment",
                "A=b 'https_proxy=http://p:1' \"NIX_CONFIG=a = %%i %i\"",
            ),
            ("EnvironmentFile", "-/etc/bk/%i.env"),
        ],
    );
    let (name, text) = made.companion.unwrap();
    assert_eq!(name, "upgrade-gate@upgrade.service");
    let settings: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(
        settings,
        [
            "[Service]",
            "Environment=https_proxy=http://p:1",
            "Environment=\"NIX_CONFIG=a = %%i a\"",
            "EnvironmentFile=-/etc/bk/a.env",
        ]
    );
    assert_eq!(companion_with("bk.service", &[]).companion, None);
}

#[test]
fn what_the_companion_cannot_be_given_is_said() {
    let secret = companion_with(
        "bk.service",
        &[("Environment", "https_proxy=http://me:secret@p:1")],
    );
    assert_eq!(secret.companion, None);
    assert!(secret.untold.is_some(), "and not in a comment alone");
    assert!(
        secret.own.contains("# https_proxy contains a password"),
        "{}",
        secret.own
    );
    assert!(!secret.own.contains("secret"));
    let shared = companion_with("bk@.service", &[("Environment", "https_proxy=http://p:1")]);
    assert_eq!(shared.companion, None);
    assert!(
        shared
            .own
            .contains("# https_proxy is set in the environment of bk@.service"),
        "{}",
        shared.own
    );
}
