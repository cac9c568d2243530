//! The remotes of flatpak: of the system's installation, the user's, and those of /etc/flatpak/installations.d.

use std::path::{Path, PathBuf};

use super::keyfile;
use super::need::{Candidate, Need};
use super::place::{Place, via, web};
use super::world::MachineView;

/// One `any` of all remotes: `flatpak update` goes on without those it cannot reach.
pub(super) fn needs(world: &MachineView<'_>) -> Vec<Need> {
    let configs = folders(world)
        .into_iter()
        .map(|dir| dir.join("repo/config"));
    let remotes = configs.flat_map(|path| match world.read(&path) {
        Some(text) => remotes(&text, &path.display().to_string()),
        None => Vec::new(),
    });
    vec![Need::Any(remotes.collect())]
}

fn folders(world: &MachineView<'_>) -> Vec<PathBuf> {
    let user = world
        .env
        .home
        .as_ref()
        .map(|home| home.join(".local/share/flatpak"));
    let own = world.list("/etc/flatpak/installations.d", ".conf");
    let paths = own.iter().filter_map(|file| {
        let text = world.read(file)?;
        let paths = keyfile::entries(&text).filter(|entry| entry.key == "Path");
        Some(
            paths
                .map(|entry| PathBuf::from(entry.value))
                .collect::<Vec<_>>(),
        )
    });
    let system = PathBuf::from("/var/lib/flatpak");
    [Some(system), user]
        .into_iter()
        .flatten()
        .chain(paths.flatten())
        .collect()
}

/// The remotes in the configuration of an ostree repository: `[remote "NAME"]` with a `url`.
pub(super) fn remotes(text: &str, origin: &str) -> Vec<Candidate> {
    let groups = keyfile::groups(text).into_iter();
    let remotes = groups.filter(|group| group.starts_with("remote "));
    remotes
        .filter_map(|group| remote(text, group, origin))
        .collect()
}

pub(super) fn remote(text: &str, group: &str, origin: &str) -> Option<Candidate> {
    let value = |key| keyfile::value(text, group, key).filter(|value| !value.is_empty());
    let disabled = value("xa.disable").is_some_and(|word| word == "true" || word == "1");
    let url = value("url").filter(|_| !disabled)?;
    let candidate = Candidate::new(place(url), url, origin);
    Some(Candidate {
        via: value("proxy").map(via),
        ..candidate
    })
}

/// `mirrorlist=URL` is a list of mirrors, `oci+URL` a registry.
fn place(url: &str) -> Place {
    let url = ["mirrorlist=", "metalink=", "oci+"]
        .iter()
        .find_map(|prefix| url.strip_prefix(prefix))
        .unwrap_or(url);
    if url.starts_with("file:") || Path::new(url).is_absolute() {
        Place::Local
    } else {
        web(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remotes_that_are_not_disabled_are_found() {
        let text = "[core]\nrepo_version=1\n[remote \"hub\"]\nurl=https://me:secret@hub.example/repo/\n\
                    [remote \"off\"]\nurl=https://off.example\nxa.disable=true\n\
                    [remote \"oci\"]\nurl=oci+https://registry.example\nproxy=http://p:1\n\
                    [remote \"usb\"]\nurl=file:///mnt/repo\n";
        let found = remotes(text, "here");
        let written: Vec<_> = found.iter().map(|one| one.written.as_str()).collect();
        let expected = [
            "https://hub.example/repo/",
            "oci+https://registry.example",
            "file:///mnt/repo",
        ];
        assert_eq!(written, expected);
        assert_eq!(found[0].place, web("https://hub.example/repo/"));
        assert_eq!(found[1].place, web("https://registry.example"));
        assert!(found[1].via.is_some() && found[2].is_local());
    }
}
