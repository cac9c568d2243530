//! NetworkManager's own connectivity check, as its files configure it: a page known to prove the Internet.

use std::path::PathBuf;

use super::keyfile;
use super::need::{Candidate, Need};
use super::place::Place;
use super::world::MachineView;
use crate::targets::Target;

/// What the page begins with, if the configuration does not say.
const RESPONSE: &str = "NetworkManager is online";

/// The page and what it begins with; none if no page is configured or the check is disabled.
pub(super) fn needs(world: &MachineView<'_>) -> Vec<Need> {
    let texts: Vec<String> = files(world)
        .iter()
        .filter_map(|path| world.read(path))
        .collect();
    let page = target(&texts).map(|target| {
        let written = target.to_string();
        let place = Place::Targets(vec![target]);
        Need::All(Candidate::new(
            place,
            &written,
            "NetworkManager's connectivity check",
        ))
    });
    page.into_iter().collect()
}

fn target(texts: &[String]) -> Option<Target> {
    let last = |key| {
        let mut values = texts
            .iter()
            .rev()
            .filter_map(|text| keyfile::value(text, "connectivity", key));
        values.next()
    };
    let disabled = matches!(last("enabled"), Some("false" | "no" | "off" | "0"));
    let target = last("uri").filter(|_| !disabled)?.parse().ok()?;
    Some(match target {
        Target::Http { url, .. } => Target::Http {
            url,
            // An empty response stands for a 204.
            expect: Some(last("response").unwrap_or(RESPONSE))
                .filter(|response| !response.is_empty())
                .map(str::to_owned),
        },
        other => other,
    })
}

/// The files in the order NetworkManager reads them; in /run and /usr/lib, a name used later is shadowed.
fn files(world: &MachineView<'_>) -> Vec<PathBuf> {
    let list = |folder| world.list(folder, ".conf");
    let (vendor, run) = (
        list("/usr/lib/NetworkManager/conf.d"),
        list("/run/NetworkManager/conf.d"),
    );
    let admin = list("/etc/NetworkManager/conf.d");
    let has = |files: &[PathBuf], path: &PathBuf| {
        files
            .iter()
            .any(|file| file.file_name() == path.file_name())
    };
    let vendor = vendor
        .into_iter()
        .filter(|path| !has(&run, path) && !has(&admin, path));
    let mut files: Vec<PathBuf> = vendor.collect();
    files.extend(run.into_iter().filter(|path| !has(&admin, path)));
    files.push("/etc/NetworkManager/NetworkManager.conf".into());
    files.extend(admin);
    files
}
