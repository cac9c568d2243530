//! The profile's lock: one attempt at a time, and waiting for it without polling.
//!
//! It is an flock(2) on a file that is never removed; the kernel releases it when its holder ends, however it ends.
//! The command does not inherit it.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::inotify::AddWatchFlags;

use super::holder;
use crate::sys::dirs;
use crate::sys::files::Directory;
use crate::sys::limits;
use crate::sys::watches::Watches;

/// The file's closing, and its deletion or replacement by whoever tidies up.
const RELEASES: AddWatchFlags = AddWatchFlags::IN_CLOSE
    .union(AddWatchFlags::IN_ATTRIB)
    .union(AddWatchFlags::IN_DELETE_SELF)
    .union(AddWatchFlags::IN_MOVE_SELF)
    .union(AddWatchFlags::IN_DONT_FOLLOW);

/// A closing is told a moment before the kernel gives the lock back: these are the pauses before it is tried again.
const AFTER_HINT: [Duration; 4] = [
    Duration::ZERO,
    Duration::from_millis(10),
    Duration::from_millis(100),
    Duration::from_secs(1),
];

/// How often to look where the kernel has no inotify instance left to give.
const WITHOUT_HINT: Duration = Duration::from_secs(60);

/// The lock cannot be had, not even by waiting.
#[derive(Debug, thiserror::Error)]
#[error("cannot take the profile's lock {path}: {}; check who owns it", limits::refusal(source), path = path.display())]
pub struct LockError {
    path: PathBuf,
    source: io::Error,
}

/// The lock is ours until this is dropped.
#[derive(Debug)]
pub struct Lock {
    _file: Flock<File>,
}

/// What trying came to.
#[derive(Debug)]
pub enum Tried {
    /// The lock is ours.
    Taken(Lock),
    /// Another holds it.
    Busy(Busy),
}

/// Someone else's lock, watched.
#[derive(Debug)]
pub struct Busy {
    path: PathBuf,
    us: String,
    holder: String,
    /// Kept open: closing it would wake everyone else who waits.
    file: File,
    hint: Option<Watches>,
}

/// Tries to take `profile`'s lock below the runtime directory. Within tokio's runtime.
///
/// `us` is what others are told of us while we hold it, see [`holder::describe_process`].
pub fn try_take(runtime: &Path, profile: &str, us: &str) -> Result<Tried, LockError> {
    let path = runtime
        .join("lock")
        .join(dirs::file_name(profile) + ".lock");
    let tried = try_path(&path, us);
    tried.map_err(|source| LockError { path, source })
}

impl Busy {
    /// The holder, as it describes itself.
    pub fn holder(&self) -> &str {
        &self.holder
    }

    /// Waits for the lock and takes it. Sleeps until the file is closed by someone. Dropped, it waits no more.
    pub async fn taken(mut self) -> Result<Lock, LockError> {
        loop {
            match self.look_again().await {
                Ok(Tried::Taken(lock)) => return Ok(lock),
                Ok(Tried::Busy(busy)) => self = busy,
                Err((path, source)) => return Err(LockError { path, source }),
            }
        }
    }

    async fn look_again(mut self) -> Result<Tried, (PathBuf, io::Error)> {
        if let Err(source) = self.rung().await {
            return Err((self.path, source));
        }
        for pause in AFTER_HINT {
            tokio::time::sleep(pause).await;
            self = match self.try_again() {
                Ok(Tried::Busy(busy)) => busy,
                other => return other,
            };
        }
        Ok(Tried::Busy(self))
    }

    async fn rung(&self) -> io::Result<()> {
        let Some(hint) = &self.hint else {
            tokio::time::sleep(WITHOUT_HINT).await;
            return Ok(());
        };
        // What it says does not matter: any event means to look again.
        hint.changed(|_| true).await
    }

    fn try_again(self) -> Result<Tried, (PathBuf, io::Error)> {
        let Self {
            path,
            us,
            holder,
            file,
            hint,
        } = self;
        match flock(file) {
            Ok(tried) if !is_at(opened(&tried), &path) => {
                try_path(&path, &us).map_err(|source| (path, source))
            }
            Ok(Ok(file)) => Ok(Tried::Taken(Lock::ours(file, &us))),
            Ok(Err(file)) => Ok(Tried::Busy(Self {
                path,
                us,
                holder,
                file,
                hint,
            })),
            Err(source) => Err((path, source)),
        }
    }
}

impl Lock {
    fn ours(mut file: Flock<File>, us: &str) -> Self {
        if let Err(error) = holder::write(&mut file, us) {
            // The lock holds without it; others merely cannot say who we are.
            tracing::debug!("cannot write the holder into the profile's lock: {error}");
        }
        Self { _file: file }
    }
}

fn try_path(path: &Path, us: &str) -> io::Result<Tried> {
    loop {
        let file = open(path)?;
        let (tried, hint) = lock_or_watch(file, || watch(path))?;
        if !is_at(opened(&tried), path) {
            continue;
        }
        return Ok(match tried {
            Ok(lock) => Tried::Taken(Lock::ours(lock, us)),
            Err(file) => Tried::Busy(Busy {
                path: path.to_owned(),
                us: us.to_owned(),
                holder: holder::read(&file),
                file,
                hint,
            }),
        });
    }
}

/// Only its owner may open it: whoever can open a file can lock it, and keep upgrades out indefinitely. The directory is
/// made again if somebody has removed it.
fn open(path: &Path) -> io::Result<File> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    Directory::ours(directory)?.private_file(name)
}

/// The lock, or the file if another holds it.
type LockAttempt = Result<Flock<File>, File>;

/// Watches only what is held by another: closing an inotify descriptor takes the kernel milliseconds.
fn lock_or_watch<B>(
    file: File,
    watch: impl FnOnce() -> Option<B>,
) -> io::Result<(LockAttempt, Option<B>)> {
    match flock(file)? {
        Ok(lock) => Ok((Ok(lock), None)),
        Err(file) => {
            // The watch before the second try: a release between the two is then not missed.
            let hint = watch();
            Ok((flock(file)?, hint))
        }
    }
}

/// The file back if another holds the lock.
fn flock(file: File) -> io::Result<LockAttempt> {
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(Ok(lock)),
        Err((file, Errno::EWOULDBLOCK)) => Ok(Err(file)),
        Err((_, errno)) => Err(errno.into()),
    }
}

fn opened(tried: &LockAttempt) -> &File {
    match tried {
        Ok(lock) => lock,
        Err(file) => file,
    }
}

/// Whether the open file is still the one that others will find at `path`.
fn is_at(file: &File, path: &Path) -> bool {
    let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(ours), Ok(theirs)) => identity(ours) == identity(theirs),
        _ => false,
    }
}

fn watch(path: &Path) -> Option<Watches> {
    let hint = || -> io::Result<_> {
        let watches = Watches::new()?;
        watches.add(path, RELEASES)?;
        Ok(watches)
    };
    hint()
        .inspect_err(|error| {
            tracing::warn!(
                "cannot watch {}, polling it every minute: {}",
                path.display(),
                limits::refusal(error)
            );
        })
        .ok()
}

#[cfg(test)]
mod tests;
