//! From arguments and files to what a gate needs: profile, policy, and what is to be probed.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::cli::{GateArgs, QuestionArgs};
use crate::config::places::Places;
use crate::config::profile::Profile;
use crate::config::watch::WatchSettings;
use crate::config::{self, Loaded, Overrides};
use crate::exit::Exit;
use crate::gate::policy::{Policy, Reach};
use crate::probe::protocol::ProbeRequest;
use crate::report::journal::Log;
use crate::report::{CommandKind, Reporter, ReporterSetup};
use crate::sys::clock;
use crate::sys::dirs::Dirs;
use crate::sys::dirs::Unusable;
use crate::targets::auto;
use crate::targets::auto::Derived;
use crate::targets::{Target, TargetEntry, Wanted};
use crate::text::secret;
use crate::text::span::Span;

/// What all commands are told alike.
#[derive(Clone, Debug)]
pub(super) struct CommonOptions {
    /// `/`, or another root.
    pub root: PathBuf,
    /// Where log lines go.
    pub log: Log,
    /// `--quiet`.
    pub quiet: bool,
}

/// Everything that a gate is made from.
#[derive(Debug)]
pub(super) struct Prepared {
    /// The profile in effect.
    pub profile: Profile,
    /// What the gate asks for.
    pub policy: Policy,
    /// What its probes ask for.
    pub request: ProbeRequest,
}

/// A command that cannot be carried out: what to exit with, and why.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(super) struct Refusal {
    /// The exit code.
    pub exit: Exit,
    text: String,
}

impl Refusal {
    /// A refusal with that exit code, for that reason, which may quote what others wrote.
    pub(super) fn new(exit: Exit, why: &(impl ToString + ?Sized)) -> Self {
        Self {
            exit,
            text: secret::text(&why.to_string()),
        }
    }

    /// What is said.
    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

impl Prepared {
    /// The targets, as they are written.
    pub(super) fn targets(&self) -> Vec<String> {
        let all = self.request.wanted.groups.iter().flatten();
        all.map(ToString::to_string).collect()
    }
}

/// Prepares a gate for `command`, which is empty unless it is a run. Warnings are logged.
pub(super) fn prepare(
    args: &GateArgs,
    command: &[OsString],
    root: &Path,
) -> Result<Prepared, Refusal> {
    prepare_loaded(&load(root)?, args, command, root, Underived::Refused)
}

/// Prepares the gate of a question. With `--exec-condition` a unit must not fail because `auto` derives nothing.
pub(super) fn prepare_question(question: &QuestionArgs, root: &Path) -> Result<Prepared, Refusal> {
    let underived = if question.exec_condition {
        Underived::Guessed
    } else {
        Underived::Refused
    };
    prepare_loaded(&load(root)?, &question.gate, &[], root, underived)
}

/// What becomes of a gate that has nothing to decide from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Underived {
    /// Exit 69.
    Refused,
    /// As with `allow_guess`, with a warning.
    Guessed,
}

/// Prepares the gate that `watch` follows, and says what else its table asks for.
pub(super) fn prepare_watch(root: &Path) -> Result<(Prepared, WatchSettings), Refusal> {
    let loaded = load(root)?;
    let (watch, _) = loaded.watch();
    let args = GateArgs {
        profile: Some(watch.profile.clone()),
        ..GateArgs::default()
    };
    let prepared = prepare_loaded(&loaded, &args, &[], root, Underived::Refused)?;
    Ok((prepared, watch))
}

/// The profile of this name.
pub(super) fn profile(name: &str, root: &Path) -> Result<Profile, Refusal> {
    let loaded = load(root)?;
    let chosen = loaded
        .profile(Some(name), &Overrides::default())
        .map_err(|error| Refusal::new(Exit::Usage, &error))?;
    warn(&loaded.warnings);
    warn(&chosen.warning);
    Ok(chosen.profile)
}

fn load(root: &Path) -> Result<Loaded, Refusal> {
    config::load(&Places::below(root)).map_err(|errors| Refusal::new(Exit::Config, &errors))
}

fn prepare_loaded(
    loaded: &Loaded,
    args: &GateArgs,
    command: &[OsString],
    root: &Path,
    underived: Underived,
) -> Result<Prepared, Refusal> {
    let overrides = Overrides {
        targets: entries(&args.targets)?,
    };
    let chosen = loaded
        .profile(args.profile.as_deref(), &overrides)
        .map_err(|error| Refusal::new(Exit::Usage, &error))?;
    warn(&loaded.warnings);
    warn(&chosen.warning);
    let mut profile = chosen.profile;
    if let Some(settle) = args.settle {
        profile.settle = settle.finite().ok_or_else(endless_settle)?;
    }
    let derived = derive(&profile, command, root);
    warn(&derived.warnings);
    let wanted = wanted(&profile.targets, &derived.groups);
    let reach = reach(&wanted, &derived);
    if reach == Reach::Anywhere && !profile.allow_guess {
        let why = nothing_to_probe(&profile, &derived);
        match underived {
            Underived::Refused => return Err(Refusal::new(Exit::Unavailable, &why)),
            Underived::Guessed => tracing::warn!("{why}; until then, any route is enough"),
        }
    }
    Ok(Prepared {
        policy: policy(args, &profile, reach),
        request: ProbeRequest {
            wanted,
            proxies: derived.proxies,
            ssl_cert_file: derived.ssl_cert_file,
        },
        profile,
    })
}

