//! What `auto` learns from: files below a root, a few variables, and `ssh -G`; all of it injected.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{User, geteuid};

use crate::sys::files;

/// No list of sources or lock of a flake is longer; a mistake may be.
const LONGEST: u64 = 16 << 20;

/// The machine, as far as `auto` looks at it.
#[derive(Clone, Copy)]
pub struct MachineView<'a> {
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
    /// `NIX_PATH`: where `<nixpkgs>` is.
    pub nix_path: Option<String>,
    /// Those that name a flake for nh.
    pub flakes: BTreeMap<String, String>,
    /// `APT_CONFIG`: a file that apt reads before all others.
    pub apt_config: Option<PathBuf>,
}

impl Env {
    /// This process's own. As with Nix, a `HOME` of another user's (`sudo -E`) does not count.
    pub fn of_process() -> Self {
        let home = std::env::var_os("HOME").map(PathBuf::from);
        let own = Self {
            home: home.filter(|home| !is_anothers(home)).or_else(own_home),
            ..Self::default()
        };
        let set = VARIABLES.iter().filter(|name| **name != "HOME");
        let set = set.filter_map(|name| Some((name, std::env::var_os(name)?)));
        set.fold(own, |env, (name, value)| env.with(name, value))
    }

    /// The same, with one variable set to another value. A name that is not known changes nothing.
    #[must_use]
    pub(super) fn with(mut self, name: &str, value: impl Into<OsString>) -> Self {
        let value = value.into();
        let path = || Some(PathBuf::from(&value));
        let file = || path().filter(|path| !path.as_os_str().is_empty());
        match name {
            "HOME" => self.home = path(),
            "NIX_CONF_DIR" => self.nix_conf_dir = file(),
            "NIX_USER_CONF_FILES" => self.nix_user_conf_files = Some(value),
            "NIX_CONFIG_HOME" => self.nix_config_home = path(),
            "XDG_CONFIG_HOME" => self.xdg_config_home = path(),
            "XDG_CONFIG_DIRS" => self.xdg_config_dirs = Some(value),
            "NIX_CONFIG" => self.nix_config = value.into_string().ok(),
            "NIX_PATH" => self.nix_path = value.into_string().ok(),
            "APT_CONFIG" => self.apt_config = file(),
            "NH_OS_FLAKE" | "NH_HOME_FLAKE" | "NH_FLAKE" | "FLAKE" => {
                let flake = value.to_string_lossy().into_owned();
                self.flakes.insert(name.to_owned(), flake);
            }
            _ => {}
        }
        self
    }
}

/// Those of [`Env`].
pub const VARIABLES: [&str; 13] = [
    "HOME",
    "NIX_CONF_DIR",
    "NIX_USER_CONF_FILES",
    "NIX_CONFIG_HOME",
    "XDG_CONFIG_HOME",
    "XDG_CONFIG_DIRS",
    "NIX_CONFIG",
    "NIX_PATH",
    "NH_OS_FLAKE",
    "NH_HOME_FLAKE",
    "NH_FLAKE",
    "FLAKE",
    "APT_CONFIG",
];

fn is_anothers(home: &Path) -> bool {
    match std::fs::metadata(home) {
        Ok(metadata) => metadata.uid() != geteuid().as_raw(),
        Err(error) => error.kind() != ErrorKind::NotFound,
    }
}

/// As the user database has it; root's is known without asking.
fn own_home() -> Option<PathBuf> {
    let user = geteuid();
    if user.is_root() {
        return Some("/root".into());
    }
    User::from_uid(user).ok()?.map(|user| user.dir)
}

impl MachineView<'_> {
    /// The same machine, looked at with other variables.
    pub(super) fn with<'a>(&'a self, env: &'a Env) -> MachineView<'a> {
        MachineView { env, ..*self }
    }

    /// A file's text; `None` if it cannot be read, which Nix, apt and the others take for absent too.
    pub(super) fn read(&self, path: &Path) -> Option<String> {
        self.read_up_to(path, LONGEST)
    }

    /// The same of a file that is no longer than this; another is not read.
    pub(super) fn read_up_to(&self, path: &Path, longest: u64) -> Option<String> {
        let bytes = files::read(&self.below_root(path), longest).ok()?;
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
        files::below(self.root, &self.cwd.join(path))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_is_no_file_is_absent_and_nothing_waits_for_it() {
        let root = tempfile::tempdir().unwrap();
        let mode = nix::sys::stat::Mode::S_IRWXU;
        nix::unistd::mkfifo(&root.path().join("fifo"), mode).unwrap();
        symlink("/dev/zero", root.path().join("device")).unwrap();
        fs::write(root.path().join("file"), "text").unwrap();
        let world = MachineView {
            root: root.path(),
            cwd: Path::new("/"),
            env: &Env::default(),
            ssh: &|_| Err(String::new()),
        };
        assert_eq!(world.read(Path::new("/fifo")), None);
        assert_eq!(world.read(Path::new("/device")), None);
        assert_eq!(world.read(Path::new("/file")).as_deref(), Some("text"));
    }

    #[test]
    fn a_home_counts_unless_it_is_another_users() {
        let home = tempfile::tempdir().unwrap();
        assert!(!is_anothers(home.path()));
        assert!(!is_anothers(&home.path().join("missing")));
    }

    #[test]
    #[ignore = "needs root"]
    fn root_s_home_is_not_that_of_who_calls_sudo() {
        let home = tempfile::tempdir().unwrap();
        std::os::unix::fs::chown(home.path(), Some(65534), None).unwrap();
        assert!(is_anothers(home.path()));
        assert_eq!(own_home(), Some("/root".into()));
    }
}
