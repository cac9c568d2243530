//! The profile's lock: one attempt at a time, and waiting for it without polling.
//!
//! It is an flock(2) on a file that is never removed; the kernel releases it when its holder ends, however it ends.
//! The command does not inherit it.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use tokio::io::unix::AsyncFd;

use super::holder;
use crate::sys::dirs;
use crate::sys::fd;
use crate::sys::fd::Fd;
use crate::sys::files::Directory;

/// The file's closing, and its deletion or replacement by whoever tidies up.
const RELEASES: AddWatchFlags = AddWatchFlags::IN_CLOSE
    .union(AddWatchFlags::IN_ATTRIB)
    .union(AddWatchFlags::IN_DELETE_SELF)
    .union(AddWatchFlags::IN_MOVE_SELF)
    .union(AddWatchFlags::IN_DONT_FOLLOW);

/// A closing is told a moment before the kernel gives the lock back: these are the pauses before it is tried again.
const AFTER_BELL: [Duration; 4] = [
    Duration::ZERO,
    Duration::from_millis(10),
    Duration::from_millis(100),
    Duration::from_secs(1),
];

/// How often to look where the kernel has no inotify instance left to give.
const WITHOUT_BELL: Duration = Duration::from_secs(60);

/// The lock cannot be had, not even by waiting.
#[derive(Debug, thiserror::Error)]
#[error("cannot take the profile's lock {path}: {source}; check who owns it", path = path.display())]
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
    hint: Option<AsyncFd<Fd<OwnedFd>>>,
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
        for pause in AFTER_BELL {
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
            tokio::time::sleep(WITHOUT_BELL).await;
            return Ok(());
        };
        let mut ready = hint.readable().await?;
        // What it says does not matter: any event means to look again.
        let mut events = [0; 4096];
        let read = ready.try_io(|fd| Ok(nix::unistd::read(&fd.get_ref().0, &mut events)?));
        read.map_or(Ok(()), |read| read.map(drop))
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

