//! One file per gate for `status` to read: whole at every moment, and alive while it is locked for writing.
//!
//! A new state is written to a new file, which is locked before it is renamed over the old one: whatever the
//! name leads to is complete and, while the gate lives, locked. The kernel unlocks it when the gate dies, however.

mod living;
mod reader;

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use self::reader::{FoundGates, Living, Room, read_all};
use crate::sys::files::Directory;

/// What a gate says of itself. Times that end in `realtime` count from 1970, `monotonic` from boot, asleep not counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GateStatus {
    /// The version of the format; see docs/json.md.
    pub version: u32,
    /// The gate's process.
    pub pid: u32,
    /// The systemd unit it runs in, if it is a service.
    pub unit: Option<String>,
    /// The command: `wait-online`, `check`, `run`, …
    pub command: String,
    /// The profile's name.
    pub profile: String,
    /// `open` or `held`.
    pub verdict: String,
    /// The label of the first hold's reason, if held.
    pub reason: Option<String>,
    /// The sentence, without times.
    pub sentence: String,
    /// When the gate began.
    pub started_usec_realtime: u64,
    /// Since when it is open, or held for this reason.
    pub since_usec_realtime: u64,
    /// When it is looked at again, if no hint comes before.
    pub look_again_usec_monotonic: Option<u64>,
    /// `run`: the attempt under way or ended last; 0 before the first.
    pub attempt: u32,
    /// `run`: whether the command is running.
    pub running: bool,
}

/// The writing side: the gate's own file. Dropping it removes the file.
#[derive(Debug)]
pub struct StatusFile {
    path: PathBuf,
    /// What the name leads to, locked; none before the first write.
    current: Option<File>,
}

impl StatusFile {
    /// A file below `dir` for the gate that `pid` began at `started_usec` since boot; the two name it for good.
    pub fn new(dir: &Path, pid: u32, started_usec: u64) -> Self {
        Self {
            path: dir.join(format!("{pid}-{started_usec}.json")),
            current: None,
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the state, in place of what was there. Makes the directory if it is missing.
    pub fn write(&mut self, gate: &GateStatus) -> io::Result<()> {
        let (directory, name) = self.place()?;
        let directory = Directory::ours(directory)?;
        let new = self.path.with_extension("new");
        let new = new.file_name().unwrap_or_default();
        let locked = written(&directory, new, gate).and_then(|file| {
            directory.rename(new, name)?;
            Ok(file)
        });
        if locked.is_err() {
            // Whatever went wrong, it has been said; the leavings are ours.
            let _ = directory.remove(new);
        }
        self.current = Some(locked?);
        Ok(())
    }

    fn place(&self) -> io::Result<(&Path, &OsStr)> {
        let place = self.path.parent().zip(self.path.file_name());
        place.ok_or_else(|| ErrorKind::InvalidInput.into())
    }

    fn remove(&self, current: &File) -> io::Result<()> {
        let (directory, name) = self.place()?;
        let directory = Directory::open(directory)?;
        if directory.has(name, current)? {
            directory.remove(name)?;
        }
        Ok(())
    }
}

impl Drop for StatusFile {
    fn drop(&mut self) {
        if let Some(current) = &self.current {
            // A file that stays is unlocked now, and readers ignore it.
            let _ = self.remove(current);
        }
    }
}

/// For everybody to read only when it is locked: who can read a file can keep it from being locked.
fn written(directory: &Directory, name: &OsStr, gate: &GateStatus) -> io::Result<File> {
    let mut file = directory.new_file(name, 0o600)?;
    living::declare(&file)?;
    file.write_all(serde_json::to_string(gate)?.as_bytes())?;
    file.set_permissions(Permissions::from_mode(0o644))?;
    Ok(file)
}

/// The service this process runs in, from `/proc/self/cgroup`; none in a terminal's or session's scope.
pub fn unit() -> Option<String> {
    let text = fs::read_to_string("/proc/self/cgroup").ok()?;
    unit_of_cgroup(&text)
}

/// The innermost unit decides: below a user's manager it is not the manager's own `user@1000.service`.
fn unit_of_cgroup(text: &str) -> Option<String> {
    let path = text.lines().find_map(|line| {
        line.strip_prefix("0::")
            .or_else(|| line.split_once(":name=systemd:").map(|(_, path)| path))
            .filter(|path| path.contains('.'))
    })?;
    path.rsplit('/')
        .find(|name| ["service", "scope", "slice"].contains(&suffix(name)))
        .filter(|name| suffix(name) == "service")
        .map(ToOwned::to_owned)
}

fn suffix(name: &str) -> &str {
    name.rsplit_once('.').map_or("", |(_, suffix)| suffix)
}

#[cfg(test)]
mod tests;
