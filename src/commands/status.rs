//! `status`: what every gate on the machine waits for, since when, and why.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use crate::cli::Status;
use crate::clock;
use crate::dirs::Dirs;
use crate::gate::time::{Monotonic, Wall};
use crate::report::json::StatusLine;
use crate::report::sentence::one_line;
use crate::report::span::format_span;
use crate::report::status_file::{Found, Gate, read_all};

/// The directories in which gates leave their files: root's, those of units with a `RuntimeDirectory=` below it (which is
/// how services of other users have one that all can read), and the user's own.
fn gates_dirs(root: &Path, own: &Dirs) -> Vec<PathBuf> {
    let system = root.join("run/upgrade-gate");
    let mut dirs = vec![system.clone()];
    dirs.extend(own.runtime.clone().filter(|own| *own != system));
    dirs.extend(below(&system));
    dirs.into_iter().map(|dir| dir.join("gates")).collect()
}

fn below(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut dirs: Vec<_> = entries.map(|entry| entry.path()).collect();
    dirs.retain(|path| path.is_dir() && !path.ends_with("gates"));
    dirs.sort();
    dirs
}

/// Prints the machine's gates; with `--follow` again at every change, until `out` is closed.
///
/// # Errors
/// `out` cannot be written to, or the kernel refuses to watch for changes.
pub fn status(args: &Status, root: &Path, own: &Dirs, out: &mut dyn Write) -> io::Result<()> {
    let dirs = || gates_dirs(root, own);
    if args.follow {
        follow(args.json, dirs, out)
    } else {
        print(args.json, &read_all(&dirs()), out)?;
        guard_line(args.json, root, own, out)
    }
}

/// A try that is under way, below the gates; `guard status` says all of it.
fn guard_line(json: bool, root: &Path, own: &Dirs, out: &mut dyn Write) -> io::Result<()> {
    let state = own.state.as_deref().filter(|_| !json);
    match state.and_then(|state| super::guard::line(root, state)) {
        Some(line) => writeln!(out, "{line}"),
        None => Ok(()),
    }
}

/// Watches first, and then reads, so that no change falls between. A directory that comes into being is watched
/// from the next look on, to which its parent has rung.
fn follow(json: bool, dirs: impl Fn() -> Vec<PathBuf>, out: &mut dyn Write) -> io::Result<()> {
    let inotify = Inotify::init(InitFlags::IN_CLOEXEC)?;
    let mut printed = None;
    loop {
        let dirs = dirs();
        dirs.iter().try_for_each(|dir| watch(&inotify, dir))?;
        let found = read_all(&dirs);
        if printed.as_ref() != Some(&found) {
            print(json, &found, out)?;
            printed = Some(found);
        }
        rung(&inotify)?;
    }
}

