//! The house: a room imports only from rooms below it, no files import each other in a circle, and what is called pure
//! imports nothing that could read the world.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms, from the bottom to the top.
const ROOMS: &[&str] = &[
    "text", "gate", "exit", "sys", "targets", "config", "bus", "sources", "probe", "report",
    "engine", "systemd", "run", "watch", "guard", "cli", "commands",
];

/// What reads the world, or waits for it.
const IMPURE: &[&str] = &[
    "async ",
    ".await",
    "Instant",
    "SystemTime",
    "std::env",
    "std::fs",
    "std::process",
    "std::thread",
    "zbus::Connection",
    "tokio",
    "nix::fcntl",
    "nix::poll",
    "nix::sys::stat",
    "nix::time",
    "nix::unistd",
    "tracing",
    "clock::",
    "crate::sys::",
];

/// A file of `src/` that is no test.
struct File {
    path: PathBuf,
    /// `crate::gate::event` is `["gate", "event"]`.
    module: Vec<String>,
    text: String,
}

impl File {
    fn read(path: PathBuf, src: &Path) -> Self {
        let text = fs::read_to_string(&path).unwrap();
        let module = path.strip_prefix(src).unwrap().with_extension("");
        let names = module.iter().map(|name| name.to_str().unwrap().to_owned());
        let module = names.filter(|name| name != "mod").collect();
        Self { path, module, text }
    }

    fn room(&self) -> &str {
        &self.module[0]
    }

    fn says_it_is_pure(&self) -> bool {
        let head = self.text.lines().take_while(|line| line.starts_with("//!"));
        head.flat_map(str::split_whitespace)
            .any(|word| word == "Pure." || word == "Pure:")
    }

    /// The code without its tests and comments.
    fn code(&self) -> String {
        let (code, _) = self
            .text
            .split_once("#[cfg(test)]\nmod tests")
            .unwrap_or((&self.text, ""));
        let lines = code
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// All paths that begin with `crate`, `self` or `super`, as paths from the root of the crate.
    fn imports(&self) -> Vec<Vec<String>> {
        let code = self.code();
        let starts = code
            .match_indices("crate::")
            .chain(code.match_indices("super::"))
            .chain(code.match_indices("self::"));
        let starts = starts.filter(|(at, _)| !code[..*at].ends_with([':', '_', '$']));
        starts
            .flat_map(|(at, _)| leaves(&code[at..]))
            .map(|path| self.absolute(path))
            .collect()
    }

    fn absolute(&self, path: Vec<String>) -> Vec<String> {
        let mut base = self.module.clone();
        let mut rest = path.into_iter().peekable();
        while let Some(step) =
            rest.next_if(|step| ["crate", "super", "self"].contains(&step.as_str()))
        {
            match step.as_str() {
                "crate" => base.clear(),
                "super" => drop(base.pop()),
                _ => {}
            }
        }
        base.into_iter().chain(rest).collect()
    }
}

/// The paths at the beginning of a text: `a::{b, c::d}` is two.
fn leaves(text: &str) -> Vec<Vec<String>> {
    let end = text
        .find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':')
        .unwrap_or(text.len());
    let stem: Vec<String> = text[..end]
        .split("::")
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
    match text[end..].strip_prefix('{') {
        Some(inner) if text[..end].ends_with("::") => {
            let parts = parts(inner).into_iter().flat_map(leaves);
            parts
                .map(|leaf| stem.iter().cloned().chain(leaf).collect())
                .collect()
        }
        _ => vec![stem],
    }
}

/// What stands between the commas of a list in braces, of which the first brace is gone.
fn parts(inner: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut begin) = (Vec::new(), 0, 0);
    for (at, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                parts.push(inner[begin..at].trim());
                return parts;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(inner[begin..at].trim());
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts
}

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let (dirs, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let deeper = dirs.iter().flat_map(|dir| rust_files(dir));
    files.into_iter().chain(deeper).collect()
}

