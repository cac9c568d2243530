//! The drop-in that puts the gate before a unit's commands, or why there can be none. Pure.

mod refusal;
mod run;
mod waiting;

use std::fmt::Write as _;

pub use self::refusal::Refusal;
use super::exec_line::{self, Specifiers};
use super::surroundings::Surroundings;
use super::unit::{Exec, Prefixes, Service, Unit};
use super::version::Version;

/// How a unit is gated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `ExecStart=upgrade-gate run -- …`: waits, runs, and runs again what was interrupted.
    Run,
    /// `ExecStartPre=upgrade-gate wait-online`: waits first.
    Pre,
    /// `ExecCondition=upgrade-gate check`: skips the unit while the gate is held.
    Condition,
    /// `Requires=upgrade-gate@NAME.service`: another unit waits.
    Companion,
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Run, Self::Pre, Self::Condition, Self::Companion];

    /// The mode of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }

    /// As it is written after `--mode`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Pre => "pre",
            Self::Condition => "condition",
            Self::Companion => "companion",
        }
    }
}

/// What the drop-in is made from.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// The unit, as it is without a drop-in of ours.
    pub unit: &'a Unit,
    /// What else of it matters.
    pub surroundings: &'a Surroundings,
    /// Whether its commands still have specifiers.
    pub specifiers: Specifiers,
    /// The systemd that is to read it.
    pub version: Version,
    /// How it is to be gated.
    pub mode: Mode,
    /// The profile whose conditions are asked for.
    pub profile: &'a str,
    /// The path of upgrade-gate.
    pub program: &'a str,
}

/// How every drop-in of ours begins, so that no other file is ever overwritten or removed.
pub const MARKER: &str = "# written by upgrade-gate drop-in";

/// The sockets that the gate needs: systemd and the buses, the kernel's routes, the probes.
const FAMILIES: &[&str] = &["AF_UNIX", "AF_NETLINK", "AF_INET", "AF_INET6"];

/// The text of the drop-in.
pub fn text(wish: &Wish<'_>) -> Result<String, Refusal> {
    let service = refusal::service(wish)?;
    match wish.mode {
        Mode::Run => run::lines(wish, service),
        Mode::Pre => waiting::pre(wish, service),
        Mode::Condition => waiting::condition(wish, service),
        Mode::Companion => waiting::companion(wish, service),
    }
    .map(|lines| lines.text(wish))
}

/// The lines of a drop-in, in the making.
#[derive(Debug)]
struct Lines {
    section: &'static str,
    /// What is said above them.
    notes: Vec<String>,
    settings: Vec<String>,
}

impl Lines {
    fn new(section: &'static str) -> Self {
        Self {
            section,
            notes: Vec::new(),
            settings: Vec::new(),
        }
    }

    fn set(&mut self, key: &str, value: &str) {
        self.settings.push(format!("{key}={value}"));
    }

    fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    fn text(self, wish: &Wish<'_>) -> String {
        let (name, mode, profile) = (&wish.unit.name, wish.mode.name(), wish.profile);
        let mut text = format!(
            "{MARKER} {name} --mode {mode} --profile {}\n",
            one_line(profile)
        );
        // Writing to a String does not fail.
        for note in &self.notes {
            let _ = writeln!(text, "# {}", one_line(note));
        }
        let _ = writeln!(text, "[{}]", self.section);
        for setting in &self.settings {
            let _ = writeln!(text, "{setting}");
        }
        text
    }

    /// What the gate needs inside the unit, whichever of its commands it is.
    fn make_room(&mut self, wish: &Wish<'_>, service: &Service) {
        let around = wish.surroundings;
        let missing = FAMILIES
            .iter()
            .filter(|family| !around.families.allow(family));
        let missing: Vec<_> = missing.copied().collect();
        if !missing.is_empty() {
            self.note(
                "The gate asks the kernel and the buses, and probes: it needs these sockets.",
            );
            self.set("RestrictAddressFamilies", &missing.join(" "));
        }
        if service.user.is_empty() {
            if around.read_only {
                self.note("ProtectSystem=strict: this is where upgrade-gate status, locks and stamps are.");
                self.set(
                    "ReadWritePaths",
                    "-/run/upgrade-gate -/var/lib/upgrade-gate",
                );
            }
            return;
        }
        let own = format!("upgrade-gate/{}", stem(&wish.unit.name));
        if wish.mode != Mode::Condition && !around.runtime_directory {
            self.note("It is not root's: its status and lock are in a directory of its own.");
            self.set("RuntimeDirectory", &own);
        }
        if wish.mode == Mode::Run && !around.state_directory {
            self.set("StateDirectory", &own);
        }
    }
}

/// A command of ours, with these prefixes, written for `Exec…=`.
fn command(wish: &Wish<'_>, prefixes: Prefixes, words: &[&str]) -> Exec {
    let program = without_specifiers(wish.program, wish.specifiers);
    let words = words.iter().map(|word| {
        let word = without_specifiers(word, wish.specifiers);
        without_variables(&word, prefixes)
    });
    Exec {
        argv: [program.clone()].into_iter().chain(words).collect(),
        path: program,
        prefixes,
    }
}

/// A word of ours as it must stand beside words that still have specifiers.
fn without_specifiers(word: &str, specifiers: Specifiers) -> String {
    match specifiers {
        Specifiers::Written => word.replace('%', "%%"),
        Specifiers::Resolved => word.to_owned(),
    }
}

/// A word that is to be read as itself where systemd substitutes variables.
fn without_variables(word: &str, prefixes: Prefixes) -> String {
    if prefixes.no_env_expand {
        word.to_owned()
    } else {
        word.replace('$', "$$")
    }
}

fn print(exec: &Exec, wish: &Wish<'_>) -> String {
    exec_line::print(exec, wish.specifiers)
}

/// The name without `.service`.
fn stem(name: &str) -> &str {
    name.strip_suffix(".service").unwrap_or(name)
}

fn one_line(text: &str) -> String {
    text.replace(|c: char| c.is_ascii_control(), " ")
}

#[cfg(test)]
mod tests;
