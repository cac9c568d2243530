//! A machine that can lose power at any point, and then loses any of the writes that were not synced.
//!
//! Each write, program and unit is one operation. Two systems, one profile, one boot loader, the guard's directory.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::disk::{Disk, Nature, Planted, Write};
use super::edges::phase;
use super::table::{BASE, CAND};
use crate::guard::facts::{ProgramState, Side};
use crate::guard::state::{GuardState, TransactionPhase};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub(super) nature: Nature,
    pub(super) planted: Planted,
    /// How many operations there are left before the power fails; none: it never does.
    pub(super) fuel: Option<u32>,
    pub(super) disk: Disk,
    pub(super) unsynced: Vec<Write>,
    /// A variable of the firmware.
    pub(super) one_shot: bool,
    pub(super) boots: u32,
    pub(super) now: u64,
    pub(super) current: Side,
    pub(super) activation: ProgramState,
    pub(super) undo: ProgramState,
    /// The deadline that systemd has, and whether it has the fallback.
    pub(super) deadline: Option<u64>,
    pub(super) fallback: Option<u64>,
    /// What somebody was told, and what of it in this boot.
    pub(super) told: Vec<TransactionPhase>,
    pub(super) notices: Vec<TransactionPhase>,
    /// What was seen that must never be.
    pub(super) faults: Vec<&'static str>,
}

pub(super) fn path(side: Side) -> PathBuf {
    match side {
        Side::Baseline => BASE.into(),
        Side::Candidate => CAND.into(),
    }
}

impl World {
    /// The baseline runs; the candidate has just been built, and its files are not synced.
    pub(super) fn new(nature: Nature) -> Self {
        let disk = Disk {
            temporary: Vec::new(),
            state: None,
            profile: Side::Baseline,
            entry: false,
            default: Side::Baseline,
            roots: BTreeSet::new(),
            files: false,
            collected: false,
        };
        Self {
            nature,
            planted: Planted::Nothing,
            fuel: None,
            disk,
            unsynced: vec![Write::Files],
            one_shot: false,
            boots: 1,
            now: 0,
            current: Side::Baseline,
            activation: ProgramState::Absent,
            undo: ProgramState::Absent,
            deadline: None,
            fallback: None,
            told: Vec::new(),
            notices: Vec::new(),
            faults: Vec::new(),
        }
    }

    pub(super) fn boot_id(&self) -> String {
        format!("boot{}", self.boots)
    }

    /// What programs see: the disk with everything that was written.
    pub(super) fn seen(&self) -> Disk {
        let mut disk = self.disk.clone();
        self.unsynced.iter().for_each(|write| disk.apply(write));
        disk
    }

    /// Whether this is the moment in which the power fails.
    pub(super) fn is_dead(&self) -> bool {
        self.fuel == Some(0)
    }

    /// One operation, unless the power is gone.
    pub(super) fn spend(&mut self) -> Result<(), String> {
        if self.is_dead() {
            return Err("no power".to_owned());
        }
        self.fuel = self.fuel.map(|fuel| fuel - 1);
        Ok(())
    }

    pub(super) fn write(&mut self, write: Write) -> Result<(), String> {
        self.spend()?;
        self.unsynced.push(write);
        self.look_at_default();
        Ok(())
    }

    /// Before the commit is durable, no loss of power may boot the candidate.
    fn look_at_default(&mut self) {
        let written = self.unsynced.contains(&Write::Default(Side::Candidate));
        if !written && self.disk.default == Side::Baseline {
            return;
        }
        let durable = phase(self.disk.state.as_deref());
        if !matches!(
            durable,
            Some(
                TransactionPhase::Committing
                    | TransactionPhase::Confirmed
                    | TransactionPhase::Undoing
            ) | None
        ) {
            self.faults.push("the candidate may boot before the commit");
        }
    }

    pub(super) fn sync(&mut self) -> Result<(), String> {
        self.spend()?;
        if self.planted == Planted::NoSync {
            return Ok(());
        }
        self.disk = self.seen();
        self.unsynced.clear();
        Ok(())
    }

    /// The garbage collector: what has no root, no profile and does not run is deleted.
    pub(super) fn collect_garbage(&mut self) {
        let seen = self.seen();
        let kept = seen.roots.contains(&true)
            || seen.profile == Side::Candidate
            || self.current == Side::Candidate;
        self.disk.collected |= !kept;
    }

