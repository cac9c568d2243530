//! What an upgrade by Nix reaches: its substituters, and the flake or the channels it is built from.

use std::iter::repeat;
use std::path::{Path, PathBuf};

use super::command::UpgradeArgs;
use super::need::{Candidate, Need};
use super::nix_conf::NixSettings;
use super::place::{Place, web};
use super::search_path::{self, Location};
use super::world::MachineView;
use super::{Asked, TargetSource, flake, locked, nix_store};

/// Where a user's profile is (nix3-profile), below the home.
const PROFILES: [&str; 2] = [".nix-profile", ".local/state/nix/profile"];

/// What a program of Nix needs.
pub(super) fn needs(program: TargetSource, asked: &Asked<'_>) -> Vec<Need> {
    let mut needs = substituters(asked);
    needs.extend(configuration(&ToolDefaults::of(program, asked), asked));
    needs
}

/// One `any` of all substituters: Nix tries them one after the other. Those of nix.conf, if none in the command can be probed.
fn substituters(asked: &Asked<'_>) -> Vec<Need> {
    if !asked.settings.substitute {
        let note = "substitute = false: no substituter is probed";
        return vec![Need::Unknown(note.into())];
    }
    let (mut needs, mut places) = probed(asked.settings);
    if places.is_empty() && asked.settings != asked.configured {
        let (warnings, configured) = probed(asked.configured);
        needs.extend(warnings);
        places = configured;
    }
    if places.is_empty() {
        needs.push(Need::Unknown("no substituter can be probed".into()));
    }
    needs.push(Need::Any(places));
    needs
}

/// The substituters that can be probed, and warnings of the others.
fn probed(settings: &NixSettings) -> (Vec<Need>, Vec<Candidate>) {
    let mut warnings = Vec::new();
    let mut places = Vec::new();
    for item in &settings.substituters {
        let candidate = Candidate::new(nix_store::place(&item.value), &item.value, &item.origin);
        match &candidate.place {
            Place::Unknown(why) => {
                let Candidate {
                    origin, written, ..
                } = &candidate;
                let warning = format!("{origin}: substituter {written}: {why}");
                warnings.push(Need::Warning(warning));
            }
            _ => places.push(candidate),
        }
    }
    (warnings, places)
}

/// What a program takes if its command names nothing else.
struct ToolDefaults {
    /// The folder of a flake.
    flake: Option<PathBuf>,
    /// A file of channels.
    channels: Option<PathBuf>,
}

impl ToolDefaults {
    fn of(program: TargetSource, asked: &Asked<'_>) -> Self {
        let home = |below: &str| asked.world.env.home.as_ref().map(|home| home.join(below));
        let (flake, channels) = match program {
            TargetSource::Nixos => (
                Some("/etc/nixos".into()),
                Some("/root/.nix-channels".into()),
            ),
            TargetSource::Home => (home(".config/home-manager"), home(".nix-channels")),
            // A lock file that is looked up again is that of a flake here.
            _ if asked.command.updates() => (here(asked.world), None),
            _ => (None, None),
        };
        Self { flake, channels }
    }
}

fn here(world: &MachineView<'_>) -> Option<PathBuf> {
    let folders = [".", "/etc/nixos"].map(PathBuf::from);
    folders
        .into_iter()
        .find(|folder| world.exists(&folder.join("flake.nix")))
}

/// The flake's host, and those of the inputs that are looked up again; without a flake, the channels'.
fn configuration(defaults: &ToolDefaults, asked: &Asked<'_>) -> Vec<Need> {
    let command = asked.command;
    let flakes = match (asked.flake, command.flakes.as_slice()) {
        (Some(flake), _) => vec![flake.to_owned()],
        (None, []) => default_flake(defaults, asked).into_iter().collect(),
        (None, flakes) => flakes.to_vec(),
    };
    let installed = installed(asked);
    let registries = Registries {
        world: asked.world,
        settings: asked.settings,
    };
    let mut needs = Vec::new();
    for flake in flakes.iter().chain(&command.overrides) {
        needs.extend(registries.fetched(flake, "the flake"));
    }
    for flake in &flakes {
        for input in updated(flake, command, asked.world, &mut needs) {
            needs.extend(registries.fetched(&input, "a flake input"));
        }
    }
    for flake in &installed {
        needs.extend(registries.fetched(flake, "a flake of the profile"));
    }
    let files = command.files.iter();
    needs.extend(files.map(|url| by_url(url, "the command")));
    if flakes.is_empty() {
        needs.extend(searched(defaults, &registries, asked));
    }
    needs
}

/// The flakes of what `nix profile upgrade` upgrades.
fn installed(asked: &Asked<'_>) -> Vec<String> {
    let Some(named) = &asked.command.upgraded_elements else {
        return Vec::new();
    };
    let home = asked.world.env.home.iter();
    let places = home.flat_map(|home| PROFILES.map(|profile| home.join(profile)));
    let texts = places.filter_map(|place| asked.world.read(&place.join("manifest.json")));
    texts
        .flat_map(|text| locked::installed(&text, named))
        .collect()
}

