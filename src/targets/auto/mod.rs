//! What `targets = ["auto"]` means: the hosts an upgrade will need, derived from what it is.
//!
//! A few files are read, once; `ssh -G` runs only where an ssh URL is. What cannot be derived becomes a
//! note for `config`, never a hold. docs/targets.md tells how each spelling is read.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use self::command::UpgradeArgs;
use self::need::{Candidate, Need};
use self::nix_conf::NixSettings;
use self::place::{Place, tcp_of};
pub use self::world::{Env, MachineView, VARIABLES};
use super::{Target, Via};
use crate::text::command_line;
use crate::text::secret;

mod apt;
mod command;
mod dnf;
mod dnf_options;
mod flake;
mod flatpak;
mod fwupd;
mod keyfile;
mod locked;
mod need;
mod network_manager;
mod nix_command;
mod nix_conf;
mod nix_files;
mod nix_store;
mod nixos;
mod ostree;
mod pacman;
mod place;
mod programs;
mod script_file;
mod search_path;
pub mod ssh;
mod world;

/// The profile for which `auto` means substituters and the flake's host.
pub const NIXOS_UPGRADE: &str = "nixos-upgrade";
/// The profile for which `auto` means the enabled remotes.
pub const FWUPD_REFRESH: &str = "fwupd-refresh";
/// The profile for which `auto` means apt's mirrors, whatever else the machine has.
pub const APT_DAILY: &str = "apt-daily";
/// As [`APT_DAILY`].
pub const APT_DAILY_UPGRADE: &str = "apt-daily-upgrade";

/// What was derived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Derived {
    /// Every group must be reached, in each one target is enough. Empty if nothing could be derived.
    pub groups: Vec<Vec<Target>>,
    /// How targets are asked that are not asked as the environment says, by the origin of their URLs.
    pub proxies: BTreeMap<String, Via>,
    /// What was derived from what, and what cannot be derived and why: sentences for `config`.
    pub notes: Vec<String>,
    /// What is wrong in files of others, with file and line.
    pub warnings: Vec<String>,
    /// nix.conf's `ssl-cert-file`.
    pub ssl_cert_file: Option<PathBuf>,
    /// Something is fetched from this machine.
    local: bool,
    /// Something is needed that could not be derived.
    unknown: bool,
}

/// Where upgrades find their targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum TargetSource {
    /// nixos-rebuild: substituters, and the flake or the channels of root.
    Nixos,
    /// Other programs of Nix: substituters, and the flakes that they name.
    Nix,
    /// home-manager: as nixos-rebuild, for a user.
    Home,
    Apt,
    Fwupd,
    Dnf,
    Zypper,
    Pacman,
    Ostree,
    Flatpak,
    Snap,
    Podman,
    NetworkManager,
}

/// For an upgrade that is not known: the first of these that is here.
const FALLBACKS: [TargetSource; 4] = [
    TargetSource::Nix,
    TargetSource::Fwupd,
    TargetSource::Apt,
    TargetSource::NetworkManager,
];

/// Derives the targets of a profile. `flake` is the profile's key, `command` what `run` was given: what it runs decides, if it is
/// known.
pub fn derive(
    profile: &str,
    flake: Option<&str>,
    command: &[OsString],
    world: &MachineView<'_>,
) -> Derived {
    let mut derived = Derived::default();
    let (commands, env) = commands(command, world);
    let world = &world.with(&env);
    let command = command::read(&commands);
    let configured = nix_files::settings(world, &mut derived.warnings);
    let settings = settings(configured.clone(), &command, &mut derived.warnings);
    let asked = Asked {
        flake,
        command: &command,
        commands: &commands,
        configured: &configured,
        settings: &settings,
        world,
    };
    match (programs::sources(&commands), profile) {
        (found, _) if !found.is_empty() => derived.all(&found, &asked),
        (_, NIXOS_UPGRADE) => derived.all(&BTreeSet::from([TargetSource::Nixos]), &asked),
        (_, FWUPD_REFRESH) => derived.all(&BTreeSet::from([TargetSource::Fwupd]), &asked),
        (_, APT_DAILY | APT_DAILY_UPGRADE) => {
            derived.all(&BTreeSet::from([TargetSource::Apt]), &asked);
        }
        _ => derived.first(&asked),
    }
    derived.ssl_cert_file = settings.ssl_cert_file;
    derived
}

/// For a profile that names its targets itself: only nix.conf's `ssl-cert-file`. Nothing else is read, nobody is
/// asked, and what is wrong in nix.conf does not concern this upgrade.
pub fn trust(command: &[OsString], world: &MachineView<'_>) -> Derived {
    let (commands, env) = commands(command, world);
    let world = &world.with(&env);
    let command = command::read(&commands);
    let configured = nix_files::settings(world, &mut Vec::new());
    Derived {
        ssl_cert_file: settings(configured, &command, &mut Vec::new()).ssl_cert_file,
        ..Derived::default()
    }
}

/// What the command runs, and the variables with those it sets for programs that are known. A name that is not Unicode is none
/// that is known.
fn commands(command: &[OsString], world: &MachineView<'_>) -> (Vec<Vec<String>>, Env) {
    let words: Vec<_> = command.iter().map(|word| word.to_string_lossy()).collect();
    let runs: Vec<_> = command_line::runs(&words)
        .into_iter()
        .flat_map(|run| script_file::opened(run, world))
        .collect();
    let of_known = runs.iter().filter(|run| programs::is_known(&run.words));
    let set = of_known.flat_map(|run| &run.variables);
    let env = set.fold(world.env.clone(), |env, (name, value)| {
        env.with(name, value)
    });
    (runs.into_iter().map(|run| run.words).collect(), env)
}

