//! Switches to a configuration that others have begun, and what a system says against one.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::process::Command;

use super::{Nixos, switch};
use crate::guard::facts::ProgramState;
use crate::guard::state::{Transaction, TrialMode};
use crate::guard::systemd::SystemdClient;
use crate::guard::units::{self, now_usec};
use crate::text::line::shortened;

/// nixos-rebuild's units, with and without a suffix.
const UNITS: &str = "nixos-rebuild-switch-to-configuration*.service";

/// How long the checks before a switch may take.
const CHECKS: Duration = Duration::from_secs(60);

impl Nixos {
    /// The units that switch to a configuration now, whoever started them.
    pub async fn switching(&self) -> Result<Vec<String>, String> {
        let active = SystemdClient::patiently().await?.active(&[UNITS]).await?;
        Ok(active.into_iter().collect())
    }

    /// The activation by another tool: a unit, or whoever holds the lock. A lock cannot be taken away, so after the deadline it no
    /// longer counts; and it may be that of our own undo. A systemd that does not answer is busy with the switch.
    pub(super) async fn activation_of_others(
        &self,
        t: &Transaction,
        undo: ProgramState,
    ) -> ProgramState {
        let units = self.switching().await;
        let may_wait = undo == ProgramState::Absent && now_usec() < t.deadline_usec;
        let switches = units.map_or(may_wait, |units| !units.is_empty());
        if switches || (may_wait && self.lock_is_held()) {
            ProgramState::Running
        } else {
            ProgramState::Absent
        }
    }

    /// Stops the activation of the candidate, whoever has started it.
    pub(super) async fn stop_activation(&self, t: &Transaction) -> Result<(), String> {
        if t.mode != TrialMode::Foreign {
            return units::stop_activation(t).await;
        }
        let systemd = SystemdClient::patiently().await?;
        for unit in self.switching().await? {
            systemd.end(&unit).await?;
        }
        Ok(())
    }

    /// Whether `switch-to-configuration` runs: it locks a file. To try the lock would make it fail.
    fn lock_is_held(&self) -> bool {
        let file = self.inside(Path::new("/run/nixos/switch-to-configuration.lock"));
        let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
        let locked =
            fs::symlink_metadata(file).map(|file| is_locked(&locks, file.dev(), file.ino()));
        locked.unwrap_or(false)
    }

    /// What a system says against being switched to while this one runs: its switch inhibitors and other checks. A system too old
    /// to be asked says nothing.
    pub async fn refuses_switch(&self, system: &Path) -> Option<String> {
        let mut command = Command::new(switch(&self.paths.text(system)));
        command.arg("check").stdin(Stdio::null()).kill_on_drop(true);
        match tokio::time::timeout(CHECKS, command.output()).await {
            Ok(Ok(output)) => objection(&output),
            // The activation itself says what is wrong.
            Ok(Err(_)) => None,
            Err(_) => Some("its checks take longer than a minute".to_owned()),
        }
    }
}

fn objection(output: &Output) -> Option<String> {
    let said = [&*output.stdout, &*output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let knows_no_checks = said.lines().any(|line| line.starts_with("Usage: "));
    let silent = || output.status.to_string();
    let reason = Some(shortened(said.trim(), 500)).filter(|said| !said.is_empty());
    (!output.status.success() && !knows_no_checks).then(|| reason.unwrap_or_else(silent))
}

/// Whether a line of `/proc/locks` is about this file.
fn is_locked(locks: &str, device: u64, inode: u64) -> bool {
    let (major, minor) = (nix::sys::stat::major(device), nix::sys::stat::minor(device));
    let file = format!("{major:02x}:{minor:02x}:{inode}");
    let mut lines = locks.lines().map(str::split_ascii_whitespace);
    // One that waits for a lock has an arrow before its kind.
    lines.any(|mut words| words.nth(1) != Some("->") && words.any(|word| word == file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_known_by_its_file_and_not_by_who_waits_for_it() {
        let locks = "1: FLOCK  ADVISORY  WRITE 1 00:1a:77 0 EOF\n2: -> FLOCK  ADVISORY  WRITE 2 00:1a:78 0 EOF\n";
        let device = nix::sys::stat::makedev(0, 0x1a);
        assert!(is_locked(locks, device, 77));
        assert!(!is_locked(locks, device, 78));
        assert!(!is_locked(locks, device + 1, 77));
    }
}
