//! The kernel's own count of suspends, which tells of one even where no clock and no bus does.

use std::path::Path;

use crate::sys::files;

/// A number is shorter.
const LONGEST: u64 = 64;

/// How often the machine has suspended since its boot, by `/sys/power/suspend_stats/success` under `root`.
///
/// None where the kernel keeps no such count (older ones have it in debugfs only; a container may hide it).
pub fn suspend_count(root: &Path) -> Option<u64> {
    let text = files::read(&root.join("sys/power/suspend_stats/success"), LONGEST).ok()?;
    std::str::from_utf8(text.trim_ascii_end())
        .ok()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(content: &str) -> Option<u64> {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("sys/power/suspend_stats");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("success"), content).unwrap();
        suspend_count(root.path())
    }

    #[test]
    fn the_count_is_read() {
        assert_eq!(counted("3\n"), Some(3));
    }

    #[test]
    fn nonsense_is_no_count() {
        assert_eq!(counted("three\n"), None);
        assert_eq!(counted(""), None);
    }

    #[test]
    fn a_kernel_without_a_count_has_none() {
        assert_eq!(suspend_count(tempfile::tempdir().unwrap().path()), None);
    }
}
