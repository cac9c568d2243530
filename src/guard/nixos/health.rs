//! The candidate compared with the baseline: only what the candidate changed, and was well before, is held against it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::systemd::FailedUnit;
use super::{Nixos, now_usec};
use crate::guard::facts::Health;
use crate::guard::state::Transaction;
use crate::text::secret;
use crate::text::span::format_span;

/// The exit code of a check that has no verdict yet, `EX_TEMPFAIL`.
const NO_VERDICT: i32 = 75;

impl Nixos {
    /// Compares what runs with the baseline.
    pub(super) async fn health(&self, t: &Transaction) -> Health {
        let units = self.units(t).await;
        let reach = self.route(t).await.and(self.listening(t).await);
        let mut verdict = units.and(reach);
        for check in &t.rules.checks {
            if verdict.is_bad() {
                break;
            }
            let within = Duration::from_micros(t.rules.check_usec);
            verdict = verdict.and(self.check(check, within).await);
        }
        verdict
    }

    async fn units(&self, t: &Transaction) -> Health {
        let failed = match self.not_well(t).await {
            Ok(failed) => failed,
            Err(why) => return Health::Unknown(why),
        };
        let ours = |unit: &str| unit.starts_with("upgrade-gate-guard-");
        let known = |unit: &str| t.baseline.failed_units.iter().any(|known| known == unit);
        let newly = failed
            .into_iter()
            .filter(|unit| !known(&unit.name) && !ours(&unit.name));
        let (changed, unchanged): (Vec<_>, Vec<_>) =
            newly.partition(|unit| self.changed(t, &unit.name));
        if !unchanged.is_empty() {
            tracing::info!(
                "guard: failed, but not changed by the upgrade: {}",
                names(&unchanged)
            );
        }
        let why = format!("newly failed: {}", names(&changed));
        match changed.as_slice() {
            [] => Health::Good,
            changed if changed.iter().all(|unit| unit.restarts) => Health::Bad(why),
            _ => Health::Failed(why),
        }
    }

    /// The units that have failed, and those that are started again and again.
    async fn not_well(&self, t: &Transaction) -> Result<Vec<FailedUnit>, String> {
        let systemd = self.systemd().await?;
        let mut found = systemd.failed().await?;
        for (name, number) in systemd.restarts().await? {
            let before = t.baseline.restarts.get(&name).copied();
            if has_looped(before, number)
                && now_usec().saturating_sub(systemd.active_since(&name).await?)
                    < t.rules.settle_usec / 2
            {
                let restarts = true;
                found.push(FailedUnit { name, restarts });
            }
        }
        let ignored = systemd.named(&t.rules.ignore_units).await?;
        found.retain(|unit| !ignored.contains(&unit.name));
        Ok(found)
    }

    /// Whether the candidate has the unit at all.
    pub(super) fn is_in_candidate(&self, t: &Transaction, unit: &str) -> bool {
        let candidate = t.candidate.as_deref().unwrap_or(&t.baseline.system);
        let units = self.paths.inside(candidate).join("etc/systemd/system");
        let mut files = names_of(unit).into_iter();
        files.any(|name| units.join(name).symlink_metadata().is_ok())
    }

    /// Whether the unit, or one that it requires, is another in the candidate than in the baseline.
    pub(super) fn changed(&self, t: &Transaction, unit: &str) -> bool {
        let Some(candidate) = &t.candidate else {
            return true;
        };
        let folder = |system: &Path| self.paths.inside(system).join("etc/systemd/system");
        let (old, new) = (folder(&t.baseline.system), folder(candidate));
        let text = |name: &String| fs::read_to_string(new.join(name)).unwrap_or_default();
        let texts = names_of(unit).map(|name| text(&name)).join("\n");
        let mut required = requirements(&texts);
        differs(&old, &new, unit) || required.any(|other| differs(&old, &new, other))
    }

    async fn check(&self, words: &[String], within: Duration) -> Health {
        let Some((program, arguments)) = words.split_first() else {
            return Health::Good;
        };
        let mut command = Command::new(program);
        let command = command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true);
        match tokio::time::timeout(within, command.status()).await {
            Ok(Ok(status)) if status.success() => Health::Good,
            Ok(Ok(status)) => {
                let shown = secret::text(&words.join(" "));
                let said = format!("{shown}: {status}");
                match status.code() {
                    Some(NO_VERDICT) => Health::Unknown(said),
                    _ => Health::Bad(said),
                }
            }
            Ok(Err(error)) => Health::Bad(format!("cannot run {program}: {error}")),
            Err(_) => Health::Bad(format!(
                "{program} takes longer than {}",
                format_span(within)
            )),
        }
    }
}

fn names(units: &[FailedUnit]) -> String {
    let names: Vec<_> = units.iter().map(|unit| unit.name.as_str()).collect();
    names.join(", ")
}

/// Whether a service was started again by `Restart=` three times since the baseline was recorded. The number begins again when
/// somebody else starts it, as a switch does.
fn has_looped(before: Option<u32>, now: u32) -> bool {
    let before = before.filter(|before| *before <= now).unwrap_or(0);
    now - before >= 3
}

/// The names under which a unit has files: its own, and that of its template.
fn names_of(unit: &str) -> [String; 2] {
    let template = unit.split_once('@').and_then(|(name, instance)| {
        let (_, kind) = instance.rsplit_once('.')?;
        Some(format!("{name}@.{kind}"))
    });
    let own = unit.to_owned();
    [own.clone(), template.unwrap_or(own)]
}

/// The units without which this one does not run.
fn requirements(text: &str) -> impl Iterator<Item = &str> {
    let settings = text.lines().filter_map(|line| line.split_once('='));
    let required = settings.filter(|(key, _)| ["Requires", "Requisite", "BindsTo"].contains(key));
    required.flat_map(|(_, units)| units.split_whitespace())
}

/// Whether a unit's files are others in one folder than in another.
fn differs(old: &Path, new: &Path, unit: &str) -> bool {
    let files = names_of(unit).into_iter();
    let mut files = files.flat_map(|name| [format!("{name}.d"), name]);
    files.any(|file| identity(&old.join(&file)) != identity(&new.join(&file)))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_has_the_files_of_its_template_too() {
        assert_eq!(names_of("a@b.c.service"), ["a@b.c.service", "a@.service"]);
        assert_eq!(names_of("a.service"), ["a.service", "a.service"]);
    }

    #[test]
    fn what_a_unit_requires_is_read_from_its_file() {
        let unit = "[Unit]\nRequires=db.service a.mount\nWants=x.service\nBindsTo=b.device\n";
        let required: Vec<_> = requirements(unit).collect();
        assert_eq!(required, ["db.service", "a.mount", "b.device"]);
    }

    #[test]
    fn a_service_loops_if_it_was_started_again_three_times_since() {
        assert!(has_looped(None, 3) && has_looped(Some(5), 8));
        assert!(!has_looped(None, 2) && !has_looped(Some(5), 7));
        assert!(has_looped(Some(5), 4), "it began again from 0");
    }
}
