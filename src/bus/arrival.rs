//! Waits for a bus that is not there, without asking again and again: its socket is a file.

use std::ffi::OsString;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use tokio::io::unix::AsyncFd;

use crate::sys::fd;
use crate::sys::fd::Fd;

/// Watches for a socket to be made, or for the next folder on the way to it.
pub(crate) struct Arrival {
    watch: AsyncFd<Fd<Inotify>>,
    awaited: OsString,
}

impl Arrival {
    /// Watches the folder of `socket`, or the nearest one above it that is there.
    pub(crate) fn of(socket: &Path) -> std::io::Result<Self> {
        let watch = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        let changes = AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_ATTRIB
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_MOVE_SELF;
        let mut error = Errno::ENOENT;
        let mut awaited = socket;
        for folder in socket
            .ancestors()
            .skip(1)
            .filter(|f| !f.as_os_str().is_empty())
        {
            match watch.add_watch(folder, changes) {
                Ok(_) => {
                    let awaited = awaited.file_name().unwrap_or_default().to_owned();
                    return Ok(Self {
                        watch: fd::readable(watch)?,
                        awaited,
                    });
                }
                Err(errno) => error = errno,
            }
            awaited = folder;
        }
        Err(error.into())
    }

    /// Waits until what is awaited is made, or the watched folder goes away.
    pub(crate) async fn changed(&self) -> std::io::Result<()> {
        loop {
            let mut ready = self.watch.readable().await?;
            let events = match self.watch.get_ref().0.read_events() {
                Ok(events) => events,
                Err(Errno::EAGAIN) => {
                    ready.clear_ready();
                    continue;
                }
                Err(errno) => return Err(errno.into()),
            };
            let is_awaited = |name: &OsString| *name == self.awaited;
            if events
                .iter()
                .any(|event| event.name.as_ref().is_none_or(is_awaited))
            {
                return Ok(());
            }
        }
    }
}
