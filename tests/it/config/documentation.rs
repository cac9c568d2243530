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

/// Whether the table after `heading` has a row for each key, in their order, with its default; type and meaning are there.
fn has_keys<S>(heading: &str, keys: &[Key<S>], defaults: &S) {
    let (_, rest) = PAGE.split_once(&format!("{heading}\n")).unwrap();
    let table = rest.lines().skip_while(|line| !line.starts_with("|---"));
    let rows = table.skip(1).take_while(|line| line.starts_with('|'));
    let found: Vec<_> = rows.map(name_and_default).collect();
    let expected = |key: &Key<S>| {
        (
            format!("`{}`", key.name),
            format!("`{}`", key.show(defaults)),
        )
    };
    assert_eq!(found, keys.iter().map(expected).collect::<Vec<_>>());
}

fn name_and_default(row: &str) -> (String, String) {
    let cells: Vec<_> = row.split('|').map(str::trim).collect();
    let &["", name, kind, default, meaning, ""] = cells.as_slice() else {
        panic!("no row of a key: {row}");
    };
    assert!(!kind.is_empty() && !meaning.is_empty(), "{row}");
    (name.to_owned(), default.to_owned())
}

#[test]
fn the_documentation_has_every_key_as_the_code_has_it() {
    has_keys("## Profiles", KEYS, &Profile::built_in("default"));
}

#[test]
fn the_documentation_has_every_key_of_the_watch_as_the_code_has_it() {
    has_keys("## The watch", watch::KEYS, &WatchSettings::default());
}

#[test]
fn the_documentation_has_every_key_of_the_guard_as_the_code_has_it() {
    has_keys("## The guard", guard::KEYS, &GuardSettings::default());
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
