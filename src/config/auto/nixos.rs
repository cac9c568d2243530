//! What a NixOS upgrade reaches: its substituters, and the flake or the channels it is built from.

use std::path::{Path, PathBuf};

use super::command::Command;
use super::nix_conf::Settings;
use super::place::{Place, web};
use super::world::World;
use super::{Derived, flake, locked, nix_store};

/// One `any` of all substituters: Nix tries them one after the other.
pub(super) fn substituters(settings: &Settings, world: &World<'_>, derived: &mut Derived) {
    if !settings.substitute {
        derived
            .notes
            .push("substitute = false: no substituter is probed".into());
        return;
    }
    let mut group = Vec::new();
    for item in &settings.substituters {
        match nix_store::place(&item.value) {
            Place::Unknown(why) => {
                let (origin, value) = (&item.origin, &item.value);
                derived
                    .warnings
                    .push(format!("{origin}: substituter {value}: {why}"));
            }
            place => group.extend(derived.targets(place, &item.value, &item.origin, world)),
        }
    }
    derived.add(group);
}

/// The flake's host, and those of the inputs that are looked up anew; without a flake, the channels'.
pub(super) fn configuration(
    flake: Option<&str>,
    command: &Command,
    settings: &Settings,
    world: &World<'_>,
    derived: &mut Derived,
) {
    let flakes = match (flake, command.flakes.as_slice()) {
        (Some(flake), _) => vec![flake.to_owned()],
        (None, []) => default_flake(command, world).into_iter().collect(),
        (None, flakes) => flakes.to_vec(),
    };
    let registries = Registries { world, settings };
    for flake in flakes.iter().chain(&command.overrides) {
        registries.fetched(flake, "the flake", derived);
    }
    for flake in &flakes {
        for input in updated(flake, command, world, derived) {
            registries.fetched(&input, "a flake input", derived);
        }
    }
    if flakes.is_empty() {
        channels(command, world, derived);
    }
}

/// nixos-rebuild takes /etc/nixos/flake.nix if it is there and nothing says otherwise.
fn default_flake(command: &Command, world: &World<'_>) -> Option<String> {
    let implied = !command.no_flake && command.search_path.is_empty();
    let exists = implied && world.exists(Path::new("/etc/nixos/flake.nix"));
    exists.then(|| "/etc/nixos".to_owned())
}

/// The references of the inputs that the command looks up anew, from the lock file of a local flake.
fn updated(
    flake: &str,
    command: &Command,
    world: &World<'_>,
    derived: &mut Derived,
) -> Vec<String> {
    let named = match (command.recreated_lock, command.updated_inputs.as_slice()) {
        (true, _) => None,
        (false, []) => return Vec::new(),
        (false, inputs) => Some(inputs),
    };
    let Some(folder) = flake::folder(flake) else {
        derived.notes.push(format!(
            "the inputs of {flake} are not probed: its lock file is not here"
        ));
        return Vec::new();
    };
    let lock = folder.join("flake.lock");
    let text = world
        .read(&lock)
        .ok_or_else(|| "it cannot be read".to_owned());
    text.and_then(|text| locked::originals(&text, named))
        .unwrap_or_else(|why| {
            derived.warnings.push(format!("{}: {why}", lock.display()));
            Vec::new()
        })
}

fn channels(command: &Command, world: &World<'_>, derived: &mut Derived) {
    for url in &command.search_path {
        derived.all_of(web(url), url, "-I in the command", world);
    }
    if command.search_path.is_empty() {
        let text = world
            .read(Path::new("/root/.nix-channels"))
            .unwrap_or_default();
        for url in channel_urls(&text).filter(|url| !url.starts_with("file://")) {
            derived.all_of(web(url), url, "/root/.nix-channels", world);
        }
    }
}

/// `URL NAME` lines.
fn channel_urls(text: &str) -> impl Iterator<Item = &str> {
    let lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_whitespace().next())
}

struct Registries<'a> {
    world: &'a World<'a>,
    settings: &'a Settings,
}

impl Registries<'_> {
    /// Adds what fetching a flake reaches; an id that stands for another is followed.
    fn fetched(&self, written: &str, what: &str, derived: &mut Derived) {
        let mut reference = written.to_owned();
        // Entries that stand for each other in a circle end here, as they end in Nix.
        for _ in 0..16 {
            match flake::place(&reference) {
                Place::Registry {
                    id,
                    reference: branch,
                } => match self.look_up(&id, branch.as_deref(), derived) {
                    Some(next) => reference = next,
                    None => return self.global(written, derived),
                },
                place => return derived.all_of(place, written, what, self.world),
            }
        }
        derived.notes.push(format!(
            "{written} is not probed: the registries go round in a circle"
        ));
    }

    fn look_up(&self, id: &str, branch: Option<&str>, derived: &mut Derived) -> Option<String> {
        self.files().find_map(|path| {
            let text = self.world.read(&path)?;
            let entries = locked::registry(&text).unwrap_or_else(|why| {
                derived.warnings.push(format!("{}: {why}", path.display()));
                Vec::new()
            });
            let entry = entries
                .into_iter()
                .find(|entry| entry.stands_for(id, branch));
            entry.map(|entry| entry.to)
        })
    }

    /// The user's, the system's, and the global one if it is a file here.
    fn files(&self) -> impl Iterator<Item = PathBuf> {
        let user = self.world.nix_config_home();
        let system = self.world.nix_conf_dir();
        let dirs = user.into_iter().chain([system]);
        let global = Some(PathBuf::from(&self.settings.flake_registry));
        let global = global.filter(|path| path.is_absolute());
        dirs.map(|dir| dir.join("registry.json")).chain(global)
    }

    /// An id that no file here knows: Nix fetches the global registry first.
    fn global(&self, written: &str, derived: &mut Derived) {
        let registry = &self.settings.flake_registry;
        if registry.is_empty() || registry.starts_with('/') {
            derived.notes.push(format!(
                "{written} is not probed: no flake registry knows it"
            ));
            return;
        }
        let what = format!("the registry of {written}, whose own host it will tell");
        derived.all_of(web(registry), registry, &what, self.world);
    }
}
