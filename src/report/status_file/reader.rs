//! The reading side: the gates of several directories, some of which belong to other users.
//!
//! Whoever owns a directory may write anything there, so a file counts only if it is a regular one of that user's, no link is
//! followed, and nothing is removed but what a gate of this process's own user left in a directory of that user's.

use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{GateStatus, living};
use crate::sys::files;
use crate::sys::files::Directory;

/// A living gate, and whose it is: that is told by its file's owner, whatever the file says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Living {
    /// What it says of itself.
    #[serde(flatten)]
    pub gate: GateStatus,
    /// The user's name, or the number of one without a name.
    pub owner: String,
}

/// What reading came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundGates {
    /// The living gates, oldest first.
    pub gates: Vec<Living>,
    /// What could not be read, and why.
    pub warnings: Vec<String>,
}

/// A directory in which gates leave their files.
#[derive(Debug)]
pub struct Room {
    path: PathBuf,
    directory: io::Result<Directory>,
    unit: Option<String>,
}

impl Room {
    /// The one at `path`, which nobody but this user, or root, decides about.
    #[cfg(test)]
    pub(crate) fn at(path: &Path) -> Self {
        Self::new(path.to_owned(), Directory::open(path), None)
    }

    /// One that has been opened, or why it could not be. If it is another user's, its gates are those of `unit` alone.
    pub(crate) fn new(
        path: PathBuf,
        directory: io::Result<Directory>,
        unit: Option<String>,
    ) -> Self {
        Self {
            path,
            directory,
            unit,
        }
    }

    /// A name that only root and this user may give itself: others would pass for a unit of the system.
    fn may_call_itself(&self, unit: &str, directory: &Directory) -> bool {
        directory.is_ours_or_roots() || self.unit.as_deref() == Some(unit)
    }
}

/// Reads the gates of all directories, and removes what dead ones of this user left in its own. A missing directory is one
/// without gates.
pub fn read_all(rooms: &[Room]) -> FoundGates {
    let mut found = FoundGates::default();
    for room in rooms {
        match &room.directory {
            Ok(directory) => read_room(&mut found, room, directory),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => found.warnings.push(warning(&room.path, error)),
        }
    }
    found
        .gates
        .sort_by_key(|living| (living.gate.started_usec_realtime, living.gate.pid));
    found
}

fn warning(path: &Path, why: &dyn Display) -> String {
    format!("cannot read {}: {why}", path.display())
}

/// Far more gates than there are upgrades; a directory with more files is somebody's mischief.
const MOST: usize = 1000;

fn read_room(found: &mut FoundGates, room: &Room, directory: &Directory) {
    let names = match directory.names(MOST + 1) {
        Ok(names) => names,
        Err(error) => return found.warnings.push(warning(&room.path, &error)),
    };
    if names.len() > MOST {
        let why = format!("it has more than {MOST} files, the rest is ignored");
        found.warnings.push(warning(&room.path, &why));
    }
    let is_json = |name: &&OsString| Path::new(name).extension() == Some("json".as_ref());
    for name in names.iter().take(MOST).filter(is_json) {
        read_into(found, room, directory, name);
    }
}

fn read_into(found: &mut FoundGates, room: &Room, directory: &Directory, name: &OsStr) {
    match read(directory, name) {
        Ok(Some(mut gate)) => {
            gate.unit = gate
                .unit
                .filter(|unit| room.may_call_itself(unit, directory));
            let owner = files::user_name(directory.owner());
            found.gates.push(Living { gate, owner });
        }
        Ok(None) => {}
        // It ended meanwhile.
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => found.warnings.push(warning(&room.path.join(name), &error)),
    }
}

/// How often a reader may find the file replaced while it looks, before it makes do with what it has read.
const LOOKS: usize = 3;

/// A living gate's state, or none if the file is a dead one's.
fn read(directory: &Directory, name: &OsStr) -> io::Result<Option<GateStatus>> {
    let Some(pid) = pid_of(name) else {
        return Err(io::Error::other(
            "its name is not that of a gate's status file",
        ));
    };
    for _ in 0..LOOKS {
        let file = directory.file(name)?;
        match liveness(&file, directory, name)? {
            Liveness::Alive => return parsed(&file).map(Some),
            Liveness::Dead => {
                if directory.is_ours() && parsed(&file).is_ok_and(|gate| gate.pid == pid) {
                    // What cannot be removed stays.
                    let _ = directory.remove(name);
                }
                return Ok(None);
            }
            Liveness::Replaced => {}
        }
    }
    parsed(&directory.file(name)?).map(Some)
}

/// `PID-USEC.json`, as the writing side has it.
fn pid_of(name: &OsStr) -> Option<u32> {
    let (pid, usec) = name.to_str()?.strip_suffix(".json")?.split_once('-')?;
    usec.parse::<u64>().ok()?;
    pid.parse().ok()
}

pub(super) enum Liveness {
    Alive,
    Dead,
    /// The file was replaced between opening and asking.
    Replaced,
}

/// Nobody holds the lock of a file that was replaced either, so the name must still lead to it. A gate locks its file before it
/// has this name, and never again: if there is no lock and the name leads here, the gate is gone.
pub(super) fn liveness(file: &File, directory: &Directory, name: &OsStr) -> io::Result<Liveness> {
    if living::is_declared(file)? {
        return Ok(Liveness::Alive);
    }
    if directory.has(name, file)? {
        Ok(Liveness::Dead)
    } else {
        Ok(Liveness::Replaced)
    }
}

/// Far more than a gate ever writes.
const MAX_SIZE: u64 = 64 * 1024;

fn parsed(file: &File) -> io::Result<GateStatus> {
    parse(&files::read_to_end(file, MAX_SIZE)?)
}

/// Reads what any version of this program may have written; of a newer one, the fields that are known here.
pub(super) fn parse(bytes: &[u8]) -> io::Result<GateStatus> {
    let gate: GateStatus = serde_json::from_slice(bytes)?;
    if gate.version == 0 || gate.command.is_empty() {
        return Err(io::Error::other("it is not a gate's status file"));
    }
    Ok(gate)
}
