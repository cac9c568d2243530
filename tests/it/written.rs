//! Every command line of ours that the documentation and the units give is one that the program takes.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use upgrade_gate::cli;

const PROGRAM: &str = "upgrade-gate ";

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let (dirs, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let deeper = dirs.iter().flat_map(|dir| files_below(dir));
    files.into_iter().chain(deeper).collect()
}

/// What a page shows as code: spans within a line, what is typed at a prompt, and all of other blocks.
fn code(page: &str) -> Vec<&str> {
    let mut block = None;
    let mut found = Vec::new();
    for line in page.lines() {
        match (line.trim_start().strip_prefix("```"), block) {
            (Some(kind), None) => block = Some(kind),
            (Some(_), Some(_)) => block = None,
            (None, None) => found.extend(line.split('`').skip(1).step_by(2)),
            (None, Some("console")) => found.extend(typed(line)),
            (None, Some(_)) => found.push(line),
        }
    }
    found
}

fn typed(line: &str) -> Option<&str> {
    let line = line.trim_start();
    line.strip_prefix("$ ").or_else(|| line.strip_prefix("# "))
}

/// The command line of ours in a piece of code, without what a shell does around it.
fn ours(code: &str) -> Option<&str> {
    let at = code.find(PROGRAM)?;
    let before = code[..at].chars().next_back();
    let line = &code[at..];
    let quoted = before.filter(|quote| "\"'".contains(*quote));
    let ends = [" &&", " ||", ";", " |", " #", ")"];
    let ends = ends.iter().filter_map(|end| line.find(end));
    let end = ends.chain(quoted.and_then(|quote| line.find(quote))).min();
    // `/usr/share/upgrade-gate` is not a command.
    let begins = match before {
        Some('/') => code[..at].ends_with("bin/") || code[..at].ends_with("…/"),
        before => before.is_none_or(|before| " =-@\"'(!+:".contains(before)),
    };
    begins.then(|| &line[..end.unwrap_or(line.len())])
}

fn refused(line: &str) -> Option<String> {
    let mut argv: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
    // A command that is only named, as in "what `upgrade-gate run` does".
    if argv.len() == 2 {
        argv.push("--help".into());
    }
    let error = cli::parse(&argv).err()?;
    error.use_stderr().then(|| format!("{line}: {error}"))
}

fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = files_below(&root.join("docs"));
    pages.extend(["README.md", "CONTRIBUTING.md"].map(|page| root.join(page)));
    pages
}

#[test]
fn every_command_line_in_the_documentation_is_taken() {
    let mut seen = 0;
    let mut wrong = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap().replace("\\\n", " ");
        let lines: Vec<&str> = code(&text).into_iter().filter_map(ours).collect();
        seen += lines.len();
        wrong.extend(
            lines
                .into_iter()
                .filter_map(refused)
                .map(|why| format!("{}: {why}", page.display())),
        );
    }
    assert!(seen > 30, "only {seen} found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_command_line_in_the_units_is_taken() {
    let units = files_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("units"));
    let mut seen = 0;
    for unit in units {
        let text = fs::read_to_string(&unit).unwrap();
        let settings = text.lines().filter(|line| line.starts_with("Exec"));
        for line in settings.filter_map(ours) {
            seen += 1;
            assert_eq!(refused(line), None, "{}", unit.display());
        }
    }
    assert!(seen > 3, "only {seen} found");
}
