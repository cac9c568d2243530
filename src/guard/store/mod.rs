//! The state on disk: written as a whole or not at all, and never thrown away because it cannot be read.

pub mod files;

use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use self::files::StateFiles;
use super::state::{FORMAT, GuardState};

/// The file of the state.
pub const STATE: &str = "state.json";
/// Where it is written first.
pub const TEMPORARY: &str = "state.json.new";

/// A state that nothing may be decided from. It is left as it is.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be read.
    #[error("cannot read the guard's state {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It cannot be written.
    #[error("cannot write the guard's state {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is damaged.
    #[error("the guard's state {path} is damaged: {source}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A newer program wrote it.
    #[error(
        "the guard's state {path} has format {found}, and this version reads up to {FORMAT}; use the upgrade-gate that wrote it"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// It comes from another machine.
    #[error("the guard's state {path} belongs to another machine ({found})")]
    OtherMachine {
        /// The file.
        path: PathBuf,
        /// That machine's id.
        found: String,
    },
}

/// The state of one machine.
#[derive(Debug)]
pub struct Store<F> {
    files: F,
    dir: PathBuf,
    machine_id: String,
}

impl<F: StateFiles> Store<F> {
    /// The state in `files`; `dir` is for messages.
    pub fn new(files: F, dir: &Path, machine_id: &str) -> Self {
        Self {
            files,
            dir: dir.to_owned(),
            machine_id: machine_id.to_owned(),
        }
    }

    /// Reads the state; idle if there is none.
    pub fn load(&self) -> Result<GuardState, StoreError> {
        let path = self.dir.join(STATE);
        match self.files.read(STATE) {
            Ok(Some(text)) => parse(&path, &text, &self.machine_id),
            Ok(None) => Ok(GuardState::idle(&self.machine_id)),
            Err(source) => Err(StoreError::Read { path, source }),
        }
    }

    /// Writes the state: after this a loss of power finds it, and before the old one.
    pub fn save(&mut self, state: &GuardState) -> Result<(), StoreError> {
        self.write(state).map_err(|source| StoreError::Write {
            path: self.dir.join(STATE),
            source,
        })
    }

    fn write(&mut self, state: &GuardState) -> io::Result<()> {
        let text = serde_json::to_vec(state)?;
        self.files.create(TEMPORARY, &text)?;
        self.files.sync(TEMPORARY)?;
        self.files.rename(TEMPORARY, STATE)?;
        self.files.sync_dir()
    }
}

#[derive(Deserialize)]
struct Header {
    format: u32,
    machine_id: String,
}

/// Format and machine first: all else may mean something different.
fn parse(path: &Path, text: &[u8], machine_id: &str) -> Result<GuardState, StoreError> {
    let path = || path.to_owned();
    let damaged = |source| StoreError::Damaged {
        path: path(),
        source,
    };
    let header: Header = serde_json::from_slice(text).map_err(damaged)?;
    if header.format > FORMAT {
        return Err(StoreError::Newer {
            path: path(),
            found: header.format,
        });
    }
    if header.machine_id != machine_id {
        return Err(StoreError::OtherMachine {
            path: path(),
            found: header.machine_id,
        });
    }
    serde_json::from_slice(text).map_err(damaged)
}

#[cfg(test)]
mod tests;
