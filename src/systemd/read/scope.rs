//! Whose units: the system's, this user's, or those of all users, and where their files are (systemd.unit(5), "Unit File
//! Load Path").

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Whose units are meant, as `systemctl` has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// The system manager's.
    #[default]
    System,
    /// `--user`: those of the user who asks.
    User,
    /// `--global`: the files that each user's manager reads, whoever it is.
    Global,
}

impl Scope {
    /// The option that asks for it, ours and systemctl's; none for the system.
    pub const fn flag(self) -> Option<&'static str> {
        match self {
            Self::System => None,
            Self::User => Some("--user"),
            Self::Global => Some("--global"),
        }
    }
}

/// Where the unit files of a [`Scope`] are; every path is absolute, and below another root if there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitPaths {
    /// Where unit files are looked for, the most important directory first.
    pub(super) search: Vec<PathBuf>,
    /// Where the manager's own configuration is looked for, the most important directory first.
    pub(super) configuration: Vec<PathBuf>,
    /// `system.conf` or `user.conf`.
    pub(super) configuration_name: &'static str,
    /// Where an administrator's, or the user's, own units and drop-ins are; none if the environment does not tell the
    /// user's home.
    pub own: Option<PathBuf>,
}

/// Where system units are looked for.
const SYSTEM: &[&str] = &[
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    "/run/systemd/transient",
    "/run/systemd/generator.early",
    "/etc/systemd/system",
    "/etc/systemd/system.attached",
    "/run/systemd/system",
    "/run/systemd/system.attached",
    "/run/systemd/generator",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
    "/run/systemd/generator.late",
];

/// Where the units of all users are looked for.
const GLOBAL: &[&str] = &[
    "/etc/systemd/user",
    "/run/systemd/user",
    "/usr/local/share/systemd/user",
    "/usr/share/systemd/user",
    "/usr/local/lib/systemd/user",
    "/usr/lib/systemd/user",
];

const CONFIGURATION: &[&str] = &[
    "/etc/systemd",
    "/run/systemd",
    "/usr/local/lib/systemd",
    "/usr/lib/systemd",
];

impl UnitPaths {
    /// Those of a scope, for this process's user and environment.
    pub fn of(scope: Scope) -> Self {
        match scope {
            Scope::System => Self::system(),
            Scope::User => Self::user(|name| std::env::var_os(name)),
            Scope::Global => Self::global(),
        }
    }

    /// A single directory, wherever it is: of a repository, say.
    pub fn only(dir: &Path) -> Self {
        Self {
            search: vec![dir.to_owned()],
            configuration: Vec::new(),
            configuration_name: "system.conf",
            own: None,
        }
    }

    fn system() -> Self {
        Self {
            search: paths(SYSTEM),
            configuration: paths(CONFIGURATION),
            configuration_name: "system.conf",
            own: Some("/etc/systemd/system".into()),
        }
    }

    fn global() -> Self {
        Self {
            search: paths(GLOBAL),
            configuration: paths(CONFIGURATION),
            configuration_name: "user.conf",
            own: Some("/etc/systemd/user".into()),
        }
    }

    fn user(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let xdg = Xdg::of(variable);
        let search = [
            below(&xdg.config, "systemd/user.control"),
            below(&xdg.runtime, "systemd/user.control"),
            below(&xdg.runtime, "systemd/transient"),
            below(&xdg.runtime, "systemd/generator.early"),
            below(&xdg.config, "systemd/user"),
            below(&xdg.config_dirs, "systemd/user"),
            paths(&["/etc/systemd/user"]),
            below(&xdg.runtime, "systemd/user"),
            paths(&["/run/systemd/user"]),
            below(&xdg.runtime, "systemd/generator"),
            below(&xdg.data, "systemd/user"),
            paths(&["/usr/local/lib/systemd/user", "/usr/lib/systemd/user"]),
            below(&xdg.runtime, "systemd/generator.late"),
        ];
        let configuration = [below(&xdg.config, "systemd"), paths(CONFIGURATION)];
        Self {
            search: search.concat(),
            configuration: configuration.concat(),
            configuration_name: "user.conf",
            own: below(&xdg.config, "systemd/user").pop(),
        }
    }
}

