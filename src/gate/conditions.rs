//! The conditions, in the order in which they are named.

use super::Gate;
use super::event::{Outcome, Report};
use super::explain::explain;
use super::policy::{PowerPolicy, Reach};
use super::reason::Reason;
use super::verdict::Hold;

impl Gate {
    /// Every condition that is not met, the one to name first. Sources that have not spoken hold it too, but are
    /// not worth a word beside what is known.
    pub(super) fn holds(&self) -> Vec<Hold> {
        let holds = [
            self.shutting_down(),
            self.asleep(),
            self.connectivity(),
            self.metered(),
            self.power(),
            self.logind(),
        ];
        let holds = holds.into_iter().flatten();
        let mut holds: Vec<Hold> = holds
            .filter(|hold| !self.policy.waived.contains(&hold.reason))
            .collect();
        if holds.is_empty() && !self.world.has_reported(&self.policy) {
            holds.push(held(Reason::Unknown, "not every source has reported yet"));
        }
        holds
    }

    /// The hold of a gate whose conditions are all met, but not for long enough.
    pub(super) fn settling(&self) -> Hold {
        Hold {
            look_again: self.settled_at(),
            ..held(
                Reason::Settling,
                "online; waiting for the network to stay stable",
            )
        }
    }

    fn shutting_down(&self) -> Option<Hold> {
        let down = self.world.is_shutting_down();
        down.then(|| held(Reason::ShuttingDown, "logind is preparing for shutdown"))
    }

    fn asleep(&self) -> Option<Hold> {
        let asleep = self.world.is_asleep();
        asleep.then(|| {
            held(
                Reason::Asleep,
                "logind is preparing for sleep, or has not reported the resume yet",
            )
        })
    }

    pub(super) fn connectivity(&self) -> Option<Hold> {
        if self.world.is_going_down() {
            return None;
        }
        match self.policy.reach {
            Reach::Targets => {}
            Reach::Anywhere => return self.guessed(),
            Reach::Nothing => return None,
        }
        let failure = match self.probing.outcome() {
            Some(Outcome::Reached(_)) => return None,
            Some(Outcome::Failed(failure)) => Some(failure),
            None => None,
        };
        let hold = explain(failure, &self.world).unwrap_or_else(asking);
        Some(Hold {
            look_again: self.next_look(),
            ..hold
        })
    }

    /// Without a target to ask, a route has to do; unknown is not one.
    fn guessed(&self) -> Option<Hold> {
        match &self.world.routes {
            None => None,
            Some(routes) if routes.hops.values().any(Option::is_some) => None,
            Some(_) => explain(None, &self.world),
        }
    }

    fn next_look(&self) -> Option<super::Monotonic> {
        if self.probing.is_running() {
            return None;
        }
        self.probing.next_at(self.world.has_route())
    }

    fn metered(&self) -> Option<Hold> {
        if !self.policy.hold_metered {
            return None;
        }
        match &self.world.network_manager {
            Some(Report::Absent) | None => None,
            Some(Report::Known(nm)) => nm.metered.then(|| {
                held(
                    Reason::Metered,
                    "NetworkManager says the connection is metered",
                )
            }),
            Some(Report::Unknown(why)) => Some(held(
                Reason::Unknown,
                format!("whether the connection is metered: {why}"),
            )),
        }
    }

    fn power(&self) -> Option<Hold> {
        if self.policy.power == PowerPolicy::Any {
            return None;
        }
        match self.world.power() {
            Some(Report::Absent) | None => None,
            Some(Report::Known(power)) if !power.on_battery => None,
            Some(Report::Known(power)) => self.on_battery(power.percentage),
            Some(Report::Unknown(why)) => {
                Some(held(Reason::Unknown, format!("the power supply: {why}")))
            }
        }
    }

    fn on_battery(&self, percentage: Option<u8>) -> Option<Hold> {
        let PowerPolicy::BatteryAtLeast(wanted) = self.policy.power else {
            return Some(held(Reason::OnBattery, "waiting for mains power"));
        };
        match percentage {
            Some(charge) if charge >= wanted => None,
            Some(charge) => Some(held(
                Reason::BatteryLow,
                format!("the battery has {charge} %, waiting for {wanted} % or mains power"),
            )),
            None => Some(held(
                Reason::Unknown,
                "on battery, and its charge is not known",
            )),
        }
    }

    fn logind(&self) -> Option<Hold> {
        match &self.world.logind {
            Some(Report::Absent | Report::Known(_)) | None => None,
            Some(Report::Unknown(why)) => Some(held(
                Reason::Unknown,
                format!("whether the machine is going to sleep: {why}"),
            )),
        }
    }
}

/// The hold while a probe is under way and nothing is known yet.
pub(super) fn asking() -> Hold {
    held(Reason::Unknown, "probing the target")
}

fn held(reason: Reason, detail: impl Into<String>) -> Hold {
    Hold {
        reason,
        detail: detail.into(),
        look_again: None,
    }
}
