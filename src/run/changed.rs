//! Whether an attempt did its work all the same: fingerprints of the `final_if_changed` paths.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What stood at each path, in order; equal fingerprints mean that nothing changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprints(Vec<Fingerprint>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Fingerprint {
    Missing,
    /// Links are compared by what they say: activation may write the very same link again.
    Link(PathBuf),
    Other(Identity),
    Unreadable(io::ErrorKind),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    modified: (i64, i64),
    size: u64,
}

impl Fingerprints {
    /// Takes the fingerprints of what stands there now. What cannot be read is a value too.
    pub fn read(paths: &[PathBuf]) -> Self {
        Self(paths.iter().map(|path| fingerprint(path)).collect())
    }
}

fn fingerprint(path: &Path) -> Fingerprint {
    match try_fingerprint(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Fingerprint::Missing,
        Err(error) => Fingerprint::Unreadable(error.kind()),
    }
}

fn try_fingerprint(path: &Path) -> io::Result<Fingerprint> {
    let metadata = fs::symlink_metadata(path)?;
    if metadata.is_symlink() {
        return fs::read_link(path).map(Fingerprint::Link);
    }
    Ok(Fingerprint::Other(identity(&metadata)))
}

fn identity(metadata: &Metadata) -> Identity {
    Identity {
        device: metadata.dev(),
        inode: metadata.ino(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        size: metadata.size(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// Whether `act` on a fresh directory changes what is found at its `system`.
    fn changes(prepare: impl Fn(&Path), act: impl Fn(&Path)) -> bool {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("system");
        prepare(&path);
        let before = Fingerprints::read(std::slice::from_ref(&path));
        act(&path);
        before != Fingerprints::read(std::slice::from_ref(&path))
    }

    fn relink(path: &Path, target: &str) {
        let _ = fs::remove_file(path);
        symlink(target, path).unwrap();
    }

    #[test]
    fn a_link_to_another_generation_is_a_change() {
        assert!(changes(
            |p| relink(p, "system-1-link"),
            |p| relink(p, "system-2-link")
        ));
    }

    #[test]
    fn the_same_link_written_anew_is_none() {
        assert!(!changes(
            |p| relink(p, "system-1-link"),
            |p| relink(p, "system-1-link")
        ));
    }

    #[test]
    fn a_dangling_link_is_read_all_the_same() {
        assert!(changes(
            |p| relink(p, "/nowhere/1"),
            |p| relink(p, "/nowhere/2")
        ));
    }

    #[test]
    fn a_file_that_grows_or_is_replaced_is_a_change() {
        let write = |text: &'static str| move |p: &Path| fs::write(p, text).unwrap();
        assert!(changes(write("a"), write("ab")));
        let replace = |p: &Path| {
            let new = p.with_extension("new");
            fs::write(&new, "a").unwrap();
            fs::rename(new, p).unwrap();
        };
        assert!(changes(write("a"), replace));
        assert!(!changes(write("a"), |_| ()));
    }

    #[test]
    fn coming_and_going_are_changes_and_staying_away_is_none() {
        let create = |p: &Path| fs::write(p, "").unwrap();
        assert!(changes(|_| (), create));
        assert!(changes(create, |p| fs::remove_file(p).unwrap()));
        assert!(!changes(|_| (), |_| ()));
    }

    #[test]
    fn a_path_below_a_file_is_unreadable_and_not_an_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let odd = [file.path().join("below")];
        assert_eq!(Fingerprints::read(&odd), Fingerprints::read(&odd));
    }
}
