//! The time of a profile's last success, for `at_most_every`.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::gate::time::Wall;
use crate::sys::dirs;
use crate::sys::files;
use crate::sys::files::Directory;
use crate::sys::limits;

/// The directory, below that of the state.
const DIRECTORY: &str = "last-success";

/// Far more than is ever written.
const LONGEST: u64 = 4096;

/// Raised when an older program would misread what is written.
const VERSION: u32 = 1;

/// The file as it is written.
#[derive(Debug, Serialize, Deserialize)]
struct Written {
    version: u32,
    /// Seconds since the epoch.
    last_success: u64,
}

/// Why a stamp does not count; then the upgrade is due.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// The file cannot be read.
    #[error(
        "cannot read the time of the last success from {path}: {}",
        limits::refusal(source)
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Something else stands in it.
    #[error("{path} does not hold the time of a last success, ignoring it: {source}")]
    Nonsense {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// Another version of this program wrote it.
    #[error(
        "{path} was written by another version of upgrade-gate (format {found}, not {VERSION}), ignoring it"
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
}

/// Reads when `profile` last succeeded; `None` if it never did.
pub fn read(state: &Path, profile: &str) -> Result<Option<Wall>, Unreadable> {
    let path = path_of(state, profile);
    match stored(state, &name_of(profile)) {
        Ok(text) => parse(&path, &text).map(Some),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Unreadable::Read { path, source }),
    }
}

fn stored(state: &Path, name: &OsStr) -> io::Result<Vec<u8>> {
    let directory = Directory::ours_if_made(state)?.enter(DIRECTORY.as_ref())?;
    files::read_to_end(&directory.file(name)?, LONGEST)
}

/// Writes that `profile` succeeded at `now`: wholly or not at all, and lastingly.
pub fn write(state: &Path, profile: &str, now: Wall) -> io::Result<()> {
    let directory = Directory::ours(&state.join(DIRECTORY))?;
    let name = name_of(profile);
    let temporary = Path::new(&name).with_extension("new");
    let mut file = directory.new_file(temporary.as_os_str(), 0o644)?;
    file.write_all(&serde_json::to_vec(&Written {
        version: VERSION,
        last_success: now.0.as_secs(),
    })?)?;
    file.sync_all()?;
    directory.rename(temporary.as_os_str(), &name)?;
    directory.sync()
}

/// Until when a run is `recent`, or `None` if it is due.
///
/// Exactly `at_most_every` after the last success it is due. A success in the future was stamped by a clock
/// that has since stepped back; it counts as none, or the machine might not be upgraded for years.
pub fn recent(last_success: Option<Wall>, now: Wall, at_most_every: Duration) -> Option<Wall> {
    let last = last_success.filter(|last| *last <= now)?;
    let due = Wall(last.0.saturating_add(at_most_every));
    (now < due).then_some(due)
}

fn path_of(state: &Path, profile: &str) -> PathBuf {
    state.join(DIRECTORY).join(name_of(profile))
}

fn name_of(profile: &str) -> OsString {
    (dirs::file_name(profile) + ".json").into()
}

fn parse(path: &Path, text: &[u8]) -> Result<Wall, Unreadable> {
    let path = || path.to_owned();
    let nonsense = |source| Unreadable::Nonsense {
        path: path(),
        source,
    };
    // The version first: another version's other fields are its own affair.
    let StampVersion { version } = serde_json::from_slice(text).map_err(nonsense)?;
    if version != VERSION {
        return Err(Unreadable::Version {
            path: path(),
            found: version,
        });
    }
    let written: Written = serde_json::from_slice(text).map_err(nonsense)?;
    Ok(Wall(Duration::from_secs(written.last_success)))
}

#[derive(Deserialize)]
struct StampVersion {
    version: u32,
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const HOUR: u64 = 3600;

    fn at(seconds: u64) -> Wall {
        Wall(Duration::from_secs(seconds))
    }

    fn recent_at(last: u64, now: u64) -> Option<Wall> {
        recent(Some(at(last)), at(now), Duration::from_secs(20 * HOUR))
    }

