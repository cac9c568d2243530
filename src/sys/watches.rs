//! Files and folders that the kernel watches for us. Closing the watches takes it milliseconds: none where none is needed.

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use tokio::io::unix::AsyncFd;

use super::fd::{self, Fd};

/// What is watched, until this is dropped.
#[derive(Debug)]
pub(crate) struct Watches(AsyncFd<Fd<Inotify>>);

impl Watches {
    /// Watches nothing yet. Within tokio's runtime.
    pub(crate) fn new() -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        fd::readable(inotify).map(Self)
    }

    /// Watches this path, too.
    pub(crate) fn add(&self, path: &Path, events: AddWatchFlags) -> Result<(), Errno> {
        self.0.get_ref().0.add_watch(path, events).map(drop)
    }

    /// Waits until something happens to an entry of a watched folder whose name `concerns` us, or to what is watched itself;
    /// also when the kernel has lost events.
    pub(crate) async fn changed(&self, concerns: impl Fn(&OsStr) -> bool) -> io::Result<()> {
        loop {
            let mut ready = self.0.readable().await?;
            let events = match self.0.get_ref().0.read_events() {
                Ok(events) => events,
                Err(Errno::EAGAIN) => {
                    ready.clear_ready();
                    continue;
                }
                Err(errno) => return Err(errno.into()),
            };
            let mut names = events.iter().map(|event| event.name.as_deref());
            if names.any(|name| name.is_none_or(&concerns)) {
                return Ok(());
            }
        }
    }

    /// Waits for the first event, and leaves it unread.
    #[cfg(test)]
    pub(crate) async fn have_events(&self) {
        self.0.readable().await.unwrap().retain_ready();
    }
}
