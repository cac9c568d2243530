//! What one watch leaves to the next in the same boot: files below the runtime directory, which goes with it.
//!
//! Whether anything has been proven since the boot: systemd forgets a target that is inactive and that nobody refers to, so
//! it cannot be asked. And whether the target that is active has been handed over by a watch that systemd restarted, as an
//! update of the package does: a start job would start all that it wants once more, though no network has returned.

use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::gate::time::{Monotonic, Now, SUSPEND_JUMP};
use crate::sys::files::{self, Directory};

/// Is there if anything has been proven.
const NAME: &str = "proven-since-boot";

/// Is there if the target is handed over, and says how much the machine had slept by then.
const HANDOVER: &str = "handover";

/// Two numbers are shorter.
const LONGEST: u64 = 64;

/// How much the machine has slept since its boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slept {
    /// `CLOCK_BOOTTIME` − `CLOCK_MONOTONIC`.
    time: Duration,
    /// The kernel's count of suspends, where it has one.
    count: Option<u64>,
}

impl Slept {
    /// By the clocks and the kernel's count.
    pub fn new(now: Now, count: Option<u64>) -> Self {
        let time = now.slept();
        Self { time, count }
    }

    fn is_same(self, other: Self) -> bool {
        self.count == other.count && self.time.abs_diff(other.time) < SUSPEND_JUMP
    }

    fn written(self) -> String {
        let count = self.count.map(|count| count.to_string());
        let count = count.as_deref().unwrap_or("-");
        format!("{} {count}\n", self.time.as_millis())
    }

    fn parse(text: &str) -> Option<Self> {
        let (time, count) = text.strip_suffix('\n')?.split_once(' ')?;
        let count = match count {
            "-" => None,
            count => Some(count.parse().ok()?),
        };
        let time = Duration::from_millis(time.parse().ok()?);
        Some(Self { time, count })
    }
}

/// Where the files are; none where there is no runtime directory.
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

    /// The target stays active for the next watch.
    ///
    /// # Errors
    ///
    /// If that cannot be written: then it must not stay.
    pub fn hand_over(&self, slept: Slept) -> io::Result<()> {
        let Some(runtime) = &self.runtime else {
            return Err(ErrorKind::NotFound.into());
        };
        let directory = Directory::ours(runtime)?;
        let mut file = directory.private_file(HANDOVER.as_ref())?;
        file.set_len(0)?;
        file.write_all(slept.written().as_bytes())
    }

    /// Whether the watch before has handed the target over, and the machine has not slept since. Says so once.
    pub fn was_handed_over(&self, slept: Slept) -> bool {
        let taken = self.runtime.as_ref().and_then(|runtime| {
            let directory = Directory::ours_if_made(runtime).ok()?;
            let file = directory.file(HANDOVER.as_ref()).ok()?;
            directory.remove(HANDOVER.as_ref()).ok()?;
            let text = files::read_to_end(&file, LONGEST).ok()?;
            Slept::parse(std::str::from_utf8(&text).ok()?)
        });
        taken.is_some_and(|then| then.is_same(slept))
    }
}

#[cfg(test)]
mod tests {
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

    const SLEPT: Slept = slept(60_000, Some(3));

    const fn slept(millis: u64, count: Option<u64>) -> Slept {
        let time = Duration::from_millis(millis);
        Slept { time, count }
    }

    #[test]
    fn a_handover_counts_once_and_only_if_the_machine_has_not_slept() {
        let dir = tempfile::tempdir().unwrap();
        let memory = Memory::below(Some(dir.path()));
        assert!(!memory.was_handed_over(SLEPT), "nobody was there");
        for (then, counts) in [
            (slept(60_040, Some(3)), true),
            // s2idle on a board whose clocks go on.
            (slept(60_000, Some(4)), false),
            (slept(61_000, Some(3)), false),
            (slept(60_000, None), false),
        ] {
            memory.hand_over(slept(1, None)).unwrap();
            memory.hand_over(SLEPT).unwrap();
            assert_eq!(memory.was_handed_over(then), counts, "{then:?}");
            assert!(!memory.was_handed_over(SLEPT), "it is taken");
        }
        memory.hand_over(slept(60_000, None)).unwrap();
        assert!(memory.was_handed_over(slept(60_000, None)));
    }

    #[test]
    fn what_is_half_written_hands_nothing_over() {
        let dir = tempfile::tempdir().unwrap();
        let memory = Memory::below(Some(dir.path()));
        for text in [
            "",
            "60000",
            "60000 3",
            "60000 \n",
            "x 3\n",
            "60000 3 4\n",
            "-1 3\n",
        ] {
            std::fs::write(dir.path().join(HANDOVER), text).unwrap();
            assert!(!memory.was_handed_over(SLEPT), "{text:?}");
        }
    }

    #[test]
    fn without_a_place_to_write_nothing_is_handed_over() {
        let memory = Memory::below(None);
        assert!(memory.hand_over(SLEPT).is_err());
        assert!(!memory.was_handed_over(SLEPT));
    }
}
