//! Programs that are run to their end.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::unistd::{AccessFlags, access};
use tokio::process::Command;

use crate::text::span::format_span;

/// How long a program of Nix, of the boot loader or of a profile may take.
const PROGRAM: Duration = Duration::from_secs(15 * 60);

/// Where programs are found besides `$PATH`: a unit of NixOS has none of these in it.
const PLACES: &str = "/run/wrappers/bin:/run/current-system/sw/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// `$PATH`, and then where programs usually are.
fn search_path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    if !path.is_empty() {
        path.push(":");
    }
    path.push(PLACES);
    path
}

/// The path of a program: its own, or where programs are searched for. Links stay what they are: that of the system that runs
/// leads to another one later.
pub fn found(name: &str) -> Option<PathBuf> {
    let is_executable = |path: &PathBuf| access(path, AccessFlags::X_OK).is_ok() && path.is_file();
    let places = search_path();
    let places = std::env::split_paths(&places).map(|place| place.join(name));
    let mut paths = places.filter(|path| path.is_absolute());
    paths.find(is_executable)
}

/// Nothing to read, an end with ours, and a `$PATH` in which programs are found.
pub(super) fn prepare(command: &mut Command) -> &mut Command {
    let command = command.stdin(Stdio::null()).kill_on_drop(true);
    command.env("PATH", search_path())
}

/// Runs a program to its end; what it says goes where our own words go.
pub(super) async fn run(mut command: Command) -> Result<(), String> {
    let name = name(&command);
    let status = ended(&name, PROGRAM, prepare(&mut command).status()).await?;
    succeeded(&name, status)
}

/// The first line that a program prints.
pub(super) async fn line(mut command: Command, within: Duration) -> Result<String, String> {
    let name = name(&command);
    let output = ended(&name, within, prepare(&mut command).output()).await?;
    // What it says of itself goes where our own words go; tokio takes it in any case.
    let _ = std::io::stderr().write_all(&output.stderr);
    succeeded(&name, output.status)?;
    let said = String::from_utf8_lossy(&output.stdout);
    let first = said.lines().next().unwrap_or_default().trim();
    if first.is_empty() || first.len() > LONGEST || first.contains(char::is_control) {
        return Err(format!(
            "{name} must print one line of 1 to {LONGEST} bytes"
        ));
    }
    Ok(first.to_owned())
}

/// The longest line that names a system, in bytes.
const LONGEST: usize = 256;

/// What a program comes to in this time.
pub(super) async fn ended<T>(
    name: &str,
    within: Duration,
    end: impl Future<Output = std::io::Result<T>>,
) -> Result<T, String> {
    match tokio::time::timeout(within, end).await {
        Ok(ended) => ended.map_err(|error| format!("cannot run {name}: {error}")),
        Err(_) => Err(format!("{name} takes longer than {}", format_span(within))),
    }
}

fn succeeded(name: &str, status: ExitStatus) -> Result<(), String> {
    if status.success() {
        return Ok(());
    }
    Err(format!("{name}: {status}"))
}

fn name(command: &Command) -> String {
    let program = command.as_std().get_program();
    program.to_string_lossy().into_owned()
}

/// This program and its options, for systemd. Where an upgrade has replaced it, as a package does, its successor reads the same state.
pub(super) fn ourselves(root: &Path) -> Vec<String> {
    let program = std::env::current_exe().unwrap_or_else(|_| "/usr/bin/upgrade-gate".into());
    options(installed(&program), root)
}

/// A program of ours, with the root that it works in.
pub(super) fn options(program: String, root: &Path) -> Vec<String> {
    let mut words = vec![program];
    if root != Path::new("/") {
        words.extend(["--root".to_owned(), root.to_string_lossy().into_owned()]);
    }
    words
}

/// The program at this path.
fn installed(own: &Path) -> String {
    let own = own.to_string_lossy();
    // proc_pid_exe(5)
    own.strip_suffix(" (deleted)").unwrap_or(&own).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_where_programs_are_whatever_the_path_says() {
        assert!(found("sh").is_some_and(|path| path.is_absolute()));
        assert_eq!(found("/bin/sh"), Some("/bin/sh".into()));
        assert_eq!((found("/bin"), found("no-such-program")), (None, None));
        let places = search_path();
        assert!(places.to_string_lossy().ends_with(PLACES));
    }

    #[test]
    fn a_deadline_starts_the_program_that_has_replaced_this_one() {
        let replaced = Path::new("/usr/bin/upgrade-gate (deleted)");
        assert_eq!(installed(replaced), "/usr/bin/upgrade-gate");
        let own = Path::new("/nix/store/x/bin/upgrade-gate");
        assert_eq!(installed(own), "/nix/store/x/bin/upgrade-gate");
    }
}
