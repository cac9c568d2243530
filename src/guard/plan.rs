//! What systemd is asked to do for a transaction: its deadline, the fallback that needs no program of ours, and the
//! activations. Pure: names and settings, by the boot and the hour.

use std::path::Path;

use super::facts::Side;
use super::state::{Transaction, label};

/// A transient unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitSpec {
    /// With its suffix.
    pub name: String,
    /// Its settings, as D-Bus has them.
    pub settings: Vec<(&'static str, PropertyValue)>,
}

/// One setting's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PropertyValue {
    /// A truth value.
    Bool(bool),
    /// A time or a number.
    U64(u64),
    /// A signed number.
    I32(i32),
    /// A word.
    Text(String),
    /// Several words.
    List(Vec<String>),
    /// Command lines.
    Exec(Vec<Vec<String>>),
    /// Timer lines: the kind, and the time.
    Timer(Vec<(&'static str, u64)>),
    /// The link that must be there.
    IfLink(String),
}

/// What systemd runs for a transaction on this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Programs {
    /// This program and its options: the one that armed, whatever is installed later.
    pub ours: Vec<String>,
    /// Activates the candidate.
    pub activate: Vec<String>,
    /// Activates the baseline.
    pub undo: Vec<String>,
    /// The way back without a program of ours.
    pub fallback: Vec<Vec<String>>,
    /// The link that is there while something is under way; without it the fallback does nothing.
    pub armed: String,
    /// Variables of the programs above, as `NAME=value`.
    pub environment: Vec<String>,
}

/// The pattern of all units that are a deadline.
pub const DEADLINES: &str = "upgrade-gate-guard-deadline-*";
/// The patterns of all units that activate a system.
pub const ACTIVATIONS: [&str; 2] = ["upgrade-gate-guard-try-*", "upgrade-gate-guard-undo-*"];
/// The pattern of all units that tell somebody.
pub const NOTICES: &str = "upgrade-gate-guard-notify-*";
/// The pattern of all units that are a fallback.
pub const FALLBACKS: &str = "upgrade-gate-guard-fallback-*";

const SECOND: u64 = 1_000_000;
const MINUTE: u64 = 60 * SECOND;
/// How long after all else systemd falls back by itself.
const FALLBACK: u64 = 10 * MINUTE;

/// When this is, in `CLOCK_MONOTONIC`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Now.
    pub now_usec: u64,
    /// When systemd started.
    pub startup_usec: u64,
}

/// When systemd falls back by itself: not while a look, or the way back, may still be under way.
pub fn fallback_usec(t: &Transaction) -> u64 {
    let spans = [look_usec(t), activation_usec(t), FALLBACK];
    spans.into_iter().fold(t.deadline_usec, u64::saturating_add)
}

/// How long the checks may take.
fn look_usec(t: &Transaction) -> u64 {
    let checks = u64::try_from(t.rules.checks.len()).unwrap_or(u64::MAX);
    t.rules.check_usec.saturating_mul(checks)
}

/// How long an activation, or the way back, may take.
fn activation_usec(t: &Transaction) -> u64 {
    t.rules.grace_usec.max(5 * MINUTE)
}

/// The name of the deadline's units.
pub fn deadline_name(t: &Transaction) -> String {
    format!("upgrade-gate-guard-deadline-{}", t.deadline_usec)
}

/// The name of the fallback's units.
pub fn fallback_name(t: &Transaction) -> String {
    format!("upgrade-gate-guard-fallback-{}", t.deadline_usec)
}

/// The name of an activation's unit.
pub fn activation_name(t: &Transaction, side: Side) -> String {
    let kind = match side {
        Side::Candidate => "try",
        Side::Baseline => "undo",
    };
    format!("upgrade-gate-guard-{kind}-{}.service", short(&t.id))
}

/// The timer that looks again, several times, and the service that it starts.
///
/// `OnStartupSec=` counts from the start of systemd, without suspends: a reload does not move it, as it moves
/// `OnActiveSec=`, and every switch reloads. `OnBootSec=` is the same, but not in a container.
pub fn deadline(t: &Transaction, programs: &Programs, clock: Clock) -> [UnitSpec; 2] {
    let end = t.deadline_usec;
    let early = [MINUTE / 2, 2 * MINUTE, 5 * MINUTE].map(|span| clock.now_usec + span);
    let early = early.into_iter().filter(|at| *at < end);
    let late = [0, 2 * MINUTE, 10 * MINUTE, 60 * MINUTE].map(|span| end + span);
    let lines: Vec<u64> = early.chain(late).collect();
    let act = [programs.ours.clone(), words(&["guard", "act"])].concat();
    let timeout = look_usec(t).saturating_add(activation_usec(t) + 15 * MINUTE);
    let mut service = service(deadline_name(t), vec![act], timeout);
    service
        .settings
        .push(("OOMScoreAdjust", PropertyValue::I32(-900)));
    [timer(deadline_name(t), &lines, clock), service]
}

