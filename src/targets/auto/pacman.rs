//! The servers of pacman: `Server =` lines of its repositories, and of the lists that they include.

use std::path::Path;

use super::keyfile::{self, KeyfileEntry};
use super::need::{Candidate, Need};
use super::place::{Place, web};
use super::world::MachineView;
use crate::text::command_line::{option, program};

/// pacman asks its servers in their order; a mirror list may have hundreds.
const MOST: usize = 8;

/// One `any` of the first servers of each repository: pacman takes the first that answers.
pub(super) fn needs(commands: &[Vec<String>], world: &MachineView<'_>) -> Vec<Need> {
    let mut servers = Vec::new();
    let configured = commands.iter().find_map(|words| config(words));
    let file = configured.unwrap_or("/etc/pacman.conf");
    collect(file.as_ref(), "", world, 0, &mut servers);
    servers.dedup_by(|a, b| a.place == b.place);
    servers.truncate(MOST);
    vec![Need::Any(servers)]
}

/// The file of `--config FILE` or `--config=FILE`, pacman(8).
fn config(words: &[String]) -> Option<&str> {
    let own = words.first().filter(|word| program(word) == "pacman");
    let mut words = own.and(words.get(1..))?.iter();
    let own = words
        .by_ref()
        .map(|word| option(word))
        .find(|(name, _)| *name == "--config")?
        .1;
    own.or_else(|| words.next().map(String::as_str))
}

fn collect(
    path: &Path,
    group: &str,
    world: &MachineView<'_>,
    depth: usize,
    servers: &mut Vec<Candidate>,
) {
    let text = world.read(path).unwrap_or_default();
    for entry in keyfile::entries(&text) {
        // An included file goes on in the group that includes it.
        let group = if entry.group.is_empty() {
            group
        } else {
            entry.group
        };
        let KeyfileEntry { key, value, .. } = entry;
        match key {
            "Include" if depth < 8 => collect(value.as_ref(), group, world, depth + 1, servers),
            "Server" | "CacheServer" if group != "options" => {
                servers.push(server(value, path));
            }
            _ => {}
        }
    }
}

/// `https://HOST/$repo/os/$arch`: over https any answer of the host proves it, whatever the path.
fn server(url: &str, path: &Path) -> Candidate {
    let base = url.split('$').next().unwrap_or_default();
    let place = if url.starts_with("file:") {
        Place::Local
    } else {
        web(base)
    };
    Candidate::new(place, url, path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_probed_above_what_stands_for_the_repository() {
        let of = |url| server(url, "x".as_ref()).place;
        assert_eq!(
            of("https://m.example/$repo/os/$arch"),
            web("https://m.example/")
        );
        assert_eq!(
            of("http://m.example/arch/$repo"),
            web("http://m.example/arch/")
        );
        assert_eq!(of("file:///srv/$repo"), Place::Local);
    }
}
