//! What differs between the units of two systems.

use std::fs;
use std::path::{Path, PathBuf};

use super::Nixos;
use crate::guard::state::Transaction;

impl Nixos {
    /// Whether the candidate has the unit at all.
    pub(super) fn is_in_candidate(&self, t: &Transaction, unit: &str) -> bool {
        let candidate = t.candidate.as_deref().unwrap_or(&t.baseline.system);
        let units = self.paths.inside(candidate).join("etc").join(UNITS);
        let mut files = names_of(unit).into_iter();
        files.any(|name| units.join(name).symlink_metadata().is_ok())
    }

    /// Whether the unit, or one that it requires, is another in the candidate than in the baseline.
    pub(super) fn changed(&self, t: &Transaction, unit: &str) -> bool {
        let Some(candidate) = &t.candidate else {
            return true;
        };
        let etc = |system: &Path| self.paths.inside(system).join("etc");
        let (old, new) = (etc(&t.baseline.system), etc(candidate));
        let text = |name: String| fs::read_to_string(new.join(UNITS).join(name));
        let texts = names_of(unit).map(|name| text(name).unwrap_or_default());
        let texts = texts.join("\n");
        let mut required = requirements(&texts);
        differs(&old, &new, unit) || required.any(|other| differs(&old, &new, other))
    }
}

/// The folder of unit files in `/etc`.
const UNITS: &str = "systemd/system";

/// The names under which a unit has files: its own, and that of its template.
fn names_of(unit: &str) -> [String; 2] {
    let template = unit.split_once('@').and_then(|(name, instance)| {
        let (_, kind) = instance.rsplit_once('.')?;
        Some(format!("{name}@.{kind}"))
    });
    let own = unit.to_owned();
    [own.clone(), template.unwrap_or(own)]
}

/// The units without which this one does not run.
fn requirements(text: &str) -> impl Iterator<Item = &str> {
    let settings = text.lines().filter_map(|line| line.split_once('='));
    let required = settings.filter(|(key, _)| ["Requires", "Requisite", "BindsTo"].contains(key));
    required.flat_map(|(_, units)| units.split_whitespace())
}

/// Whether a unit's files are others in one `/etc` than in another. Those of a generator (systemd.generator(7)) come of fstab.
fn differs(old: &Path, new: &Path, unit: &str) -> bool {
    let is_of_fstab = [".mount", ".automount", ".swap"].iter();
    let fstab = is_of_fstab.filter(|kind| unit.ends_with(**kind));
    let files = names_of(unit).into_iter();
    let files = files.flat_map(|name| [format!("{UNITS}/{name}"), format!("{UNITS}/{name}.d")]);
    let mut files = files.chain(fstab.map(|_| "fstab".to_owned()));
    files.any(|file| identity(&old.join(&file)) != identity(&new.join(&file)))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_has_the_files_of_its_template_too() {
        assert_eq!(names_of("a@b.c.service"), ["a@b.c.service", "a@.service"]);
        assert_eq!(names_of("a.service"), ["a.service", "a.service"]);
    }

    #[test]
    fn what_a_unit_requires_is_read_from_its_file() {
        let unit = "[Unit]\nRequires=db.service a.mount\nWants=x.service\nBindsTo=b.device\n";
        let required: Vec<_> = requirements(unit).collect();
        assert_eq!(required, ["db.service", "a.mount", "b.device"]);
    }
}
