//! One file's text → validated values by profile and key, or everything that is wrong with it.

use std::fmt;
use std::ops::Range;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::guard::{self, GuardSettings};
use super::key::{Key, SettingChange};
use super::keys::KEYS;
use super::problem::{Problem, dotted, line_of};
use super::profile::{self, Profile};
use super::read::{InvalidValue, Node, kind_of};
use super::watch::{self, WatchSettings};
use crate::text::line::one_line;
use crate::text::similar;

/// One value, and where it was written.
pub(super) struct ConfigAssignment<S> {
    pub(super) key: &'static str,
    pub(super) change: SettingChange<S>,
    /// Counted from 1.
    pub(super) line: usize,
}

impl<S> fmt::Debug for ConfigAssignment<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.key, self.line)
    }
}

/// What one file says. A file with a fault is not used at all.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// Every profile that has a table, even an empty one.
    pub(super) profiles: Vec<String>,
    /// The values of profiles, by name.
    pub(super) of_profiles: Vec<(String, ConfigAssignment<Profile>)>,
    /// The values of their guards.
    pub(super) of_guards: Vec<(String, ConfigAssignment<GuardSettings>)>,
    pub(super) of_watch: Vec<ConfigAssignment<WatchSettings>>,
    pub(super) problems: Vec<Problem>,
}

/// Reads `text`, which came from `file`.
pub(super) fn parse(file: &Path, text: &str) -> Contents {
    let mut reader = ConfigReader {
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

struct ConfigReader<'t> {
    file: &'t Path,
    text: &'t str,
    contents: Contents,
}

impl ConfigReader<'_> {
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
            keys: KEYS,
            tables: &[GUARD],
        };
        let assignments = self.table(&here, table);
        let named = assignments.into_iter().map(|one| (profile.to_owned(), one));
        self.contents.of_profiles.extend(named);
        if let Some(value) = table.get(GUARD) {
            self.guard(profile, value);
        }
    }

    fn guard(&mut self, profile: &str, value: &Node<'_>) {
        let path = [PROFILE, profile, GUARD];
        let DeValue::Table(table) = value.get_ref() else {
            let message = format!("must be a table, not {}", kind_of(value));
            return self.complain(value.span().start, Some(dotted(&path)), message);
        };
        let here = Table {
            path: &path,
            what: "a guard",
            keys: guard::KEYS,
            tables: &[],
        };
        let assignments = self.table(&here, table);
        let named = assignments.into_iter().map(|one| (profile.to_owned(), one));
        self.contents.of_guards.extend(named);
    }

    fn watch(&mut self, table: &DeTable<'_>) {
        let here = Table {
            path: &[WATCH],
            what: "the watch",
            keys: watch::KEYS,
            tables: &[],
        };
        let assignments = self.table(&here, table);
        self.contents.of_watch.extend(assignments);
    }

    /// Reads one table by its keys.
    fn table<S>(&mut self, here: &Table<'_, S>, table: &DeTable<'_>) -> Vec<ConfigAssignment<S>> {
        let mut assignments = Vec::new();
        let own = table.iter();
        for (name, value) in own.filter(|(name, _)| !here.tables.contains(&name.get_ref().as_ref()))
        {
            let Some(key) = here.keys.iter().find(|key| key.name == name.get_ref()) else {
                self.unknown(here, name.get_ref(), name.span());
                continue;
            };
            let line = self.line(name.span().start);
            let key_name = key.name;
            match (key.read)(value) {
                Ok(change) => assignments.push(ConfigAssignment {
                    key: key_name,
                    change,
                    line,
                }),
                Err(wrong) => self.wrong(here.path, key_name, wrong),
            }
        }
        assignments
    }

    fn wrong(&mut self, path: &[&str], key: &str, wrong: Vec<InvalidValue>) {
        for InvalidValue {
            at,
            key: inner,
            message,
        } in wrong
        {
            let mut here = path.to_vec();
            here.push(key);
            here.extend(inner.as_deref());
            self.complain(at.start, Some(dotted(&here)), message);
        }
    }

    fn unknown<S>(&mut self, table: &Table<'_, S>, name: &str, at: Range<usize>) {
        let mut here = table.path.to_vec();
        here.push(name);
        let keys = table.keys.iter().map(|key| key.name);
        let known: Vec<&str> = keys.chain(table.tables.iter().copied()).collect();
        let otherwise = format!("{} has {}", table.what, known.join(", "));
        let hint = suggest(name, &known, &otherwise);
        self.complain(at.start, Some(dotted(&here)), hint);
    }
}

/// A table that is being read, for the messages.
struct Table<'t, S: 'static> {
    path: &'t [&'t str],
    what: &'static str,
    keys: &'static [Key<S>],
    /// The tables in it, which are read by themselves.
    tables: &'static [&'static str],
}

const WATCH: &str = "watch";
const PROFILE: &str = "profile";
const GUARD: &str = "guard";

fn suggest(name: &str, known: &[&str], otherwise: &str) -> String {
    match similar::nearest(name, known) {
        Some(near) => format!("unknown key; did you mean {near}?"),
        None => format!("unknown key; {otherwise}"),
    }
}
