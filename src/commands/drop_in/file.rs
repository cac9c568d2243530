//! The file of a drop-in: only one that we wrote is ever replaced or removed.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

use crate::sys::limits;
use crate::systemd::drop_in::MARKER;
use crate::systemd::read::files::UnitFiles;
use crate::systemd::read::scope::Scope;

/// No drop-in of ours is longer.
const LONGEST: u64 = 1 << 20;

/// After `override.conf`, which `systemctl edit` writes, and as our package's own drop-ins are called.
const NAME: &str = "upgrade-gate.conf";

/// The drop-in of one unit, whether or not it is there.
#[derive(Debug)]
pub(super) struct DropInFile {
    /// Below the root.
    path: PathBuf,
    /// As it is named on this machine.
    shown: PathBuf,
    /// For the rest of the machine; its directory is what links lead to, but itself it is no link that is followed.
    real: PathBuf,
    /// Its directory as it is named, which may be a link.
    named: PathBuf,
    /// Whether all can read it, whatever the umask.
    is_public: bool,
    /// How it begins if we wrote it.
    marker: String,
}

/// Why it cannot be looked at, written or removed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unwritable {
    #[error("{0} was not written by upgrade-gate drop-in, or for another unit; move it away first")]
    Foreign(PathBuf),
    #[error("{0} is a link, and leads to no directory; move it away first")]
    Dangling(PathBuf),
    #[error("there is no {0}: nothing to remove")]
    Absent(PathBuf),
    #[error(
        "cannot write {0}: the file system is read-only; on NixOS, set services.upgrade-gate.units instead"
    )]
    ReadOnly(PathBuf),
    #[error("cannot write {0}: permission denied; do it as root")]
    Denied(PathBuf),
    #[error("{}: {}", path.display(), limits::refusal(source))]
    Io { path: PathBuf, source: io::Error },
}

impl DropInFile {
    /// The unit's own, in the directory of units `own`.
    pub(super) fn of(files: &UnitFiles, scope: Scope, own: &Path, unit: &str) -> Self {
        Self::new(files, scope, own, unit, MARKER.to_owned())
    }

    /// That of its companion.
    pub(super) fn of_companion(
        files: &UnitFiles,
        scope: Scope,
        own: &Path,
        companion: &str,
        unit: &str,
    ) -> Self {
        let marker = format!("{MARKER} {unit} ");
        Self::new(files, scope, own, companion, marker)
    }

    fn new(files: &UnitFiles, scope: Scope, own: &Path, unit: &str, marker: String) -> Self {
        let directory = own.join(format!("{unit}.d"));
        Self {
            real: files.real(&directory).join(NAME),
            named: files.real(own).join(format!("{unit}.d")),
            shown: files.named(&directory).join(NAME),
            path: directory.join(NAME),
            // A user's own files are as private as the user wants them.
            is_public: scope != Scope::User,
            marker,
        }
    }

    /// The companion that it requires, as its first line says.
    pub(super) fn companion(&self) -> Option<String> {
        let text = String::from_utf8(self.read().ok()?).ok()?;
        let first = text.lines().next()?.strip_prefix(MARKER)?;
        let (before, profile) = first.rsplit_once(" --profile ")?;
        let companion = before.ends_with("--mode companion");
        companion.then(|| format!("upgrade-gate@{profile}.service"))
    }

    /// Where it is, below the root.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The same, for people: as it is named on this machine.
    pub(super) fn shown(&self) -> &Path {
        &self.shown
    }

    /// Whether it is there, and we wrote it.
    pub(super) fn is_ours(&self) -> Result<bool, Unwritable> {
        match fs::symlink_metadata(&self.real) {
            Ok(metadata) if metadata.is_file() => {}
            Ok(_) => return Ok(false),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(self.failed(error)),
        }
        let bytes = self.read().map_err(|error| self.failed(error))?;
        Ok(bytes.starts_with(self.marker.as_bytes()))
    }

    /// Its bytes, or as many as a drop-in of ours may have; what has come in its place meanwhile is not waited for.
    fn read(&self) -> io::Result<Vec<u8>> {
        let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let mut options = OpenOptions::new();
        let file = options.read(true).custom_flags(flags.bits());
        let mut bytes = Vec::new();
        file.open(&self.real)?
            .take(LONGEST)
            .read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Writes it, whole or not at all.
    pub(super) fn write(&self, text: &str) -> Result<(), Unwritable> {
        if !self.is_ours()? && fs::symlink_metadata(&self.real).is_ok() {
            return Err(Unwritable::Foreign(self.shown.clone()));
        }
        if self.named.is_symlink() && !self.directory().is_dir() {
            let directory = self.shown.parent().unwrap_or(&self.shown);
            return Err(Unwritable::Dangling(directory.to_owned()));
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
        self.make_directories()?;
        // What is left of an earlier try.
        let _ = fs::remove_file(new);
        let mut file = OpenOptions::new().write(true).create_new(true).open(new)?;
        self.publish(&file, 0o644)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(new, &self.real)?;
        File::open(self.directory())?.sync_all()
    }

    fn make_directories(&self) -> io::Result<()> {
        let all = self.directory().ancestors();
        let missing: Vec<_> = all.take_while(|dir| !dir.exists()).collect();
        for dir in missing.into_iter().rev() {
            fs::create_dir(dir)?;
            self.publish(&File::open(dir)?, 0o755)?;
        }
        Ok(())
    }

    /// systemd reads it as another user, if it is of the managers of all users.
    fn publish(&self, file: &File, mode: u32) -> io::Result<()> {
        if self.is_public {
            file.set_permissions(Permissions::from_mode(mode))?;
        }
        Ok(())
    }

    /// Removes it, and its directory if nothing else is there.
    pub(super) fn remove(&self) -> Result<(), Unwritable> {
        if fs::symlink_metadata(&self.real).is_err() {
            return Err(Unwritable::Absent(self.shown.clone()));
        }
        if !self.is_ours()? {
            return Err(Unwritable::Foreign(self.shown.clone()));
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
        let path = self.shown.clone();
        match source.kind() {
            ErrorKind::ReadOnlyFilesystem => Unwritable::ReadOnly(path),
            ErrorKind::PermissionDenied => Unwritable::Denied(path),
            _ => Unwritable::Io { path, source },
        }
    }
}