    #[test]
    fn without_a_success_an_upgrade_is_due() {
        assert_eq!(recent(None, at(0), Duration::MAX), None);
    }

    #[test]
    fn a_success_is_recent_until_the_bound_and_due_exactly_on_it() {
        assert_eq!(recent_at(100, 100), Some(at(100 + 20 * HOUR)));
        assert_eq!(recent_at(100, 99 + 20 * HOUR), Some(at(100 + 20 * HOUR)));
        assert_eq!(recent_at(100, 100 + 20 * HOUR), None);
    }

    #[test]
    fn a_success_in_the_future_counts_as_none() {
        assert_eq!(recent_at(101, 100), None);
    }

    #[test]
    fn what_is_written_is_read_again_and_the_last_one_counts() {
        let state = tempfile::tempdir().unwrap();
        assert_eq!(read(state.path(), "a").unwrap(), None);
        write(state.path(), "a", at(5)).unwrap();
        write(state.path(), "a", at(7)).unwrap();
        assert_eq!(read(state.path(), "a").unwrap(), Some(at(7)));
        assert_eq!(read(state.path(), "b").unwrap(), None);
    }

    #[test]
    fn a_write_leaves_nothing_else_behind() {
        let state = tempfile::tempdir().unwrap();
        write(state.path(), "a", at(5)).unwrap();
        let files = fs::read_dir(state.path().join("last-success")).unwrap();
        assert_eq!(files.count(), 1);
    }

    #[test]
    fn another_version_is_named_though_its_fields_are_unknown() {
        let text = br#"{"version":2,"success":{"monotonic":1}}"#;
        let error = parse(Path::new("/s/a.json"), text).unwrap_err();
        assert!(matches!(error, Unreadable::Version { found: 2, .. }));
        assert!(error.to_string().contains("/s/a.json"), "{error}");
    }

    #[test]
    fn nonsense_is_told_from_absence() {
        for text in [
            "",
            "{",
            "[]",
            "\u{0}",
            r#"{"version":1}"#,
            r#"{"version":1,"last_success":-1}"#,
        ] {
            let parsed = parse(Path::new("a"), text.as_bytes());
            assert!(
                matches!(parsed, Err(Unreadable::Nonsense { .. })),
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_stamp_that_cannot_be_read_says_so() {
        let state = tempfile::tempdir().unwrap();
        fs::create_dir_all(path_of(state.path(), "a")).unwrap();
        assert!(matches!(
            read(state.path(), "a"),
            Err(Unreadable::Read { .. })
        ));
    }

    #[test]
    fn a_directory_that_is_removed_is_made_again() {
        let state = tempfile::tempdir().unwrap();
        let ours = state.path().join("upgrade-gate");
        for seconds in [5, 7] {
            write(&ours, "a", at(seconds)).unwrap();
            assert_eq!(read(&ours, "a").unwrap(), Some(at(seconds)));
            fs::remove_dir_all(&ours).unwrap();
        }
    }

    #[test]
    fn a_stamp_is_neither_read_nor_written_through_a_link() {
        let state = tempfile::tempdir().unwrap();
        let (stamp, victim) = (path_of(state.path(), "a"), state.path().join("victim"));
        write(state.path(), "a", at(5)).unwrap();
        fs::rename(&stamp, &victim).unwrap();
        std::os::unix::fs::symlink(&victim, &stamp).unwrap();
        assert!(read(state.path(), "a").is_err());
        write(state.path(), "a", at(7)).unwrap();
        assert_eq!(read(state.path(), "a").unwrap(), Some(at(7)));
        assert!(fs::read_to_string(&victim).unwrap().contains(":5"));
    }

    proptest::proptest! {
        #[test]
        fn no_content_makes_it_panic(text: Vec<u8>) {
            let _ = parse(Path::new("a"), &text);
        }

        #[test]
        fn recent_never_lasts_longer_than_asked(last: u64, now: u64, every: u64) {
            let until = recent(Some(at(last)), at(now), Duration::from_secs(every));
            proptest::prop_assert!(until.is_none_or(|until| until.0 <= at(now).0.saturating_add(Duration::from_secs(every))));
        }
    }
}
