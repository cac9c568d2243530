//! The effective configuration of apt: which files, in which order, and what the command adds.

use std::path::{Path, PathBuf};

use super::conf::{self, AptLine};
use super::{NAMES_IN_PARTS, parts};
use crate::targets::auto::world::MachineView;

/// What is set, the last setting of a name counts.
#[derive(Clone, Debug, Default)]
pub(super) struct AptSettings {
    set: Vec<(String, String)>,
    pub(super) warnings: Vec<String>,
}

impl AptSettings {
    /// `APT_CONFIG`, apt.conf.d, apt.conf, then the options of the command.
    pub(super) fn read(commands: &[Vec<String>], world: &MachineView<'_>) -> Self {
        let mut settings = Self::default();
        if let Some(file) = &world.env.apt_config {
            settings.file(file, world, 0);
        }
        let folder = settings.path("dir::etc::parts", "apt.conf.d");
        settings.folder(&folder, world, 0);
        let main = settings.path("dir::etc::main", "apt.conf");
        settings.file(&main, world, 0);
        for words in commands {
            settings.options(words.get(1..).unwrap_or_default(), world);
        }
        settings
    }

    /// A value that is not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.last(name).filter(|value| !value.is_empty())
    }

    /// A file or folder of `Dir::Etc`; what is set to nothing is nowhere.
    pub(super) fn path(&self, name: &str, default: &str) -> PathBuf {
        let parent = |name, default| self.get(name).unwrap_or(default);
        let own = match self.last(name) {
            Some("") => "/dev/null",
            Some(value) => value,
            None => default,
        };
        let path = Path::new(parent("dir", "/"))
            .join(parent("dir::etc", "etc/apt"))
            .join(own);
        match self.get("rootdir") {
            Some(root) => Path::new(root).join(path.strip_prefix("/").unwrap_or(&path)),
            None => path,
        }
    }

    fn last(&self, name: &str) -> Option<&str> {
        let name = name.to_ascii_lowercase();
        let found = self.set.iter().rev().find(|(set, _)| *set == name);
        found.map(|(_, value)| value.as_str())
    }

    fn folder(&mut self, folder: &Path, world: &MachineView<'_>, depth: usize) {
        for path in parts(folder, NAMES_IN_PARTS, world) {
            self.file(&path, world, depth);
        }
    }

    fn file(&mut self, path: &Path, world: &MachineView<'_>, depth: usize) {
        let Some(text) = world.read(path) else {
            return;
        };
        let (lines, refused) = conf::parse(&text);
        for line in lines {
            self.take(line, world, depth);
        }
        if let Some(number) = refused {
            let path = path.display();
            self.warnings
                .push(format!("{path}:{number}: apt refuses this line"));
        }
    }

    fn take(&mut self, line: AptLine, world: &MachineView<'_>, depth: usize) {
        match line {
            AptLine::Set(name, value) => self.set.push((name, value)),
            AptLine::Clear(name) => {
                let name = name.trim_end_matches(':');
                let below = format!("{name}::");
                self.set
                    .retain(|(set, _)| set != name && !set.starts_with(&below));
            }
            AptLine::Include(path) if depth <= 10 && path.ends_with('/') => {
                self.folder(path.as_ref(), world, depth + 1);
            }
            AptLine::Include(path) if depth <= 10 => self.file(path.as_ref(), world, depth + 1),
            AptLine::Include(_) => {}
        }
    }

    /// `-o NAME=VALUE` and `-c FILE`, in apt's spellings.
    fn options(&mut self, words: &[String], world: &MachineView<'_>) {
        let mut words = words.iter().map(String::as_str);
        while let Some(word) = words.next() {
            let value = |names: [&str; 2]| {
                let [short, long] = names;
                let long = word.strip_prefix(long);
                let own = long.and_then(|rest| rest.strip_prefix('='));
                let attached = word.strip_prefix(short).filter(|rest| !rest.is_empty());
                let attached = attached.map(|rest| rest.trim_start_matches('='));
                let apart = word == short || long == Some("");
                own.or(attached).map(Some).or(apart.then_some(None))
            };
            if let Some(option) = value(["-o", "--option"]) {
                let set = option
                    .or_else(|| words.next())
                    .and_then(|set| set.split_once('='));
                let set = set.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
                self.set.extend(set);
            } else if let Some(file) = value(["-c", "--config-file"])
                && let Some(file) = file.or_else(|| words.next())
            {
                self.file(file.as_ref(), world, 0);
            }
        }
    }
}

/// The settings of one text.
#[cfg(test)]
pub(super) fn of(text: &str) -> AptSettings {
    let (lines, _) = conf::parse(text);
    let set = lines.into_iter().filter_map(|line| match line {
        AptLine::Set(name, value) => Some((name, value)),
        _ => None,
    });
    AptSettings {
        set: set.collect(),
        warnings: Vec::new(),
    }
}
