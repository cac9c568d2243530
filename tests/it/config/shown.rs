//! What the command shows of a good configuration.

use proptest::prelude::*;
use serde_json::Value;
use upgrade_gate::config::keys::KEYS;
use upgrade_gate::config::profile::BUILT_IN;

use super::{ETC, Root, choose, shown};

#[test]
fn what_is_shown_can_be_pasted() {
    let text = "[profile.p]\npower = { battery_at_least = 40 }\nsettle = '1.5s'\ninhibit = ['sleep']\n\
        targets = ['auto', { any = ['https://a/', { url = 'http://b/', expect = \"\\\"x\\n\" }] }]\n\
        [watch]\nrearm = ['a.service']\nprofile = 'p'\n";
    for name in BUILT_IN.iter().copied().chain(["p"]) {
        let loaded = Root::with(text).load().unwrap();
        let first = choose(&loaded, name);
        let shown = shown(&loaded, &first, &["a line\nbreak".to_owned()], false);
        let pasted = Root::with(&shown).load().unwrap();
        assert_eq!(choose(&pasted, name).profile, first.profile, "{shown}");
        assert_eq!(pasted.watch().0, loaded.watch().0, "{shown}");
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
    has("final_exit_status = [4, 100]      # built in for this profile");
    has(&format!(
        r#"settle            = "5s"          # {}:3"#,
        etc.display()
    ));
    has("# auto: nix-cache:https://cache.nixos.org");
}

#[test]
fn the_guard_s_commands_are_shown_without_the_secrets_in_them() {
    let root = Root::with(
        "[profile.p.guard]\nchecks = ['x https://me:QZQ@a/?key=QZQ', 'y --token=QZQ']\nnotify = 'z https://me:QZQ@b/'\n",
    );
    let loaded = root.load().unwrap();
    for json in [false, true] {
        let text = shown(&loaded, &choose(&loaded, "p"), &[], json);
        assert!(!text.contains("QZQ"), "{text}");
        assert!(text.contains("z https://b/"), "{text}");
    }
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
    assert_eq!(json["watch"][0]["key"], "profile");
    assert_eq!(json["watch"][0]["value"], "default");
}

proptest! {
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
