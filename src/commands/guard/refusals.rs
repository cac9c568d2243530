//! What is refused before anything is done, and what waives it.

use std::path::Path;

use super::{Context, status};
use crate::cli::guard::{TrialArgs, Waived};
use crate::commands::prepare::Refusal;
use crate::exit::Exit;
use crate::guard::state::{Baseline, GuardState};

/// What a candidate must have to be got back from.
pub(super) const GUARD_UNIT: &str = "upgrade-gate-guard.service";

/// What is to be tried, and what runs.
pub(super) struct Systems<'a> {
    pub(super) candidate: &'a Path,
    pub(super) baseline: &'a Path,
}

fn not_now(why: &str) -> Refusal {
    Refusal::new(Exit::NotNow, why)
}

/// Only one system is tried at a time.
pub(super) fn refuse_armed(state: &GuardState) -> Result<(), Refusal> {
    let Some(under_way) = &state.transaction else {
        return Ok(());
    };
    let phase = status::label(under_way.phase);
    Err(not_now(&format!(
        "armed: another upgrade is being tried ({phase}); see upgrade-gate guard status"
    )))
}

/// Refuses for the first reason that is not waived.
pub(super) fn first<const N: usize>(
    allow: &[Waived],
    reasons: [(Waived, Option<String>); N],
) -> Result<(), Refusal> {
    let mut left = reasons
        .into_iter()
        .filter(|(reason, _)| !allow.contains(reason));
    match left.find_map(|(_, why)| why) {
        Some(why) => Err(not_now(&why)),
        None => Ok(()),
    }
}

impl Context {
    /// Refuses a system for the first reason that is not waived.
    pub(super) fn refuse_system(
        &self,
        state: &GuardState,
        watched: &TrialArgs,
        systems: &Systems<'_>,
    ) -> Result<(), Refusal> {
        let reasons = [
            (Waived::Denied, denied(state, systems.candidate)),
            (Waived::Paused, paused(state)),
            (Waived::Older, self.older(systems)),
            (Waived::NoSpace, self.no_space(systems)),
            (Waived::Bare, self.bare(&watched.must_have, systems)),
            (Waived::OneWay, self.one_way(watched, systems)),
        ];
        first(&watched.allow, reasons)
    }

    fn older(&self, systems: &Systems<'_>) -> Option<String> {
        let shown = systems.candidate.display();
        let [old, new] = self.machine.is_older(systems.candidate, systems.baseline)?;
        Some(format!(
            "older: {shown} is NixOS {old}, and {new} runs: a stale flake or channel; --allow older tries it all the same"
        ))
    }

    fn no_space(&self, systems: &Systems<'_>) -> Option<String> {
        let shown = systems.candidate.display();
        let lacking = self
            .machine
            .lacks_space(systems.candidate)?
            .div_ceil(1 << 20);
        Some(format!(
            "no_space: the boot partition lacks {lacking} MiB for the kernel and initrd of {shown}; remove old generations, or --allow no-space"
        ))
    }

    /// Whoever wants somebody's word has somebody who decides.
    fn one_way(&self, watched: &TrialArgs, systems: &Systems<'_>) -> Option<String> {
        let packages: &[String] = if watched.confirm {
            &[]
        } else {
            &watched.one_way
        };
        let shown = systems.candidate.display();
        let [package, old, new] =
            self.machine
                .migrates(packages, systems.baseline, systems.candidate)?;
        Some(format!(
            "one_way: {shown} has {package} {new}, and {old} runs, whose data may not go back; use --confirm, or --allow one-way"
        ))
    }

    fn bare(&self, must_have: &[String], systems: &Systems<'_>) -> Option<String> {
        let shown = systems.candidate.display();
        let unit = self.lacks(must_have, systems)?;
        Some(format!(
            "bare: {shown} has no {unit}; --allow bare tries it all the same"
        ))
    }

    /// What the candidate lacks, and must have.
    fn lacks<'a>(&self, must_have: &'a [String], systems: &Systems<'_>) -> Option<&'a str> {
        let has = |system: &Path, file: &str| {
            let units = self.machine.inside(system).join("etc/systemd/system");
            units.join(file).symlink_metadata().is_ok()
        };
        let targets = ["multi-user", "network", "sockets", "timers"];
        let starts = |system: &Path, unit: &str| {
            let units = socket_of(unit).into_iter().chain([unit.to_owned()]);
            let wants = |unit| targets.map(|target| format!("{target}.target.wants/{unit}"));
            units.flat_map(wants).any(|wants| has(system, &wants))
        };
        let is_lost =
            |unit: &&String| starts(systems.baseline, unit) && !starts(systems.candidate, unit);
        let bare = !has(systems.candidate, GUARD_UNIT);
        let lost = || must_have.iter().find(is_lost).map(String::as_str);
        bare.then_some(GUARD_UNIT).or_else(lost)
    }

    /// Asks the system itself.
    pub(super) async fn refuse_switch(
        &self,
        allow: &[Waived],
        candidate: &Path,
    ) -> Result<(), Refusal> {
        if allow.contains(&Waived::Checks) {
            return Ok(());
        }
        let shown = candidate.display();
        match self.machine.refuses_switch(candidate).await {
            Some(why) => Err(not_now(&format!(
                "checks: {shown} refuses to be switched to from the system that runs: {why}; if it wants a reboot, use --mode reboot"
            ))),
            None => Ok(()),
        }
    }

    /// Refuses while somebody else is at work, or has been.
    pub(super) async fn refuse_machine(
        &self,
        baseline: &Baseline,
        candidate: Option<&Path>,
    ) -> Result<(), Refusal> {
        let switching = self.machine.switching().await;
        let switching = switching.map_err(|why| Refusal::new(Exit::Unavailable, &why))?;
        if let Some(unit) = switching.first() {
            return Err(not_now(&format!("busy: {unit} switches to a system now")));
        }
        let profile = self.machine.profile_system();
        let is_known = |system: &&Path| *system == baseline.system || Some(*system) == candidate;
        match profile.as_deref().filter(|system| !is_known(system)) {
            Some(other) => Err(not_now(&format!(
                "other_system: the system profile is {}, which does not run; reboot into it or switch to it first",
                other.display()
            ))),
            None => Ok(()),
        }
    }
}

/// What starts a service when it is asked for; with `Accept=` it starts instances of a template of the service's name.
fn socket_of(unit: &str) -> Option<String> {
    Some(format!("{}.socket", unit.strip_suffix(".service")?))
}

pub(super) fn denied(state: &GuardState, candidate: &Path) -> Option<String> {
    let denial = state.denial(candidate)?;
    Some(format!(
        "denied: {} was undone before ({}); --allow denied tries it again",
        candidate.display(),
        status::label(denial.cause),
    ))
}

pub(super) fn paused(state: &GuardState) -> Option<String> {
    let why =
        "paused: 3 systems were undone since one was kept; --allow paused tries one all the same";
    state.is_paused().then(|| why.to_owned())
}
