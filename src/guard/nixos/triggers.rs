//! What only a boot puts in the place of what runs: the kernel, and what comes with it.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::Nixos;

/// Links of a system, which tell where there are no triggers.
const LINKS: [&str; 3] = ["kernel", "initrd", "kernel-modules"];

impl Nixos {
    /// What of a system takes effect at a boot and is another than that of the system that was booted, by `reboot-triggers`, as
    /// `system.autoUpgrade` decides, or by its links.
    pub fn boots_another(&self, system: &Path) -> Option<String> {
        let booted = fs::read_link(self.inside(Path::new("/run/booted-system"))).ok()?;
        let [booted, system] = [&booted, system].map(|system| self.inside(system));
        let others = match [&booted, &system].map(|system| triggers(system)) {
            [Some(old), Some(new)] => differing(&old, &new),
            _ => relinked(&booted, &system),
        };
        (!others.is_empty()).then(|| others.join(", "))
    }
}

fn triggers(system: &Path) -> Option<Map<String, Value>> {
    let text = fs::read(system.join("reboot-triggers")).ok()?;
    serde_json::from_slice(&text).ok()
}

/// One that only one of them has says nothing.
fn differing(old: &Map<String, Value>, new: &Map<String, Value>) -> Vec<String> {
    let differs =
        |(name, value): &(&String, &Value)| new.get(*name).is_some_and(|new| new != *value);
    old.iter()
        .filter(differs)
        .map(|(name, _)| name.clone())
        .collect()
}

fn relinked(old: &Path, new: &Path) -> Vec<String> {
    let target =
        |system: &Path, name: &str| -> Option<PathBuf> { fs::read_link(system.join(name)).ok() };
    let differs = |name: &&str| target(old, name) != target(new, name);
    LINKS
        .into_iter()
        .filter(differs)
        .map(ToOwned::to_owned)
        .collect()
}
