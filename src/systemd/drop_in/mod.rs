//! The drop-in that puts the gate before a unit's commands, or why there can be none. Pure.

mod companion;
mod refusal;
mod run;
mod waiting;

use std::fmt::Write as _;

pub use self::refusal::DropInRefusal;
use super::exec_line;
use super::read::scope::Scope;
use super::surroundings::Surroundings;
use super::unit::{Exec, Prefixes, Service, Unit};
use crate::text::line::one_line;

/// How a unit is gated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateMode {
    /// `ExecStart=upgrade-gate run -- …`: waits, runs, and runs again what was interrupted.
    Run,
    /// `ExecStartPre=upgrade-gate wait-online`: waits first.
    Pre,
    /// `ExecCondition=upgrade-gate check`: skips the unit while the gate is held.
    Condition,
    /// `Requires=upgrade-gate@NAME.service`: another unit waits.
    Companion,
}

impl GateMode {
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
pub struct DropInSpec<'a> {
    /// The unit, as it is without a drop-in of ours.
    pub unit: &'a Unit,
    /// What else of it matters.
    pub surroundings: &'a Surroundings,
    /// Whose unit it is.
    pub scope: Scope,
    /// How it is to be gated.
    pub mode: GateMode,
    /// The profile whose conditions are asked for.
    pub profile: &'a str,
    /// The path of upgrade-gate.
    pub program: &'a str,
    /// A script among its commands that waits for a gate itself.
    pub gated_script: Option<&'a str>,
}

/// The files that gate a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropIns {
    /// How they gate it.
    pub mode: GateMode,
    /// Why not in mode run, if nobody asked for another.
    pub why: Option<String>,
    /// What the companion should know and is not told.
    pub untold: Option<String>,
    /// The text of the unit's own.
    pub own: String,
    /// That of its companion, if it needs one: the companion's name and the text.
    pub companion: Option<(String, String)>,
}

/// How every drop-in of ours begins, so that no other file is ever overwritten or removed.
pub const MARKER: &str = "# written by upgrade-gate drop-in";

/// The sockets that the gate needs: systemd and the buses, the kernel's routes, the probes.
const FAMILIES: &[&str] = &["AF_UNIX", "AF_NETLINK", "AF_INET", "AF_INET6"];

/// The drop-ins that gate it in this mode.
pub fn in_mode(spec: &DropInSpec<'_>) -> Result<DropIns, DropInRefusal> {
    let service = refusal::service(spec)?;
    let lines = match spec.mode {
        GateMode::Run => run::lines(spec, service)?,
        GateMode::Pre => waiting::pre(spec, service)?,
        GateMode::Condition => waiting::condition(spec, service)?,
        GateMode::Companion => return companion::drop_ins(spec, None),
    };
    Ok(DropIns {
        mode: spec.mode,
        why: None,
        untold: None,
        own: lines.text(spec),
        companion: None,
    })
}

/// The drop-ins that gate it in mode run, or, where that does not fit, in mode companion, which says why.
pub fn chosen(spec: &DropInSpec<'_>) -> Result<DropIns, DropInRefusal> {
    let [run, companion] =
        [GateMode::Run, GateMode::Companion].map(|mode| DropInSpec { mode, ..*spec });
    let service = refusal::service(&companion)?;
    let why = match run::long_lived(&run, service) {
        Some(why) => why,
        None => match in_mode(&run) {
            Err(DropInRefusal::Mode {
                why,
                companion: true,
                ..
            }) => why,
            made => return made,
        },
    };
    companion::drop_ins(&companion, Some(why))
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

    fn text(self, spec: &DropInSpec<'_>) -> String {
        let (name, mode, profile) = (&spec.unit.name, spec.mode.name(), spec.profile);
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
    fn make_room(&mut self, spec: &DropInSpec<'_>, service: &Service) {
        let around = spec.surroundings;
        let missing = FAMILIES
            .iter()
            .filter(|family| !around.families.allow(family));
        let missing: Vec<_> = missing.copied().collect();
        if !missing.is_empty() {
            self.note("The gate needs these sockets: netlink, D-Bus, and IP for the probes.");
            self.set("RestrictAddressFamilies", &missing.join(" "));
        }
        if service.user.is_empty() || spec.scope != Scope::System {
            if around.read_only {
                self.note(
                    "ProtectSystem=strict: upgrade-gate writes its status, locks and stamps here.",
                );
                self.set("ReadWritePaths", state_of(spec.scope));
            }
            return;
        }
        let own = format!("upgrade-gate/{}", directory(&spec.unit.name));
        // What the commands of mode run find in $RUNTIME_DIRECTORY is still theirs; those of the others may expect one alone.
        let runs = spec.mode == GateMode::Run;
        if spec.mode == GateMode::Pre && around.runtime_directory {
            self.note("RuntimeDirectory= stays its own, so \"upgrade-gate status\" does not show this gate; \"systemctl status\" does.");
        } else if runs || spec.mode == GateMode::Pre {
            self.note("It does not run as root: its status and lock are in its own directory.");
            self.set("RuntimeDirectory", &own);
        }
        if runs {
            self.set("StateDirectory", &own);
        }
    }
}

/// Where root, or whose manager it is, has the gate's state.
const fn state_of(scope: Scope) -> &'static str {
    match scope {
        Scope::System => "-/run/upgrade-gate -/var/lib/upgrade-gate",
        Scope::User | Scope::Global => "-%t/upgrade-gate -%h/.local/state/upgrade-gate",
    }
}

/// The unit's own name below `upgrade-gate/`; that of an instance, and one with escapes, is left to systemd.
fn directory(name: &str) -> &str {
    if is_template(name) || name.contains('\\') {
        "%N"
    } else {
        stem(name)
    }
}

/// Whether this is the name of a template: `foo@.service`.
fn is_template(name: &str) -> bool {
    name.contains("@.")
}

/// A command of ours for the profile, with these prefixes, written for `Exec…=`. The profile's name may have specifiers, and
/// nothing else has.
fn command(spec: &DropInSpec<'_>, prefixes: Prefixes, words: &[&str]) -> Exec {
    let program = without_specifiers(spec.program);
    let profile = match spec.profile {
        // Apart it would be taken for an option.
        hyphen if hyphen.starts_with('-') => vec![format!("--profile={hyphen}")],
        profile => vec!["--profile".to_owned(), without_variables(profile, prefixes)],
    };
    let words = words.iter().map(|word| (*word).to_owned());
    Exec {
        argv: [program.clone()]
            .into_iter()
            .chain(words)
            .chain(profile)
            .collect(),
        path: program,
        prefixes,
    }
}

/// A word of ours as it must stand beside words that still have specifiers.
fn without_specifiers(word: &str) -> String {
    word.replace('%', "%%")
}

/// A word that is to be read as itself where systemd substitutes variables.
fn without_variables(word: &str, prefixes: Prefixes) -> String {
    if prefixes.no_env_expand {
        word.to_owned()
    } else {
        word.replace('$', "$$")
    }
}

/// The name without `.service`.
fn stem(name: &str) -> &str {
    name.strip_suffix(".service").unwrap_or(name)
}

#[cfg(test)]
mod tests;
