//! One file's text → validated values by profile and key, or everything that is wrong with it.

use std::ops::Range;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::keys::{self, Change, KEYS, Key};
use super::problem::{Problem, dotted, line_of, one_line};
use super::profile;
use super::read::{Wrong, kind_of};
use super::similar;

/// One value of one profile, and where it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Assignment {
    pub(super) profile: String,
    pub(super) key: &'static str,
    pub(super) change: Change,
    /// Counted from 1.
    pub(super) line: usize,
}

/// What one file says. A file with a fault is not used at all.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// Every profile that has a table, even an empty one.
    pub(super) profiles: Vec<String>,
    pub(super) assignments: Vec<Assignment>,
    pub(super) problems: Vec<Problem>,
}

/// Reads `text`, which came from `file`.
pub(super) fn parse(file: &Path, text: &str) -> Contents {
    let mut reader = Reader {
        file,
        text,
        contents: Contents::default(),
    };
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        reader.syntax(error);
    }
    // What is recovered from a broken file would only be complained about twice.
    if errors.is_empty() {
        reader.root(root.get_ref());
    }
    reader.contents.problems.sort_by_key(|problem| problem.line);
    reader.contents
}

struct Reader<'t> {
    file: &'t Path,
    text: &'t str,
    contents: Contents,
}

impl Reader<'_> {
    /// The line of this byte, counted from 1.
    fn line(&self, at: usize) -> usize {
        line_of(self.text.as_bytes(), at)
    }

    fn complain(&mut self, at: usize, key: Option<String>, message: String) {
        let line = Some(self.line(at));
        self.contents.problems.push(Problem {
            file: self.file.to_owned(),
            line,
            key,
            message,
        });
    }

    /// One fault a line: what follows the first is mostly its echo.
    fn syntax(&mut self, error: &toml::de::Error) {
        let at = error.span().unwrap_or(self.text.len()..self.text.len());
        let line = Some(self.line(at.start));
        if self
            .contents
            .problems
            .iter()
            .any(|problem| problem.line == line)
        {
            return;
        }
        let message = one_line(error.message());
        let key = (message == "duplicate key")
            .then(|| self.text.get(at.clone()))
            .flatten();
        self.complain(at.start, key.map(one_line), message);
    }

    fn root(&mut self, root: &DeTable<'_>) {
        for (key, value) in root {
            let name = key.get_ref().as_ref();
            match value.get_ref() {
                DeValue::Table(profiles) if name == PROFILE => self.profiles(profiles),
                _ if name == PROFILE => {
                    let message = format!("must be tables [profile.NAME], not {}", kind_of(value));
                    self.complain(value.span().start, Some(dotted(&[name])), message);
                }
                _ => {
                    let hint = suggest(name, &[PROFILE], "only [profile.NAME] tables belong here");
                    self.complain(key.span().start, Some(dotted(&[name])), hint);
                }
            }
        }
    }

    fn profiles(&mut self, profiles: &DeTable<'_>) {
        for (key, value) in profiles {
            let (name, at) = (key.get_ref().as_ref(), key.span().start);
            let here = Some(dotted(&[PROFILE, name]));
            if let Err(error) = profile::check_name(name) {
                self.complain(at, here, error.to_string());
                continue;
            }
            if let DeValue::Table(table) = value.get_ref() {
                self.profile(name, table);
            } else {
                let message = format!("must be a table, not {}", kind_of(value));
                self.complain(value.span().start, here, message);
            }
        }
    }

    fn profile(&mut self, profile: &str, table: &DeTable<'_>) {
        self.contents.profiles.push(profile.to_owned());
        for (name, value) in table {
            let Some(key) = keys::find(name.get_ref()) else {
                self.unknown(profile, name.get_ref(), name.span());
                continue;
            };
            match (key.read)(value) {
                Ok(change) => self.assign(profile, key, change, name.span()),
                Err(wrong) => self.wrong(profile, key, wrong),
            }
        }
    }

    fn assign(&mut self, profile: &str, key: &Key, change: Change, at: Range<usize>) {
        let line = self.line(at.start);
        self.contents.assignments.push(Assignment {
            profile: profile.to_owned(),
            key: key.name,
            change,
            line,
        });
    }

    fn wrong(&mut self, profile: &str, key: &Key, wrong: Vec<Wrong>) {
        for Wrong {
            at,
            key: inner,
            message,
        } in wrong
        {
            let here = [
                Some(PROFILE),
                Some(profile),
                Some(key.name),
                inner.as_deref(),
            ];
            let here: Vec<&str> = here.into_iter().flatten().collect();
            self.complain(at.start, Some(dotted(&here)), message);
        }
    }

    fn unknown(&mut self, profile: &str, name: &str, at: Range<usize>) {
        let known: Vec<&str> = KEYS.iter().map(|key| key.name).collect();
        let otherwise = format!("a profile has {}", known.join(", "));
        let hint = suggest(name, &known, &otherwise);
        self.complain(at.start, Some(dotted(&[PROFILE, profile, name])), hint);
    }
}

const PROFILE: &str = "profile";

fn suggest(name: &str, known: &[&str], otherwise: &str) -> String {
    match similar::nearest(name, known) {
        Some(near) => format!("unknown key; did you mean {near}?"),
        None => format!("unknown key; {otherwise}"),
    }
}
