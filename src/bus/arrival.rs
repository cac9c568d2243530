//! Waits for a bus that is not there, without asking again and again: its socket is a file.

use std::ffi::OsString;
use std::io;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::inotify::AddWatchFlags;

use crate::sys::watches::Watches;

/// Watches for a socket to be made, or for the next folder on the way to it.
pub(crate) struct Arrival {
    watches: Watches,
    awaited: OsString,
}

impl Arrival {
    /// Watches the folder of `socket`, or the nearest one above it that is there.
    pub(crate) fn of(socket: &Path) -> io::Result<Self> {
        let watches = Watches::new()?;
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
            match watches.add(folder, changes) {
                Ok(()) => {
                    let awaited = awaited.file_name().unwrap_or_default().to_owned();
                    return Ok(Self { watches, awaited });
                }
                Err(errno) => error = errno,
            }
            awaited = folder;
        }
        Err(error.into())
    }

    /// Waits until what is awaited is made, or the watched folder goes away.
    pub(crate) async fn changed(&self) -> io::Result<()> {
        self.watches.changed(|name| name == self.awaited).await
    }
}