    pub(super) fn usable(&self) -> bool {
        let seen = self.seen();
        seen.files && !seen.collected
    }

    /// The power fails: of the writes that were not synced these stay. Then it boots.
    pub(super) fn crash(&mut self, kept: u32) {
        let unsynced = std::mem::take(&mut self.unsynced);
        for (index, write) in unsynced.iter().enumerate() {
            if kept & (1 << index) != 0 {
                self.disk.apply(write);
            }
        }
        self.boot();
    }

    /// An orderly reboot syncs everything.
    pub(super) fn reboot(&mut self) {
        self.disk = self.seen();
        self.unsynced.clear();
        self.boot();
    }

    fn boot(&mut self) {
        self.fuel = None;
        self.boots += 1;
        self.now = 1_000_000;
        (self.activation, self.undo) = (ProgramState::Absent, ProgramState::Absent);
        (self.deadline, self.fallback) = (None, None);
        self.notices.clear();
        let chosen = if std::mem::take(&mut self.one_shot) {
            Side::Candidate
        } else {
            self.disk.default
        };
        let candidate = chosen == Side::Candidate && self.disk.entry;
        self.current = Side::Baseline;
        if candidate && self.nature != Nature::Panics {
            self.current = Side::Candidate;
            if !self.usable() {
                self.faults.push("it boots what is not there");
            }
        } else if candidate && self.disk.default == Side::Candidate {
            self.faults.push("what does not boot is the boot default");
        }
    }

    /// One of systemd's programs comes to its end; if two run, in the order that is worse.
    pub(super) fn finish_program(&mut self) {
        if self.undo == ProgramState::Running {
            self.undo = ProgramState::Exited(0);
            self.current = Side::Baseline;
        } else if self.activation == ProgramState::Running && self.nature != Nature::Hangs {
            self.end_activation();
        }
    }

    fn end_activation(&mut self) {
        self.activation = match self.nature {
            Nature::Refuses => ProgramState::Exited(1),
            _ => ProgramState::Exited(4),
        };
        if self.nature != Nature::Refuses {
            self.current = Side::Candidate;
            if !self.usable() {
                self.faults.push("it activates what is not there");
            }
        }
    }

    /// systemd acts without our program, if it was told to.
    pub(super) fn fall_back(&mut self) {
        let Some(at) = self.fallback.take() else {
            return;
        };
        self.now = at;
        // Its own timeout has ended what hung.
        if self.activation == ProgramState::Running {
            self.activation = ProgramState::Exited(255);
        }
        self.unsynced.push(Write::Profile(Side::Baseline));
        self.current = Side::Baseline;
    }

    pub(super) fn activate(&mut self, side: Side) -> Result<(), String> {
        self.spend()?;
        match side {
            Side::Candidate => self.activation = ProgramState::Running,
            Side::Baseline => self.undo = ProgramState::Running,
        }
        Ok(())
    }

    pub(super) fn set_profile(&mut self, side: Side) -> Result<(), String> {
        if side == Side::Candidate && !self.usable() {
            return Err("no such path".to_owned());
        }
        if self.seen().profile == side {
            return Ok(());
        }
        self.write(Write::Profile(side))
    }

    /// The builder: an entry for what is in the profile, then the default.
    pub(super) fn install_boot(&mut self, default: Side) -> Result<(), String> {
        if self.seen().profile == Side::Candidate && !self.seen().entry {
            self.write(Write::Entry)?;
        }
        if self.seen().default != default {
            self.write(Write::Default(default))?;
        }
        Ok(())
    }

    pub(super) fn set_deadline(&mut self, state: &GuardState) -> Result<(), String> {
        self.spend()?;
        let deadline = state.transaction.as_ref().map(|t| t.deadline_usec);
        self.deadline = deadline;
        self.spend()?;
        self.fallback = deadline.map(|at| at + 300_000_000);
        Ok(())
    }

    /// systemd knows what it has started in this boot.
    pub(super) fn notify(&mut self, state: &GuardState) -> Result<(), String> {
        self.spend()?;
        let phase = state.transaction.as_ref().map(|t| t.phase);
        let new = phase.filter(|phase| !self.notices.contains(phase));
        self.told.extend(new);
        self.notices.extend(new);
        Ok(())
    }

    pub(super) fn end_by_force(&mut self) -> Result<(), String> {
        self.spend()?;
        self.activation = ProgramState::Exited(255);
        Ok(())
    }
}
