//! Opens files safely where others may have planted something: the owner of a service's directory below `/run/upgrade-gate`
//! decides what the names in it lead to.
//!
//! What a name leads to is looked at with `O_PATH` first, so that no FIFO is waited for and no device is opened, and the very
//! same file is then opened for reading. Links are followed only where nobody else can have made them.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::NixPath;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{
    AT_FDCWD, AtFlags, OFlag, OpenHow, ResolveFlag, openat, openat2, readlinkat, renameat,
};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{AccessFlags, Uid, UnlinkatFlags, User, faccessat, geteuid, unlinkat};

/// Opens the regular file that `path` leads to, over links too.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let (found, metadata) = look(AT_FDCWD, path, OFlag::empty())?;
    regular(&metadata)?;
    for_reading(&found)
}

/// The content of the regular file that `path` leads to; an error if it is longer than `limit`.
pub(crate) fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read_to_end(&open(path)?, limit)
}

/// The rest of an open file; an error if it is longer than `limit`.
pub(crate) fn read_to_end(file: &File, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let length = file.take(limit + 1).read_to_end(&mut bytes)?;
    if length as u64 > limit {
        let message = format!("it is longer than {limit} bytes");
        return Err(io::Error::new(ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}

/// A path of another machine, which is absolute there, as it is named on this one.
pub(crate) fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// What is in a folder; nothing if it cannot be read.
pub(crate) fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// Removes a file, if it is there.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The user's name, or the number of one that has none.
pub(crate) fn user_name(uid: u32) -> String {
    if uid == 0 {
        return "root".to_owned();
    }
    let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    user.map_or_else(|| uid.to_string(), |user| user.name)
}

/// An open directory: what is done in it is done there, whatever its path leads to by then.
#[derive(Debug)]
pub(crate) struct Directory {
    found: File,
    metadata: Metadata,
}

impl Directory {
    /// The directory that `path` leads to.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        look(AT_FDCWD, path, OFlag::empty()).and_then(Self::of)
    }

    /// A directory of this process's user, created with its parents if it is missing.
    pub(crate) fn ours(path: &Path) -> io::Result<Self> {
        let mut parents = DirBuilder::new();
        let parents = parents.recursive(true).mode(0o755);
        path.parent()
            .map_or(Ok(()), |parent| parents.create(parent))?;
        Self::of_ours(path, Self::find_or_make)
    }

    /// A directory of this process's user that is there.
    pub(crate) fn ours_if_made(path: &Path) -> io::Result<Self> {
        Self::of_ours(path, Self::find)
    }

    /// A directory in this one; where others can write, only one of this one's owner.
    pub(crate) fn enter(&self, name: &OsStr) -> io::Result<Self> {
        let directory = self.look(name, self.links()).and_then(Self::of)?;
        if !self.is_private() {
            belongs_to(&directory.metadata, self.owner())?;
        }
        Ok(directory)
    }

    /// Whose it is.
    pub(crate) fn owner(&self) -> u32 {
        self.metadata.uid()
    }

    /// Whether it belongs to this process's user.
    pub(crate) fn is_ours(&self) -> bool {
        self.owner() == geteuid().as_raw()
    }

    /// Whether it belongs to this process's user or to root.
    pub(crate) fn is_ours_or_roots(&self) -> bool {
        self.is_ours() || self.owner() == 0
    }

    /// Whether nobody but this process's user, or root, decides what is in it.
    fn is_private(&self) -> bool {
        self.is_ours_or_roots() && self.metadata.mode() & 0o022 == 0
    }

    /// A path that leads to this very directory, for this process.
    pub(crate) fn path(&self) -> PathBuf {
        descriptor(&self.found)
    }

    /// The names in it, sorted, or as many of them as `limit` allows.
    pub(crate) fn names(&self, limit: usize) -> io::Result<Vec<OsString>> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let mut directory = Dir::openat(&self.found, ".", flags, Mode::empty())?;
        let names = directory.iter().map(|entry| {
            let entry = entry?;
            Ok(OsStr::from_bytes(entry.file_name().to_bytes()).to_owned())
        });
        let is_entry =
            |name: &io::Result<OsString>| !matches!(name, Ok(name) if name == "." || name == "..");
        let mut names: Vec<_> = names
            .filter(is_entry)
            .take(limit)
            .collect::<Result<_, _>>()?;
        names.sort_unstable();
        Ok(names)
    }

    /// A regular file of the directory's owner, for reading.
    pub(crate) fn file(&self, name: &OsStr) -> io::Result<File> {
        let (found, metadata) = self.look(name, OFlag::O_NOFOLLOW)?;
        regular(&metadata)?;
        belongs_to(&metadata, self.owner())?;
        for_reading(&found)
    }

    /// A file of this process's user, for reading and writing, created if it is missing. Nobody else can open it.
    pub(crate) fn private_file(&self, name: &OsStr) -> io::Result<File> {
        let file = self.opened(
            name,
            OFlag::O_RDWR | OFlag::O_NONBLOCK | OFlag::O_NOCTTY,
            0o600,
        )?;
        let metadata = file.metadata()?;
        regular(&metadata)?;
        belongs_to(&metadata, geteuid().as_raw())?;
        if metadata.nlink() > 1 {
            return Err(io::Error::other("it is a hard link to another file"));
        }
        Ok(file)
    }

    /// A new file for writing, in place of what has this name.
    pub(crate) fn new_file(&self, name: &OsStr, mode: u32) -> io::Result<File> {
        match self.remove(name) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => self.opened(name, OFlag::O_WRONLY | OFlag::O_EXCL, mode),
        }
    }

    /// Whether the name leads to this open file.
    pub(crate) fn has(&self, name: &OsStr, file: &File) -> io::Result<bool> {
        let identity = |metadata: &Metadata| (metadata.dev(), metadata.ino());
        let (_, named) = self.look(name, OFlag::O_NOFOLLOW)?;
        Ok(identity(&named) == identity(&file.metadata()?))
    }

    /// An error if nothing can be made in it, as where it is mounted read-only.
    pub(crate) fn is_writable(&self) -> io::Result<()> {
        let how = AccessFlags::W_OK;
        Ok(faccessat(&self.found, ".", how, AtFlags::empty())?)
    }

    /// Renames within it, in place of what has the new name.
    pub(crate) fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        Ok(renameat(&self.found, from, &self.found, to)?)
    }

    /// Removes a file, or the link if it is one.
    pub(crate) fn remove(&self, name: &OsStr) -> io::Result<()> {
        Ok(unlinkat(&self.found, name, UnlinkatFlags::NoRemoveDir)?)
    }

    /// Makes what was renamed in it last.
    pub(crate) fn sync(&self) -> io::Result<()> {
        File::open(self.path())?.sync_all()
    }

    fn of_ours(path: &Path, by: fn(&Self, &OsStr) -> io::Result<Self>) -> io::Result<Self> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(ErrorKind::InvalidInput.into());
        };
        let directory = by(&Self::open(parent)?, name)?;
        belongs_to(&directory.metadata, geteuid().as_raw())?;
        Ok(directory)
    }

    fn of((found, metadata): (File, Metadata)) -> io::Result<Self> {
        if metadata.is_dir() {
            Ok(Self { found, metadata })
        } else if metadata.is_symlink() {
            Err(io::Error::other("it is a symbolic link"))
        } else {
            Err(ErrorKind::NotADirectory.into())
        }
    }

    fn find(&self, name: &OsStr) -> io::Result<Self> {
        look(&self.found, name, self.links()).and_then(Self::of)
    }

    /// Whether links in it are followed.
    fn links(&self) -> OFlag {
        if self.is_private() {
            OFlag::empty()
        } else {
            OFlag::O_NOFOLLOW
        }
    }

    fn is_link(&self, name: &OsStr) -> bool {
        readlinkat(&self.found, name).is_ok()
    }

    /// What a name leads to on the same file system: a user's own (FUSE) may answer nothing, ever.
    fn look(&self, name: &OsStr, links: OFlag) -> io::Result<(File, Metadata)> {
        let how = OpenHow::new()
            .flags(links | OFlag::O_PATH | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_NO_XDEV);
        match openat2(&self.found, name, how) {
            Ok(found) => with_metadata(found.into()),
            // A link that may be followed may lead anywhere.
            Err(Errno::EXDEV) if links.is_empty() && self.is_link(name) => {
                look(&self.found, name, links)
            }
            Err(Errno::EXDEV) => Err(io::Error::other("another file system is mounted on it")),
            // A sandbox that does not know the call: Linux has it since 5.6.
            Err(Errno::ENOSYS | Errno::EPERM) => look(&self.found, name, links),
            Err(error) => Err(error.into()),
        }
    }

    fn find_or_make(&self, name: &OsStr) -> io::Result<Self> {
        match self.find(name) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            found => return found,
        }
        match mkdirat(&self.found, name, Mode::from_bits_truncate(0o755)) {
            // Another gate was quicker.
            Ok(()) | Err(Errno::EEXIST) => self.find(name),
            Err(error) => Err(error.into()),
        }
    }

    fn opened(&self, name: &OsStr, how: OFlag, mode: u32) -> io::Result<File> {
        let flags = how | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        match openat(&self.found, name, flags, Mode::from_bits_truncate(mode)) {
            Ok(file) => Ok(file.into()),
            Err(Errno::ELOOP) => Err(io::Error::other("it is a symbolic link")),
            Err(error) => Err(error.into()),
        }
    }
}

