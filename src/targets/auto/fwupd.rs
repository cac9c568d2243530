//! The remotes that `fwupdmgr refresh` fetches.

use std::collections::BTreeSet;
use std::path::Path;

use super::keyfile;
use super::need::{Candidate, Need};
use super::place::{Place, web};
use super::world::MachineView;

/// fwupd's folders; of two remotes of one name, the first counts.
const FOLDERS: [&str; 3] = [
    "/var/lib/fwupd/remotes.d",
    "/etc/fwupd/remotes.d",
    "/usr/share/fwupd/remotes.d",
];

/// One group a remote: `fwupdmgr refresh` fails at the first remote that it cannot fetch.
pub(super) fn needs(world: &MachineView<'_>) -> Vec<Need> {
    let mut seen = BTreeSet::new();
    let paths = FOLDERS
        .iter()
        .flat_map(|folder| world.list(folder, ".conf"));
    let first = paths.filter(|path| {
        let name = path.file_name().unwrap_or_default().to_owned();
        name != "fwupd-tests.conf" && seen.insert(name)
    });
    first.filter_map(|path| remote(&path, world)).collect()
}

fn remote(path: &Path, world: &MachineView<'_>) -> Option<Need> {
    let text = world.read(path)?;
    let uri = fetched(&text)?;
    let origin = format!("fwupd's remote {}", path.display());
    let local = uri.starts_with("file://");
    let place = if local { Place::Local } else { web(uri) };
    Some(Need::All(Candidate::new(place, uri, origin)))
}

/// What is fetched for a remote: nothing if it is disabled or lacks its login.
fn fetched(text: &str) -> Option<&str> {
    let value = |key| keyfile::value(text, "fwupd Remote", key);
    let is = |key| matches!(value(key), Some("true" | "1"));
    let has = |key| value(key).is_some_and(|value| !value.is_empty());
    let skipped = is("RequiresAuth") && !has("Username") && !has("Password");
    let uri = value("MetadataURI")?;
    (is("Enabled") && !skipped).then_some(uri)
}