fn watch(path: &Path) -> Option<AsyncFd<Fd<OwnedFd>>> {
    let hint = || -> io::Result<_> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        inotify.add_watch(path, RELEASES)?;
        fd::readable(OwnedFd::from(inotify))
    };
    hint()
        .inspect_err(|error| {
            tracing::warn!(
                "cannot watch {}, polling it every minute: {error}",
                path.display()
            );
        })
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Far beyond any machine's load; only a test that fails waits so long.
    const GENEROUS: Duration = Duration::from_secs(60);

    fn taken(runtime: &Path, profile: &str) -> Lock {
        match try_take(runtime, profile, "pid 1 (a.service)").unwrap() {
            Tried::Taken(lock) => lock,
            Tried::Busy(busy) => panic!("held by {}", busy.holder()),
        }
    }

    fn busy(runtime: &Path, profile: &str) -> Busy {
        match try_take(runtime, profile, "pid 2").unwrap() {
            Tried::Busy(busy) => busy,
            Tried::Taken(_) => panic!("not held"),
        }
    }

    async fn soon<T>(future: impl Future<Output = T>) -> T {
        tokio::time::timeout(GENEROUS, future).await.unwrap()
    }

    #[tokio::test]
    async fn a_held_lock_keeps_others_out_and_names_its_holder() {
        let runtime = tempfile::tempdir().unwrap();
        let _held = taken(runtime.path(), "a");
        assert_eq!(busy(runtime.path(), "a").holder(), "pid 1 (a.service)");
    }

    #[tokio::test]
    async fn profiles_do_not_share_a_lock() {
        let runtime = tempfile::tempdir().unwrap();
        let _one = taken(runtime.path(), "a");
        let _other = taken(runtime.path(), "a/b");
    }

    #[tokio::test]
    async fn a_released_lock_goes_to_who_waits() {
        let runtime = tempfile::tempdir().unwrap();
        let held = taken(runtime.path(), "a");
        let waiting = busy(runtime.path(), "a").taken();
        drop(held);
        let _lock = soon(waiting).await.unwrap();
        assert_eq!(busy(runtime.path(), "a").holder(), "pid 2");
    }

    #[tokio::test]
    async fn of_two_who_wait_each_gets_its_turn() {
        let runtime = tempfile::tempdir().unwrap();
        let held = taken(runtime.path(), "a");
        let turn = async |busy: Busy| drop(busy.taken().await.unwrap());
        let (one, two) = (busy(runtime.path(), "a"), busy(runtime.path(), "a"));
        let release = async || drop(held);
        soon(async { tokio::join!(turn(one), turn(two), release()) }).await;
    }

    #[tokio::test]
    async fn one_who_gives_up_leaves_the_others_waiting() {
        let runtime = tempfile::tempdir().unwrap();
        let held = taken(runtime.path(), "a");
        let mut patient = Box::pin(busy(runtime.path(), "a").taken());
        drop(busy(runtime.path(), "a"));
        assert!(futures::poll!(&mut patient).is_pending());
        drop(held);
        assert!(soon(patient).await.is_ok());
    }

    #[test]
    fn a_free_lock_is_taken_without_a_watch() {
        let file = tempfile::tempfile().unwrap();
        let (tried, _) = lock_or_watch(file, || -> Option<()> { panic!("watched") }).unwrap();
        assert!(tried.is_ok());
    }

    #[test]
    fn a_held_lock_is_watched_before_it_is_tried_again() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let opened = || open(file.path()).unwrap();
        let held = flock(opened()).unwrap().unwrap();
        let (tried, watched) = lock_or_watch(opened(), || Some("watched")).unwrap();
        assert!(tried.is_err() && watched.is_some());
        let release = || {
            drop(held);
            Some("watched")
        };
        let (tried, _) = lock_or_watch(opened(), release).unwrap();
        assert!(tried.is_ok(), "released while the watch was set");
    }

    #[tokio::test]
    async fn a_deleted_file_does_not_make_anyone_wait_for_ever() {
        let runtime = tempfile::tempdir().unwrap();
        let _held = taken(runtime.path(), "a");
        let waiting = busy(runtime.path(), "a").taken();
        fs::remove_file(runtime.path().join("lock/a.lock")).unwrap();
        let _lock = soon(waiting).await.unwrap();
        let _busy = busy(runtime.path(), "a");
    }

    #[tokio::test]
    async fn a_directory_that_is_removed_under_the_waiting_is_made_again() {
        let runtime = tempfile::tempdir().unwrap();
        for vanished in ["a/lock", "a"] {
            let _held = taken(&runtime.path().join("a"), "a");
            let waiting = busy(&runtime.path().join("a"), "a").taken();
            fs::remove_dir_all(runtime.path().join(vanished)).unwrap();
            let _lock = soon(waiting).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_lock_is_not_taken_through_a_link_nor_in_a_fifo() {
        let runtime = tempfile::tempdir().unwrap();
        let victim = runtime.path().join("victim");
        fs::write(&victim, "precious").unwrap();
        fs::create_dir(runtime.path().join("lock")).unwrap();
        std::os::unix::fs::symlink(&victim, runtime.path().join("lock/a.lock")).unwrap();
        let mode = nix::sys::stat::Mode::S_IRWXU;
        nix::unistd::mkfifo(&runtime.path().join("lock/b.lock"), mode).unwrap();
        for profile in ["a", "b"] {
            assert!(try_take(runtime.path(), profile, "us").is_err());
        }
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    }

    #[tokio::test]
    async fn only_the_owner_can_open_the_file_and_so_lock_it() {
        let runtime = tempfile::tempdir().unwrap();
        let _held = taken(runtime.path(), "a");
        let metadata = fs::metadata(runtime.path().join("lock/a.lock")).unwrap();
        assert_eq!(metadata.mode() & 0o077, 0);
    }

    #[tokio::test]
    async fn a_place_where_there_can_be_no_lock_is_an_error_that_names_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = try_take(file.path(), "a", "").unwrap_err().to_string();
        assert!(error.contains("lock/a.lock"), "{error}");
    }

    #[tokio::test]
    async fn a_holder_that_says_nothing_or_nonsense_is_another_process() {
        let runtime = tempfile::tempdir().unwrap();
        let _held = taken(runtime.path(), "a");
        for content in [&b""[..], b"\n", b"\xff\xfe"] {
            fs::write(runtime.path().join("lock/a.lock"), content).unwrap();
            assert_eq!(busy(runtime.path(), "a").holder(), "another process");
        }
    }
}
