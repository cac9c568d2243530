//! One file's text → validated values by profile and key, or everything that is wrong with it.

use std::ops::Range;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::keys::{self, KEYS};
use super::problem::{Problem, dotted, line_of, one_line};
use super::profile;
use super::read::{Node, Read, Wrong, kind_of};
use super::similar;
use super::watch;

/// One value, and where it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Assignment<C> {
    pub(super) key: &'static str,
    pub(super) change: C,
    /// Counted from 1.
    pub(super) line: usize,
}

/// What one file says. A file with a fault is not used at all.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// Every profile that has a table, even an empty one.
    pub(super) profiles: Vec<String>,
    /// The values of profiles, by name.
    pub(super) of_profiles: Vec<(String, Assignment<keys::Change>)>,
    pub(super) of_watch: Vec<Assignment<watch::Change>>,
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
    let problems = &mut reader.contents.problems;
    problems.iter_mut().for_each(Problem::hide_secrets);
    problems.sort_by_key(|problem| problem.line);
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
            match (name, value.get_ref()) {
                (PROFILE, DeValue::Table(profiles)) => self.profiles(profiles),
                (WATCH, DeValue::Table(table)) => self.watch(table),
                (PROFILE, _) => self.no_table(name, "tables [profile.NAME]", value),
                (WATCH, _) => self.no_table(name, "a table [watch]", value),
                _ => {
                    let otherwise = "only [profile.NAME] and [watch] tables belong here";
                    let hint = suggest(name, &[PROFILE, WATCH], otherwise);
                    self.complain(key.span().start, Some(dotted(&[name])), hint);
                }
            }
        }
    }

    fn no_table(&mut self, name: &str, what: &str, value: &Node<'_>) {
        let message = format!("must be {what}, not {}", kind_of(value));
        self.complain(value.span().start, Some(dotted(&[name])), message);
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
        let here = Table {
            path: &[PROFILE, profile],
            what: "a profile",
            known: KEYS.iter().map(|key| key.name).collect(),
        };
        let find = |name: &str| keys::find(name).map(|key| (key.name, key.read));
        let assignments = self.table(&here, table, find);
        let named = assignments.into_iter().map(|one| (profile.to_owned(), one));
        self.contents.of_profiles.extend(named);
    }

    fn watch(&mut self, table: &DeTable<'_>) {
        let here = Table {
            path: &[WATCH],
            what: "the watch",
            known: watch::KEYS.iter().map(|key| key.name).collect(),
        };
        let find = |name: &str| watch::find(name).map(|key| (key.name, key.read));
        let assignments = self.table(&here, table, find);
        self.contents.of_watch.extend(assignments);
    }

    /// Reads one table by the keys that `find` knows.
    fn table<C>(
        &mut self,
        here: &Table<'_>,
        table: &DeTable<'_>,
        find: impl Fn(&str) -> Option<(&'static str, fn(&Node<'_>) -> Read<C>)>,
    ) -> Vec<Assignment<C>> {
        let mut assignments = Vec::new();
        for (name, value) in table {
            let Some((key, read)) = find(name.get_ref()) else {
                self.unknown(here, name.get_ref(), name.span());
                continue;
            };
            let line = self.line(name.span().start);
            match read(value) {
                Ok(change) => assignments.push(Assignment { key, change, line }),
                Err(wrong) => self.wrong(here, key, wrong),
            }
        }
        assignments
    }

    fn wrong(&mut self, table: &Table<'_>, key: &str, wrong: Vec<Wrong>) {
        for Wrong {
            at,
            key: inner,
            message,
        } in wrong
        {
            let mut here = table.path.to_vec();
            here.push(key);
            here.extend(inner.as_deref());
            self.complain(at.start, Some(dotted(&here)), message);
        }
    }

    fn unknown(&mut self, table: &Table<'_>, name: &str, at: Range<usize>) {
        let mut here = table.path.to_vec();
        here.push(name);
        let otherwise = format!("{} has {}", table.what, table.known.join(", "));
        let hint = suggest(name, &table.known, &otherwise);
        self.complain(at.start, Some(dotted(&here)), hint);
    }
}

/// A table that is being read, for the messages.
struct Table<'t> {
    path: &'t [&'t str],
    what: &'static str,
    known: Vec<&'static str>,
}

const WATCH: &str = "watch";
const PROFILE: &str = "profile";

fn suggest(name: &str, known: &[&str], otherwise: &str) -> String {
    match similar::nearest(name, known) {
        Some(near) => format!("unknown key; did you mean {near}?"),
        None => format!("unknown key; {otherwise}"),
    }
}
