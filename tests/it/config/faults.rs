//! What is said of a bad configuration.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Output};

use proptest::prelude::*;
use serde_json::Value;

use super::{ETC, Root, choose};

/// What is written in the file, and what is said of it after its name.
const BAD: &[(&str, &[&str])] = &[
    (
        "settle = '2s'",
        &[":1: settle: unknown key; only [profile.NAME] and [watch] tables belong here"],
    ),
    (
        "\n[profiles.p]",
        &[":2: profiles: unknown key; did you mean profile?"],
    ),
    (
        "profile = 1",
        &[":1: profile: must be tables [profile.NAME], not an integer"],
    ),
    (
        "watch = 1",
        &[":1: watch: must be a table [watch], not an integer"],
    ),
    ("[wach]", &[":1: wach: unknown key; did you mean watch?"]),
    (
        "[watch]\nrearms = []",
        &[":2: watch.rearms: unknown key; did you mean rearm?"],
    ),
    (
        "[watch]\ntargets = []",
        &[
            ":2: watch.targets: unknown key; the watch has profile, rearm, rearm_at_once, rearm_spread",
        ],
    ),
    (
        "[watch]\nprofile = '../x'",
        &[
            ":2: watch.profile: invalid profile name \"../x\"; use up to 255 letters, digits and any of - _ . @ : + \\, as in unit names",
        ],
    ),
    (
        "[watch]\nrearm = 'a.service'\nrearm_at_once = 0\nrearm_spread = 'infinity'",
        &[
            ":2: watch.rearm: must be a list of unit names, not a string",
            ":3: watch.rearm_at_once: must be from 1 to 1000, not 0",
            ":4: watch.rearm_spread: must be at most 1h, not infinity",
        ],
    ),
    (
        "[watch]\nrearm = ['a', 'b/c.service', '']",
        &[
            ":2: watch.rearm: must be a full unit name such as \"a.service\", not \"a\"",
            ":2: watch.rearm: invalid unit name \"b/c.service\"",
            ":2: watch.rearm: invalid unit name \"\"",
        ],
    ),
    (
        "[[profile]]",
        &[":1: profile: must be tables [profile.NAME], not an array"],
    ),
    (
        "[profile]\np = 'x'",
        &[":2: profile.p: must be a table, not a string"],
    ),
    (
        "[profile.'../x']",
        &[
            ":1: profile.\"../x\": invalid profile name \"../x\"; use up to 255 letters, digits and any of - _ . @ : + \\, as in unit names",
        ],
    ),
    (
        "[profile.'']",
        &[
            ":1: profile.\"\": invalid profile name \"\"; use up to 255 letters, digits and any of - _ . @ : + \\, as in unit names",
        ],
    ),
    (
        "[profile.'a.b']\nx = 1",
        &[
            ":2: profile.\"a.b\".x: unknown key; a profile has targets, flake, allow_guess, settle, metered, power, at_most_every, attempts, attempt_timeout, final_exit_status, final_if_changed, inhibit, guard",
        ],
    ),
    (
        "[profile.p]\n\nsetle = '2s'",
        &[":3: profile.p.setle: unknown key; did you mean settle?"],
    ),
    (
        "[profile.p]\nsettle = '2 lightyears'",
        &[
            ":2: profile.p.settle: invalid time span \"2 lightyears\" (examples: 2s, 1min 30s, infinity)",
        ],
    ),
    (
        "[profile.p]\nsettle = 2",
        &[
            ":2: profile.p.settle: must be a time span in quotes, such as \"1min 30s\", not an integer",
        ],
    ),
    (
        "[profile.p]\nsettle = 'infinity'",
        &[":2: profile.p.settle: must be at most 1h, not infinity"],
    ),
    (
        "[profile.p]\nsettle = '61min'",
        &[":2: profile.p.settle: must be at most 1h, not 1h 1min"],
    ),
    (
        "[profile.p]\nmetered = 'no'",
        &[":2: profile.p.metered: must be \"hold\" or \"allow\", not \"no\""],
    ),
    (
        "[profile.p]\nmetered = false",
        &[":2: profile.p.metered: must be a string, not a boolean"],
    ),
    (
        "[profile.p]\nallow_guess = 'yes'",
        &[":2: profile.p.allow_guess: must be true or false, not a string"],
    ),
    (
        "[profile.p]\nflake = []",
        &[":2: profile.p.flake: must be a string, not an array"],
    ),
    (
        "[profile.p]\npower = 'battery'",
        &[":2: profile.p.power: must be \"any\" or \"mains\", not \"battery\""],
    ),
    (
        "[profile.p]\npower = 40",
        &[
            ":2: profile.p.power: must be \"any\", \"mains\" or { battery_at_least = PERCENT }, not an integer",
        ],
    ),
    (
        "[profile.p]\npower = {}",
        &[":2: profile.p.power: is empty; write { battery_at_least = PERCENT }"],
    ),
    (
        "[profile.p]\npower = { battery_at_least = 0 }",
        &[":2: profile.p.power: must be from 1 to 100, not 0"],
    ),
    (
        "[profile.p.power]\nbattery_at_least = 101",
        &[":2: profile.p.power: must be from 1 to 100, not 101"],
    ),
    (
        "[profile.p]\npower = { battery = 40 }",
        &[":2: profile.p.power.battery: unknown key; only battery_at_least belongs here"],
    ),
    (
        "[profile.p]\nat_most_every = 'infinity'",
        &[":2: profile.p.at_most_every: must not be infinity: it would never run again"],
    ),
    (
        "[profile.p]\nattempts = 0",
        &[":2: profile.p.attempts: must be from 1 to 4294967295, not 0"],
    ),
    (
        "[profile.p]\nattempts = -1",
        &[":2: profile.p.attempts: must be from 1 to 4294967295, not -1"],
    ),
    (
        "[profile.p]\nattempts = 1e1",
        &[":2: profile.p.attempts: must be a whole number from 1 to 4294967295, not a float"],
    ),
    (
        "[profile.p]\nattempts = 99999999999999999999",
        &[":2: profile.p.attempts: must be from 1 to 4294967295, not 99999999999999999999"],
    ),
    (
        "[profile.p]\nattempt_timeout = '0'",
        &[":2: profile.p.attempt_timeout: must be 1s or more, or infinity, not 0"],
    ),
    (
        "[profile.p]\nfinal_exit_status = 4",
        &[":2: profile.p.final_exit_status: must be a list of exit codes, not an integer"],
    ),
    (
        "[profile.p]\nfinal_exit_status = [\n4,\n256,\n'x']",
        &[
            ":4: profile.p.final_exit_status: must be from 0 to 255, not 256",
            ":5: profile.p.final_exit_status: must be a whole number from 0 to 255, not a string",
        ],
    ),
    (
        "[profile.p]\nfinal_if_changed = ['run/x', '']",
        &[
            ":2: profile.p.final_if_changed: must be an absolute path, not \"run/x\"",
            ":2: profile.p.final_if_changed: must be an absolute path, not \"\"",
        ],
    ),
    (
        "[profile.p]\nfinal_if_changed = [\"/a\\u0000\"]",
        &[":2: profile.p.final_if_changed: must be an absolute path, not \"/a\\0\""],
    ),
    (
        "[profile.p]\ninhibit = ['lid']",
        &[":2: profile.p.inhibit: must be \"shutdown\" or \"sleep\", not \"lid\""],
    ),
    (
        "[profile.p]\ntargets = 'auto'",
        &[":2: profile.p.targets: must be a list of targets, not a string"],
    ),
    (
        "[profile.p]\ntargets = []",
        &[":2: profile.p.targets: is empty; name a target, or leave the key out for the default"],
    ),
    (
        "[profile.p]\ntargets = [1]",
        &[
            ":2: profile.p.targets: must be a target such as \"https://example.org\", or a table, not an integer",
        ],
    ),
    (
        "[profile.p]\ntargets = [{ any = [] }]",
        &[":2: profile.p.targets: any is empty; name a target"],
    ),
    (
        "[profile.p]\ntargets = [{ any = 'https://a' }]",
        &[":2: profile.p.targets: must be a list of targets, not a string"],
    ),
    (
        "[profile.p]\ntargets = [{ any = ['auto'] }]",
        &[":2: profile.p.targets: \"auto\" cannot be used inside any; make it a separate entry"],
    ),
    (
        "[profile.p]\ntargets = [{ any = ['https://a'], all = [] }]",
        &[":2: profile.p.targets.all: unknown key; only any belongs here"],
    ),
    (
        "[profile.p]\ntargets = [{ url = 'http://a/' }]",
        &[":2: profile.p.targets: must have both url and expect, or be a string, or { any = […] }"],
    ),
    (
        "[profile.p]\ntargets = [{ url = 'https://a/', expect = 'x' }]",
        &[":2: profile.p.targets: only an http:// target has an expect"],
    ),
    (
        "[profile.p]\ntargets = [{ url = 'http://a/', expect = '' }]",
        &[":2: profile.p.targets: expect is empty; write what the body begins with"],
    ),
    (
        "[profile.p]\ntargets = [{ url = 'http://a/', expects = 'x' }]",
        &[":2: profile.p.targets.expects: unknown key; only url or expect belongs here"],
    ),
    (
        "[profile.p]\nguard = true",
        &[":2: profile.p.guard: must be a table, not a boolean"],
    ),
    (
        "[profile.p.guard]\nenabled = true\nwithin = '0'\nsystem = ''",
        &[
            ":2: profile.p.guard.enabled: unknown key; did you mean enable?",
            ":3: profile.p.guard.within: must be 1s or more, and finite, not 0",
            ":4: profile.p.guard.system: must be a path, such as \"result\"",
        ],
    ),
    (
        "[profile.p]\nattempts = 1\nattempts = 2",
        &[":3: attempts: duplicate key"],
    ),
    (
        "[profile.p]\n[profile.q]\n[profile.p]",
        &[":3: p: duplicate key"],
    ),
    (
        "[profile.p]\r\nattempts = 0\r\nsettle = '1y'\r\n",
        &[
            ":2: profile.p.attempts: must be from 1 to 4294967295, not 0",
            ":3: profile.p.settle: must be at most 1h, not 1y",
        ],
    ),
];

