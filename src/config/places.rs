//! Which files make up the configuration: where they are looked for, and which one masks which.
//!
//! As with systemd (systemd-system.conf(5)): a file is known by its name, and of several with one name only that in
//! the most important directory (/etc, then /run, then /usr/lib) is read, so that an empty one or a link to /dev/null there masks the others. The
//! main file comes first, the drop-ins follow in the order of their names, whatever directory they lie in.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;
use serde::Serialize;

use super::problem::{Problem, line_of, lossy};
use crate::sys::{files, limits};

/// The directories that are searched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// The least important first.
    directories: Vec<PathBuf>,
}

impl Places {
    /// `/usr/lib`, `/run` and `/etc` below `root`, which is `/` unless one looks into another system or tests.
    pub fn below(root: &Path) -> Self {
        let directory = |parent: &str| root.join(parent).join("upgrade-gate");
        Self {
            directories: ["usr/lib", "run", "etc"].map(directory).into(),
        }
    }
}

const MAIN: &str = "upgrade-gate.toml";
const DROP_INS: &str = "upgrade-gate.d";

/// No configuration is longer; a mistake may be.
const LONGEST: u64 = 1 << 20;

/// The files to read, in the order in which later ones win.
#[derive(Debug, Default)]
pub(super) struct ConfigFiles {
    pub(super) files: Vec<PathBuf>,
    pub(super) replaced: Vec<Replaced>,
    pub(super) errors: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
}

/// Looks for the files.
pub(super) fn find(places: &Places) -> ConfigFiles {
    let mut found = ConfigFiles::default();
    let mut drop_ins = BTreeMap::new();
    let directories = found.trusted(&places.directories);
    for directory in &directories {
        let folder = directory.join(DROP_INS);
        match list(&folder) {
            Ok(paths) => paths
                .into_iter()
                .for_each(|path| found.sort(path, &mut drop_ins)),
            Err(error) => found.errors.push(unreadable(&folder, &error)),
        }
    }
    let mains = directories
        .into_iter()
        .map(|directory| directory.join(MAIN));
    let main = mains.filter(|path| is_there(path)).reduce(|file, by| {
        found.replaced.push(Replaced {
            file,
            by: by.clone(),
        });
        by
    });
    found.files = main.into_iter().collect();
    found.files.extend(drop_ins.into_values());
    found
}

/// A file that is not read, and the one of the same name in a more important directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Replaced {
    /// What is not read.
    #[serde(serialize_with = "lossy")]
    pub file: PathBuf,
    /// What is read in its place.
    #[serde(serialize_with = "lossy")]
    pub by: PathBuf,
}

impl fmt::Display for Replaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} replaces {}", self.by.display(), self.file.display())
    }
}

impl ConfigFiles {
    fn trusted(&mut self, directories: &[PathBuf]) -> Vec<PathBuf> {
        let mut trusted = directories.to_vec();
        trusted.retain(|directory| {
            let stranger = stranger(directory);
            self.warnings.extend(
                stranger.iter().map(|user| {
                    Problem::of_file(directory, format!("is owned by {user}, ignoring"))
                }),
            );
            stranger.is_none()
        });
        trusted
    }

    fn sort(&mut self, path: PathBuf, drop_ins: &mut BTreeMap<OsString, PathBuf>) {
        match path.file_name() {
            Some(name) if is_drop_in(name) => {
                let before = drop_ins.insert(name.to_owned(), path.clone());
                let replaced = before.map(|file| Replaced { file, by: path });
                self.replaced.extend(replaced);
            }
            _ => {
                let message = "has no .toml suffix or is hidden, ignoring";
                self.warnings.push(Problem::of_file(&path, message));
            }
        }
    }
}

/// Who has been given `/run/upgrade-gate`, which the `RuntimeDirectory=upgrade-gate` of a service does: what a lesser user can
/// write is not root's configuration.
fn stranger(directory: &Path) -> Option<String> {
    directory
        .parent()
        .filter(|parent| parent.ends_with("run"))?;
    let owner = fs::metadata(directory).ok()?.uid();
    let trusted = [0, geteuid().as_raw()].contains(&owner);
    (!trusted).then(|| files::user_name(owner))
}

/// Hidden files are an editor's, whatever they end in.
fn is_drop_in(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.ends_with(b".toml") && !name.starts_with(b".")
}

/// What lies in a folder, in the order of the names; nothing if there is no folder.
fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut paths = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<io::Result<Vec<_>>>()?;
    paths.sort_unstable();
    Ok(paths)
}

/// Whether something has this name. What cannot be looked at is there: reading it says why.
fn is_there(path: &Path) -> bool {
    !fs::symlink_metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

/// The text of a file; none if it is a link to /dev/null.
pub(super) fn read(path: &Path) -> Result<Option<String>, Problem> {
    let real = fs::canonicalize(path).map_err(|error| unreadable(path, &error))?;
    if real == Path::new("/dev/null") {
        return Ok(None);
    }
    let metadata = fs::metadata(&real).map_err(|error| unreadable(path, &error))?;
    // A named pipe would be waited for until somebody writes.
    if !metadata.is_file() {
        let what = if metadata.is_dir() {
            "a directory"
        } else {
            "something else"
        };
        return Err(Problem::of_file(
            path,
            format!("must be a file, not {what}"),
        ));
    }
    let bytes = files::read(&real, LONGEST).map_err(|error| unreadable(path, &error))?;
    String::from_utf8(bytes).map(Some).map_err(|error| {
        let line = line_of(error.as_bytes(), error.utf8_error().valid_up_to());
        let problem = Problem::of_file(path, "is not UTF-8 text");
        Problem {
            line: Some(line),
            ..problem
        }
    })
}

fn unreadable(path: &Path, error: &io::Error) -> Problem {
    Problem::of_file(path, format!("cannot be read: {}", limits::refusal(error)))
}
