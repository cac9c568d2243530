//! The configuration as files on a disk: which are read, which mask which, and what is said of bad ones.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;
use serde_json::Value;
use tempfile::TempDir;
use upgrade_gate::commands::config as command;
use upgrade_gate::config::effective::Origin;
use upgrade_gate::config::keys::KEYS;
use upgrade_gate::config::places::Places;
use upgrade_gate::config::problem::Errors;
use upgrade_gate::config::profile::{BUILT_IN, Profile};
use upgrade_gate::config::target::{Entry, Target};
use upgrade_gate::config::{Chosen, Loaded, Overrides, load};

/// A file system with nothing but the configuration.
struct Root(TempDir);

const ETC: &str = "etc/upgrade-gate/upgrade-gate.toml";

impl Root {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    /// One with this as its only file.
    fn with(text: &str) -> Self {
        Self::new().file(ETC, text)
    }

    fn path(&self, path: &str) -> PathBuf {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    fn file(self, path: &str, text: impl AsRef<[u8]>) -> Self {
        fs::write(self.path(path), text).unwrap();
        self
    }

    fn directory(self, path: &str) -> Self {
        fs::create_dir_all(self.path(path)).unwrap();
        self
    }

    fn link(self, path: &str, to: &str) -> Self {
        symlink(to, self.path(path)).unwrap();
        self
    }

    fn load(&self) -> Result<Loaded, Errors> {
        load(&Places::below(self.0.path()))
    }

    /// The profile `p` in force, which must be fine.
    fn profile(&self) -> Profile {
        choose(&self.load().unwrap(), "p").profile
    }

    /// All errors, a line each, without the root.
    fn errors(&self) -> Vec<String> {
        self.strip(&self.load().unwrap_err().errors)
    }

    fn warnings(&self) -> Vec<String> {
        self.strip(&self.load().unwrap().warnings)
    }

    fn strip(&self, problems: &[impl ToString]) -> Vec<String> {
        let root = format!("{}/", self.0.path().display());
        problems
            .iter()
            .map(|one| one.to_string().replace(&root, ""))
            .collect()
    }

    /// Where the value of `key` in the profile `p` comes from: file without the root, and line.
    fn origin(&self, key: &str) -> (String, usize) {
        let chosen = choose(&self.load().unwrap(), "p");
        match chosen
            .settings
            .into_iter()
            .find(|setting| setting.key == key)
            .unwrap()
            .origin
        {
            Origin::File { file, line } => {
                let file = file.strip_prefix(self.0.path()).unwrap();
                (file.to_str().unwrap().to_owned(), line)
            }
            other => (other.to_string(), 0),
        }
    }
}

fn choose(loaded: &Loaded, name: &str) -> Chosen {
    loaded.profile(Some(name), &Overrides::default()).unwrap()
}

fn settle(seconds: u32) -> String {
    format!("[profile.p]\nsettle = \"{seconds}s\"\n")
}

#[test]
fn without_any_file_every_profile_is_usable() {
    let loaded = Root::new().load().unwrap();
    let nixos = choose(&loaded, "nixos-upgrade").profile;
    assert_eq!(nixos.targets, [Entry::Auto]);
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
    assert_eq!(profile.targets[3], Entry::One(Target::Http { url, expect }));
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
fn of_several_files_with_one_name_run_beats_etc_and_etc_beats_usr() {
    for name in ["upgrade-gate.toml", "upgrade-gate.d/a.toml"] {
        let root = Root::new().file(
            &format!("usr/lib/upgrade-gate/{name}"),
            "[profile.p]\nattempts = 3\n",
        );
        assert_eq!(root.profile().attempts, 3, "{name}");
        let root = root.file(&format!("etc/upgrade-gate/{name}"), settle(7));
        assert_eq!(
            (root.profile().settle.as_secs(), root.profile().attempts),
            (7, 10),
            "{name}"
        );
        let root = root.file(&format!("run/upgrade-gate/{name}"), settle(8));
        assert_eq!(root.profile().settle.as_secs(), 8, "{name}");
        assert_eq!(root.load().unwrap().files.len(), 1, "{name}");
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
    let ignored = "is ignored: its name does not end in .toml, or begins with a dot";
    let expected = [
        "etc/upgrade-gate/upgrade-gate.d/.#c.toml",
        "etc/upgrade-gate/upgrade-gate.d/a.conf",
        "etc/upgrade-gate/upgrade-gate.d/b.toml~",
        "run/upgrade-gate/upgrade-gate.d/d",
    ]
    .map(|file| format!("{file}: {ignored}"));
    assert_eq!(root.warnings(), expected);
}

#[test]
fn what_cannot_be_read_is_an_error_that_names_it() {
    let drop_in = "etc/upgrade-gate/upgrade-gate.d/a.toml";
    let is = |text: &str| vec![format!("{drop_in}{text}")];
    let root = Root::new().directory(drop_in);
    assert_eq!(root.errors(), is(": must be a file, and is a directory"));
    let root = Root::new().file(drop_in, b"\n# \xff\n");
    assert_eq!(root.errors(), is(":2: is not UTF-8 text"));
    let root = Root::new().link(drop_in, "nowhere");
    assert!(root.errors()[0].starts_with(&format!("{drop_in}: cannot be read: No such file")));
    let root = Root::new().link(drop_in, "/dev/zero");
    assert_eq!(root.errors(), is(": must be a file, and is something else"));
    let root = Root::new().file("etc/upgrade-gate/upgrade-gate.d", "");
    assert!(
        root.errors()[0].starts_with("etc/upgrade-gate/upgrade-gate.d: cannot be read: Not a dir")
    );
}

/// What is written in the file, and what is said of it after its name.
const BAD: &[(&str, &[&str])] = &[
    (
        "settle = '2s'",
        &[":1: settle: unknown key; only [profile.NAME] tables belong here"],
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
            ":1: profile.\"../x\": \"../x\" cannot name a profile; use up to 64 letters, digits and any of - _ . @ : + after the first of them",
        ],
    ),
    (
        "[profile.'']",
        &[
            ":1: profile.\"\": \"\" cannot name a profile; use up to 64 letters, digits and any of - _ . @ : + after the first of them",
        ],
    ),
    (
        "[profile.'a.b']\nx = 1",
        &[
            ":2: profile.\"a.b\".x: unknown key; a profile has targets, flake, allow_guess, settle, metered, power, at_most_every, attempts, attempt_timeout, final_exit_status, final_if_changed, inhibit",
        ],
    ),
    (
        "[profile.p]\n\nsetle = '2s'",
        &[":3: profile.p.setle: unknown key; did you mean settle?"],
    ),
    (
        "[profile.p]\nsettle = '2 lightyears'",
        &[":2: profile.p.settle: \"2 lightyears\" is no time span; write 2s, 1min 30s or infinity"],
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
        &[":2: profile.p.targets: \"auto\" is an entry of its own and cannot stand in any"],
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
fn a_profile_nobody_knows_is_a_warning_naming_the_known_ones() {
    let loaded = Root::with("[profile.mine]\n").load().unwrap();
    assert_eq!(choose(&loaded, "mine").warning, None);
    assert_eq!(
        choose(&loaded, "nixos-upgrad").warning.unwrap(),
        "no file has a profile nixos-upgrad, so the defaults apply; \
         known are default, fwupd-refresh, mine, nixos-upgrade"
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

fn shown(loaded: &Loaded, chosen: &Chosen, auto: &[String], json: bool) -> String {
    let mut out = Vec::new();
    assert_eq!(
        command::show(loaded, chosen, auto, json, &mut out).unwrap(),
        0
    );
    String::from_utf8(out).unwrap()
}

#[test]
fn what_is_shown_can_be_pasted() {
    let text = "[profile.p]\npower = { battery_at_least = 40 }\nsettle = '1.5s'\ninhibit = ['sleep']\n\
        targets = ['auto', { any = ['https://a/', { url = 'http://b/', expect = \"\\\"x\\n\" }] }]\n";
    for name in BUILT_IN.iter().copied().chain(["p"]) {
        let loaded = Root::with(text).load().unwrap();
        let first = choose(&loaded, name);
        let shown = shown(&loaded, &first, &["a line\nbreak".to_owned()], false);
        let pasted = Root::with(&shown).load().unwrap();
        assert_eq!(choose(&pasted, name).profile, first.profile, "{shown}");
    }
}

#[test]
fn each_value_is_shown_with_where_it_comes_from() {
    let root = Root::with("\n[profile.nixos-upgrade]\nsettle = '5s'\n");
    let loaded = root.load().unwrap();
    let auto = ["nix-cache:https://cache.nixos.org".to_owned()];
    let text = shown(&loaded, &choose(&loaded, "nixos-upgrade"), &auto, false);
    let etc = root.path(ETC);
    let has = |line: &str| assert!(text.lines().any(|shown| shown == line), "{text}");
    has(&format!("# read {}", etc.display()));
    has("[profile.nixos-upgrade]");
    has(r#"metered           = "hold"        # default"#);
    has(r#"final_exit_status = [4, 100]      # built in for this profile"#);
    has(&format!(
        r#"settle            = "5s"          # {}:3"#,
        etc.display()
    ));
    has("# auto: nix-cache:https://cache.nixos.org");
}

#[test]
fn the_json_has_the_same() {
    let root = Root::with("[profile.p]\npower = { battery_at_least = 5 }\n");
    let loaded = root.load().unwrap();
    let chosen = choose(&loaded, "p");
    let json: Value = serde_json::from_str(&shown(&loaded, &chosen, &[], true)).unwrap();
    assert_eq!(json["profile"], "p");
    assert_eq!(json["settings"].as_array().unwrap().len(), KEYS.len());
    let power = &json["settings"][5];
    assert_eq!(power["key"], "power");
    assert_eq!(power["value"]["battery_at_least"], 5);
    assert_eq!(power["origin"]["from"], "file");
    assert_eq!(power["origin"]["line"], 2);
}

#[test]
fn a_wrong_configuration_is_78_and_all_of_it_is_told() {
    let root =
        Root::with("[profile.p]\nx = 1\ny = 2\n").file("etc/upgrade-gate/upgrade-gate.d/z", "");
    let errors = root.load().unwrap_err();
    let mut text = Vec::new();
    assert_eq!(command::refuse(&errors, false, &mut text).unwrap(), 78);
    let text = String::from_utf8(text).unwrap();
    let kinds: Vec<_> = text
        .lines()
        .map(|line| line.split(": ").next().unwrap())
        .collect();
    assert_eq!(kinds, ["warning", "error", "error"]);
    let mut json = Vec::new();
    assert_eq!(command::refuse(&errors, true, &mut json).unwrap(), 78);
    let json: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["errors"][1]["key"], "profile.p.y");
    assert_eq!(json["errors"][1]["line"], 3);
}

#[test]
fn a_file_whose_name_is_no_text_is_told_of_all_the_same() {
    let root = Root::new().directory("etc/upgrade-gate/upgrade-gate.d");
    let name = std::ffi::OsStr::from_bytes(b"\xff\n.toml");
    let folder = root.path("etc/upgrade-gate/upgrade-gate.d/x");
    fs::write(folder.with_file_name(name), "x = 1").unwrap();
    let errors = root.load().unwrap_err();
    assert_eq!(errors.to_string().lines().count(), 1);
    assert!(command::refuse(&errors, true, &mut Vec::new()).is_ok());
}

/// The table of `docs/configuration.md`, from the code.
fn reference() -> String {
    let defaults = Profile::built_in("default");
    let row = |key: &upgrade_gate::config::keys::Key| {
        let default = key.show(&defaults);
        format!(
            "| `{}` | {} | `{default}` | {} |\n",
            key.name, key.kind, key.meaning
        )
    };
    KEYS.iter().map(row).collect()
}

#[test]
fn the_documentation_has_every_key_as_the_code_has_it() {
    let page = include_str!("../../docs/configuration.md");
    let table = reference();
    assert!(
        page.contains(&table),
        "docs/configuration.md should have:\n{table}"
    );
    let example = page
        .split("```toml\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    Root::with(example).load().unwrap();
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

    #[test]
    fn no_value_makes_it_panic_and_what_is_taken_is_shown_as_it_reads(
        key in proptest::sample::select(KEYS.iter().map(|key| key.name).collect::<Vec<_>>()),
        value in r#"("[0-9a-z:/. ]{0,12}"|-?[0-9]{1,12}|true|\[("[a-z/:]{0,9}",?|[0-9]{1,3},){0,3}\]|\{ ?(any|url|battery_at_least) ?= ?([0-9]{1,3}|\["https://a/"\]) ?\})"#,
    ) {
        let root = Root::with(&format!("[profile.p]\n{key} = {value}\n"));
        if let Ok(loaded) = root.load() {
            let chosen = choose(&loaded, "p");
            let pasted = Root::with(&shown(&loaded, &chosen, &[], false)).profile();
            prop_assert_eq!(pasted, chosen.profile);
        }
    }
}
