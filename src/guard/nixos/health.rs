//! The candidate compared with the baseline: only what the candidate changed, and was well before, is held against it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::Nixos;
use crate::guard::facts::Health;
use crate::guard::state::Transaction;
use crate::text::secret;

/// How long one check may take.
const CHECK: Duration = Duration::from_secs(60);
/// The exit code of a check that has no verdict yet, `EX_TEMPFAIL`.
const NO_VERDICT: i32 = 75;

impl Nixos {
    /// Compares what runs with the baseline.
    pub(super) async fn health(&self, t: &Transaction) -> Health {
        let units = match self.units(t).await {
            Health::Good => Health::Good,
            other => return other,
        };
        let mut verdict = units;
        for check in &t.rules.checks {
            match self.check(check).await {
                Health::Good => {}
                Health::Unknown => verdict = Health::Unknown,
                bad @ Health::Bad(_) => return bad,
            }
        }
        verdict
    }

    async fn units(&self, t: &Transaction) -> Health {
        let failed = match self.systemd().await {
            Ok(systemd) => systemd.failed().await,
            Err(why) => Err(why),
        };
        let Ok(failed) = failed else {
            return Health::Unknown;
        };
        let ours = |unit: &String| unit.starts_with("upgrade-gate-guard-");
        let known = |unit: &String| t.baseline.failed_units.contains(unit) || ours(unit);
        let newly: Vec<_> = failed.into_iter().filter(|unit| !known(unit)).collect();
        let (changed, unchanged): (Vec<_>, Vec<_>) =
            newly.into_iter().partition(|unit| self.changed(t, unit));
        if !unchanged.is_empty() {
            tracing::info!(
                "guard: failed, but not changed by the upgrade: {}",
                unchanged.join(", ")
            );
        }
        if changed.is_empty() {
            return Health::Good;
        }
        Health::Bad(format!("newly failed: {}", changed.join(", ")))
    }

    /// Whether the unit is another in the candidate than in the baseline.
    fn changed(&self, t: &Transaction, unit: &str) -> bool {
        let Some(candidate) = &t.candidate else {
            return true;
        };
        let of = |system: &Path, name: &str| {
            let folder = self.paths.inside(system).join("etc/systemd/system");
            identity(&folder.join(name))
        };
        let drop_ins = format!("{unit}.d");
        let differs = |name: &str| of(&t.baseline.system, name) != of(candidate, name);
        differs(unit) || differs(&drop_ins)
    }

    async fn check(&self, words: &[String]) -> Health {
        let Some((program, arguments)) = words.split_first() else {
            return Health::Good;
        };
        let mut command = Command::new(program);
        let command = command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true);
        match tokio::time::timeout(CHECK, command.status()).await {
            Ok(Ok(status)) if status.success() => Health::Good,
            Ok(Ok(status)) if status.code() == Some(NO_VERDICT) => Health::Unknown,
            Ok(Ok(status)) => {
                let shown = secret::text(&words.join(" "));
                Health::Bad(format!("{shown}: {status}"))
            }
            Ok(Err(error)) => Health::Bad(format!("cannot run {program}: {error}")),
            Err(_) => Health::Bad(format!("{program} takes longer than a minute")),
        }
    }
}

/// What a unit file is: the store path that it links to, or what is in it; the files of a folder.
fn identity(path: &Path) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let Ok(entries) = fs::read_dir(path) else {
        return vec![(fs::read_link(path).unwrap_or_default(), fs::read(path).ok())];
    };
    let files = entries.flatten().map(|entry| entry.path());
    let mut files: Vec<_> = files
        .map(|file| {
            let name = file.file_name().map(PathBuf::from).unwrap_or_default();
            (name, fs::read(&file).ok())
        })
        .collect();
    files.sort();
    files
}