#[test]
fn every_fault_is_named_with_file_line_and_key() {
    for (text, faults) in BAD {
        let expected: Vec<_> = faults.iter().map(|fault| format!("{ETC}{fault}")).collect();
        assert_eq!(Root::with(text).errors(), expected, "{text}");
    }
}

#[test]
fn text_that_is_no_toml_is_named_with_file_and_line() {
    for (text, line) in [
        ("[profile.p]\nsettle = 2s", 2),
        ("[profile.p", 1),
        ("\n\n= 1", 3),
        ("a = \"\u{1}", 1),
    ] {
        let errors = Root::with(text).errors();
        assert!(
            errors[0].starts_with(&format!("{ETC}:{line}: ")),
            "{errors:?}"
        );
        assert!(
            errors.iter().all(|error| !error.contains('\n')),
            "{errors:?}"
        );
    }
}

#[test]
fn what_target_is_no_target_is_said_by_target() {
    let errors = Root::with("[profile.p]\ntargets = [\n'gopher://a',\n{ any = ['x'] }]").errors();
    assert!(
        errors[0].starts_with(&format!("{ETC}:3: profile.p.targets: ")),
        "{errors:?}"
    );
    assert!(
        errors[1].starts_with(&format!("{ETC}:4: profile.p.targets: ")),
        "{errors:?}"
    );
}

