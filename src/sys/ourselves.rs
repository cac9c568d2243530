//! This very program, to be started once more.

use std::io;
use std::path::Path;

use super::limits;

/// The path of our own program, good even after its file was replaced or collected. Needs /proc.
pub(crate) const PROGRAM: &str = "/proc/self/exe";

/// Why a program cannot be started.
pub(crate) fn why_not(program: impl AsRef<Path>, error: &io::Error) -> String {
    let why = limits::refusal(error);
    let program = program.as_ref();
    match error.kind() {
        io::ErrorKind::NotFound if program == Path::new(PROGRAM) => {
            format!("{PROGRAM}: {why}: is /proc mounted?")
        }
        io::ErrorKind::NotFound => format!("{}: {why}", program.display()),
        _ => why,
    }
}
