//! The scripts that a unit runs: one may wait for a gate itself.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::systemd::gated::{programs, script_is_gated};
use crate::systemd::read::files::UnitFiles;
use crate::systemd::unit::{Exec, Service};

/// No script that people write is longer.
const LONGEST: u64 = 1 << 18;

/// The first script of the service's that waits for a gate itself.
pub(super) fn gated(files: &UnitFiles, service: &Service) -> Option<String> {
    let lists = [
        &service.exec_condition,
        &service.exec_start_pre,
        &service.exec_start,
    ];
    let all = lists
        .into_iter()
        .flatten()
        .flat_map(|exec: &Exec| programs(exec));
    let mut scripts = all.filter(|path| path.starts_with('/'));
    scripts.find(|path| {
        let text = text(&files.real(Path::new(path)));
        text.is_some_and(|text| script_is_gated(&text))
    })
}

/// The text of a file; none if it is a program, or none that can be read.
fn text(path: &Path) -> Option<String> {
    if !path.is_file() {
        return None;
    }
    let mut text = String::new();
    let file = File::open(path).ok()?;
    file.take(LONGEST).read_to_string(&mut text).ok()?;
    Some(text)
}