#[test]
fn the_faults_of_all_files_are_collected_in_their_order() {
    let root = Root::with("[profile.p]\nx = 1\nattempts = 0\n")
        .file("etc/upgrade-gate/upgrade-gate.d/b.toml", "[")
        .file(
            "usr/lib/upgrade-gate/upgrade-gate.d/a.toml",
            "[profile.p]\nsettle = 1",
        );
    let errors = root.errors();
    let files: Vec<_> = errors
        .iter()
        .map(|error| error.split(": ").next().unwrap())
        .collect();
    let expected = [
        &format!("{ETC}:2"),
        &format!("{ETC}:3"),
        "usr/lib/upgrade-gate/upgrade-gate.d/a.toml:2",
        "etc/upgrade-gate/upgrade-gate.d/b.toml:1",
    ];
    assert_eq!(files, expected);
}

#[test]
fn what_cannot_be_read_is_an_error_that_names_it() {
    let drop_in = "etc/upgrade-gate/upgrade-gate.d/a.toml";
    let is = |text: &str| vec![format!("{drop_in}{text}")];
    let root = Root::new().directory(drop_in);
    assert_eq!(root.errors(), is(": must be a file, not a directory"));
    let root = Root::new().file(drop_in, b"\n# \xff\n");
    assert_eq!(root.errors(), is(":2: is not UTF-8 text"));
    let root = Root::new().link(drop_in, "nowhere");
    assert!(root.errors()[0].starts_with(&format!("{drop_in}: cannot be read: No such file")));
    let root = Root::new().link(drop_in, "/dev/zero");
    assert_eq!(root.errors(), is(": must be a file, not something else"));
    let root = Root::new().file(drop_in, "#".repeat((1 << 20) + 1));
    assert_eq!(
        root.errors(),
        is(": cannot be read: it is longer than 1048576 bytes")
    );
    let root = Root::new().file("etc/upgrade-gate/upgrade-gate.d", "");
    assert!(
        root.errors()[0].starts_with("etc/upgrade-gate/upgrade-gate.d: cannot be read: Not a dir")
    );
}