/// What a name leads to; nothing is opened for reading or writing.
fn look<P: ?Sized + NixPath>(
    directory: impl AsFd,
    name: &P,
    links: OFlag,
) -> io::Result<(File, Metadata)> {
    let flags = links | OFlag::O_PATH | OFlag::O_CLOEXEC;
    with_metadata(openat(directory, name, flags, Mode::empty())?.into())
}

fn with_metadata(found: File) -> io::Result<(File, Metadata)> {
    let metadata = found.metadata()?;
    Ok((found, metadata))
}

/// Without waiting for the holder of a lease, fcntl(2), either.
fn for_reading(found: &File) -> io::Result<File> {
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits())
        .open(descriptor(found));
    opened.map_err(|error| match error.kind() {
        // The file itself has been found.
        ErrorKind::NotFound => io::Error::other("/proc is not mounted"),
        _ => error,
    })
}

fn descriptor(file: &File) -> PathBuf {
    format!("/proc/self/fd/{}", file.as_raw_fd()).into()
}

fn regular(metadata: &Metadata) -> io::Result<()> {
    if metadata.is_file() {
        Ok(())
    } else if metadata.is_dir() {
        Err(ErrorKind::IsADirectory.into())
    } else if metadata.is_symlink() {
        Err(io::Error::other("it is a symbolic link"))
    } else {
        Err(io::Error::other("it is not a regular file"))
    }
}

fn belongs_to(metadata: &Metadata, owner: u32) -> io::Result<()> {
    if metadata.uid() == owner {
        return Ok(());
    }
    let (actual, expected) = (user_name(metadata.uid()), user_name(owner));
    let message = format!("it belongs to {actual}, not to {expected}");
    Err(io::Error::new(ErrorKind::PermissionDenied, message))
}

#[cfg(test)]
mod tests;
