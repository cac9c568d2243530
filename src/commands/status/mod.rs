//! `status`: what every gate on the machine waits for, since when, and why.

mod rooms;

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{InitFlags, Inotify};

use crate::cli::Status;
use crate::gate::time::{Monotonic, Wall};
use crate::report::json::StatusLine;
use crate::report::status_file::{FoundGates, GateStatus, Living, read_all};
use crate::sys::clock;
use crate::sys::dirs::Dirs;
use crate::text::line::one_line;
use crate::text::span::format_span;

/// Prints the machine's gates; with `--follow` again at every change, until `out` is closed.
///
/// # Errors
/// `out` cannot be written to, or the kernel refuses to watch for changes.
pub fn status(args: &Status, root: &Path, own: &Dirs, out: &mut dyn Write) -> io::Result<()> {
    if args.follow {
        follow(args.json, root, own, out)
    } else {
        print(args.json, &read_all(&rooms::open(root, own, None)?), out)?;
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

/// A directory that comes into being is watched from the next look on, to which its parent has rung.
fn follow(json: bool, root: &Path, own: &Dirs, out: &mut dyn Write) -> io::Result<()> {
    let inotify = Inotify::init(InitFlags::IN_CLOEXEC)?;
    let mut printed = None;
    loop {
        let found = read_all(&rooms::open(root, own, Some(&inotify))?);
        if printed.as_ref() != Some(&found) {
            print(json, &found, out)?;
            printed = Some(found);
        }
        rung(&inotify)?;
    }
}

/// How long after a hint is read: many changes become one, and the kernel tells that a dying gate's file is
/// closed just before it lets go of the lock.
const GATHERING: Duration = Duration::from_millis(50);

fn rung(inotify: &Inotify) -> io::Result<()> {
    loop {
        match read_unless_unread(inotify) {
            Err(Errno::EINTR) => {}
            result => break result?,
        }
    }
    thread::sleep(GATHERING);
    Ok(())
}

/// Ends with EPIPE as soon as nobody reads standard output any longer, and not at the next change only.
fn read_unless_unread(inotify: &Inotify) -> Result<(), Errno> {
    let stdout = io::stdout();
    let mut polled = [
        PollFd::new(inotify.as_fd(), PollFlags::POLLIN),
        // POLLERR and POLLHUP come unasked.
        PollFd::new(stdout.as_fd(), PollFlags::empty()),
    ];
    poll(&mut polled, PollTimeout::NONE)?;
    if polled[1].any() == Some(true) {
        return Err(Errno::EPIPE);
    }
    inotify.read_events().map(drop)
}

fn print(json: bool, found: &FoundGates, out: &mut dyn Write) -> io::Result<()> {
    if json {
        writeln!(out, "{}", StatusLine::line(&found.gates, &found.warnings))?;
    } else {
        out.write_all(table(found, clock::wall(), clock::now().monotonic).as_bytes())?;
    }
    out.flush()
}

/// The table, and a line for each warning.
fn table(found: &FoundGates, wall: Wall, now: Monotonic) -> String {
    let mut lines: Vec<_> = found
        .warnings
        .iter()
        .map(|warning| one_line(&format!("warning: {warning}")))
        .collect();
    if found.gates.is_empty() {
        lines.push("no gate is waiting".to_owned());
    } else {
        let head = ["GATE", "PROFILE", "REASON", "SINCE", "WHY"].map(str::to_owned);
        let gates = found.gates.iter().map(|living| cells(living, wall, now));
        lines.extend(aligned(
            &std::iter::once(head).chain(gates).collect::<Vec<_>>(),
        ));
    }
    lines.join("\n") + "\n"
}

type Cells = [String; 5];

fn cells(living: &Living, wall: Wall, now: Monotonic) -> Cells {
    let gate = &living.gate;
    [
        name(living),
        gate.profile.clone(),
        label(gate),
        since(gate, wall),
        why(gate, now),
    ]
    .map(|cell| one_line(&cell))
}

/// The unit, or the command and its process; and whose it is, if not root's.
fn name(living: &Living) -> String {
    let GateStatus {
        unit, command, pid, ..
    } = &living.gate;
    let pid = unit.is_none().then(|| format!("PID {pid}"));
    let user = (living.owner != "root").then(|| format!("user {}", living.owner));
    let marks: Vec<_> = pid.into_iter().chain(user).collect();
    let name = unit.as_ref().unwrap_or(command);
    if marks.is_empty() {
        return name.clone();
    }
    format!("{name} ({})", marks.join(", "))
}

fn label(gate: &GateStatus) -> String {
    if gate.running {
        return "running".to_owned();
    }
    gate.reason.clone().unwrap_or_else(|| gate.verdict.clone())
}

fn since(gate: &GateStatus, wall: Wall) -> String {
    let since = Duration::from_micros(gate.since_usec_realtime);
    format_span(wall.0.saturating_sub(since))
}

fn why(gate: &GateStatus, now: Monotonic) -> String {
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
            format!("{said} (next check in {})", format_span(left))
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

    fn gate() -> GateStatus {
        GateStatus {
            version: 1,
            pid: 42,
            command: "run".to_owned(),
            profile: "nixos-upgrade".to_owned(),
            verdict: "held".to_owned(),
            reason: Some("dns".to_owned()),
            sentence: "held: dns: cache.nixos.org does not resolve; also metered".to_owned(),
            since_usec_realtime: 988_000_000,
            look_again_usec_monotonic: Some(104_000_000),
            ..GateStatus::default()
        }
    }

    fn shown(gates: Vec<GateStatus>, warnings: &[&str]) -> String {
        let of_root = |gate| Living {
            gate,
            owner: "root".to_owned(),
        };
        let gates = gates.into_iter().map(of_root).collect();
        let warnings = warnings.iter().map(|text| (*text).to_owned()).collect();
        table(&FoundGates { gates, warnings }, WALL, NOW)
    }

    #[test]
    fn nothing_waiting_is_said() {
        assert_eq!(shown(Vec::new(), &[]), "no gate is waiting\n");
    }

    #[test]
    fn each_gate_has_a_line_of_its_own() {
        let unit = GateStatus {
            unit: Some("nixos-upgrade.service".to_owned()),
            running: true,
            attempt: 2,
            ..gate()
        };
        assert_eq!(
            shown(vec![gate(), unit], &["cannot read x"]),
            "warning: cannot read x\n\
             GATE                   PROFILE        REASON   SINCE  WHY\n\
             run (PID 42)           nixos-upgrade  dns      12s    cache.nixos.org does not resolve; also metered (next check in 4s)\n\
             nixos-upgrade.service  nixos-upgrade  running  12s    attempt 2 is running\n"
        );
    }

    #[test]
    fn a_gate_that_is_not_root_s_says_whose_it_is() {
        let named = |unit: Option<&str>, owner: &str| {
            let unit = unit.map(str::to_owned);
            name(&Living {
                gate: GateStatus { unit, ..gate() },
                owner: owner.to_owned(),
            })
        };
        assert_eq!(named(None, "root"), "run (PID 42)");
        assert_eq!(named(None, "alice"), "run (PID 42, user alice)");
        assert_eq!(named(Some("a.service"), "977"), "a.service (user 977)");
    }

    #[test]
    fn an_open_gate_says_what_answered() {
        let open = GateStatus {
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
        let nasty = GateStatus {
            profile: "a\x1b[2J\nb".to_owned(),
            ..gate()
        };
        let table = shown(vec![nasty], &["\x07"]);
        assert!(table.chars().all(|c| c == '\n' || !c.is_control()));
        assert_eq!(table.lines().count(), 3);
    }

    #[test]
    fn a_wall_clock_set_back_makes_no_nonsense() {
        let later = GateStatus {
            since_usec_realtime: u64::MAX,
            look_again_usec_monotonic: Some(0),
            ..gate()
        };
        assert!(shown(vec![later], &[]).contains("  0      cache.nixos.org"));
    }
}
