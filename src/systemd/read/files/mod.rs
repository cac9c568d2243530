//! Units read from the files below a root directory, as systemd reads them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::defaults::ManagerDefaults;
use super::keys;
use super::scope::UnitPaths;
use super::search::{FoundUnit, Fragment, UnitSearch};
use super::settings::UnitSettings;
use super::unit_text::{self, Assignment, Text};
use crate::sys::{files, limits};
use crate::systemd::surroundings::Surroundings;
use crate::systemd::unit::{Load, Timer, Unit};
use crate::systemd::version::Version;

/// The units of a system that need not run.
#[derive(Debug)]
pub struct UnitFiles {
    root: PathBuf,
    search: UnitSearch,
    defaults: ManagerDefaults,
    timers: Vec<Starter>,
    warnings: Vec<String>,
    /// A drop-in that is read as if it were not there.
    left_out: Option<PathBuf>,
}

/// A timer, and what it starts.
#[derive(Debug)]
struct Starter {
    timer: Timer,
    /// A unit, and if that is a target what it pulls in.
    starts: BTreeSet<String>,
}

impl Starter {
    /// Whether it starts this unit, which these others pull in.
    fn reaches(&self, name: &str, wanted_by: &[String]) -> bool {
        let targets = wanted_by.iter().filter(|name| name.ends_with(".target"));
        self.starts.contains(name) || targets.into_iter().any(|name| self.starts.contains(name))
    }
}

/// A unit as its files have it.
#[derive(Clone, Debug)]
pub struct ParsedUnit {
    /// The unit.
    pub unit: Unit,
    /// What else of it matters to a gate.
    pub surroundings: Surroundings,
    /// What systemd would warn of, with file and line.
    pub warnings: Vec<String>,
}

impl UnitFiles {
    /// The units below `root` that are in these directories, as they are now; `/` for those of this machine.
    pub fn in_paths(root: &Path, paths: UnitPaths) -> Self {
        let mut files = Self {
            root: root.to_owned(),
            search: UnitSearch::below(root, paths),
            defaults: ManagerDefaults::default(),
            timers: Vec::new(),
            warnings: Vec::new(),
            left_out: None,
        };
        files.read_defaults();
        files.timers = files.read_timers();
        files
    }

    /// The same, as if there were no drop-in at `path`, which is absolute below the root.
    #[must_use]
    pub fn without(mut self, path: &Path) -> Self {
        self.left_out = Some(path.to_owned());
        self
    }

    /// What is wrong with system.conf.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The names of all services and timers: of templates the instances that have a file or a link of their own, or a timer.
    pub fn names(&self) -> Vec<String> {
        let services = self.search.names(".service").into_iter();
        let files = services.chain(self.search.names(".timer"));
        let started = self.timers.iter().flat_map(|timer| &timer.starts);
        let started = started.filter(|name| name.ends_with(".service"));
        let all: BTreeSet<_> = files.chain(started.map(String::as_str)).collect();
        all.into_iter().map(str::to_owned).collect()
    }

    /// A unit by its name or one of its aliases.
    pub fn unit(&self, name: &str) -> ParsedUnit {
        let found = self.search.find(name);
        let mut settings = self.settings(&found);
        self.add_links(&found.name, &mut settings);
        settings.surroundings.socket |= self.has_socket(&found.name);
        let (service, refused) = settings.service();
        let is_service = found.name.ends_with(".service");
        let own = || settings.refused.clone();
        let refused = if is_service { refused } else { own() };
        let (load, fragment) = loaded(found.fragment, settings.unreadable.clone(), refused);
        let transient = Path::new("/run/systemd/transient");
        let timers = self.timers_of(&found.name, &settings.wanted_by);
        let unit = Unit {
            transient: fragment
                .as_ref()
                .is_some_and(|path| path.starts_with(transient)),
            load,
            fragment,
            drop_ins: self.counting(found.drop_ins),
            start_limit: settings.start_limit,
            job_timeout: settings.job_timeout,
            job_running_timeout: settings.job_running_timeout(),
            requires: settings.requires,
            wants: settings.wants,
            after: settings.after,
            wanted_by: settings.wanted_by,
            on_failure: settings.on_failure,
            on_success: settings.on_success,
            nixos: settings.nixos,
            service: is_service.then_some(service),
            timers,
            name: found.name,
            ignored: settings.ignored,
        };
        let ignored = unit.ignored.iter().map(ToString::to_string);
        ParsedUnit {
            warnings: ignored.chain(settings.warnings).collect(),
            unit,
            surroundings: settings.surroundings,
        }
    }

    /// Where a path below the root really is, its symbolic links resolved.
    pub fn real(&self, path: &Path) -> PathBuf {
        self.search.outside(path)
    }

    /// How a path below the root is named on this machine.
    pub(crate) fn named(&self, path: &Path) -> PathBuf {
        files::below(&self.root, path)
    }

    /// systemd's version, by the name of its library; none if it is not there.
    pub fn version(&self) -> Option<Version> {
        version_below(&self.root)
    }

    fn counting(&self, drop_ins: Vec<PathBuf>) -> Vec<PathBuf> {
        let left_out = self.left_out.as_ref();
        drop_ins
            .into_iter()
            .filter(|path| Some(path) != left_out)
            .collect()
    }

    fn settings(&self, found: &FoundUnit) -> UnitSettings {
        let mut settings = UnitSettings::new(&found.name, &self.defaults);
        let Fragment::File(fragment) = &found.fragment else {
            return settings;
        };
        let drop_ins = self.counting(found.drop_ins.clone());
        for path in std::iter::once(fragment).chain(&drop_ins) {
            match self.text(path) {
                Ok(text) => settings.follow(&text, &path.to_string_lossy(), path != fragment),
                // systemd leaves out a drop-in that is no file.
                Err(warning) if path != fragment && !self.search.is_file(path) => {
                    settings.warnings.push(warning);
                }
                Err(why) => settings.unreadable = Some(why),
            }
        }
        settings
    }