/// With what the command says.
fn settings(
    mut settings: NixSettings,
    command: &UpgradeArgs,
    warnings: &mut Vec<String>,
) -> NixSettings {
    for (name, value) in &command.settings {
        warnings.extend(settings.set(name, value, "the command").err());
    }
    for warning in warnings {
        *warning = secret::text(warning);
    }
    settings
}

/// What a source is asked with.
struct Asked<'a> {
    flake: Option<&'a str>,
    command: &'a UpgradeArgs,
    commands: &'a [Vec<String>],
    /// What nix.conf and the environment say.
    configured: &'a NixSettings,
    /// With what the command says.
    settings: &'a NixSettings,
    world: &'a MachineView<'a>,
}

impl TargetSource {
    fn needs(self, asked: &Asked<'_>) -> Vec<Need> {
        let world = asked.world;
        match self {
            Self::Nixos | Self::Nix | Self::Home => nixos::needs(self, asked),
            Self::Apt => apt::needs(asked.commands, world),
            Self::Fwupd => fwupd::needs(world),
            Self::Dnf => dnf::needs(&dnf::DNF, asked.commands, world),
            Self::Zypper => dnf::needs(&dnf::ZYPPER, &[], world),
            Self::Pacman => pacman::needs(asked.commands, world),
            Self::Ostree => ostree::needs(world),
            Self::Flatpak => flatpak::needs(world),
            Self::Snap => vec![snap_store()],
            Self::Podman => vec![Need::Unknown(
                "podman: the registries of its containers' images are not read".to_owned(),
            )],
            Self::NetworkManager => network_manager::needs(world),
        }
    }

    /// Whether this is here at all.
    fn is_here(self, world: &MachineView<'_>) -> bool {
        let nix = || world.exists(&world.nix_conf_dir().join("nix.conf"));
        self != Self::Nix || nix() || world.exists(Path::new("/nix/store"))
    }
}

fn snap_store() -> Need {
    let url = "https://api.snapcraft.io/";
    Need::All(Candidate::new(place::web(url), url, "snap's store"))
}

impl Derived {
    /// Whether all that is needed is on this machine.
    pub fn is_local(&self) -> bool {
        self.local && !self.unknown && self.groups.is_empty()
    }

    fn all(&mut self, sources: &BTreeSet<TargetSource>, asked: &Asked<'_>) {
        for source in sources {
            self.take(source.needs(asked), asked.world);
        }
    }

    fn first(&mut self, asked: &Asked<'_>) {
        for source in FALLBACKS.iter().filter(|one| one.is_here(asked.world)) {
            if self.groups.is_empty() {
                self.take(source.needs(asked), asked.world);
            }
        }
        // What this upgrade fetches is only guessed from what else is here.
        self.unknown = true;
    }

    /// Makes targets and notes of what is needed.
    fn take(&mut self, needs: Vec<Need>, world: &MachineView<'_>) {
        for need in needs {
            match need {
                Need::All(candidate) => {
                    for target in self.targets(candidate, world) {
                        self.add(vec![target]);
                    }
                }
                Need::Any(candidates) => {
                    let targets = candidates
                        .into_iter()
                        .flat_map(|one| self.targets(one, world));
                    let group = targets.collect();
                    self.add(group);
                }
                Need::Unknown(note) => {
                    self.unknown = true;
                    self.notes.push(secret::text(&note));
                }
                Need::Warning(warning) => self.warnings.push(secret::text(&warning)),
            }
        }
    }

    fn add(&mut self, mut group: Vec<Target>) {
        let mut seen = HashSet::new();
        group.retain(|target| seen.insert(target.clone()));
        if !group.is_empty() && !self.groups.contains(&group) {
            self.groups.push(group);
        }
    }

    /// What a place is probed as. Notes it, and how it is asked.
    fn targets(&mut self, candidate: Candidate, world: &MachineView<'_>) -> Vec<Target> {
        let (targets, probed) = probes(&candidate, world);
        self.local |= candidate.is_local();
        self.unknown |= targets.is_empty() && !candidate.is_local();
        let note = candidate.note(&probed);
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
        if let Some(via) = candidate.via {
            let origins = targets.iter().filter_map(Target::origin);
            self.proxies
                .extend(origins.map(|origin| (origin, via.clone())));
        }
        targets
    }
}

/// The targets of a place, and what is said of them; or why there are none.
fn probes(candidate: &Candidate, world: &MachineView<'_>) -> (Vec<Target>, Result<String, String>) {
    match &candidate.place {
        Place::Targets(targets) => (targets.clone(), Ok("probed".to_owned())),
        Place::Weak(target) => {
            // A proxy is asked in its place, and forwards no bare connection.
            let target = candidate
                .via
                .as_ref()
                .and_then(tcp_of)
                .unwrap_or(target.clone());
            let note = format!("only the connection to {target} is probed");
            (vec![target], Ok(note))
        }
        Place::Ssh(destination) => match destination.target(world.ssh) {
            Ok(target) => {
                let note = format!("{target} is probed, as ssh -G resolves it");
                (vec![target], Ok(note))
            }
            Err(why) => (Vec::new(), Err(why)),
        },
        Place::Local => (
            Vec::new(),
            Ok("on this machine, nothing to reach".to_owned()),
        ),
        Place::Registry { .. } => (Vec::new(), Err("it is a name".to_owned())),
        Place::Unknown(why) => (Vec::new(), Err(why.clone())),
    }
}

#[cfg(test)]
mod tests;