/// The directories of a user (the XDG Base Directory Specification; file-hierarchy(7)).
struct Xdg {
    /// None, or one.
    config: Vec<PathBuf>,
    config_dirs: Vec<PathBuf>,
    /// None, or one.
    runtime: Vec<PathBuf>,
    /// `$XDG_DATA_HOME`, and then all of `$XDG_DATA_DIRS`.
    data: Vec<PathBuf>,
}

impl Xdg {
    fn of(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let absolute = |name: &str| {
            variable(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        let list = |name: &str, default: &[&str]| {
            let set = variable(name).filter(|list| !list.is_empty());
            set.map_or_else(|| paths(default), |list| absolute_paths(&list))
        };
        let home = absolute("HOME");
        let at_home = |below: &str| home.as_ref().map(|home| home.join(below));
        let data = absolute("XDG_DATA_HOME").or_else(|| at_home(".local/share"));
        let data_dirs = list("XDG_DATA_DIRS", &["/usr/local/share", "/usr/share"]);
        Self {
            config: Vec::from_iter(absolute("XDG_CONFIG_HOME").or_else(|| at_home(".config"))),
            config_dirs: list("XDG_CONFIG_DIRS", &["/etc/xdg"]),
            runtime: Vec::from_iter(absolute("XDG_RUNTIME_DIR")),
            data: data.into_iter().chain(data_dirs).collect(),
        }
    }
}

fn below(dirs: &[PathBuf], path: &str) -> Vec<PathBuf> {
    dirs.iter().map(|dir| dir.join(path)).collect()
}

fn paths(list: &[&str]) -> Vec<PathBuf> {
    list.iter().map(|path| Path::new(path).to_owned()).collect()
}

fn absolute_paths(list: &OsString) -> Vec<PathBuf> {
    std::env::split_paths(list)
        .filter(|path| path.is_absolute())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(variables: &[(&str, &str)]) -> UnitPaths {
        UnitPaths::user(|name| {
            let found = variables.iter().find(|(own, _)| *own == name);
            found.map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn a_user_s_units_are_looked_for_in_the_order_of_the_manual() {
        let paths = user(&[("HOME", "/home/a"), ("XDG_RUNTIME_DIR", "/run/user/1000")]);
        let shown: Vec<_> = paths
            .search
            .iter()
            .map(|path| path.to_str().unwrap())
            .collect();
        let expected = [
            "/home/a/.config/systemd/user.control",
            "/run/user/1000/systemd/user.control",
            "/run/user/1000/systemd/transient",
            "/run/user/1000/systemd/generator.early",
            "/home/a/.config/systemd/user",
            "/etc/xdg/systemd/user",
            "/etc/systemd/user",
            "/run/user/1000/systemd/user",
            "/run/systemd/user",
            "/run/user/1000/systemd/generator",
            "/home/a/.local/share/systemd/user",
            "/usr/local/share/systemd/user",
            "/usr/share/systemd/user",
            "/usr/local/lib/systemd/user",
            "/usr/lib/systemd/user",
            "/run/user/1000/systemd/generator.late",
        ];
        assert_eq!(shown, expected);
        assert_eq!(paths.own, Some("/home/a/.config/systemd/user".into()));
    }

    #[test]
    fn the_environment_moves_a_user_s_directories_and_relative_ones_do_not_count() {
        let paths = user(&[
            ("HOME", "/home/a"),
            ("XDG_CONFIG_HOME", "/conf"),
            ("XDG_DATA_HOME", "data"),
            ("XDG_DATA_DIRS", "/nix/share:share:/opt/share"),
        ]);
        assert_eq!(paths.own, Some("/conf/systemd/user".into()));
        let has = |path: &str| paths.search.contains(&path.into());
        assert!(has("/nix/share/systemd/user") && has("/opt/share/systemd/user"));
        assert!(has("/home/a/.local/share/systemd/user") && !has("/usr/share/systemd/user"));
    }

    #[test]
    fn without_a_home_there_are_the_units_of_all_users() {
        let paths = user(&[]);
        assert_eq!(paths.own, None);
        for path in UnitPaths::global().search {
            assert!(paths.search.contains(&path), "{path:?}");
        }
    }
}
