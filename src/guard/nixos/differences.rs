//! What differs between the units of two systems.

use std::fs;
use std::path::{Path, PathBuf};

use super::Nixos;
use crate::guard::state::Transaction;

impl Nixos {
    /// Whether the candidate has the unit at all.
    pub(super) fn is_in_candidate(&self, t: &Transaction, unit: &str) -> bool {
        let candidate = t.candidate.as_deref().unwrap_or(&t.baseline.system);
        let units = self.paths.inside(candidate).join("etc/systemd/system");
        units.join(unit).symlink_metadata().is_ok()
    }

    /// Whether the unit is another in the candidate than in the baseline.
    pub(super) fn changed(&self, t: &Transaction, unit: &str) -> bool {
        let Some(candidate) = &t.candidate else {
            return true;
        };
        let of =
            |system: &Path, name: &str| identity(&self.paths.inside(system).join("etc").join(name));
        let differs = |name: &str| of(&t.baseline.system, name) != of(candidate, name);
        let file = format!("systemd/system/{unit}");
        // systemd.generator(7): these have no file in a system.
        let is_of_fstab = [".mount", ".automount", ".swap"]
            .iter()
            .any(|kind| unit.ends_with(kind));
        differs(&file) || differs(&format!("{file}.d")) || (is_of_fstab && differs("fstab"))
    }
}

/// What a unit file is: the store path that it links to, or what is in it; the files of a folder.
fn identity(path: &Path) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let Ok(entries) = fs::read_dir(path) else {
        return vec![(fs::read_link(path).unwrap_or_default(), fs::read(path).ok())];
    };
    let files = entries.flatten().map(|entry| entry.path());
    let mut files: Vec<_> = files
        .map(|file| {
            let name = file.file_name().map(PathBuf::from).unwrap_or_default();
            (name, fs::read(&file).ok())
        })
        .collect();
    files.sort();
    files
}
