//! The file of a drop-in: only one that we wrote is ever replaced or removed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::restart::drop_in::MARKER;
use crate::restart::read::files::Files;

/// After `override.conf`, which `systemctl edit` writes, and as our package's own drop-ins are called.
const NAME: &str = "upgrade-gate.conf";

/// The drop-in of one unit, whether or not it is there.
#[derive(Debug)]
pub(super) struct DropInFile {
    /// Below the root.
    path: PathBuf,
    /// For the rest of the machine.
    real: PathBuf,
    /// How it begins if we wrote it.
    marker: String,
}

/// Why it cannot be looked at, written or removed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unwritable {
    #[error("{0} was not written by upgrade-gate drop-in, or for another unit; move it away first")]
    Foreign(PathBuf),
    #[error("there is no {0}: nothing to remove")]
    Absent(PathBuf),
    #[error(
        "cannot write {0}: the file system is read-only; on NixOS, set services.upgrade-gate.units instead"
    )]
    ReadOnly(PathBuf),
    #[error("cannot write {0}: permission denied; do it as root")]
    Denied(PathBuf),
    #[error("{path}: {source}", path = path.display())]
    Io { path: PathBuf, source: io::Error },
}

impl DropInFile {
    /// The unit's own, in the directory of units `own`.
    pub(super) fn of(files: &Files, own: &Path, unit: &str) -> Self {
        Self::new(files, own, unit, MARKER.to_owned())
    }

    /// That of its companion.
    pub(super) fn of_companion(files: &Files, own: &Path, companion: &str, unit: &str) -> Self {
        Self::new(files, own, companion, format!("{MARKER} {unit} "))
    }

    fn new(files: &Files, own: &Path, unit: &str, marker: String) -> Self {
        let path = own.join(format!("{unit}.d")).join(NAME);
        Self {
            real: files.real(&path),
            path,
            marker,
        }
    }

    /// The companion that it requires, as its first line says.
    pub(super) fn companion(&self) -> Option<String> {
        let text = fs::read_to_string(&self.real).ok()?;
        let first = text.lines().next()?.strip_prefix(MARKER)?;
        let (before, profile) = first.rsplit_once(" --profile ")?;
        let companion = before.ends_with("--mode companion");
        companion.then(|| format!("upgrade-gate@{profile}.service"))
    }

    /// Where it is, below the root.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is there, and we wrote it.
    pub(super) fn is_ours(&self) -> Result<bool, Unwritable> {
        match fs::read(&self.real) {
            Ok(bytes) => Ok(bytes.starts_with(self.marker.as_bytes())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Writes it, whole or not at all.
    pub(super) fn write(&self, text: &str) -> Result<(), Unwritable> {
        if !self.is_ours()? && fs::symlink_metadata(&self.real).is_ok() {
            return Err(Unwritable::Foreign(self.path.clone()));
        }
        // systemd reads *.conf only.
        let new = self.real.with_extension("conf.new");
        let written = self.write_new(&new, text);
        if written.is_err() {
            // What is left of it is ours.
            let _ = fs::remove_file(&new);
            self.remove_empty_directory();
        }
        written.map_err(|error| self.failed(error))
    }

    fn write_new(&self, new: &Path, text: &str) -> io::Result<()> {
        fs::create_dir_all(self.directory())?;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o644);
        let mut file = options.open(new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(new, &self.real)?;
        File::open(self.directory())?.sync_all()
    }

    /// Removes it, and its directory if nothing else is there.
    pub(super) fn remove(&self) -> Result<(), Unwritable> {
        if fs::symlink_metadata(&self.real).is_err() {
            return Err(Unwritable::Absent(self.path.clone()));
        }
        if !self.is_ours()? {
            return Err(Unwritable::Foreign(self.path.clone()));
        }
        fs::remove_file(&self.real).map_err(|error| self.failed(error))?;
        self.remove_empty_directory();
        Ok(())
    }

    fn remove_empty_directory(&self) {
        // One that is not empty stays.
        let _ = fs::remove_dir(self.directory());
    }

    fn directory(&self) -> &Path {
        self.real.parent().unwrap_or(Path::new("/"))
    }

    fn failed(&self, source: io::Error) -> Unwritable {
        let path = self.path.clone();
        match source.kind() {
            ErrorKind::ReadOnlyFilesystem => Unwritable::ReadOnly(path),
            ErrorKind::PermissionDenied => Unwritable::Denied(path),
            _ => Unwritable::Io { path, source },
        }
    }
}
