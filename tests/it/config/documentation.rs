//! docs/configuration.md against the code: nothing is typed twice unchecked.

use upgrade_gate::config::guard::{self, GuardSettings};
use upgrade_gate::config::key::Key;
use upgrade_gate::config::keys::KEYS;
use upgrade_gate::config::profile::{BUILT_IN, Profile};
use upgrade_gate::config::watch::{self, WatchSettings};

use super::Root;

const PAGE: &str = include_str!("../../../docs/configuration.md");

/// Whether the page has the rows; the message can be pasted into it.
fn has(rows: impl Iterator<Item = String>) {
    let rows: String = rows.collect();
    assert!(
        PAGE.contains(&format!("|\n{rows}\n")),
        "docs/configuration.md should have:\n{rows}"
    );
}

#[test]
fn the_documentation_has_every_key_as_the_code_has_it() {
    let defaults = Profile::built_in("default");
    has(KEYS.iter().map(|key| {
        let default = key.show(&defaults);
        format!(
            "| `{}` | {} | `{default}` | {} |\n",
            key.name, key.kind, key.meaning
        )
    }));
}

#[test]
fn the_documentation_has_every_key_of_the_watch_as_the_code_has_it() {
    let defaults = WatchSettings::default();
    has(watch::KEYS.iter().map(|key| {
        let default = key.show(&defaults);
        format!(
            "| `{}` | {} | `{default}` | {} |\n",
            key.name, key.kind, key.meaning
        )
    }));
}

#[test]
fn the_documentation_has_every_key_of_the_guard_as_the_code_has_it() {
    let defaults = GuardSettings::default();
    has(guard::KEYS.iter().map(|key| {
        let default = key.show(&defaults);
        format!(
            "| `{}` | {} | `{default}` | {} |\n",
            key.name, key.kind, key.meaning
        )
    }));
}

#[test]
fn the_documentation_has_what_is_built_in() {
    let differs = |name: &'static str, key: &'static Key<_>| {
        let value = key.show(&Profile::built_in(name));
        let row = format!("| `{name}` | `{}` | `{value}` |\n", key.name);
        (value != key.show(&Profile::built_in("default"))).then_some(row)
    };
    has(BUILT_IN
        .iter()
        .flat_map(|name| KEYS.iter().filter_map(move |key| differs(name, key))));
}

#[test]
fn the_examples_are_right() {
    let blocks: Vec<_> = PAGE.split("```toml\n").skip(1).collect();
    assert_eq!(blocks.len(), 3);
    for block in blocks {
        let example = block.split("```").next().unwrap();
        Root::with(example).load().unwrap();
    }
}
