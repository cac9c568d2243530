//! Which files are read, which mask which, and what profile comes out.

use std::path::Path;
use std::time::Duration;

use upgrade_gate::config::Overrides;
use upgrade_gate::config::effective::Origin;
use upgrade_gate::targets::{Target, TargetEntry};

use super::{ETC, Root, choose, settle};

#[test]
fn without_any_file_every_profile_is_usable() {
    let loaded = Root::new().load().unwrap();
    let nixos = choose(&loaded, "nixos-upgrade").profile;
    assert_eq!(nixos.targets, [TargetEntry::Auto]);
    assert_eq!(nixos.final_exit_status, [4, 100]);
    assert_eq!(nixos.final_if_changed.len(), 2);
    assert_eq!(nixos.at_most_every, None);
    assert_eq!(
        choose(&loaded, "fwupd-refresh").profile.final_exit_status,
        [2]
    );
    let default = loaded.profile(None, &Overrides::default()).unwrap();
    assert_eq!(default.profile.name, "default");
    assert_eq!(default.profile.settle, Duration::from_secs(2));
    assert_eq!(default.warning, None);
}

#[test]
fn every_key_is_read() {
    let profile = Root::with(
        r#"
        [profile.p]
        targets = [
            "auto", "nix-cache:https://cache.example.org", { any = ["https://a.example/", "tcp://b.example:22"] },
            { url = "http://c.example/", expect = "hello" },
        ]
        flake = "github:me/config"
        allow_guess = true
        settle = "1min 30s"
        metered = "allow"
        power = { battery_at_least = 40 }
        at_most_every = "20h"
        attempts = 3
        attempt_timeout = "infinity"
        final_exit_status = [0, 255]
        final_if_changed = ["/a", "/b c"]
        inhibit = ["sleep", "shutdown", "sleep"]
        "#,
    )
    .profile();
    assert_eq!(profile.targets.len(), 4);
    let expect = Some("hello".to_owned());
    let url = "http://c.example/".to_owned();
    assert_eq!(
        profile.targets[3],
        TargetEntry::One(Target::Http { url, expect })
    );
    assert_eq!(profile.flake.as_deref(), Some("github:me/config"));
    assert!(profile.allow_guess && !profile.hold_metered);
    assert_eq!(profile.settle, Duration::from_secs(90));
    assert_eq!(profile.at_most_every, Some(Duration::from_secs(72_000)));
    assert_eq!((profile.attempts, profile.attempt_timeout), (3, None));
    assert_eq!(profile.final_exit_status, [0, 255]);
    assert_eq!(
        profile.final_if_changed,
        [Path::new("/a"), Path::new("/b c")]
    );
    assert_eq!(profile.inhibit.len(), 2);
}

