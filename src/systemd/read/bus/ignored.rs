//! What systemd has left out of a unit's files, which it does not tell.

use std::path::{Path, PathBuf};

use crate::systemd::read::defaults::ManagerDefaults;
use crate::systemd::read::settings::UnitSettings;
use crate::systemd::read::unit_text;
use crate::systemd::unit::IgnoredLine;

/// As the files have it that systemd has read the unit from.
pub(super) fn of(
    root: &Path,
    name: &str,
    fragment: Option<&Path>,
    drop_ins: &[PathBuf],
) -> Vec<IgnoredLine> {
    let mut settings = UnitSettings::new(name, &ManagerDefaults::default());
    let files = fragment
        .into_iter()
        .chain(drop_ins.iter().map(PathBuf::as_path));
    for path in files {
        let text = super::text(root, path);
        let is_drop_in = Some(path) != fragment;
        settings.follow(
            &unit_text::parse(&text),
            &path.to_string_lossy(),
            is_drop_in,
        );
    }
    settings.ignored
}