/// What `auto` means for this profile, and what is to be trusted whether or not it is asked for.
pub(super) fn derive(profile: &Profile, command: &[OsString], root: &Path) -> Derived {
    let env = auto::Env::of_process();
    let world = auto::MachineView {
        root,
        // Without a working directory relative paths lead nowhere, as they do for the command itself.
        cwd: &std::env::current_dir().unwrap_or_else(|_| "/".into()),
        env: &env,
        ssh: &auto::ssh::run,
    };
    if !profile.targets.contains(&TargetEntry::Auto) {
        return auto::trust(command, &world);
    }
    auto::derive(&profile.name, profile.flake.as_deref(), command, &world)
}

fn entries(written: &[String]) -> Result<Vec<TargetEntry>, Refusal> {
    let entries = written
        .iter()
        .map(|text| text.parse())
        .collect::<Result<_, _>>();
    entries.map_err(|error| Refusal::new(Exit::Usage, &format!("--target: {error}")))
}

fn wanted(entries: &[TargetEntry], derived: &[Vec<Target>]) -> Wanted {
    let groups = entries.iter().flat_map(|entry| match entry {
        TargetEntry::Auto => derived.to_vec(),
        TargetEntry::One(target) => vec![vec![target.clone()]],
        TargetEntry::Any(targets) => vec![targets.clone()],
    });
    Wanted {
        groups: groups.collect(),
    }
}

/// Without a target nothing can be probed, and nothing has to be if all is on this machine.
fn reach(wanted: &Wanted, derived: &Derived) -> Reach {
    if !wanted.groups.is_empty() {
        return Reach::Targets;
    }
    if !derived.is_local() {
        return Reach::Anywhere;
    }
    tracing::info!("no network is needed: {}", derived.notes.join("; "));
    Reach::Nothing
}

fn policy(args: &GateArgs, profile: &Profile, reach: Reach) -> Policy {
    Policy {
        settle: profile.settle,
        hold_metered: profile.hold_metered,
        power: profile.power,
        waived: args.allow.iter().copied().collect(),
        reach,
        timeout: args.timeout.and_then(Span::finite),
        once: false,
        seed: seed(),
    }
}

fn endless_settle() -> Refusal {
    Refusal::new(
        Exit::Usage,
        "--settle infinity would never open the gate; give a finite span",
    )
}

/// Enough to keep machines and processes from marching in step.
fn seed() -> u64 {
    let nanos = clock::wall().0.subsec_nanos();
    u64::from(nanos) << 32 | u64::from(std::process::id())
}

fn nothing_to_probe(profile: &Profile, derived: &Derived) -> String {
    let notes = derived.notes.join("; ");
    let found = if notes.is_empty() {
        "nothing on this machine says what it needs".to_owned()
    } else {
        notes
    };
    format!(
        "no target for profile {}: {found}; give --target, or set targets or allow_guess in upgrade-gate.toml",
        profile.name
    )
}

fn warn(warnings: impl IntoIterator<Item = impl std::fmt::Display>) {
    for warning in warnings {
        tracing::warn!("{warning}");
    }
}

/// The directory below which the gates' status files and locks are, if this process has one. Having none is no fault; one that
/// cannot be used is told.
pub(super) fn made(dir: Result<&Path, Unusable>) -> Option<PathBuf> {
    dir.inspect_err(|error| match error {
        Unusable::Nowhere { .. } => tracing::info!("{error}"),
        Unusable::Use { .. } => tracing::warn!("{error}"),
    })
    .ok()
    .map(Path::to_owned)
}

/// The reporter of a gate.
pub(super) fn reporter(
    kind: CommandKind,
    prepared: &Prepared,
    json: bool,
    setting: &CommonOptions,
) -> Reporter {
    let gates_dir = match kind {
        // Its verdict is gone before anybody could look for it.
        CommandKind::Check => None,
        CommandKind::WaitOnline | CommandKind::Run | CommandKind::Watch => {
            made(Dirs::of_process(&setting.root).usable_runtime()).map(|dir| dir.join("gates"))
        }
    };
    Reporter::new(ReporterSetup {
        kind,
        profile: prepared.profile.name.clone(),
        targets: prepared.targets(),
        timeout: prepared.policy.timeout,
        json,
        quiet: setting.quiet,
        log: setting.log,
        started: clock::now(),
        gates_dir,
    })
}
