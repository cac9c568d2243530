//! What `targets = ["auto"]` means: the hosts an upgrade will need, derived from what it is.
//!
//! A few files are read, once; `ssh -G` runs only where an ssh URL is. What cannot be derived becomes a
//! note for `config`, never a hold. docs/targets.md tells how each spelling is read.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use self::nix_conf::Settings;
use self::place::Place;
pub use self::world::{Env, World};
use super::profile::{APT_DAILY, APT_DAILY_UPGRADE, FWUPD_REFRESH, NIXOS_UPGRADE};
use super::target::Target;

mod apt;
mod command;
mod flake;
mod fwupd;
mod keyfile;
mod locked;
mod network_manager;
mod nix_conf;
mod nix_files;
mod nix_store;
mod nixos;
mod place;
pub mod ssh;
mod world;

/// What was derived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Derived {
    /// Every group must be reached, in each one target is enough. Empty if nothing could be derived.
    pub groups: Vec<Vec<Target>>,
    /// What was derived from what, and what cannot be derived and why: sentences for `config`.
    pub notes: Vec<String>,
    /// What is wrong in files of others, with file and line.
    pub warnings: Vec<String>,
    /// nix.conf's `ssl-cert-file`.
    pub ssl_cert_file: Option<PathBuf>,
}

/// Derives the targets of a profile. `flake` is the profile's key, `command` what `run` was given.
pub fn derive(
    profile: &str,
    flake: Option<&str>,
    command: &[OsString],
    world: &World<'_>,
) -> Derived {
    let mut derived = Derived::default();
    let command = command::read(command);
    let settings = settings(&command, world, &mut derived);
    derived.ssl_cert_file.clone_from(&settings.ssl_cert_file);
    match profile {
        NIXOS_UPGRADE => {
            nixos::substituters(&settings, world, &mut derived);
            nixos::configuration(flake, &command, &settings, world, &mut derived);
        }
        FWUPD_REFRESH => fwupd::derive(world, &mut derived),
        APT_DAILY | APT_DAILY_UPGRADE => apt::derive(world, &mut derived),
        _ => first_of(&settings, world, &mut derived),
    }
    derived
}

/// For a profile that names its targets itself: only nix.conf's `ssl-cert-file`. Nothing else is read, nobody is
/// asked, and what is wrong in nix.conf is no concern of this upgrade.
pub fn trust(command: &[OsString], world: &World<'_>) -> Derived {
    let settings = settings(&command::read(command), world, &mut Derived::default());
    Derived {
        ssl_cert_file: settings.ssl_cert_file,
        ..Derived::default()
    }
}

fn settings(command: &command::Command, world: &World<'_>, derived: &mut Derived) -> Settings {
    let mut settings = nix_files::settings(world, &mut derived.warnings);
    for (name, value) in &command.settings {
        let refused = settings.set(name, value, "the command").err();
        derived.warnings.extend(refused);
    }
    settings
}

/// For an upgrade that is not known: the first thing here that upgrades fetch from.
fn first_of(settings: &Settings, world: &World<'_>, derived: &mut Derived) {
    if world.exists(&world.nix_conf_dir().join("nix.conf")) || world.exists(Path::new("/nix/store"))
    {
        nixos::substituters(settings, world, derived);
    }
    for source in [fwupd::derive, apt::derive, network_manager::derive] {
        if derived.groups.is_empty() {
            source(world, derived);
        }
    }
}

impl Derived {
    /// Adds one group for each target of a place: all of it is needed.
    fn all_of(&mut self, place: Place, written: &str, origin: &str, world: &World<'_>) {
        for target in self.targets(place, written, origin, world) {
            self.add(vec![target]);
        }
    }

    fn add(&mut self, mut group: Vec<Target>) {
        let mut seen = std::collections::HashSet::new();
        group.retain(|target| seen.insert(target.clone()));
        if !group.is_empty() && !self.groups.contains(&group) {
            self.groups.push(group);
        }
    }

    /// What a place is probed as, and the note that says so. `written` may hold credentials: it is
    /// named only where it has none.
    fn targets(
        &mut self,
        place: Place,
        written: &str,
        origin: &str,
        world: &World<'_>,
    ) -> Vec<Target> {
        let written = &shown(written);
        let (targets, note) = match place {
            Place::Targets(targets) => (targets, format!("{written}: probed ({origin})")),
            Place::Weak(target) => {
                let note = format!(
                    "{written}: nothing proves it over plain http or git, so only {target} is probed ({origin})"
                );
                (vec![target], note)
            }
            Place::Ssh(destination) => match destination.target(world.ssh) {
                Ok(target) => {
                    let note = format!("{written}: {target} is probed, as ssh -G says ({origin})");
                    (vec![target], note)
                }
                Err(why) => (
                    Vec::new(),
                    format!("{written} is not probed: {why} ({origin})"),
                ),
            },
            Place::Local => (
                Vec::new(),
                format!("{written}: on this machine, nothing to reach ({origin})"),
            ),
            Place::Registry { id, .. } => (
                Vec::new(),
                format!("{id} is not probed: it is a name ({origin})"),
            ),
            Place::Unknown(why) => (
                Vec::new(),
                format!("{written} is not probed: {why} ({origin})"),
            ),
        };
        self.notes.push(note);
        targets
    }
}

/// Without what stands before an `@` in the host's place.
fn shown(written: &str) -> String {
    let Some((scheme, rest)) = written.split_once("://") else {
        return written.to_owned();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let host = rest[..end].rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{}", &rest[end..])
}

#[cfg(test)]
mod tests;
