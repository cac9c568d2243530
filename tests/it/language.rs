//! The documentation and the units are written in plain English.

use std::fs;
use std::path::{Path, PathBuf};

/// Words and phrases that have a plainer one.
const AVOIDED: &[&str] = &[
    "all is well",
    "anew",
    "at a resume",
    "at the resume",
    "for ever",
    "foretold",
    "in force",
    "in vain",
    "mend",
    "mended",
    "mends",
    "reckon",
    "reckons",
    "told to stop by",
    "way out",
];

/// What may come before or after "is no".
const AFTER: &[&str] = &["less", "longer"];
const BEFORE: &[&str] = &["there"];

fn files_below(path: PathBuf) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path];
    }
    let entries = fs::read_dir(path).unwrap();
    entries
        .flat_map(|entry| files_below(entry.unwrap().path()))
        .collect()
}

/// The words of a text in lower case, with a space around each, whatever stands between them.
fn words(text: &str) -> String {
    let text = text.to_lowercase();
    let words: Vec<_> = text
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .collect();
    format!(" {} ", words.join(" "))
}

/// "x is no y", which is "x is not a y".
fn stilted(words: &str) -> bool {
    let parts: Vec<_> = words.split(" is no ").collect();
    parts.windows(2).any(|pair| {
        let before = pair[0].split(' ').next_back().unwrap_or_default();
        let after = pair[1].split(' ').next().unwrap_or_default();
        !BEFORE.contains(&before) && !AFTER.contains(&after)
    })
}

fn avoided(text: &str) -> Vec<&'static str> {
    let words = words(text);
    let found = AVOIDED
        .iter()
        .filter(|phrase| words.contains(&format!(" {phrase} ")));
    let stilted = stilted(&words).then_some("is no");
    found.copied().chain(stilted).collect()
}

#[test]
fn the_documentation_and_the_units_are_in_plain_words() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = ["README.md", "CONTRIBUTING.md", "docs", "units"];
    let files: Vec<_> = files
        .iter()
        .flat_map(|name| files_below(root.join(name)))
        .collect();
    assert!(files.len() > 30, "only {} found", files.len());
    let found: Vec<_> = files
        .iter()
        .map(|file| (file, avoided(&fs::read_to_string(file).unwrap())))
        .filter(|(_, avoided)| !avoided.is_empty())
        .collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_phrase_is_found_across_lines_and_is_no_only_where_it_is_stilted() {
    assert_eq!(avoided("which waits\n# anew."), ["anew"]);
    assert_eq!(avoided("repeated for\n  ever"), ["for ever"]);
    assert_eq!(avoided("a gap is no failure"), ["is no"]);
    assert!(avoided("There is no network, and it is no longer amended.").is_empty());
}
