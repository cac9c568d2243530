//! What is wrong with a unit that is to upgrade something over a network that comes and goes: numbered findings.
//!
//! Pure. Each rule is one function over a [`Case`]; docs/lint.md has them one by one. A rule that is about networks fires
//! only for a unit that evidently needs one, and says nothing of a unit whose gate waits.

mod case;
mod gates;
mod limits;
mod local;
mod resume;
mod settings;
mod timeouts;
mod upgraders;
mod waits;
mod words;

use std::time::Duration;

pub use self::case::Case;
use super::unit::{Load, Unit};
use super::version::Version;
use crate::systemd::simulate::Timeline;

/// What is assumed when a unit is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assumed {
    /// How long there is no network.
    pub outage: Duration,
    /// How long an attempt without a network takes to fail.
    pub attempt: Duration,
    /// Whether it is a unit of a user's manager, which has no network-online.target.
    pub of_user: bool,
}

impl Default for Assumed {
    fn default() -> Self {
        Self {
            outage: Duration::from_secs(30 * 60),
            attempt: Duration::from_secs(5),
            of_user: false,
        }
    }
}

/// A rule. Its number is an interface: it never changes, and is never given to another rule.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// `UG001`.
    pub id: &'static str,
    /// What is wrong, in a line.
    pub title: &'static str,
    check: Check,
}

#[derive(Clone, Copy, Debug)]
enum Check {
    /// At most one finding in a unit.
    Once(fn(&Case<'_>) -> Option<Diagnosis>),
    /// One for each of what is wrong.
    Each(fn(&Case<'_>) -> Vec<Diagnosis>),
}

impl Rule {
    fn check(&self, case: &Case<'_>) -> Vec<Diagnosis> {
        match self.check {
            Check::Once(check) => check(case).into_iter().collect(),
            Check::Each(check) => check(case),
        }
    }
}

/// What a rule has to say of a unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnosis {
    /// What happens, when, in numbers.
    pub what: String,
    /// The command that fixes it, if there is one.
    pub command: Option<String>,
    /// The lines of a drop-in that fix it, if there are any.
    pub lines: Vec<String>,
}

/// Something that is wrong with a unit.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The rule.
    pub rule: &'static Rule,
    /// What it has to say.
    pub said: Diagnosis,
}

/// What becomes of a unit during the outage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prediction {
    /// Its gate holds it until there is a network.
    Held,
    /// Its gate says no, and it is skipped.
    Skipped,
    /// It is started and fails, as systemd has it.
    Tried(Timeline),
}

/// All rules, in the order of their numbers.
pub const RULES: &[Rule] = &[
    rule(
        "UG001",
        "the start limit is never reached",
        limits::never_bites,
    ),
    rule(
        "UG002",
        "the start limit is reached before the network is back",
        limits::bites_too_soon,
    ),
    rule(
        "UG003",
        "its timer starts it on resume, before there is a network",
        resume::before_the_network,
    ),
    rule(
        "UG004",
        "nm-online does not tell whether there is a network",
        resume::nm_online,
    ),
    rule(
        "UG005",
        "Persistent=false does not keep the timer from catching up after a suspend",
        resume::persistent,
    ),
    rule(
        "UG006",
        "RandomizedDelaySec= does not delay a start that a suspend has already delayed",
        resume::randomized_delay,
    ),
    rule(
        "UG007",
        "systemd refuses this Restart= for Type=oneshot",
        settings::refused_restart,
    ),
    rule(
        "UG008",
        "RestartSteps= and RestartMaxDelaySec= do nothing without each other",
        settings::lonely_steps,
    ),
    rule(
        "UG009",
        "OnFailure= units are started at each failed attempt",
        settings::on_failure,
    ),
    rule(
        "UG010",
        "RestartPreventExitStatus= does not apply to a gate in ExecStartPre=",
        gates::prevent_before_start,
    ),
    rule(
        "UG011",
        "a gate in ExecStartPre= that gives up fails the unit",
        gates::finite_timeout,
    ),
    rule(
        "UG012",
        "a held gate is treated as success: the unit runs ungated",
        gates::ungated,
    ),
    rule(
        "UG013",
        "a gate in ExecCondition= without --exec-condition skips the unit indefinitely if misconfigured",
        gates::condition_without_option,
    ),
    rule(
        "UG014",
        "waiting before the unit counts as started keeps the boot from finishing",
        gates::waiting_at_boot,
    ),
    Rule {
        id: "UG015",
        title: "a start timeout is shorter than the gate's wait",
        check: Check::Each(timeouts::ends_the_wait),
    },
    rule(
        "UG016",
        "a switch to a new system restarts the unit that it runs in",
        settings::switches_itself,
    ),
    Rule {
        id: "UG017",
        title: "systemd ignores a line, or reads it differently",
        check: Check::Each(settings::ignored_lines),
    },
    rule(
        "UG018",
        "the gate's \"not now\" counts as done",
        gates::not_now_is_done,
    ),
    Rule {
        id: "UG019",
        title: "a command runs before the gate",
        check: Check::Each(gates::before_the_gate),
    },
];

const fn rule(
    id: &'static str,
    title: &'static str,
    check: fn(&Case<'_>) -> Option<Diagnosis>,
) -> Rule {
    Rule {
        id,
        title,
        check: Check::Once(check),
    }
}

/// What is wrong with the unit, if it is a service that can be started; in the order of the rules.
pub fn findings(unit: &Unit, version: Version, assumed: Assumed) -> Vec<Finding> {
    let Some(case) = Case::of(unit, version, assumed) else {
        return Vec::new();
    };
    let found = RULES.iter().flat_map(|rule| {
        let said = rule.check(&case).into_iter();
        said.map(move |said| Finding { rule, said })
    });
    found.collect()
}

/// What becomes of the unit during the outage; none if it is not a service that can be started, or one that systemd refuses.
pub fn prediction(unit: &Unit, version: Version, assumed: Assumed) -> Option<Prediction> {
    let case = Case::of(unit, version, assumed)?;
    let refused = unit.load != Load::Loaded || settings::refused_restart(&case).is_some();
    (!refused).then(|| case.prediction())
}

#[cfg(test)]
mod tests;
