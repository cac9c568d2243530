//! The real binary in a machine of its own: a folder with a bus or unit files in it.

use std::process::{Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;

use super::systemd::{Systemd, Unit};
use crate::harness::GENEROUS;
use crate::support::bus::TestBus;

/// A machine as far as lint sees it: a folder with a bus or unit files in it, and whoever is on the bus.
pub(super) struct Machine {
    pub(super) folder: TempDir,
    bus: Option<TestBus>,
    systemd: Option<Systemd>,
}

impl Machine {
    pub(super) fn none() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            bus: None,
            systemd: None,
        }
    }

    pub(super) fn empty() -> Self {
        let mut bus = Self::none();
        bus.bus = Some(TestBus::start(&bus.folder.path().join("bus")));
        bus
    }

    pub(super) async fn with(units: Vec<Unit>) -> Self {
        Self::with_version("257.8-1~deb13u2", units).await
    }

    pub(super) async fn with_version(version: &'static str, units: Vec<Unit>) -> Self {
        let mut bus = Self::empty();
        let address = bus.bus.as_ref().unwrap().address();
        bus.systemd = Some(Systemd::start(&address, version, units).await);
        bus
    }

    /// Writes a unit file below the folder, which is also a root.
    pub(super) fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join("etc/systemd/system").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// The units of the files below the folder.
    pub(super) async fn lint_files(&self, words: &str) -> Diagnosis {
        let root = self.folder.path().display();
        self.lint(&format!("{words} --root {root}")).await
    }

    pub(super) async fn lint(&self, words: &str) -> Diagnosis {
        let ended = timeout(GENEROUS, self.command(&format!("lint {words}")).output()).await;
        Diagnosis::new(ended.expect("it ends").unwrap())
    }

    pub(super) fn command(&self, words: &str) -> Command {
        let bus = self.folder.path().join("bus");
        let mut command = Command::new(env!("CARGO_BIN_EXE_upgrade-gate"));
        command
            .args(words.split_whitespace())
            .env_clear()
            .env(
                "DBUS_SYSTEM_BUS_ADDRESS",
                format!("unix:path={}", bus.display()),
            )
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }
}

#[derive(Debug)]
pub(super) struct Diagnosis {
    pub(super) code: Option<i32>,
    pub(super) out: String,
    pub(super) err: String,
}

impl Diagnosis {
    fn new(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("no json: {self:?}"))
    }

    #[track_caller]
    pub(super) fn refuses(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        for part in parts {
            assert!(self.err.contains(part), "{part}: {self:?}");
        }
    }
}