/// nh takes that of its variables; nixos-rebuild takes /etc/nixos/flake.nix if it is there and nothing says otherwise.
fn default_flake(defaults: &ToolDefaults, asked: &Asked<'_>) -> Option<String> {
    let mut variables = asked.command.flake_variables.iter();
    let set = &asked.world.env.flakes;
    if let Some(flake) = variables.find_map(|name| set.get(*name)) {
        return Some(flake.clone());
    }
    let implied = !asked.command.no_flake && asked.command.search_path.is_empty();
    let folder = defaults.flake.as_ref().filter(|_| implied)?;
    let exists = asked.world.exists(&folder.join("flake.nix"));
    exists.then(|| folder.to_string_lossy().into_owned())
}

/// The references of the inputs that the command looks up again, from the lock file of a local flake.
fn updated(
    flake: &str,
    command: &UpgradeArgs,
    world: &MachineView<'_>,
    needs: &mut Vec<Need>,
) -> Vec<String> {
    let named = match (command.recreated_lock, command.updated_inputs.as_slice()) {
        (true, _) => None,
        (false, []) => return Vec::new(),
        (false, inputs) => Some(inputs),
    };
    let Some(folder) = flake::folder(flake) else {
        let flake = crate::text::secret::url(flake);
        let note = format!("the inputs of {flake} are not probed: its lock file is not here");
        needs.push(Need::Unknown(note));
        return Vec::new();
    };
    let lock = folder.join("flake.lock");
    let text = world
        .read(&lock)
        .ok_or_else(|| "it cannot be read".to_owned());
    text.and_then(|text| locked::originals(&text, named))
        .unwrap_or_else(|why| {
            needs.push(Need::Warning(format!("{}: {why}", lock.display())));
            Vec::new()
        })
}

/// What `<nixpkgs>` and its like are fetched from: the search path, and the channels that it leaves.
fn searched(defaults: &ToolDefaults, registries: &Registries<'_>, asked: &Asked<'_>) -> Vec<Need> {
    let environment = asked.world.env.nix_path.as_deref();
    let environment = environment.filter(|_| defaults.channels.is_some());
    let environment = search_path::entries(environment.unwrap_or_default());
    let of_command = asked
        .command
        .search_path
        .iter()
        .zip(repeat("-I in the command"));
    let entries: Vec<_> = of_command
        .chain(environment.iter().zip(repeat("NIX_PATH")))
        .collect();
    let mut needs = Vec::new();
    for (entry, origin) in &entries {
        match &entry.location {
            Location::Url(url) => needs.push(by_url(url, origin)),
            Location::Flake(reference) => needs.extend(registries.fetched(reference, origin)),
            Location::Local => {}
        }
    }
    let Some(file) = &defaults.channels else {
        return needs;
    };
    let text = asked.world.read(file).unwrap_or_default();
    let is_left = |channel: &Channel<'_>| !entries.iter().any(|(e, _)| e.replaces(channel.name));
    let left = channels(&text).filter(is_left);
    needs.extend(left.map(|channel| by_url(channel.url, &file.display().to_string())));
    needs
}

fn by_url(url: &str, origin: &str) -> Need {
    let local = url.starts_with("file://");
    let place = if local { Place::Local } else { web(url) };
    Need::All(Candidate::new(place, url, origin))
}

struct Channel<'a> {
    url: &'a str,
    name: &'a str,
}

/// `URL NAME` lines.
fn channels(text: &str) -> impl Iterator<Item = Channel<'_>> {
    let lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| {
        let mut words = line.split_whitespace();
        let url = words.next()?;
        Some(Channel {
            url,
            name: words.next().unwrap_or_default(),
        })
    })
}

struct Registries<'a> {
    world: &'a MachineView<'a>,
    settings: &'a NixSettings,
}

impl Registries<'_> {
    /// What fetching a flake reaches; an id that stands for another is followed.
    fn fetched(&self, written: &str, what: &str) -> Vec<Need> {
        let mut needs = Vec::new();
        let mut reference = written.to_owned();
        // Entries that stand for each other in a circle end here, as they end in Nix.
        for _ in 0..16 {
            let place = flake::place(&reference);
            let Place::Registry {
                id,
                reference: branch,
            } = &place
            else {
                needs.push(Need::All(Candidate::new(place, written, what)));
                return needs;
            };
            let Some(next) = self.look_up(id, branch.as_deref(), &mut needs) else {
                needs.push(self.global(written));
                return needs;
            };
            reference = next;
        }
        needs.push(Need::Unknown(format!(
            "{written} is not probed: the flake registries form a loop"
        )));
        needs
    }

    fn look_up(&self, id: &str, branch: Option<&str>, needs: &mut Vec<Need>) -> Option<String> {
        self.files().find_map(|path| {
            let text = self.world.read(&path)?;
            let entries = locked::registry(&text).unwrap_or_else(|why| {
                needs.push(Need::Warning(format!("{}: {why}", path.display())));
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
    fn global(&self, written: &str) -> Need {
        let registry = &self.settings.flake_registry;
        if registry.is_empty() || Path::new(registry).is_absolute() {
            return Need::Unknown(format!(
                "{written} is not probed: it is in no flake registry"
            ));
        }
        let what = format!("the flake registry, for the host of {written}");
        Need::All(Candidate::new(web(registry), registry, what))
    }
}
