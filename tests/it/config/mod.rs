//! The configuration as files on a disk, through the library and the command that shows it.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use tempfile::TempDir;
use upgrade_gate::commands::config as command;
use upgrade_gate::config::effective::Origin;
use upgrade_gate::config::places::Places;
use upgrade_gate::config::problem::Errors;
use upgrade_gate::config::profile::Profile;
use upgrade_gate::config::{Chosen, Loaded, Overrides, load};

mod documentation;
mod faults;
mod layers;
mod shown;

/// A file system with nothing but the configuration.
struct Root(TempDir);

const ETC: &str = "etc/upgrade-gate/upgrade-gate.toml";

impl Root {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    /// One with this as its only file.
    fn with(text: &str) -> Self {
        Self::new().file(ETC, text)
    }

    fn path(&self, path: &str) -> PathBuf {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    fn file(self, path: &str, text: impl AsRef<[u8]>) -> Self {
        fs::write(self.path(path), text).unwrap();
        self
    }

    fn directory(self, path: &str) -> Self {
        fs::create_dir_all(self.path(path)).unwrap();
        self
    }

    fn link(self, path: &str, to: &str) -> Self {
        symlink(to, self.path(path)).unwrap();
        self
    }

    fn load(&self) -> Result<Loaded, Errors> {
        load(&Places::below(self.0.path()))
    }

    /// The profile `p` in effect, which must be fine.
    fn profile(&self) -> Profile {
        choose(&self.load().unwrap(), "p").profile
    }

    /// All errors, a line each, without the root.
    fn errors(&self) -> Vec<String> {
        self.strip(&self.load().unwrap_err().errors)
    }

    fn warnings(&self) -> Vec<String> {
        self.strip(&self.load().unwrap().warnings)
    }

    fn strip(&self, problems: &[impl ToString]) -> Vec<String> {
        let root = format!("{}/", self.0.path().display());
        problems
            .iter()
            .map(|one| one.to_string().replace(&root, ""))
            .collect()
    }

    /// Where the value of `key` in the profile `p` comes from: file without the root, and line.
    fn origin(&self, key: &str) -> (String, usize) {
        let chosen = choose(&self.load().unwrap(), "p");
        match chosen
            .settings
            .into_iter()
            .find(|setting| setting.key == key)
            .unwrap()
            .origin
        {
            Origin::File { file, line } => {
                let file = file.strip_prefix(self.0.path()).unwrap();
                (file.to_str().unwrap().to_owned(), line)
            }
            other => (other.to_string(), 0),
        }
    }
}

fn choose(loaded: &Loaded, name: &str) -> Chosen {
    loaded.profile(Some(name), &Overrides::default()).unwrap()
}

fn settle(seconds: u32) -> String {
    format!("[profile.p]\nsettle = \"{seconds}s\"\n")
}

fn shown(loaded: &Loaded, chosen: &Chosen, auto: &[String], json: bool) -> String {
    let mut out = Vec::new();
    command::show(loaded, chosen, auto, json, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}
