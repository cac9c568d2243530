//! `watch`: joins the gate of `[watch]` with systemd and logind.

use std::path::Path;

use super::prepare::{CommonOptions, Refusal, prepare_watch, reporter};
use crate::cli::WatchArgs;
use crate::engine::Engine;
use crate::exit::Exit;
use crate::report::CommandKind;
use crate::run::signals::{IgnoredSignals, Signals};
use crate::sys::dirs::Dirs;
use crate::sys::files;
use crate::watch::link::ManagerLink;
use crate::watch::memory::Memory;
use crate::watch::target::TARGET;
use crate::watch::watcher::{Fresh, Watcher};

/// Follows the gate until it is told to end.
pub(super) async fn watch(args: &WatchArgs, setting: &CommonOptions) -> Result<Exit, Refusal> {
    let signals = Signals::install(IgnoredSignals::read())
        .map_err(|error| Refusal::new(Exit::Fault, &format!("cannot handle signals: {error}")))?;
    let load = || load(args, setting);
    let fresh = load()?;
    let link = ManagerLink::connect().await.map_err(|error| {
        let why = format!(
            "cannot ask systemd to start {TARGET}: {error}; watch needs a machine booted with systemd"
        );
        Refusal::new(Exit::Unavailable, &why)
    })?;
    let dirs = Dirs::of_process(&setting.root);
    // Where there is none, the reporter has said so.
    let memory = Memory::below(dirs.usable_runtime().ok());
    let machine_id = machine_id(&setting.root);
    let watcher = Watcher::new(fresh, link, signals, machine_id, memory);
    Box::pin(watcher.run(load)).await;
    Ok(Exit::Ok)
}

fn load(args: &WatchArgs, setting: &CommonOptions) -> Result<Fresh, Refusal> {
    let (prepared, watch) = prepare_watch(&setting.root)?;
    let reporter = reporter(CommandKind::Watch, &prepared, args.json, setting);
    let engine = Engine::start(prepared.policy, prepared.request, setting.root.clone());
    Ok(Fresh {
        engine,
        reporter,
        watch,
    })
}

/// It has 33 bytes.
const MACHINE_ID: u64 = 64;

/// machine-id(5). Without one all machines without one have the same delays.
fn machine_id(root: &Path) -> String {
    let id = files::read(&root.join("etc/machine-id"), MACHINE_ID).unwrap_or_default();
    String::from_utf8_lossy(&id).into_owned()
}
