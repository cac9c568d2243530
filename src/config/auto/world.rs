//! What `auto` learns from: files below a root, a few variables, and `ssh -G`; all of it injected.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The machine, as far as `auto` looks at it.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// Where every absolute path is looked up: `/` for real.
    pub root: &'a Path,
    /// What relative paths in the command are relative to.
    pub cwd: &'a Path,
    /// The variables.
    pub env: &'a Env,
    /// Runs `ssh` with these arguments and returns what it prints: [`super::ssh::run`] for real.
    pub ssh: &'a dyn Fn(&[String]) -> Result<String, String>,
}

/// The variables that Nix and apt find their configuration by, unset ones `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Env {
    /// `HOME`.
    pub home: Option<PathBuf>,
    /// `NIX_CONF_DIR`.
    pub nix_conf_dir: Option<PathBuf>,
    /// `NIX_USER_CONF_FILES`, colon-separated.
    pub nix_user_conf_files: Option<OsString>,
    /// `NIX_CONFIG_HOME`.
    pub nix_config_home: Option<PathBuf>,
    /// `XDG_CONFIG_HOME`.
    pub xdg_config_home: Option<PathBuf>,
    /// `XDG_CONFIG_DIRS`, colon-separated.
    pub xdg_config_dirs: Option<OsString>,
    /// `NIX_CONFIG`: lines of nix.conf.
    pub nix_config: Option<String>,
    /// `APT_CONFIG`: a file that apt reads before all others.
    pub apt_config: Option<PathBuf>,
}

impl Env {
    /// This process's own; without `HOME`, root's is `/root`, as Nix learns from the user database.
    pub fn of_process() -> Self {
        let path = |name| std::env::var_os(name).map(PathBuf::from);
        let roots = || nix::unistd::geteuid().is_root().then(|| "/root".into());
        Self {
            home: path("HOME").or_else(roots),
            nix_conf_dir: path("NIX_CONF_DIR").filter(|dir| !dir.as_os_str().is_empty()),
            nix_user_conf_files: std::env::var_os("NIX_USER_CONF_FILES"),
            nix_config_home: path("NIX_CONFIG_HOME"),
            xdg_config_home: path("XDG_CONFIG_HOME"),
            xdg_config_dirs: std::env::var_os("XDG_CONFIG_DIRS"),
            nix_config: std::env::var("NIX_CONFIG").ok(),
            apt_config: path("APT_CONFIG").filter(|file| !file.as_os_str().is_empty()),
        }
    }
}

impl World<'_> {
    /// A file's text; `None` if it cannot be read, which Nix, apt and the others take for absent too.
    pub(super) fn read(&self, path: &Path) -> Option<String> {
        let bytes = std::fs::read(self.below_root(path)).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    pub(super) fn exists(&self, path: &Path) -> bool {
        self.below_root(path).exists()
    }

    /// The files of a folder whose names end so, in the order of their names.
    pub(super) fn list(&self, folder: &str, ending: &str) -> Vec<PathBuf> {
        let folder = Path::new(folder);
        let entries = std::fs::read_dir(self.below_root(folder))
            .into_iter()
            .flatten();
        let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
        names.retain(|name| name.to_string_lossy().ends_with(ending));
        names.sort();
        names.into_iter().map(|name| folder.join(name)).collect()
    }

    /// Nix's folder of system-wide files.
    pub(super) fn nix_conf_dir(&self) -> PathBuf {
        let dir = self.env.nix_conf_dir.clone();
        dir.unwrap_or_else(|| PathBuf::from("/etc/nix"))
    }

    /// Nix's folder of the user's files.
    pub(super) fn nix_config_home(&self) -> Option<PathBuf> {
        let env = self.env;
        let config = || env.home.as_ref().map(|home| home.join(".config"));
        let xdg = || env.xdg_config_home.clone().or_else(config);
        let nix = env.nix_config_home.clone();
        nix.or_else(|| xdg().map(|dir| dir.join("nix")))
    }

    fn below_root(&self, path: &Path) -> PathBuf {
        let path = self.cwd.join(path);
        self.root.join(path.strip_prefix("/").unwrap_or(&path))
    }
}
