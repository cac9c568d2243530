//! The words: what people read is plain English, in the terms of systemd and networking.

use std::fs;
use std::path::{Path, PathBuf};

/// What is not written, and what is written instead.
const AVOIDED: &[(&str, &str)] = &[
    ("anew", "again"),
    ("for ever", "indefinitely"),
    ("mend", "fix"),
    ("mends", "fixes"),
    ("mended", "fixed"),
    ("way out", "route"),
    ("foretold", "predicted"),
    ("in vain", "no attempts are made"),
    ("is no", "invalid …, or is not a …"),
    ("reckon", "compute"),
    ("in force", "effective"),
    ("at a resume", "on resume"),
    ("at the resume", "on resume"),
    ("all is well", "online"),
    ("told to stop", "terminated by"),
    ("for want of", "because of, or while offline"),
    ("truthful", "in sync"),
    ("somebody else", "externally"),
];
/// `is no` in ordinary use.
const ORDINARY: &[&str] = &[
    "there is no",
    "is no longer",
    // A comparison.
    "is no less than",
];

/// What is read by people in the program: its string literals, and the comments that clap prints.
fn read_by_people(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let tests = text.find("#[cfg(test)]\nmod tests {");
    let text = &text[..tests.unwrap_or(text.len())];
    let help = text
        .lines()
        .map(str::trim)
        .filter(|line| path.ends_with("src/cli/mod.rs") && line.starts_with("///"));
    help.map(|line| format!("{line}\n"))
        .chain(strings(text))
        .collect()
}

/// The string literals of a Rust source.
fn strings(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '/' if text[at..].starts_with("//") => {
                while chars.next_if(|(_, c)| *c != '\n').is_some() {}
            }
            '\'' if text[at..].starts_with("'\"'") => {
                chars.nth(1);
            }
            '\'' if text[at..].starts_with("'\\") => {
                chars.nth(1);
            }
            '"' => found.push(literal(&mut chars)),
            _ => {}
        }
    }
    found
}

fn literal(chars: &mut impl Iterator<Item = (usize, char)>) -> String {
    let mut literal = String::new();
    while let Some((_, c)) = chars.next() {
        match c {
            '"' => break,
            // What is escaped parts words.
            '\\' => {
                chars.next();
                literal.push(' ');
            }
            c => literal.push(c),
        }
    }
    literal + "\n"
}

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap();
    let mut found = Vec::new();
    for path in entries.map(|entry| entry.unwrap().path()) {
        let is_test = path
            .file_stem()
            .unwrap()
            .to_string_lossy()
            .ends_with("tests");
        if path.is_dir() && !is_test {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|end| end == "rs") && !is_test {
            found.push(path);
        }
    }
    found
}

/// The avoided words in the text, each with what is written instead.
fn avoided(text: &str) -> Vec<String> {
    let words = text.split(|c: char| c.is_whitespace() || ",.;:()\"`".contains(c));
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    let mut plain = format!(" {} ", words.join(" ").to_lowercase());
    for ordinary in ORDINARY {
        plain = plain.replace(&format!(" {ordinary} "), " ");
    }
    let found = AVOIDED
        .iter()
        .filter(|(word, _)| plain.contains(&format!(" {word} ")));
    found
        .map(|(word, instead)| format!("{word:?}: write {instead:?}"))
        .collect()
}

#[test]
fn the_program_speaks_plainly() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for path in rust_files(&src) {
        for text in read_by_people(&path).lines() {
            assert!(
                avoided(text).is_empty(),
                "{}: {text}: {:?}",
                path.display(),
                avoided(text)
            );
        }
    }
}

/// Everything below a folder; a file itself.
fn files(path: PathBuf) -> Vec<PathBuf> {
    match fs::read_dir(&path) {
        Ok(entries) => entries
            .flat_map(|entry| files(entry.unwrap().path()))
            .collect(),
        Err(_) => vec![path],
    }
}

#[test]
fn the_documentation_and_the_units_speak_plainly() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = ["README.md", "CONTRIBUTING.md", "docs", "units"];
    let pages: Vec<_> = pages
        .iter()
        .flat_map(|name| files(root.join(name)))
        .collect();
    assert!(pages.len() > 30, "only {} found", pages.len());
    for page in pages {
        // A phrase may go on behind a comment's mark.
        let text = fs::read_to_string(&page).unwrap().replace("\n#", "\n");
        let avoided = avoided(&text);
        assert!(avoided.is_empty(), "{}: {avoided:?}", page.display());
    }
}

#[test]
fn an_avoided_word_is_found_in_a_string_and_nowhere_else() {
    let source =
        "// anew\nlet quote = '\"'; let text = \"say \\\"x\\\" is no\\\n    target\"; fn anew() {}";
    let found = strings(source);
    assert_eq!(found.len(), 1);
    assert_eq!(avoided(&found[0]).len(), 1, "{found:?}");
    assert!(avoided("there is no bus, I recommend it").is_empty());
}
