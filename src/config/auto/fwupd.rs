//! The remotes that `fwupdmgr refresh` fetches.

use std::collections::BTreeSet;

use super::place::web;
use super::world::World;
use super::{Derived, keyfile};

/// fwupd's folders; of two remotes of one name, the first counts.
const FOLDERS: [&str; 3] = [
    "/var/lib/fwupd/remotes.d",
    "/etc/fwupd/remotes.d",
    "/usr/share/fwupd/remotes.d",
];

/// One group a remote: `fwupdmgr refresh` fails at the first remote that it cannot fetch.
pub(super) fn derive(world: &World<'_>, derived: &mut Derived) {
    let mut seen = BTreeSet::new();
    for path in FOLDERS
        .iter()
        .flat_map(|folder| world.list(folder, ".conf"))
    {
        let name = path.file_name().unwrap_or_default().to_owned();
        if name == "fwupd-tests.conf" || !seen.insert(name) {
            continue;
        }
        let text = world.read(&path).unwrap_or_default();
        let origin = format!("fwupd's remote {}", path.display());
        if let Some(uri) = fetched(&text) {
            derived.all_of(web(uri), uri, &origin, world);
        }
    }
}

/// What is fetched for a remote: nothing if it is disabled, on this machine, or lacks its login.
fn fetched(text: &str) -> Option<&str> {
    let value = |key| keyfile::value(text, "fwupd Remote", key);
    let is = |key| matches!(value(key), Some("true" | "1"));
    let has = |key| value(key).is_some_and(|value| !value.is_empty());
    let skipped = is("RequiresAuth") && !has("Username") && !has("Password");
    let uri = value("MetadataURI").filter(|uri| !uri.starts_with("file://"))?;
    (is("Enabled") && !skipped).then_some(uri)
}