fn config(root: &Root, options: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_upgrade-gate"));
    let command = command.arg("--root").arg(root.0.path()).arg("config");
    command.args(options).output().unwrap()
}

#[test]
fn a_wrong_configuration_is_78_and_all_of_it_is_told() {
    let root =
        Root::with("[profile.p]\nx = 1\ny = 2\n").file("etc/upgrade-gate/upgrade-gate.d/z", "");
    let output = config(&root, &[]);
    assert_eq!(output.status.code(), Some(78));
    let text = String::from_utf8(output.stderr).unwrap();
    let kinds: Vec<_> = text
        .lines()
        .map(|line| line.split(": ").nth(1).unwrap())
        .collect();
    assert_eq!(kinds, ["warning", "error", "error"]);
    let output = config(&root, &["--json", "--quiet"]);
    assert_eq!(output.status.code(), Some(78));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["errors"][1]["key"], "profile.p.y");
    assert_eq!(json["errors"][1]["line"], 3);
    assert_eq!(output.stderr, text.as_bytes(), "quiet, but for faults");
}

#[test]
fn a_file_whose_name_is_no_text_is_told_of_all_the_same() {
    let root = Root::new().directory("etc/upgrade-gate/upgrade-gate.d");
    let name = OsStr::from_bytes(b"\xff\n.toml");
    let folder = root.path("etc/upgrade-gate/upgrade-gate.d/x");
    fs::write(folder.with_file_name(name), "x = 1").unwrap();
    let errors = root.load().unwrap_err();
    assert_eq!(errors.to_string().lines().count(), 1);
    assert_eq!(config(&root, &["--json"]).status.code(), Some(78));
}

proptest! {
    #[test]
    fn no_file_makes_it_panic(
        bytes in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..200),
            r#"(\[profile\.[a-z.'"]{0,5}\]?\n|[a-z_]{0,8} = |targets|settle|power|any|expect|[-0-9.e]{1,5}|["'{}\[\],=\n#]){0,40}"#
                .prop_map(String::into_bytes),
        ]
    ) {
        let root = Root::new().file(ETC, bytes);
        match root.load() {
            Ok(loaded) => drop(choose(&loaded, "p")),
            Err(errors) => prop_assert!(!errors.errors.is_empty()),
        }
    }
}
