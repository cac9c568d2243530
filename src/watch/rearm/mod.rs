//! Which units are started once more, when, and how many at a time. Pure: events and times in, whose turn it is out.
//!
//! A unit is started again if its last attempt overlapped a time in which the targets were not proven to be reachable:
//! that it failed while offline is then likely, and one start of a unit that failed for something else does
//! no harm. Failures while all was proven are never touched.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::outages::Outages;
use crate::gate::backoff::mixed;
use crate::gate::time::Monotonic;

/// A unit that has failed, by systemd's timestamps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedUnit {
    /// Its name.
    pub unit: String,
    /// When the attempt that failed began; for a unit that failed while it was active, when it failed.
    pub began: Monotonic,
    /// When it failed.
    pub at: Monotonic,
}

/// When a unit left `inactive`, became `active`, came to `failed`, and when its state changed last: the properties
/// `…TimestampMonotonic` of `org.freedesktop.systemd1.Unit`, zero for never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamps {
    /// `InactiveExit`.
    pub inactive_exit: Monotonic,
    /// `ActiveEnter`.
    pub active_enter: Monotonic,
    /// `InactiveEnter`, which `failed` is too.
    pub inactive_enter: Monotonic,
    /// `StateChange`.
    pub state_change: Monotonic,
}

impl FailedUnit {
    /// What a failed unit's timestamps say of its last attempt.
    ///
    /// A start that is refused for the start limit changes the state and nothing else: it is the attempt before that
    /// failed, if there was one.
    pub fn new(unit: String, stamps: Stamps) -> Self {
        let Stamps {
            inactive_exit,
            active_enter,
            inactive_enter,
            state_change,
        } = stamps;
        let at = if inactive_enter == Monotonic::default() {
            state_change
        } else {
            inactive_enter
        };
        // What was up for weeks did not fail for the outages it has lived through.
        let was_up = active_enter >= inactive_exit;
        let began = if was_up || inactive_exit > at {
            at
        } else {
            inactive_exit
        };
        Self { unit, began, at }
    }
}

/// How units are started again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manner {
    /// How many may be starting at a time.
    pub at_once: usize,
    /// The bound of each one's delay.
    pub spread: Duration,
    /// `/etc/machine-id`: the delays are the machine's own, and the same each time.
    pub machine_id: String,
}

/// Those that wait for their turn, and those whose start is under way.
#[derive(Debug)]
pub struct Rearm {
    manner: Manner,
    turns: Vec<(Monotonic, FailedUnit)>,
    /// By unit; the job, once there is one.
    starting: BTreeMap<String, Option<String>>,
    /// The failure of each unit that has had its turn.
    done: BTreeMap<String, Monotonic>,
}

impl Rearm {
    /// Nobody waits.
    pub fn new(manner: Manner) -> Self {
        Self {
            manner,
            turns: Vec::new(),
            starting: BTreeMap::new(),
            done: BTreeMap::new(),
        }
    }

    /// Units are started again in another manner from now on.
    pub fn change(&mut self, manner: Manner) {
        self.manner = manner;
        self.turns.clear();
    }

    /// The gate is open, and these units are failed: gives a turn to those that failed in an outage, each failure once.
    pub fn consider(&mut self, failed: Vec<FailedUnit>, outages: &Outages, now: Monotonic) {
        for failed in failed {
            if outages.overlap(failed.began, failed.at) && self.is_new(&failed) {
                let delay = delay(&self.manner, &failed.unit);
                self.turns.push((now.after(delay), failed));
            }
        }
        self.turns.sort_by_key(|(at, _)| *at);
    }

    fn is_new(&self, failed: &FailedUnit) -> bool {
        let waits = self.turns.iter().any(|(_, one)| one.unit == failed.unit);
        let done = self.done.get(&failed.unit) == Some(&failed.at);
        !waits && !done && !self.starting.contains_key(&failed.unit)
    }

    /// The gate is held: whoever waits loses the turn, and gets another when the gate opens.
    pub fn abort(&mut self) {
        self.turns.clear();
    }

    /// When [`Self::take`] has something to give if no job ends before.
    pub fn next_at(&self) -> Option<Monotonic> {
        let room = self.starting.len() < self.manner.at_once;
        self.turns.first().map(|(at, _)| *at).filter(|_| room)
    }

    /// The unit whose turn it is. It takes up room until [`Self::gave_up`] or [`Self::ended`] is said of it.
    pub fn take(&mut self, now: Monotonic) -> Option<FailedUnit> {
        if self.next_at().is_none_or(|at| at > now) {
            return None;
        }
        let (_, failed) = self.turns.remove(0);
        self.starting.insert(failed.unit.clone(), None);
        self.done.insert(failed.unit.clone(), failed.at);
        Some(failed)
    }

    /// Its start job is queued.
    pub fn started(&mut self, unit: &str, job: String) {
        self.starting.insert(unit.to_owned(), Some(job));
    }

    /// It is not started: it is not failed any more, or systemd refuses.
    pub fn gave_up(&mut self, unit: &str) {
        self.starting.remove(unit);
    }

    /// A job has ended; the unit, if it was one of these.
    pub fn ended(&mut self, job: &str) -> Option<String> {
        let ours = |(_, one): &(&String, &Option<String>)| one.as_deref() == Some(job);
        let unit = self.starting.iter().find(ours)?.0.clone();
        self.starting.remove(&unit);
        Some(unit)
    }

    /// The units whose start is under way.
    pub fn starting(&self) -> Vec<&str> {
        self.starting.keys().map(String::as_str).collect()
    }

    /// Only these have a job still, of those whose start is under way.
    pub fn keep(&mut self, busy: &BTreeSet<String>) {
        self.starting.retain(|unit, _| busy.contains(unit));
    }
}

/// What a unit waits on this machine, below the bound.
fn delay(manner: &Manner, unit: &str) -> Duration {
    let words = ["upgrade-gate rearm", manner.machine_id.trim(), unit];
    let part = u128::from(mixed(fnv(&words.join("\n"))) >> 32);
    let nanos = (manner.spread.as_nanos() * part) >> 32;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// FNV-1a, 64 bits: the same on every machine and in every version, which std's hashes do not promise.
fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests;
