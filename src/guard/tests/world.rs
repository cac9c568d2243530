//! A machine that can lose power at any point, and then loses any of the writes that were not synced.
//!
//! Each write, program and unit is one operation. Two systems, one profile, one boot loader, the guard's directory.

use std::cell::{RefCell, RefMut};
use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;

use super::table::{BASE, CAND};
use crate::guard::drive::Machine;
use crate::guard::facts::{Effect, Facts, Health, Run, Side};
use crate::guard::state::{Phase, State};
use crate::guard::store::files::Files;
use crate::guard::store::{STATE, TEMPORARY};

/// What a write changes on the disk.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Write {
    /// What is in the temporary file.
    Text(Vec<u8>),
    /// The temporary file takes the state's place, with what is durable of it.
    Renamed(Option<Vec<u8>>),
    Profile(Side),
    /// What was not durable when it was renamed.
    Late(Vec<u8>),
    /// The boot entry of the candidate.
    Entry,
    Default(Side),
    Root(Side, bool),
    /// What is in the files of the candidate.
    Files,
}

/// A disk.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Disk {
    temporary: Vec<u8>,
    pub(super) state: Option<Vec<u8>>,
    profile: Side,
    entry: bool,
    default: Side,
    roots: BTreeSet<bool>,
    /// Whether what is in the candidate's files is there.
    files: bool,
    /// Whether the garbage collector has taken it.
    collected: bool,
}

impl Disk {
    fn apply(&mut self, write: &Write) {
        match write {
            Write::Text(text) => self.temporary.clone_from(text),
            Write::Renamed(Some(text)) | Write::Late(text) => self.state = Some(text.clone()),
            Write::Renamed(None) => self.state = Some(std::mem::take(&mut self.temporary)),
            Write::Profile(side) => self.profile = *side,
            Write::Entry => self.entry = true,
            Write::Default(side) => self.default = *side,
            Write::Root(side, true) => drop(self.roots.insert(*side == Side::Candidate)),
            Write::Root(side, false) => drop(self.roots.remove(&(*side == Side::Candidate))),
            Write::Files => self.files = true,
        }
    }
}

/// How the candidate behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Nature {
    Good,
    Bad,
    /// Its activation is refused.
    Refuses,
    /// It does not boot.
    Panics,
    /// Its activation never ends by itself.
    Hangs,
}

/// What a test breaks on purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Planted {
    #[default]
    Nothing,
    /// The state's file is not synced before the rename.
    NoFsync,
    /// The file systems are not synced.
    NoSync,
    /// The candidate has no root.
    NoRoot,
    /// An activation that runs is not seen.
    NotWaiting,
}

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
    pub(super) activation: Run,
    pub(super) undo: Run,
    /// The deadline that systemd has, and whether it has the fallback.
    pub(super) deadline: Option<u64>,
    pub(super) fallback: Option<u64>,
    /// What was seen that must never be.
    pub(super) faults: Vec<&'static str>,
}

fn path(side: Side) -> PathBuf {
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
            activation: Run::Absent,
            undo: Run::Absent,
            deadline: None,
            fallback: None,
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
    fn spend(&mut self) -> Result<(), String> {
        if self.is_dead() {
            return Err("no power".to_owned());
        }
        self.fuel = self.fuel.map(|fuel| fuel - 1);
        Ok(())
    }

    fn write(&mut self, write: Write) -> Result<(), String> {
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
            Some(Phase::Committing | Phase::Confirmed | Phase::Undoing) | None
        ) {
            self.faults.push("the candidate may boot before the commit");
        }
    }

    fn sync(&mut self) -> Result<(), String> {
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

    fn usable(&self) -> bool {
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
        (self.activation, self.undo) = (Run::Absent, Run::Absent);
        (self.deadline, self.fallback) = (None, None);
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
        if self.undo == Run::Running {
            self.undo = Run::Exited(0);
            self.current = Side::Baseline;
        } else if self.activation == Run::Running && self.nature != Nature::Hangs {
            self.end_activation();
        }
    }

    fn end_activation(&mut self) {
        self.activation = match self.nature {
            Nature::Refuses => Run::Exited(1),
            _ => Run::Exited(4),
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
        if self.activation == Run::Running {
            self.activation = Run::Exited(255);
        }
        self.unsynced.push(Write::Profile(Side::Baseline));
        self.current = Side::Baseline;
    }

    fn activate(&mut self, side: Side) -> Result<(), String> {
        self.spend()?;
        match side {
            Side::Candidate => self.activation = Run::Running,
            Side::Baseline => self.undo = Run::Running,
        }
        Ok(())
    }

    fn set_profile(&mut self, side: Side) -> Result<(), String> {
        if side == Side::Candidate && !self.usable() {
            return Err("no such path".to_owned());
        }
        if self.seen().profile == side {
            return Ok(());
        }
        self.write(Write::Profile(side))
    }

    /// The builder: an entry for what is in the profile, then the default.
    fn install_boot(&mut self, default: Side) -> Result<(), String> {
        if self.seen().profile == Side::Candidate && !self.seen().entry {
            self.write(Write::Entry)?;
        }
        if self.seen().default != default {
            self.write(Write::Default(default))?;
        }
        Ok(())
    }

    fn set_deadline(&mut self, state: &State) -> Result<(), String> {
        self.spend()?;
        let deadline = state.transaction.as_ref().map(|t| t.deadline_usec);
        self.deadline = deadline;
        self.spend()?;
        self.fallback = deadline.map(|at| at + 300_000_000);
        Ok(())
    }

    fn end_by_force(&mut self) -> Result<(), String> {
        self.spend()?;
        self.activation = Run::Exited(255);
        Ok(())
    }
}

/// The phase in a state's text; none if it is idle.
pub(super) fn phase(text: Option<&[u8]>) -> Option<Phase> {
    let state: State = serde_json::from_slice(text?).ok()?;
    state.transaction.map(|transaction| transaction.phase)
}

/// The world, for both of the guard's edges.
#[derive(Clone, Debug)]
pub(super) struct Handle(Rc<RefCell<World>>);

impl Handle {
    pub(super) fn new(world: World) -> Self {
        Self(Rc::new(RefCell::new(world)))
    }

    pub(super) fn world(&self) -> RefMut<'_, World> {
        self.0.borrow_mut()
    }
}

