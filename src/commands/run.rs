//! `run`: joins the gate with the command.

use std::path::Path;

use super::guard;
use super::prepare::{CommonOptions, Refusal, made, prepare, reporter};
use crate::cli::RunArgs;
use crate::cli::guard::Guard;
use crate::engine::Engine;
use crate::exit::Exit;
use crate::gate::reason::Reason;
use crate::report::CommandKind;
use crate::run::runner::{Plan, Runner};
use crate::run::signals::{IgnoredSignals, Signals};
use crate::sys::dirs::Dirs;

/// Waits for the gate, runs the command, and runs it again if it was interrupted.
pub(super) async fn run(run: RunArgs, setting: &CommonOptions) -> Result<Exit, Refusal> {
    let prepared = prepare(&run.gate, &run.command, &setting.root)?;
    let tried = prepared.profile.guard.clone();
    if tried.enable {
        guard::refuse_unprivileged(setting)?;
        guard::refuse_incomplete(&tried)?;
    }
    let signals = Signals::install(IgnoredSignals::read())
        .map_err(|error| Refusal::new(Exit::Fault, &format!("cannot handle signals: {error}")))?;
    let dirs = Dirs::of_process(&setting.root);
    let reporter = reporter(CommandKind::Run, &prepared, run.gate.json, setting);
    let plan = Plan {
        command: run.command,
        argv0: run.argv0,
        exec_start_pre: run.exec_start_pre,
        request: prepared.request.clone(),
        // Where there is none, the reporter has said so.
        runtime: dirs.usable_runtime().ok().map(Path::to_owned),
        state: made(dirs.usable_state()),
        allow_recent: run.gate.allow.contains(&Reason::Recent),
        timeout: prepared.policy.timeout,
        seed: prepared.policy.seed,
        profile: prepared.profile,
    };
    let engine = Engine::start(prepared.policy, prepared.request, setting.root.clone());
    let ended = Runner::new(plan, engine, reporter, signals).run().await;
    if !tried.enable || ended.exit != Exit::Ok {
        return Ok(ended.exit);
    }
    if !ended.has_run {
        return guard::after_staging(&tried, setting).await;
    }
    let mut signals = ended.signals;
    tokio::select! {
        biased;
        // The deadline is systemd's: it undoes what this process leaves.
        signal = signals.next() => Ok(Exit::Signal(signal as i32)),
        exit = guard::guard(Guard::of_settings(&tried), setting) => exit,
    }
}
