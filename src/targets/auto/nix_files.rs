//! The effective settings of Nix: which files, in which order, and their includes.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::nix_conf::{self, NixLine, NixSettings};
use super::world::MachineView;

/// The system's file, then the user's (the first named has the last word), then `NIX_CONFIG`.
///
/// Nix itself stops at a line it refuses; here that is a warning with file and line, and the rest counts.
pub(super) fn settings(world: &MachineView<'_>, warnings: &mut Vec<String>) -> NixSettings {
    let mut reader = NixReader {
        world,
        warnings,
        settings: NixSettings::default(),
        open: Vec::new(),
    };
    reader.file(&world.nix_conf_dir().join("nix.conf"));
    for path in user_files(world).iter().rev() {
        reader.file(path);
    }
    if let Some(text) = &world.env.nix_config {
        reader.text(text, Path::new("NIX_CONFIG"));
    }
    reader.settings
}

fn user_files(world: &MachineView<'_>) -> Vec<PathBuf> {
    if let Some(files) = &world.env.nix_user_conf_files {
        return split(files).collect();
    }
    let dirs = world.env.xdg_config_dirs.clone();
    let dirs = dirs.unwrap_or_else(|| "/etc/xdg".into());
    let xdg = split(&dirs).map(|dir| dir.join("nix"));
    let all = world.nix_config_home().into_iter().chain(xdg);
    all.map(|dir| dir.join("nix.conf")).collect()
}

fn split(list: &OsStr) -> impl Iterator<Item = PathBuf> {
    std::env::split_paths(list).filter(|path| !path.as_os_str().is_empty())
}

struct NixReader<'a> {
    world: &'a MachineView<'a>,
    warnings: &'a mut Vec<String>,
    settings: NixSettings,
    /// The files being read, outermost first: an include of one of them would never end.
    open: Vec<PathBuf>,
}

impl NixReader<'_> {
    fn file(&mut self, path: &Path) {
        if let Some(text) = self.world.read(path) {
            self.open.push(path.to_owned());
            self.text(&text, path);
            self.open.pop();
        }
    }

    fn text(&mut self, text: &str, path: &Path) {
        for (number, line) in nix_conf::parse(text) {
            let origin = format!("{}:{number}", path.display());
            match line {
                NixLine::Setting(name, value) => {
                    let refused = self.settings.set(&name, &value, &origin).err();
                    self.warnings.extend(refused);
                }
                NixLine::Include {
                    path: included,
                    may_be_absent,
                } => {
                    let included = path.parent().unwrap_or(Path::new("")).join(included);
                    self.include(&included, may_be_absent, &origin);
                }
                // What is on the line may be a token that was broken off its setting.
                NixLine::Refused => self
                    .warnings
                    .push(format!("{origin}: Nix refuses this line")),
            }
        }
    }

    fn include(&mut self, path: &Path, may_be_absent: bool, origin: &str) {
        let shown = path.display();
        if self.open.iter().any(|open| open == path) || self.open.len() > MAX_DEPTH {
            self.warnings
                .push(format!("{origin}: {shown} includes itself"));
        } else if self.world.exists(path) {
            self.file(path);
        } else if !may_be_absent {
            self.warnings
                .push(format!("{origin}: {shown} does not exist"));
        }
    }
}

/// A loop may be spelt differently each time (`a/../a`): this deep, it is one.
const MAX_DEPTH: usize = 16;
