//! Whether anything has been proven since the boot: a file that goes with it.
//!
//! systemd forgets a target that is inactive and that nobody refers to, so it cannot be asked.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::gate::time::Monotonic;
use crate::sys::files::Directory;

/// The file, below the runtime directory.
const NAME: &str = "proven-since-boot";

/// Where the file is; none where there is no runtime directory.
#[derive(Debug)]
pub struct Memory {
    runtime: Option<PathBuf>,
}

impl Memory {
    /// In this runtime directory.
    pub fn below(runtime: Option<&Path>) -> Self {
        Self {
            runtime: runtime.map(Path::to_owned),
        }
    }

    /// Since when nothing has been proven, for a watch that starts `now`: since the boot, if it is the first one that could
    /// have. What was while no watch ran is not known, and does not count.
    pub fn unproven_since(&self, now: Monotonic) -> Monotonic {
        let Some(runtime) = &self.runtime else {
            return now;
        };
        match Directory::ours_if_made(runtime).and_then(|directory| directory.file(NAME.as_ref())) {
            Err(error) if error.kind() == ErrorKind::NotFound => Monotonic::default(),
            _ => now,
        }
    }

    /// Something is proven.
    pub fn proven(&self) {
        let Some(runtime) = &self.runtime else { return };
        let made = Directory::ours(runtime).and_then(|ours| ours.private_file(NAME.as_ref()));
        if let Err(error) = made {
            tracing::info!(
                "cannot write {}: {error}; the next start of watch will assume that this boot had no network",
                runtime.join(NAME).display()
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Monotonic = Monotonic(Duration::from_secs(500));

    #[test]
    fn before_the_first_proof_nothing_has_been_proven_since_the_boot() {
        let dir = tempfile::tempdir().unwrap();
        let memory = Memory::below(Some(dir.path()));
        assert_eq!(memory.unproven_since(NOW), Monotonic::default());
        memory.proven();
        memory.proven();
        assert_eq!(memory.unproven_since(NOW), NOW);
    }

    #[test]
    fn a_directory_that_is_removed_is_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let memory = Memory::below(Some(&dir.path().join("upgrade-gate")));
        memory.proven();
        assert_eq!(memory.unproven_since(NOW), NOW);
    }

    #[test]
    fn without_a_place_to_remember_only_the_present_counts() {
        let memory = Memory::below(None);
        memory.proven();
        assert_eq!(memory.unproven_since(NOW), NOW);
    }
}
