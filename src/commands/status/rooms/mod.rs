//! The directories in which gates leave their files: root's, those of services with a `RuntimeDirectory=` below it (which is
//! how services of other users have one that all can read), and the user's own.

use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, Inotify};

use crate::report::status_file::Room;
use crate::sys::dirs::Dirs;
use crate::sys::files::Directory;

const GATES: &str = "gates";

/// More services than any machine has.
const MOST: usize = 1000;

/// Something comes into being in a directory.
const APPEARS: AddWatchFlags = AddWatchFlags::IN_CREATE.union(AddWatchFlags::IN_MOVED_TO);

/// A gate comes, changes or goes. One that is killed closes its file, and says nothing else.
const CHANGES: AddWatchFlags = APPEARS
    .union(AddWatchFlags::IN_DELETE)
    .union(AddWatchFlags::IN_CLOSE_WRITE);

/// Opens all of them. Each is watched, if there is anything to watch with, before it is looked into, so that no change falls
/// between.
///
/// # Errors
/// The kernel refuses to watch.
pub(super) fn open(root: &Path, own: &Dirs, inotify: Option<&Inotify>) -> io::Result<Vec<Room>> {
    let system = root.join("run/upgrade-gate");
    // A service's own directory is below root's, where all can see it.
    let own = own.runtime.iter().filter(|own| !own.starts_with(&system));
    let mut search = RoomSearch {
        inotify,
        rooms: Vec::new(),
    };
    search.base(&system, Directory::open)?;
    for own in own {
        search.base(own, Directory::ours_if_made)?;
    }
    search.services(&system)?;
    Ok(search.rooms)
}

struct RoomSearch<'a> {
    inotify: Option<&'a Inotify>,
    rooms: Vec<Room>,
}

impl RoomSearch<'_> {
    /// A directory that may come into being later rings at the one above.
    fn base(&mut self, path: &Path, open: fn(&Path) -> io::Result<Directory>) -> io::Result<()> {
        self.watch(path.parent().unwrap_or(path), APPEARS)?;
        self.room(path, open(path), None)
    }

    fn services(&mut self, system: &Path) -> io::Result<()> {
        let Ok(directory) = Directory::open(system) else {
            return Ok(());
        };
        for name in directory.names(MOST).unwrap_or_default() {
            if name != GATES {
                let unit = name.to_str().map(|name| format!("{name}.service"));
                self.room(&system.join(&name), directory.enter(&name), unit)?;
            }
        }
        Ok(())
    }

    /// The gates in a directory, if it is one and has them.
    fn room(
        &mut self,
        path: &Path,
        opened: io::Result<Directory>,
        unit: Option<String>,
    ) -> io::Result<()> {
        if let Ok(directory) = &opened {
            self.watch(&directory.path(), APPEARS)?;
        }
        let gates = opened.and_then(|directory| directory.enter(OsStr::new(GATES)));
        if let Ok(directory) = &gates {
            self.watch(&directory.path(), CHANGES)?;
        }
        let absent = [ErrorKind::NotFound, ErrorKind::NotADirectory];
        if !gates
            .as_ref()
            .is_err_and(|error| absent.contains(&error.kind()))
        {
            self.rooms.push(Room::new(path.join(GATES), gates, unit));
        }
        Ok(())
    }

    /// What may not be watched shows nothing either.
    fn watch(&self, path: &Path, events: AddWatchFlags) -> io::Result<()> {
        let Some(inotify) = self.inotify else {
            return Ok(());
        };
        match inotify.add_watch(path, events | AddWatchFlags::IN_ONLYDIR) {
            Ok(_) | Err(Errno::ENOENT | Errno::EACCES | Errno::ENOTDIR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests;
