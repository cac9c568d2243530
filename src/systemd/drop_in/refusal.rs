//! Why a unit cannot be gated, or not in this mode, and what to do instead.

use super::super::gated::is_gated;
use super::super::unit::{Exec, Load, Service};
use super::{DropInSpec, GateMode};

/// Why there is no drop-in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DropInRefusal {
    /// No file has it.
    #[error("no unit file found for {0}")]
    NotFound(String),
    /// It is masked.
    #[error("{0} is masked, so nothing starts it; systemctl unmask {0} first")]
    Masked(String),
    /// systemd refuses it already.
    #[error("systemd refuses {0}: {1}; fix that first (systemd-analyze verify {0})")]
    Refused(String, String),
    /// One of its files cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// It is gone with the program that made it.
    #[error(
        "{0} is transient: it and its drop-ins disappear when it ends; put upgrade-gate run -- before the command that \
         systemd-run is given"
    )]
    Transient(String),
    /// No service.
    #[error("{0} is not a service unit")]
    NoService(String),
    /// It has a gate.
    #[error("{0} is already gated, by {1}")]
    Gated(String, String),
    /// Not in this mode.
    #[error("{unit} cannot be gated in mode {mode}: {why}{instead}", mode = mode.name(), instead = instead(*companion))]
    Mode {
        /// The unit.
        unit: String,
        /// The mode.
        mode: GateMode,
        /// Why not.
        why: String,
        /// Whether mode companion does instead.
        companion: bool,
    },
}

fn instead(companion: bool) -> &'static str {
    if companion {
        "; use --mode companion"
    } else {
        ""
    }
}

/// The service part, if the unit can be gated at all.
pub(super) fn service<'a>(spec: &DropInSpec<'a>) -> Result<&'a Service, DropInRefusal> {
    let unit = spec.unit;
    let name = unit.name.clone();
    match &unit.load {
        Load::NotFound => return Err(DropInRefusal::NotFound(name)),
        Load::Masked => return Err(DropInRefusal::Masked(name)),
        Load::Refused(why) => return Err(DropInRefusal::Refused(name, why.clone())),
        Load::Unreadable(why) => return Err(DropInRefusal::Unreadable(why.clone())),
        Load::Loaded if unit.transient => return Err(DropInRefusal::Transient(name)),
        Load::Loaded => {}
    }
    let Some(service) = &unit.service else {
        return Err(DropInRefusal::NoService(name));
    };
    if let Some(gate) = gate(spec, service) {
        return Err(DropInRefusal::Gated(name, gate));
    }
    if spec.mode != GateMode::Companion {
        surroundings(spec)?;
    }
    Ok(service)
}

/// What gates it already.
fn gate(spec: &DropInSpec<'_>, service: &Service) -> Option<String> {
    let lists = [
        ("ExecStart", &service.exec_start),
        ("ExecStartPre", &service.exec_start_pre),
        ("ExecCondition", &service.exec_condition),
    ];
    let gated = |(_, list): &&(_, &Vec<Exec>)| list.iter().any(is_gated);
    if let Some((setting, _)) = lists.iter().find(gated) {
        return Some(format!("{setting}="));
    }
    if let Some(script) = spec.gated_script {
        return Some(script.to_owned());
    }
    let (requires, wants) = (&spec.unit.requires, &spec.unit.wants);
    let all = requires.iter().map(|name| ("Requires", name));
    let mut all = all.chain(wants.iter().map(|name| ("Wants", name)));
    let (setting, name) = all.find(|(_, name)| name.starts_with("upgrade-gate@"))?;
    // As one word it would be taken for a login, and hidden.
    Some(format!("{setting}= on {name}"))
}

/// Inside the unit there must be a network to look at, and our program.
fn surroundings(spec: &DropInSpec<'_>) -> Result<(), DropInRefusal> {
    let around = spec.surroundings;
    let why = if around.own_network {
        "it has its own network namespace (PrivateNetwork= or NetworkNamespacePath=), which says nothing about the machine's network"
    } else if around.addresses_denied {
        "IPAddressDeny= would cut off the probes"
    } else if around.own_root {
        "it has its own root directory (RootDirectory= or RootImage=), where there is no upgrade-gate"
    } else {
        return Ok(());
    };
    Err(use_companion(spec, why))
}

/// A refusal of this mode, for which another unit can wait.
pub(super) fn use_companion(spec: &DropInSpec<'_>, why: impl Into<String>) -> DropInRefusal {
    refuse(spec, why, true)
}

/// A refusal of this mode.
pub(super) fn refuse(
    spec: &DropInSpec<'_>,
    why: impl Into<String>,
    companion: bool,
) -> DropInRefusal {
    DropInRefusal::Mode {
        unit: spec.unit.name.clone(),
        mode: spec.mode,
        why: why.into(),
        companion,
    }
}
