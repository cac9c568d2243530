//! What is typed or configured, as the guard takes it.

use crate::cli::guard::{Guard, GuardCommand, Try};
use crate::commands::prepare::{CommonOptions, Refusal, profile};
use crate::config::guard::CommandSettings;
use crate::exit::Exit;
use crate::guard::program;
use crate::guard::state::SystemCommands;

/// What a profile says, if one is named.
pub(super) fn settled(args: Try, setting: &CommonOptions) -> Result<Try, Refusal> {
    let Some(name) = &args.profile else {
        return Ok(args);
    };
    let settings = profile(name, &setting.root)?.guard;
    let GuardCommand::Try(mut settled) = Guard::of_settings(&settings).command else {
        return Ok(args);
    };
    settled.watched.allow = args.watched.allow;
    Ok(settled)
}

/// The commands of a profile: none, or enough of them.
pub(super) fn commands(settings: &CommandSettings) -> Result<Option<SystemCommands>, Refusal> {
    let read = |line: &Option<String>| words(line.as_deref().unwrap_or_default());
    let commands = SystemCommands {
        identify: read(&settings.identify),
        boots_next: read(&settings.boots_next),
        offer: read(&settings.offer),
        snapshot: read(&settings.snapshot),
        activate: read(&settings.activate),
        rollback: read(&settings.rollback),
    };
    if commands == SystemCommands::default() {
        return Ok(None);
    }
    let needed = [
        ("identify", &commands.identify),
        ("activate", &commands.activate),
        ("rollback", &commands.rollback),
    ];
    match needed.iter().find(|(_, words)| words.is_empty()) {
        Some((key, _)) => Err(Refusal::new(
            Exit::Config,
            &format!(
                "the profile's guard has commands, but no {key}: set identify, activate and rollback"
            ),
        )),
        None => Ok(Some(commands)),
    }
}

/// A check that cannot be started would count against each system, and a unit that looks later has another directory and `$PATH`.
pub(super) fn refuse_unknown_programs(checks: &[String]) -> Result<(), Refusal> {
    let name = |line: &String| words(line).into_iter().next();
    let is_unknown = |name: &String| program(name).is_none();
    match checks.iter().filter_map(name).find(is_unknown) {
        Some(name) => Err(Refusal::new(
            Exit::Config,
            &format!("the check {name} is not there, or cannot be executed; give its whole path"),
        )),
        None => Ok(()),
    }
}

/// A check, with the whole path of its program.
pub(super) fn check(line: &str) -> Vec<String> {
    let mut words = words(line);
    if let Some(name) = words.first_mut()
        && let Some(path) = program(name)
    {
        *name = path;
    }
    words
}

fn program(name: &str) -> Option<String> {
    let is_relative = name.contains('/') && !name.starts_with('/');
    let found = program::found(name).filter(|_| !is_relative)?;
    found.into_os_string().into_string().ok()
}

/// A command line as it is typed, without quotes or a shell.
pub(super) fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(ToOwned::to_owned).collect()
}