impl Machine for Handle {
    async fn facts(&mut self, state: &State) -> Facts {
        self.world().facts(state)
    }

    async fn perform(&mut self, effect: Effect, state: &State) -> Result<(), String> {
        self.world().perform(effect, state)
    }
}

impl World {
    fn facts(&self, state: &State) -> Facts {
        let seen = self.seen();
        let deadline = state.transaction.as_ref().map(|t| t.deadline_usec);
        let blind = self.planted == Planted::NotWaiting && self.activation == Run::Running;
        let blind = blind && phase(seen.state.as_deref()) == Some(Phase::Undoing);
        let worse = self.current == Side::Candidate && self.nature == Nature::Bad;
        Facts {
            boot_id: self.boot_id(),
            now_usec: self.now,
            current: Some(path(self.current)),
            profile: Some(path(seen.profile)),
            boot_default: Some(path(seen.default)),
            one_shot: self.one_shot.then(|| CAND.into()),
            deadline_set: self.deadline.is_some()
                && self.deadline == deadline
                && self.fallback.is_some(),
            activation: if blind { Run::Absent } else { self.activation },
            undo: self.undo,
            health: if worse {
                Health::Bad("worse".to_owned())
            } else {
                Health::Good
            },
            ..Facts::default()
        }
    }

    fn perform(&mut self, effect: Effect, state: &State) -> Result<(), String> {
        match effect {
            Effect::Root(Side::Candidate) if self.planted == Planted::NoRoot => Ok(()),
            Effect::Root(Side::Candidate) if self.seen().collected => {
                Err("no such path".to_owned())
            }
            Effect::Root(side) => self.write(Write::Root(side, true)),
            Effect::Unroot => {
                self.write(Write::Root(Side::Candidate, false))?;
                self.write(Write::Root(Side::Baseline, false))
            }
            Effect::Sync => self.sync(),
            Effect::SetDeadline => self.set_deadline(state),
            Effect::DropFallback => {
                self.spend()?;
                self.fallback = None;
                Ok(())
            }
            Effect::DropDeadline => {
                self.spend()?;
                (self.deadline, self.fallback) = (None, None);
                Ok(())
            }
            Effect::Activate(side) => self.activate(side),
            Effect::StopActivation => self.end_by_force(),
            Effect::SetProfile(side) => self.set_profile(side),
            Effect::InstallBoot(side) => self.install_boot(side),
            Effect::WriteEntries => self.install_boot(Side::Baseline),
            Effect::SetOneShot => {
                self.spend()?;
                self.one_shot = true;
                Ok(())
            }
            Effect::ClearOneShot => {
                self.spend()?;
                self.one_shot = false;
                Ok(())
            }
            Effect::Reboot => {
                self.spend()?;
                self.reboot();
                Ok(())
            }
        }
    }
}

impl Files for Handle {
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        assert_eq!(name, STATE);
        Ok(self.world().seen().state)
    }

    fn create(&mut self, name: &str, text: &[u8]) -> io::Result<()> {
        assert_eq!(name, TEMPORARY);
        // Truncated first: what is lost of it then is all of it.
        self.world()
            .write(Write::Text(text.to_owned()))
            .map_err(io::Error::other)
    }

    fn sync(&mut self, _: &str) -> io::Result<()> {
        self.world().spend().map_err(io::Error::other)?;
        if self.world().planted != Planted::NoFsync {
            self.world().settle(|write| matches!(write, Write::Text(_)));
        }
        Ok(())
    }

    fn rename(&mut self, _: &str, _: &str) -> io::Result<()> {
        let mut world = self.world();
        let lost = world
            .unsynced
            .iter()
            .any(|write| matches!(write, Write::Text(_)));
        let durable = (!lost).then(|| world.disk.temporary.clone());
        world
            .write(Write::Renamed(durable))
            .map_err(io::Error::other)
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        self.world().spend().map_err(io::Error::other)?;
        self.world().settle_names();
        Ok(())
    }
}

impl World {
    /// The names are durable now; what is in the file under its new name may not be.
    fn settle_names(&mut self) {
        let text = |write: &Write| match write {
            Write::Text(text) => Some(text.clone()),
            _ => None,
        };
        let late = self.unsynced.iter().find_map(text);
        self.settle(|write| matches!(write, Write::Renamed(_)));
        if let Some(late) = late {
            self.unsynced.retain(|write| text(write).is_none());
            self.unsynced.push(Write::Late(late));
        }
    }

    /// These writes are durable now.
    fn settle(&mut self, which: impl Fn(&Write) -> bool) {
        let (durable, left): (Vec<_>, Vec<_>) = std::mem::take(&mut self.unsynced)
            .into_iter()
            .partition(which);
        for write in &durable {
            self.disk.apply(write);
        }
        self.unsynced = left;
    }
}

impl World {
    /// What boots if the power fails now, with what was written.
    pub(super) fn boots_into(&self) -> Side {
        let seen = self.seen();
        if seen.default == Side::Candidate && seen.entry {
            Side::Candidate
        } else {
            Side::Baseline
        }
    }

    pub(super) fn profile(&self) -> Side {
        self.seen().profile
    }
}