/// What systemd does if this program cannot: the baseline back, by programs of the baseline.
pub fn fallback(t: &Transaction, programs: &Programs, clock: Clock) -> [UnitSpec; 2] {
    let mut service = service(fallback_name(t), programs.fallback.clone(), 30 * MINUTE);
    let condition = PropertyValue::IfLink(programs.armed.clone());
    service.settings.push(("Conditions", condition));
    service.settings.push(environment(programs));
    let lines = [fallback_usec(t)];
    [timer(fallback_name(t), &lines, clock), service]
}

fn environment(programs: &Programs) -> (&'static str, PropertyValue) {
    let variables = PropertyValue::List(programs.environment.clone());
    ("Environment", variables)
}

/// The activation of a system, or the way back from it.
pub fn activation(t: &Transaction, side: Side, programs: &Programs) -> UnitSpec {
    let command = match side {
        Side::Baseline => programs.undo.clone(),
        Side::Candidate => programs.activate.clone(),
    };
    let name = activation_name(t, side);
    let mut unit = service(name, vec![command], activation_usec(t));
    unit.settings.push(environment(programs));
    // How it ended is read afterwards.
    unit.settings.retain(|(name, _)| *name != "CollectMode");
    unit.settings
        .push(("RemainAfterExit", PropertyValue::Bool(true)));
    unit
}

/// What somebody is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice<'a> {
    /// The command, with its arguments.
    pub command: &'a [String],
    /// Whose event it is: of one, systemd starts each event once in a boot.
    pub id: &'a str,
    /// What has happened.
    pub event: String,
    /// Why.
    pub cause: String,
    /// What was to be tried.
    pub candidate: Option<&'a Path>,
    /// What runs instead, where that is known.
    pub baseline: Option<&'a Path>,
}

impl<'a> Notice<'a> {
    /// How far a transaction has come.
    pub fn of(t: &'a Transaction) -> Self {
        Self {
            command: &t.rules.notify,
            id: &t.id,
            event: label(t.phase),
            cause: t.cause.map(label).unwrap_or_default(),
            candidate: t.candidate.as_deref(),
            baseline: Some(&t.baseline.system),
        }
    }
}

/// The command that tells somebody, which nobody waits for. Its unit stays, so that it is not started a second time.
pub fn notice(notice: &Notice<'_>) -> UnitSpec {
    let path = |path: &Path| path.to_string_lossy().into_owned();
    let environment = [
        ("EVENT", notice.event.clone()),
        ("CAUSE", notice.cause.clone()),
        ("CANDIDATE", notice.candidate.map(path).unwrap_or_default()),
        ("BASELINE", notice.baseline.map(path).unwrap_or_default()),
    ];
    let environment = environment.map(|(name, value)| format!("UPGRADE_GATE_{name}={value}"));
    let name = format!(
        "upgrade-gate-guard-notify-{}-{}",
        notice.event,
        short(notice.id)
    );
    let mut unit = service(name, vec![notice.command.to_vec()], 10 * MINUTE);
    let environment = PropertyValue::List(environment.into());
    unit.settings.push(("Environment", environment));
    unit.settings
        .push(("RemainAfterExit", PropertyValue::Bool(true)));
    unit
}

fn timer(name: String, lines: &[u64], clock: Clock) -> UnitSpec {
    let since_startup = |at: &u64| at.saturating_sub(clock.startup_usec);
    let lines = lines
        .iter()
        .map(|at| ("OnStartupSec", since_startup(at)))
        .collect();
    UnitSpec {
        name: name + ".timer",
        settings: vec![
            ("Description", text("Upgrade Guard Deadline")),
            ("TimersMonotonic", PropertyValue::Timer(lines)),
            ("AccuracyUSec", PropertyValue::U64(SECOND)),
            ("IgnoreOnIsolate", PropertyValue::Bool(true)),
            ("CollectMode", text("inactive-or-failed")),
        ],
    }
}

/// A service that nothing of the system takes down with it but its end.
fn service(name: String, commands: Vec<Vec<String>>, timeout: u64) -> UnitSpec {
    let suffixed = if name.ends_with(".service") {
        name
    } else {
        name + ".service"
    };
    UnitSpec {
        name: suffixed,
        settings: vec![
            ("Description", text("Upgrade Guard Action")),
            ("Type", text("oneshot")),
            ("ExecStart", PropertyValue::Exec(commands)),
            ("TimeoutStartUSec", PropertyValue::U64(timeout)),
            ("IgnoreOnIsolate", PropertyValue::Bool(true)),
            ("DefaultDependencies", PropertyValue::Bool(false)),
            (
                "Conflicts",
                PropertyValue::List(words(&["shutdown.target"])),
            ),
            ("Before", PropertyValue::List(words(&["shutdown.target"]))),
            ("CollectMode", text("inactive-or-failed")),
        ],
    }
}

fn text(word: &str) -> PropertyValue {
    PropertyValue::Text(word.to_owned())
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}
