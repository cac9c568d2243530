//! Configuration: TOML as written → validated [`profile::Profile`]; strict.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

pub mod effective;
mod entry;
mod file;
pub mod guard;
pub mod key;
pub mod keys;
pub mod places;
pub mod problem;
pub mod profile;
mod read;
pub mod watch;

use crate::targets::TargetEntry;
use crate::text::similar;
use effective::{Origin, Setting};
use file::ConfigAssignment;
use guard::GuardSettings;
use key::Key;
use keys::KEYS;
use places::{Places, Replaced};
use problem::{Errors, Problem};
use profile::{BUILT_IN, DEFAULT, InvalidName, Profile};
use watch::WatchSettings;

/// All files together, valid as a whole.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The files that were read, in the order in which later ones win.
    pub files: Vec<PathBuf>,
    /// The files that others of the same name replace.
    pub replaced: Vec<Replaced>,
    /// What does not prevent loading.
    pub warnings: Vec<Problem>,
    profiles: BTreeSet<String>,
    of_profiles: Vec<(PathBuf, String, ConfigAssignment<Profile>)>,
    of_guards: Vec<(PathBuf, String, ConfigAssignment<GuardSettings>)>,
    of_watch: Vec<(PathBuf, ConfigAssignment<WatchSettings>)>,
}

/// What the command line says instead of the files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--target`: all of these and nothing else; the profile's own if empty.
    pub targets: Vec<TargetEntry>,
}

/// One profile in effect.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// The profile.
    pub profile: Profile,
    /// Each of its values and where it comes from, in the order of [`KEYS`].
    pub settings: Vec<Setting>,
    /// The same of its guard, in the order of [`guard::KEYS`].
    pub guard: Vec<Setting>,
    /// The name may be misspelt: nobody knows it but it is like one that is known, and only the defaults apply.
    pub warning: Option<String>,
}

/// Reads every file of `places`; all that is wrong with all of them is in the error.
pub fn load(places: &Places) -> Result<Loaded, Errors> {
    let found = places::find(places);
    let mut errors = found.errors;
    let mut loaded = Loaded {
        replaced: found.replaced,
        warnings: found.warnings,
        ..Loaded::default()
    };
    for path in found.files {
        errors.extend(loaded.add(path));
    }
    if errors.is_empty() {
        return Ok(loaded);
    }
    let warnings = loaded.warnings;
    Err(Errors { errors, warnings })
}

impl Loaded {
    /// Adds one file; what is wrong with it is returned.
    fn add(&mut self, path: PathBuf) -> Vec<Problem> {
        let text = match places::read(&path) {
            Ok(Some(text)) => text,
            Ok(None) => return Vec::new(),
            Err(problem) => return vec![problem],
        };
        let contents = file::parse(&path, &text);
        self.profiles.extend(contents.profiles);
        let of_profiles = contents.of_profiles.into_iter();
        self.of_profiles
            .extend(of_profiles.map(|(name, one)| (path.clone(), name, one)));
        let of_guards = contents.of_guards.into_iter();
        self.of_guards
            .extend(of_guards.map(|(name, one)| (path.clone(), name, one)));
        let of_watch = contents.of_watch.into_iter();
        self.of_watch
            .extend(of_watch.map(|one| (path.clone(), one)));
        self.files.push(path);
        contents.problems
    }

    /// The profile of this name, or the one called `default`, as the files and the command line have it.
    pub fn profile(
        &self,
        name: Option<&str>,
        overrides: &Overrides,
    ) -> Result<Chosen, InvalidName> {
        let name = name.unwrap_or(DEFAULT);
        profile::check_name(name)?;
        let mut profile = Profile::built_in(name);
        let mut origins = BTreeMap::new();
        for (file, of, written) in &self.of_profiles {
            if of == name {
                (written.change)(&mut profile);
                origins.insert(written.key, origin(file, written.line));
            }
        }
        if !overrides.targets.is_empty() {
            profile.targets.clone_from(&overrides.targets);
            origins.insert(keys::TARGETS, Origin::CommandLine);
        }
        let of_guard = self.of_guards.iter().filter(|(_, of, _)| of == name);
        let of_guard = of_guard.map(|(file, _, written)| (file, written));
        let guard = table(&mut profile.guard, guard::KEYS, of_guard);
        Ok(Chosen {
            settings: settings(&profile, &mut origins),
            guard,
            warning: self.misspelt(name),
            profile,
        })
    }

    /// The settings of the watch as the files have them, and where each comes from.
    pub fn watch(&self) -> (WatchSettings, Vec<Setting>) {
        let mut watch = WatchSettings::default();
        let written = self.of_watch.iter().map(|(file, written)| (file, written));
        let settings = table(&mut watch, watch::KEYS, written);
        (watch, settings)
    }

    /// A name that no file and nothing built in knows silently means the defaults, as for a unit that needs no more;
    /// one that is nearly known was meant to be another.
    fn misspelt(&self, name: &str) -> Option<String> {
        let in_files = self.profiles.iter().map(String::as_str);
        let known: Vec<&str> = in_files.chain(BUILT_IN.iter().copied()).collect();
        let meant = similar::nearest(name, &known).filter(|_| !known.contains(&name))?;
        Some(format!(
            "no profile {name} in any file, using defaults; did you mean {meant}?"
        ))
    }
}

/// Makes the changes to a table that has its defaults, and says where each value comes from.
fn table<'a, S: 'static>(
    settings: &mut S,
    keys: &[Key<S>],
    written: impl Iterator<Item = (&'a PathBuf, &'a ConfigAssignment<S>)>,
) -> Vec<Setting> {
    let mut origins = BTreeMap::new();
    for (file, written) in written {
        (written.change)(settings);
        origins.insert(written.key, origin(file, written.line));
    }
    let setting = |key: &Key<S>| Setting {
        key: key.name,
        value: key.show(settings),
        origin: origins.remove(key.name).unwrap_or(Origin::Default),
    };
    keys.iter().map(setting).collect()
}

fn origin(file: &Path, line: usize) -> Origin {
    let file = file.to_owned();
    Origin::File { file, line }
}

fn settings(profile: &Profile, origins: &mut BTreeMap<&str, Origin>) -> Vec<Setting> {
    let defaults = Profile::defaults(&profile.name);
    let built_in = Profile::built_in(&profile.name);
    let unwritten = |key: &Key<Profile>| match key.show(&built_in) {
        value if value == key.show(&defaults) => Origin::Default,
        _ => Origin::BuiltIn,
    };
    KEYS.iter()
        .map(|key| Setting {
            key: key.name,
            value: key.show(profile),
            origin: origins.remove(key.name).unwrap_or_else(|| unwritten(key)),
        })
        .collect()
}
