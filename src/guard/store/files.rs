//! The files of one directory, as far as the store needs them: so few that a test can lose each of them.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg, OFlag};
use nix::unistd::geteuid;

/// What can be done to files.
pub trait StateFiles {
    /// The whole file; none if there is none.
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>>;
    /// Writes a file.
    fn create(&mut self, name: &str, text: &[u8]) -> io::Result<()>;
    /// Makes what is in a file durable.
    fn sync(&mut self, name: &str) -> io::Result<()>;
    /// Puts a file in another's place.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;
    /// Makes the names durable.
    fn sync_dir(&mut self) -> io::Result<()>;
}

/// No state is larger, by far.
const LARGEST: u64 = 1 << 20;

/// A directory that only its owner can enter.
#[derive(Debug)]
pub struct StateDirectory {
    path: PathBuf,
}

impl StateDirectory {
    /// The directory, created if need be. One that others own or can write to is refused.
    pub fn open(path: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        let metadata = fs::symlink_metadata(path)?;
        if !metadata.is_dir() {
            return Err(io::Error::other("not a directory"));
        }
        ours(&metadata)?;
        Ok(Self {
            path: path.to_owned(),
        })
    }

    /// The directory as it is, to look at; none if there is none.
    pub fn existing(path: &Path) -> io::Result<Option<Self>> {
        match fs::symlink_metadata(path) {
            Ok(_) => Self::open(path).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Waits until nobody else acts, and keeps others from acting until what is returned is dropped.
    pub fn lock(&self) -> io::Result<Flock<File>> {
        let file = options()
            .write(true)
            .create(true)
            .open(self.path.join("lock"))?;
        ours(&file.metadata()?)?;
        Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| errno.into())
    }

    /// Moves a state that nobody can read out of the way, at a person's order; says where to.
    pub fn set_aside(&mut self, name: &str, suffix: &str) -> io::Result<PathBuf> {
        let aside = format!("{name}.{suffix}");
        self.rename(name, &aside)?;
        self.sync_dir()?;
        Ok(self.path.join(aside))
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    options.mode(0o600).custom_flags(flags.bits());
    options
}

/// A file that somebody else planted, or can change, says nothing.
fn ours(metadata: &fs::Metadata) -> io::Result<()> {
    if metadata.uid() != geteuid().as_raw() {
        let owner = metadata.uid();
        return Err(io::Error::other(format!("it belongs to user {owner}")));
    }
    if metadata.mode() & 0o022 != 0 {
        return Err(io::Error::other("others can write to it"));
    }
    Ok(())
}

impl StateFiles for StateDirectory {
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let file = match options().read(true).open(self.path.join(name)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        ours(&metadata)?;
        let mut text = Vec::new();
        file.take(LARGEST).read_to_end(&mut text)?;
        Ok(Some(text))
    }

    fn create(&mut self, name: &str, text: &[u8]) -> io::Result<()> {
        let mut options = options();
        let file = options.write(true).create(true).truncate(true);
        file.open(self.path.join(name))?.write_all(text)
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        let file = options().write(true).open(self.path.join(name))?;
        file.sync_all()
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}
