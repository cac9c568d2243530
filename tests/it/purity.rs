//! The gate is pure because it cannot be anything else: it imports nothing that could read the world.

use std::fs;
use std::path::{Path, PathBuf};

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let (dirs, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let deeper = dirs
        .iter()
        .filter(|dir| !dir.ends_with("tests"))
        .flat_map(|dir| rust_files(dir));
    files.into_iter().chain(deeper).collect()
}

/// What a `use` line of a pure room may begin with.
const ALLOWED: &[&str] = &[
    "super::",
    "crate::gate::",
    "std::cmp",
    "std::collections::",
    "std::fmt",
    "std::net::",
    "std::time::Duration;",
    // The room's own modules.
    "event::",
    "policy::",
    "probing::",
    "reason::",
    "time::",
    "verdict::",
    "world::",
];
const FORBIDDEN_WORDS: &[&str] = &[
    "async ",
    ".await",
    "Instant",
    "SystemTime",
    "std::env",
    "std::fs",
    "std::process",
    "std::thread",
    "zbus",
    "tokio",
    "nix::",
    "tracing",
    "crate::clock",
];

fn imports(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().map(str::trim_start);
    lines.filter_map(|line| {
        line.strip_prefix("use ")
            .or_else(|| line.strip_prefix("pub use "))
    })
}

#[test]
fn the_gate_imports_nothing_that_could_read_the_world() {
    let room = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/gate");
    let files = rust_files(&room);
    assert!(files.len() > 8, "the room has moved: {files:?}");
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for import in imports(&text) {
            let allowed = ALLOWED.iter().any(|prefix| import.starts_with(prefix));
            assert!(allowed, "{}: use {import}", file.display());
        }
        let code = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        for line in code {
            let found = FORBIDDEN_WORDS.iter().find(|word| line.contains(**word));
            assert_eq!(found, None, "{}: {line}", file.display());
        }
    }
}
