//! A root directory with units, for systemd-analyze and for `--root`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

pub(super) const LIB: &str = "usr/lib/systemd/system";
pub(super) const ETC: &str = "etc/systemd/system";

/// What every unit depends on, and the programs that stand in for all others.
const TARGETS: &[&str] = &[
    "basic",
    "multi-user",
    "network-online",
    "shutdown",
    "sysinit",
    "time-set",
    "time-sync",
    "timers",
];
const PROGRAMS: &[&str] = &["upgrade-gate", "true"];

pub(super) struct Root(TempDir);

impl Root {
    /// With what systemd itself brings, as far as it is asked for.
    pub(super) fn new() -> Self {
        let root = Self(TempDir::new().unwrap());
        for target in TARGETS {
            root.write(
                &format!("{LIB}/{target}.target"),
                "[Unit]\nDefaultDependencies=no\n",
            );
        }
        root.write(
            &format!("{LIB}/dbus.socket"),
            "[Unit]\nDefaultDependencies=no\n[Socket]\nListenStream=/run/bus\nService=oneshot.service\n",
        );
        for name in PROGRAMS {
            root.program(&format!("usr/bin/{name}"));
        }
        root
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(super) fn write(&self, path: &str, text: &str) -> PathBuf {
        let path = self.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    pub(super) fn program(&self, path: &str) {
        let path = self.write(path, "#!/bin/sh\n");
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Everything that systemd has to say of these units; it says nothing of what it likes.
    pub(super) fn complaints(&self, units: &[String]) -> String {
        let output = Command::new("systemd-analyze")
            .args(["verify", "--man=no"])
            .arg(format!("--root={}", self.path().display()))
            .args(units)
            .output()
            .expect("systemd-analyze runs");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() || !said.is_empty());
        said
    }

    pub(super) fn upgrade_gate(&self, line: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_upgrade-gate"))
            .arg("--root")
            .arg(self.path())
            .args(line.split_whitespace())
            .output()
            .expect("ran")
    }
}