    /// The text of a file, or why it cannot be read.
    fn text(&self, path: &Path) -> Result<Text, String> {
        let read = self.search.read(path);
        let text = read.map(|bytes| unit_text::parse(&bytes));
        text.map_err(|error| {
            let why = limits::refusal(&error);
            format!("cannot read {}: {why}", path.display())
        })
    }

    fn add_links(&self, name: &str, settings: &mut UnitSettings) {
        let add = |list: &mut Vec<String>, more: BTreeSet<String>| {
            let new: Vec<_> = more
                .into_iter()
                .filter(|name| !list.contains(name))
                .collect();
            list.extend(new);
        };
        add(&mut settings.wanted_by, self.search.wanted_by(name));
        add(&mut settings.wants, self.search.linked(name, "wants"));
        add(&mut settings.requires, self.search.linked(name, "requires"));
    }

    /// Whether there is a socket unit of its name, which starts it; of a template's instances it may be one for all.
    fn has_socket(&self, name: &str) -> bool {
        let Some(stem) = name.strip_suffix(".service") else {
            return false;
        };
        let prefix = stem.split_once('@').map_or(stem, |(prefix, _)| prefix);
        let sockets = [stem, prefix].map(|stem| format!("{stem}.socket"));
        let found = sockets.iter().map(|socket| self.search.find(socket));
        found
            .into_iter()
            .any(|found| matches!(found.fragment, Fragment::File(_)))
    }

    fn timers_of(&self, name: &str, wanted_by: &[String]) -> Vec<Timer> {
        // Of an instance that nobody has enabled the timer is looked at as well: so is that of any other unit.
        let own = name.strip_suffix(".service");
        let own = own.map(|stem| format!("{stem}.timer"));
        let is_read = |own: &String| self.timers.iter().any(|timer| timer.timer.name == *own);
        let unread = own.filter(|own| own.contains('@') && !is_read(own));
        let unread: Vec<_> = unread
            .and_then(|own| self.timer(&own))
            .into_iter()
            .collect();
        let all = self.timers.iter().chain(&unread);
        let starters =
            all.filter(|timer| timer.reaches(name, wanted_by) || timer.timer.name == name);
        starters.map(|timer| timer.timer.clone()).collect()
    }

    fn read_timers(&self) -> Vec<Starter> {
        let names = self.search.names(".timer").into_iter();
        names.filter_map(|name| self.timer(name)).collect()
    }

    fn timer(&self, name: &str) -> Option<Starter> {
        let found = self.search.find(name);
        if !matches!(found.fragment, Fragment::File(_)) {
            return None;
        }
        let settings = self.settings(&found);
        Some(Starter {
            starts: self.started(settings.timer.starts()),
            timer: Timer {
                ignored: settings.ignored,
                ..settings.timer.timer()
            },
        })
    }

    /// A unit and, if it is a target, what it pulls in.
    fn started(&self, name: String) -> BTreeSet<String> {
        let mut started = BTreeSet::new();
        if name.ends_with(".target") {
            let mut target = self.settings(&self.search.find(&name));
            self.add_links(&name, &mut target);
            started.extend(target.wants);
            started.extend(target.requires);
        }
        started.insert(name);
        started
    }

    fn read_defaults(&mut self) {
        for path in self.search.configuration() {
            match self.text(&path) {
                Ok(text) => self.follow_configuration(&text, &path),
                Err(warning) => self.warnings.push(warning),
            }
        }
    }

    fn follow_configuration(&mut self, text: &Text, path: &Path) {
        let file = path.display();
        let lines = text.ignored.iter().chain(&text.broken);
        self.warnings
            .extend(lines.map(|(line, why)| format!("{file}:{line}: {why}")));
        let of_manager = |found: &&Assignment| found.section == "Manager";
        for Assignment {
            key, value, line, ..
        } in text.assignments.iter().filter(of_manager)
        {
            if !self.defaults.assign(key, value) {
                let why = keys::not_parsed(key, value);
                self.warnings.push(format!("{file}:{line}: {why}"));
            }
        }
    }
}

/// The version of the systemd below a root directory.
pub fn version_below(root: &Path) -> Option<Version> {
    let dirs = ["usr/lib", "usr/lib64", "lib"].map(|dir| root.join(dir));
    let multiarch = dirs.iter().flat_map(|dir| subdirectories(dir));
    let all = dirs.iter().cloned().chain(multiarch);
    let mut versions = all.filter_map(|dir| library_version(&dir.join("systemd")));
    versions.next()
}

fn subdirectories(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    paths.filter(|path| path.join("systemd").is_dir()).collect()
}

/// `libsystemd-shared-257.so`, `libsystemd-shared-252.39-1.so`.
fn library_version(dir: &Path) -> Option<Version> {
    let entries = std::fs::read_dir(dir).ok()?.flatten();
    let mut names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.find_map(|name| Version::parse(name.strip_prefix("libsystemd-shared-")?))
}

/// How a unit was loaded, and its own file.
fn loaded(
    fragment: Fragment,
    unreadable: Option<String>,
    refused: Option<String>,
) -> (Load, Option<PathBuf>) {
    match fragment {
        Fragment::None => (Load::NotFound, None),
        Fragment::Masked(path) => (Load::Masked, Some(path)),
        Fragment::File(path) => {
            let load = unreadable.map(Load::Unreadable);
            let load = load.or(refused.map(Load::Refused));
            (load.unwrap_or(Load::Loaded), Some(path))
        }
    }
}

#[cfg(test)]
mod tests;