/// The directory and the two above it, from above: one that comes into being later rings at the one above.
fn watch(inotify: &Inotify, dir: &Path) -> io::Result<()> {
    let above = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO;
    // A gate that is killed closes its file, and says nothing else.
    let gone = AddWatchFlags::IN_DELETE | AddWatchFlags::IN_CLOSE_WRITE;
    let mut path: Vec<_> = dir.ancestors().take(3).collect();
    path.reverse();
    for ancestor in path {
        let events = if ancestor == dir { above | gone } else { above };
        match inotify.add_watch(ancestor, events | AddWatchFlags::IN_ONLYDIR) {
            Ok(_) | Err(Errno::ENOENT | Errno::EACCES | Errno::ENOTDIR) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

/// How long after a bell is read: many changes become one, and the kernel tells that a dying gate's file is
/// closed just before it lets go of the lock.
const GATHERING: Duration = Duration::from_millis(50);

fn rung(inotify: &Inotify) -> io::Result<()> {
    loop {
        match inotify.read_events() {
            Ok(_) => break,
            Err(Errno::EINTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
    thread::sleep(GATHERING);
    Ok(())
}

fn print(json: bool, found: &Found, out: &mut dyn Write) -> io::Result<()> {
    if json {
        writeln!(out, "{}", StatusLine::line(&found.gates, &found.warnings))?;
    } else {
        out.write_all(table(found, clock::wall(), clock::now().monotonic).as_bytes())?;
    }
    out.flush()
}

/// The table, and a line for each warning.
fn table(found: &Found, wall: Wall, now: Monotonic) -> String {
    let mut lines: Vec<_> = found
        .warnings
        .iter()
        .map(|warning| one_line(&format!("warning: {warning}")))
        .collect();
    if found.gates.is_empty() {
        lines.push("no gate is waiting".to_owned());
    } else {
        let head = ["GATE", "PROFILE", "REASON", "SINCE", "WHY"].map(str::to_owned);
        let gates = found.gates.iter().map(|gate| cells(gate, wall, now));
        lines.extend(aligned(
            &std::iter::once(head).chain(gates).collect::<Vec<_>>(),
        ));
    }
    lines.join("\n") + "\n"
}

type Cells = [String; 5];

fn cells(gate: &Gate, wall: Wall, now: Monotonic) -> Cells {
    let name = gate
        .unit
        .clone()
        .unwrap_or_else(|| format!("{} (PID {})", gate.command, gate.pid));
    [
        name,
        gate.profile.clone(),
        label(gate),
        since(gate, wall),
        why(gate, now),
    ]
    .map(|cell| one_line(&cell))
}

fn label(gate: &Gate) -> String {
    if gate.running {
        return "running".to_owned();
    }
    gate.reason.clone().unwrap_or_else(|| gate.verdict.clone())
}

fn since(gate: &Gate, wall: Wall) -> String {
    let since = Duration::from_micros(gate.since_usec_realtime);
    format_span(wall.0.saturating_sub(since))
}

fn why(gate: &Gate, now: Monotonic) -> String {
    if gate.running {
        return format!("attempt {} is running", gate.attempt);
    }
    // The verdict and the reason have columns of their own.
    let held = format!("held: {}: ", gate.reason.as_deref().unwrap_or_default());
    let said = gate.sentence.trim_start_matches(&*held);
    match gate.look_again_usec_monotonic {
        None => said.to_owned(),
        Some(at) => {
            let left = Monotonic(Duration::from_micros(at)).since(now);
            format!("{said} (next look in {})", format_span(left))
        }
    }
}

fn aligned(rows: &[Cells]) -> Vec<String> {
    let width = |column: usize| {
        let lengths = rows.iter().map(|row| row[column].chars().count());
        lengths.max().unwrap_or(0)
    };
    let widths: [usize; 5] = std::array::from_fn(width);
    rows.iter().map(|row| padded(row, widths)).collect()
}

fn padded(row: &Cells, widths: [usize; 5]) -> String {
    let cells = row.iter().zip(widths);
    let cells: Vec<_> = cells
        .map(|(cell, width)| format!("{cell:width$}"))
        .collect();
    cells.join("  ").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WALL: Wall = Wall(Duration::from_secs(1_000));
    const NOW: Monotonic = Monotonic(Duration::from_secs(100));

    fn gate() -> Gate {
        Gate {
            version: 1,
            pid: 42,
            command: "run".to_owned(),
            profile: "nixos-upgrade".to_owned(),
            verdict: "held".to_owned(),
            reason: Some("dns".to_owned()),
            sentence: "held: dns: cache.nixos.org does not resolve; also metered".to_owned(),
            since_usec_realtime: 988_000_000,
            look_again_usec_monotonic: Some(104_000_000),
            ..Gate::default()
        }
    }

    fn shown(gates: Vec<Gate>, warnings: &[&str]) -> String {
        let warnings = warnings.iter().map(|text| (*text).to_owned()).collect();
        table(&Found { gates, warnings }, WALL, NOW)
    }

    #[test]
    fn nothing_waiting_is_said() {
        assert_eq!(shown(Vec::new(), &[]), "no gate is waiting\n");
    }

    #[test]
    fn each_gate_has_a_line_of_its_own() {
        let unit = Gate {
            unit: Some("nixos-upgrade.service".to_owned()),
            running: true,
            attempt: 2,
            ..gate()
        };
        assert_eq!(
            shown(vec![gate(), unit], &["cannot read x"]),
            "warning: cannot read x\n\
             GATE                   PROFILE        REASON   SINCE  WHY\n\
             run (PID 42)           nixos-upgrade  dns      12s    cache.nixos.org does not resolve; also metered (next look in 4s)\n\
             nixos-upgrade.service  nixos-upgrade  running  12s    attempt 2 is running\n"
        );
    }

    #[test]
    fn an_open_gate_says_what_answered() {
        let open = Gate {
            verdict: "open".to_owned(),
            reason: None,
            sentence: "open: tcp://h:1 answered".to_owned(),
            look_again_usec_monotonic: None,
            ..gate()
        };
        let table = shown(vec![open], &[]);
        assert!(
            table.contains("  open    12s    open: tcp://h:1 answered\n"),
            "{table}"
        );
    }

    #[test]
    fn a_file_s_words_cannot_command_the_terminal() {
        let nasty = Gate {
            profile: "a\x1b[2J\nb".to_owned(),
            ..gate()
        };
        let table = shown(vec![nasty], &["\x07"]);
        assert!(table.chars().all(|c| c == '\n' || !c.is_control()));
        assert_eq!(table.lines().count(), 3);
    }

    #[test]
    fn a_wall_clock_set_back_makes_no_nonsense() {
        let later = Gate {
            since_usec_realtime: u64::MAX,
            look_again_usec_monotonic: Some(0),
            ..gate()
        };
        assert!(shown(vec![later], &[]).contains("  0      cache.nixos.org"));
    }

    #[test]
    fn the_users_directory_is_read_too_and_roots_only_once() {
        let own = |dir: &str| Dirs {
            runtime: Some(PathBuf::from(dir)),
            state: None,
        };
        let dirs = |root: &str, dir: &str| gates_dirs(Path::new(root), &own(dir));
        let paths = |dirs: &[&str]| dirs.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(
            dirs("/none", "/run/user/1/upgrade-gate"),
            paths(&[
                "/none/run/upgrade-gate/gates",
                "/run/user/1/upgrade-gate/gates"
            ])
        );
        assert_eq!(
            dirs("/none", "/none/run/upgrade-gate"),
            paths(&["/none/run/upgrade-gate/gates"])
        );
    }

    #[test]
    fn the_directories_of_units_below_roots_are_read_too() {
        let root = tempfile::tempdir().unwrap();
        let system = root.path().join("run/upgrade-gate");
        for dir in ["gates", "fwupd-refresh"] {
            std::fs::create_dir_all(system.join(dir)).unwrap();
        }
        std::fs::write(system.join("nixos-upgrade.lock"), "").unwrap();
        assert_eq!(
            gates_dirs(root.path(), &Dirs::default()),
            [system.join("gates"), system.join("fwupd-refresh/gates")]
        );
    }
}
