//! The gate, and what is said of a unit's restarts, are pure because they cannot be anything else: they import nothing
//! that could read the world.

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

/// What a `use` line of the gate may begin with.
const GATE: &[&str] = &[
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
/// What a `use` line of the restart arithmetic may begin with.
const ARITHMETIC: &[&str] = &[
    "self::",
    "super::",
    "crate::restart::",
    "std::cmp",
    "std::collections::",
    "std::fmt",
    "std::iter;",
    "std::path::PathBuf;",
    "std::time::Duration;",
];
/// The files of the restart room that are the arithmetic; the others, but for the readers, may also write spans.
const ARITHMETIC_FILES: &[&str] = &[
    "delay.rs",
    "mod.rs",
    "outage.rs",
    "policy.rs",
    "rate_limit.rs",
    "story.rs",
    "unit.rs",
    "version.rs",
];
const SPANS: &[&str] = &[
    "crate::config::span::",
    "crate::report::span::",
    "crate::text::line::",
    // Pure as well.
    "crate::commandline",
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

/// The code of a file, without its tests and comments.
fn code(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    let (code, _) = text
        .split_once("#[cfg(test)]\nmod tests {")
        .unwrap_or((&text, ""));
    let lines = code.lines();
    let lines = lines.filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

fn imports_only(file: &Path, allowed: &[&[&str]]) {
    let code = code(file);
    for import in imports(&code) {
        let mut prefixes = allowed.iter().copied().flatten();
        let allowed = prefixes.any(|prefix| import.starts_with(prefix));
        assert!(allowed, "{}: use {import}", file.display());
    }
    for line in code.lines() {
        let found = FORBIDDEN_WORDS.iter().find(|word| line.contains(**word));
        assert_eq!(found, None, "{}: {line}", file.display());
    }
}

fn room(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

#[test]
fn the_gate_imports_nothing_that_could_read_the_world() {
    let files = rust_files(&room("src/gate"));
    assert!(files.len() > 8, "the room has moved: {files:?}");
    for file in files {
        imports_only(&file, &[GATE]);
    }
}

#[test]
fn what_the_watch_decides_imports_nothing_that_could_read_the_world() {
    let room = room("src/watch");
    for file in ["course.rs", "outages.rs", "rearm.rs", "target.rs"] {
        imports_only(&room.join(file), &[GATE, &["crate::gate::backoff::mixed;"]]);
    }
}

#[test]
fn what_is_said_of_restarts_imports_nothing_that_could_read_the_world() {
    let room = room("src/restart");
    for file in ARITHMETIC_FILES {
        imports_only(&room.join(file), &[ARITHMETIC]);
    }
    let is_pure = |file: &PathBuf| {
        let name = file.to_string_lossy();
        let ends = ["tests.rs", "properties.rs", "in_numbers.rs", "sample.rs"];
        let for_tests = ends.iter().any(|end| name.ends_with(end));
        !for_tests && !file.starts_with(room.join("read")) && !file.ends_with("read.rs")
    };
    for file in rust_files(&room).iter().filter(|file| is_pure(file)) {
        imports_only(file, &[ARITHMETIC, SPANS]);
    }
}

/// What a `use` line of what the guard decides may begin with.
const GUARD: &[&str] = &[
    "super::",
    "self::",
    "undoing::",
    "crate::guard::facts::",
    "crate::guard::state::",
    "serde::",
    "std::path::",
];

#[test]
fn what_the_guard_decides_imports_nothing_that_could_read_the_world() {
    let room = room("src/guard");
    for file in ["state.rs", "facts.rs", "plan.rs", "loader.rs"] {
        imports_only(&room.join(file), &[GUARD]);
    }
    for file in rust_files(&room.join("step")) {
        imports_only(&file, &[GUARD]);
    }
}
