//! One file per gate for `status` to read: whole at every moment, and alive while it is flocked.
//!
//! A new state is written to a new file, which is locked before it is renamed over the old one: whatever the
//! name leads to is complete and, while the gate lives, locked. The kernel unlocks it when the gate dies, however.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

/// What a gate says of itself. Times that end in `realtime` count from 1970, `monotonic` from boot, asleep not counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Gate {
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
    /// When it is looked at again, if no bell rings before.
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
    current: Option<Flock<File>>,
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
    pub fn write(&mut self, gate: &Gate) -> io::Result<()> {
        let dir = self.path.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(dir)?;
        let new = self.path.with_extension("new");
        let locked = written(&new, gate).and_then(|file| {
            fs::rename(&new, &self.path)?;
            Ok(file)
        });
        if locked.is_err() {
            // Whatever went wrong, it has been said; the leavings are ours.
            let _ = fs::remove_file(&new);
        }
        self.current = Some(locked?);
        Ok(())
    }
}

impl Drop for StatusFile {
    fn drop(&mut self) {
        if self.current.is_some() {
            // A file that stays is unlocked now, and readers ignore it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn written(path: &Path, gate: &Gate) -> io::Result<Flock<File>> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o644)
        .open(path)?;
    let mut file = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, e)| e)?;
    file.write_all(serde_json::to_string(gate)?.as_bytes())?;
    Ok(file)
}

/// What reading one directory came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The living gates, oldest first.
    pub gates: Vec<Gate>,
    /// What could not be read, and why.
    pub warnings: Vec<String>,
}

/// Reads the gates of all directories, and removes what dead ones left, where that is permitted. A missing
/// directory is one without gates.
pub fn read_all(dirs: &[PathBuf]) -> Found {
    let mut found = Found::default();
    for dir in dirs {
        match names(dir) {
            Ok(paths) => paths.iter().for_each(|path| read_into(&mut found, path)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => found.warnings.push(warning(dir, &e)),
        }
    }
    found
        .gates
        .sort_by_key(|gate| (gate.started_usec_realtime, gate.pid));
    found
}

fn names(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn read_into(found: &mut Found, path: &Path) {
    match read(path) {
        Ok(Some(gate)) => found.gates.push(gate),
        Ok(None) => {}
        // It ended meanwhile.
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => found.warnings.push(warning(path, &e)),
    }
}

fn warning(path: &Path, error: &io::Error) -> String {
    format!("cannot read {}: {error}", path.display())
}

/// How often a reader may find the file replaced while it looks, before it makes do with what it has read.
const LOOKS: usize = 3;

/// A living gate's state, or none if the file is a dead one's.
fn read(path: &Path) -> io::Result<Option<Gate>> {
    for _ in 0..LOOKS {
        let file = open(path)?;
        match liveness(&file, path)? {
            Liveness::Alive => return parsed(file).map(Some),
            Liveness::Dead => {
                // Without permission it stays, for whoever has it.
                let _ = fs::remove_file(path);
                return Ok(None);
            }
            Liveness::Replaced => {}
        }
    }
    parsed(open(path)?).map(Some)
}

/// Not blocking: a FIFO by that name would otherwise hang the reader.
fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(nix::libc::O_NONBLOCK)
        .open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other("it is not a regular file"))
    }
}

enum Liveness {
    Alive,
    Dead,
    /// The file was replaced between opening and asking.
    Replaced,
}

/// Nobody holds the lock of a file that was replaced either, so the name must still lead to it. While we hold
/// the lock, no gate does: if the name leads here, its gate is gone.
fn liveness(file: &File, path: &Path) -> io::Result<Liveness> {
    let _lock = match Flock::lock(file.try_clone()?, FlockArg::LockSharedNonblock) {
        Ok(lock) => lock,
        Err((_, Errno::EWOULDBLOCK)) => return Ok(Liveness::Alive),
        Err((_, e)) => return Err(e.into()),
    };
    let (opened, named) = (file.metadata()?, fs::metadata(path)?);
    if (opened.dev(), opened.ino()) == (named.dev(), named.ino()) {
        Ok(Liveness::Dead)
    } else {
        Ok(Liveness::Replaced)
    }
}

/// Far more than a gate ever writes.
const MAX_SIZE: u64 = 64 * 1024;

fn parsed(file: File) -> io::Result<Gate> {
    let mut bytes = Vec::new();
    file.take(MAX_SIZE).read_to_end(&mut bytes)?;
    parse(&bytes)
}

/// Reads what any version of this program may have written; of a newer one, the fields that are known here.
fn parse(bytes: &[u8]) -> io::Result<Gate> {
    let gate: Gate = serde_json::from_slice(bytes)?;
    if gate.version == 0 || gate.command.is_empty() {
        return Err(io::Error::other("it is not a gate's status file"));
    }
    Ok(gate)
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
#[path = "status_file/tests.rs"]
mod tests;