#[test]
fn every_key_of_the_watch_is_read_and_a_later_file_overrides_it_key_by_key() {
    let root = Root::with(
        r#"
        [watch]
        profile = "nixos-upgrade"
        rearm = ["fwupd-refresh.service", "backup@*", "*"]
        rearm_at_once = 3
        rearm_spread = "2min"
        "#,
    );
    let root = root.file(
        "etc/upgrade-gate/upgrade-gate.d/50.toml",
        "[watch]\nrearm_spread = '0'\n",
    );
    let (watch, settings) = root.load().unwrap().watch();
    assert_eq!(watch.profile, "nixos-upgrade");
    assert_eq!(watch.rearm, ["fwupd-refresh.service", "backup@*", "*"]);
    assert_eq!(watch.rearm_at_once, 3);
    assert_eq!(watch.rearm_spread, Duration::ZERO);
    let lines: Vec<_> = settings
        .iter()
        .map(|one| {
            one.origin
                .to_string()
                .rsplit(':')
                .next()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(lines, ["3", "4", "5", "2"]);
}

#[test]
fn without_any_file_the_watch_follows_the_default_profile_and_starts_nothing_again() {
    let (watch, settings) = Root::new().load().unwrap().watch();
    assert_eq!((&*watch.profile, watch.rearm.len()), ("default", 0));
    assert!(settings.iter().all(|one| one.origin == Origin::Default));
}

#[test]
fn numbers_are_read_in_every_spelling_of_toml() {
    for (written, attempts) in [("1_000", 1000), ("0x1F", 31), ("0b11", 3), ("+5", 5)] {
        let root = Root::with(&format!("[profile.p]\nattempts = {written}\n"));
        assert_eq!(root.profile().attempts, attempts);
    }
}

#[test]
fn a_value_is_unset_by_writing_so() {
    let profile = Root::with("[profile.p]\nflake = 'x'\nat_most_every = '1h'\n")
        .file(
            "etc/upgrade-gate/upgrade-gate.d/a.toml",
            "[profile.p]\nflake = ''\nat_most_every = '0'\ninhibit = []\n",
        )
        .profile();
    assert_eq!((profile.flake, profile.at_most_every), (None, None));
    assert!(profile.inhibit.is_empty());
}

#[test]
fn drop_ins_override_the_main_file_in_the_order_of_their_names() {
    let root = Root::with(&settle(1))
        .file("run/upgrade-gate/upgrade-gate.d/10.toml", settle(2))
        .file("usr/lib/upgrade-gate/upgrade-gate.d/20.toml", settle(3));
    assert_eq!(root.profile().settle, Duration::from_secs(3));
    let origin = ("usr/lib/upgrade-gate/upgrade-gate.d/20.toml".to_owned(), 2);
    assert_eq!(root.origin("settle"), origin);
}

#[test]
fn keys_are_merged_one_by_one() {
    let root = Root::with("[profile.p]\nattempts = 7\nsettle = '5s'\n[profile.q]\nattempts = 9\n")
        .file("etc/upgrade-gate/upgrade-gate.d/a.toml", settle(6));
    let profile = root.profile();
    assert_eq!((profile.attempts, profile.settle.as_secs()), (7, 6));
    assert_eq!(root.origin("attempts"), (ETC.to_owned(), 2));
    assert_eq!(root.origin("metered"), ("default".to_owned(), 0));
}

#[test]
fn of_several_files_with_one_name_etc_beats_run_and_run_beats_usr() {
    for name in ["upgrade-gate.toml", "upgrade-gate.d/a.toml"] {
        let path = |folder: &str| format!("{folder}/upgrade-gate/{name}");
        let usr = "[profile.p]\nattempts = 3\n";
        let root = Root::new().file(&path("usr/lib"), usr);
        assert_eq!(root.profile().attempts, 3, "{name}");
        let root = root.file(&path("run"), settle(7));
        let profile = root.profile();
        assert_eq!(
            (profile.settle.as_secs(), profile.attempts),
            (7, 10),
            "{name}"
        );
        let root = root.file(&path("etc"), settle(8));
        assert_eq!(root.profile().settle.as_secs(), 8, "{name}");
        let loaded = root.load().unwrap();
        assert_eq!(loaded.files.len(), 1, "{name}");
        assert_eq!(
            root.strip(&loaded.replaced),
            [
                format!("{} replaces {}", path("run"), path("usr/lib")),
                format!("{} replaces {}", path("etc"), path("run")),
            ]
        );
    }
}

#[test]
fn an_empty_file_and_a_link_to_dev_null_mask_what_is_below() {
    for name in ["upgrade-gate.toml", "upgrade-gate.d/a.toml"] {
        let masked = || Root::new().file(&format!("usr/lib/upgrade-gate/{name}"), "not even TOML");
        let etc = format!("etc/upgrade-gate/{name}");
        assert_eq!(
            masked().link(&etc, "/dev/null").profile().settle.as_secs(),
            2
        );
        assert_eq!(masked().file(&etc, "").profile().settle.as_secs(), 2);
        assert_eq!(masked().errors().len(), 1);
    }
}

#[test]
fn what_is_no_drop_in_is_a_warning() {
    let root = Root::new()
        .file("etc/upgrade-gate/upgrade-gate.d/a.conf", "!")
        .file("etc/upgrade-gate/upgrade-gate.d/b.toml~", "!")
        .link("etc/upgrade-gate/upgrade-gate.d/.#c.toml", "me@host:1")
        .directory("run/upgrade-gate/upgrade-gate.d/d");
    let ignored = "has no .toml suffix or is hidden, ignoring";
    let expected = [
        "run/upgrade-gate/upgrade-gate.d/d",
        "etc/upgrade-gate/upgrade-gate.d/.#c.toml",
        "etc/upgrade-gate/upgrade-gate.d/a.conf",
        "etc/upgrade-gate/upgrade-gate.d/b.toml~",
    ]
    .map(|file| format!("{file}: {ignored}"));
    assert_eq!(root.warnings(), expected);
}

#[test]
#[ignore = "needs root"]
fn what_a_service_was_given_below_run_is_not_the_configuration() {
    let root = Root::with(&settle(1))
        .file("run/upgrade-gate/upgrade-gate.toml", settle(2))
        .file("run/upgrade-gate/upgrade-gate.d/a.toml", settle(3));
    assert_eq!(root.profile().settle.as_secs(), 3);
    std::os::unix::fs::chown(root.path("run/upgrade-gate"), Some(4_000_000_001), None).unwrap();
    assert_eq!(root.profile().settle.as_secs(), 1);
    let ignored = "run/upgrade-gate: is owned by 4000000001, ignoring";
    assert_eq!(root.warnings(), [ignored]);
}

#[test]
fn a_name_that_is_nearly_a_known_profiles_is_a_warning_and_another_is_not() {
    let loaded = Root::with("[profile.mine]\n").load().unwrap();
    assert_eq!(choose(&loaded, "mine").warning, None);
    assert_eq!(choose(&loaded, "backup").warning, None);
    assert_eq!(
        choose(&loaded, "nixos-upgrad").warning.unwrap(),
        "no profile nixos-upgrad in any file, using defaults; did you mean nixos-upgrade?"
    );
    assert!(
        loaded
            .profile(Some("../etc"), &Overrides::default())
            .is_err()
    );
}

#[test]
fn the_command_line_beats_the_files() {
    let loaded = Root::with("[profile.p]\ntargets = ['https://a/']\n")
        .load()
        .unwrap();
    let targets = vec!["tcp://b:1".parse().unwrap(), "auto".parse().unwrap()];
    let chosen = loaded
        .profile(
            Some("p"),
            &Overrides {
                targets: targets.clone(),
            },
        )
        .unwrap();
    assert_eq!(chosen.profile.targets, targets);
    assert_eq!(chosen.settings[0].origin, Origin::CommandLine);
    assert_eq!(
        chosen.settings[0].value.to_string(),
        r#"["tcp://b:1", "auto"]"#
    );
}
