//! The guard's two edges on the machine that loses power.

use std::cell::{RefCell, RefMut};
use std::io;
use std::rc::Rc;

use super::disk::{Nature, Planted, Write};
use super::table::CAND;
use super::world::{World, path};
use crate::guard::drive::Machine;
use crate::guard::facts::{Effect, GuardFacts, Health, ProgramState, Side};
use crate::guard::state::{GuardState, TransactionPhase};
use crate::guard::store::files::StateFiles;
use crate::guard::store::{STATE, TEMPORARY};

/// The phase in a state's text; none if it is idle.
pub(super) fn phase(text: Option<&[u8]>) -> Option<TransactionPhase> {
    let state: GuardState = serde_json::from_slice(text?).ok()?;
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
    async fn facts(&mut self, state: &GuardState, _compares: bool) -> GuardFacts {
        self.world().facts(state)
    }

    async fn perform(&mut self, effect: Effect, state: &GuardState) -> Result<(), String> {
        self.world().perform(effect, state)
    }
}

impl World {
    fn health(&self) -> Health {
        let unknown = || Health::Unknown("no answer".to_owned());
        match (self.nature, self.current) {
            (Nature::Bad, Side::Candidate) => Health::Bad("worse".to_owned()),
            (Nature::Doubtful, Side::Candidate) | (Nature::Outage, _) => unknown(),
            _ => Health::Good,
        }
    }

    fn facts(&self, state: &GuardState) -> GuardFacts {
        let seen = self.seen();
        let deadline = state.transaction.as_ref().map(|t| t.deadline_usec);
        let blind = self.planted == Planted::NotWaiting && self.activation == ProgramState::Running;
        let blind = blind && phase(seen.state.as_deref()) == Some(TransactionPhase::Undoing);
        GuardFacts {
            boot_id: self.boot_id(),
            now_usec: self.now,
            current: Some(path(self.current)),
            profile: Some(path(seen.profile)),
            boot_default: Some(path(seen.default)),
            one_shot: self.one_shot.then(|| CAND.into()),
            deadline_set: self.deadline.is_some()
                && self.deadline == deadline
                && self.fallback.is_some(),
            activation: if blind {
                ProgramState::Absent
            } else {
                self.activation
            },
            undo: self.undo,
            health: self.health(),
            ..GuardFacts::default()
        }
    }

    fn perform(&mut self, effect: Effect, state: &GuardState) -> Result<(), String> {
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
            Effect::DropGeneration => Ok(()),
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
            Effect::Notify => self.notify(state),
            Effect::Reboot => {
                self.spend()?;
                self.reboot();
                Ok(())
            }
        }
    }
}

impl StateFiles for Handle {
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