/// The files of the program; those for tests may import what they want.
fn house() -> Vec<File> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files: Vec<_> = rust_files(&src)
        .into_iter()
        .map(|path| File::read(path, &src))
        .collect();
    let for_tests: BTreeSet<_> = files.iter().flat_map(test_modules).collect();
    files
        .retain(|file| !(0..=file.module.len()).any(|end| for_tests.contains(&file.module[..end])));
    files.retain(|file| !["lib", "main"].contains(&file.room()));
    assert!(files.len() > 150, "the house has moved");
    files
}

/// The modules that a file declares for tests alone.
fn test_modules(file: &File) -> Vec<Vec<String>> {
    let declared = file
        .text
        .split("#[cfg(test)]\n")
        .skip(1)
        .filter_map(|rest| {
            let line = rest.lines().next()?.strip_suffix(';')?;
            line.split_once("mod ").map(|(_, name)| name)
        });
    declared
        .map(|name| {
            file.module
                .iter()
                .cloned()
                .chain([name.to_owned()])
                .collect()
        })
        .collect()
}

#[test]
fn a_room_imports_only_from_rooms_below_it() {
    let level = |room: &str| ROOMS.iter().position(|known| *known == room);
    for file in house() {
        let own = level(file.room());
        assert!(own.is_some(), "no room of its own: {}", file.path.display());
        for import in file
            .imports()
            .iter()
            .filter(|import| import[0] != file.room())
        {
            let below = level(&import[0]).is_none_or(|other| Some(other) < own);
            assert!(
                below,
                "{} imports {}",
                file.path.display(),
                import.join("::")
            );
        }
    }
}

/// Which files import which, but for a module and those within it, which are one.
fn imports_of_files(files: &[File]) -> BTreeMap<&[String], BTreeSet<&[String]>> {
    let modules: BTreeSet<&[String]> = files.iter().map(|file| &file.module[..]).collect();
    let found = |path: &[String]| {
        (1..=path.len())
            .rev()
            .find_map(|end| modules.get(&path[..end]).copied())
    };
    let imported = |file: &File| -> BTreeSet<&[String]> {
        let all: Vec<_> = file.imports();
        let others = all.iter().filter_map(|path| found(path));
        others
            .filter(|other| !file.module.starts_with(other) && !other.starts_with(&file.module))
            .collect()
    };
    files
        .iter()
        .map(|file| (&file.module[..], imported(file)))
        .collect()
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let files = house();
    let mut left = imports_of_files(&files);
    loop {
        let open: BTreeSet<&[String]> = left.keys().copied().collect();
        let done: Vec<_> = left
            .iter()
            .filter(|(_, others)| others.is_disjoint(&open))
            .map(|(file, _)| *file)
            .collect();
        if done.is_empty() {
            break;
        }
        left.retain(|file, _| !done.contains(file));
    }
    let circle: Vec<_> = left.keys().map(|file| file.join("::")).collect();
    assert_eq!(circle, Vec::<String>::new(), "these import each other");
}

#[test]
fn what_is_called_pure_imports_nothing_that_could_read_the_world() {
    let files = house();
    let decides = |file: &&File| {
        file.room() == "gate"
            || file
                .module
                .starts_with(&["guard".to_owned(), "step".to_owned()])
    };
    let pure: Vec<_> = files
        .iter()
        .filter(|file| decides(file) || file.says_it_is_pure())
        .collect();
    assert!(pure.len() > 50, "only {} files are pure", pure.len());
    for file in pure {
        for line in file.code().lines() {
            let found = IMPURE.iter().find(|word| line.contains(**word));
            assert_eq!(found, None, "{}: {line}", file.path.display());
        }
    }
}

#[test]
fn a_list_of_imports_in_braces_is_read_as_its_parts() {
    let read = leaves("crate::{a::{b, c::D as E}, f};");
    let read: Vec<_> = read.iter().map(|path| path.join("::")).collect();
    assert_eq!(read, ["crate::a::b", "crate::a::c::D", "crate::f"]);
}
