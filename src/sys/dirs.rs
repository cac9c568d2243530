//! Where state is kept: decided from the effective user and the environment, both handed in.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use super::limits;
use crate::sys::files::Directory;

const NAME: &str = "upgrade-gate";

/// The two directories; `None` where this process has no place of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dirs {
    /// For what ends with the boot: locks and the files of `status`.
    pub runtime: Option<PathBuf>,
    /// For what outlives it: the time of the last success.
    pub state: Option<PathBuf>,
}

/// A directory that is needed and cannot be used; the message says what is lost, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// The environment names none.
    #[error(
        "no {kind} directory for this user's gates: {lost}; set {variables}, or {advice}",
        kind = kind.word(), lost = kind.lost(), variables = kind.variables(), advice = kind.advice()
    )]
    Nowhere {
        /// Which of the two.
        kind: DirKind,
    },
    /// It cannot be created, or is not this user's.
    #[error(
        "cannot use the {kind} directory {path}: {why}; {lost}; make it this user's and writable, or {advice}",
        kind = kind.word(), path = path.display(), why = limits::refusal(source), lost = kind.lost(),
        advice = if geteuid().is_root() { DirKind::writable(path) } else { kind.advice() }
    )]
    Use {
        /// Which of the two.
        kind: DirKind,
        /// The directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Which of the two directories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirKind {
    /// [`Dirs::runtime`].
    Runtime,
    /// [`Dirs::state`].
    State,
}

impl DirKind {
    const fn word(self) -> &'static str {
        match self {
            Self::Runtime => "runtime",
            Self::State => "state",
        }
    }

    const fn lost(self) -> &'static str {
        match self {
            Self::Runtime => "status will not show this gate, and runs of one profile may overlap",
            Self::State => "no run is \"recent\"",
        }
    }

    /// What a unit with `ProtectSystem=strict` lacks.
    fn writable(path: &Path) -> String {
        format!("add ReadWritePaths=-{} to the unit", path.display())
    }

    const fn variables(self) -> &'static str {
        match self {
            Self::Runtime => "$XDG_RUNTIME_DIR",
            Self::State => "$XDG_STATE_HOME or $HOME",
        }
    }

    /// Only a user other than root has its state there.
    fn advice(self) -> String {
        format!("add {}=upgrade-gate/UNIT to the unit", self.setting())
    }

    const fn setting(self) -> &'static str {
        match self {
            Self::Runtime => "RuntimeDirectory",
            Self::State => "StateDirectory",
        }
    }
}

impl Dirs {
    /// Where a process of this user and environment keeps its state.
    ///
    /// The unit's directory comes before the default under $HOME: with `DynamicUser=` that is `/`. What a gated service
    /// has for itself is not ours to write to.
    pub fn new(is_root: bool, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        if is_root {
            return Self::of_root_below(Path::new("/"));
        }
        let lists = ["RUNTIME_DIRECTORY", "STATE_DIRECTORY"].map(|name| listed(variable(name)));
        let below = |base: &str, name: &str| {
            let place = absolute(variable(base)?)?.join(name);
            (!is_within_service(&lists, &place)).then_some(place)
        };
        let [runtime, state] = lists.each_ref().map(|list| of_unit(list));
        let default = || below("HOME", ".local/state/upgrade-gate");
        Self {
            runtime: below("XDG_RUNTIME_DIR", NAME).or(runtime),
            state: below("XDG_STATE_HOME", NAME).or(state).or_else(default),
        }
    }

    /// Where this very process keeps its state: below `root`, if that is another than `/`.
    pub fn of_process(root: &Path) -> Self {
        if root != Path::new("/") {
            return Self::of_root_below(root);
        }
        Self::new(geteuid().is_root(), |name| std::env::var_os(name))
    }

    /// The runtime directory, created if need be.
    pub fn usable_runtime(&self) -> Result<&Path, Unusable> {
        usable(DirKind::Runtime, self.runtime.as_deref())
    }

    /// The state directory, created if need be.
    pub fn usable_state(&self) -> Result<&Path, Unusable> {
        usable(DirKind::State, self.state.as_deref())
    }

    fn of_root_below(root: &Path) -> Self {
        Self {
            runtime: Some(root.join("run").join(NAME)),
            state: Some(root.join("var/lib").join(NAME)),
        }
    }
}

/// What of a file name's 255 bytes is kept before a hash takes the place of the rest; a suffix must fit, too.
const KEPT: usize = 200;

/// A file name that no two names share: bytes beyond `[A-Za-z0-9_.-]`, and a leading dot, become `\xNN`
/// as in systemd.unit(5), and the end of a very long one a hash.
pub fn file_name(name: &str) -> String {
    let mut escaped = escaped(name);
    if escaped.len() > KEPT {
        escaped.truncate(KEPT);
        // Writing to a String does not fail.
        let _ = write!(escaped, "-{:016x}", hash(name));
    }
    escaped
}

/// FNV-1a: the same in every version of the program.
fn hash(name: &str) -> u64 {
    let mix = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    name.bytes().fold(0xcbf2_9ce4_8422_2325, mix)
}

fn escaped(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    for (position, byte) in name.bytes().enumerate() {
        let plain = byte.is_ascii_alphanumeric()
            || matches!(byte, b'_' | b'-')
            || (byte == b'.' && position > 0);
        if plain {
            escaped.push(char::from(byte));
        } else {
            escaped.extend(['\\', 'x', hexadecimal(byte >> 4), hexadecimal(byte & 15)]);
        }
    }
    escaped
}

fn hexadecimal(digit: u8) -> char {
    char::from_digit(digit.into(), 16).unwrap_or('0')
}

fn usable(kind: DirKind, path: Option<&Path>) -> Result<&Path, Unusable> {
    let path = path.ok_or(Unusable::Nowhere { kind })?;
    match Directory::ours(path).and_then(|directory| directory.is_writable()) {
        Ok(()) => Ok(path),
        Err(source) => Err(Unusable::Use {
            kind,
            path: path.to_owned(),
            source,
        }),
    }
}

fn absolute(path: OsString) -> Option<PathBuf> {
    Some(PathBuf::from(path)).filter(|path| path.is_absolute())
}

/// systemd.exec(5): several directories are separated by colons.
fn listed(list: Option<OsString>) -> Vec<PathBuf> {
    let list = list.unwrap_or_default();
    env::split_paths(&list)
        .filter(|path| path.is_absolute())
        .collect()
}

fn of_unit(list: &[PathBuf]) -> Option<PathBuf> {
    list.iter().find(|dir| is_ours(dir)).cloned()
}

/// `upgrade-gate`, or one below it, as our drop-ins have it.
fn is_ours(dir: &Path) -> bool {
    let starts_so = |name: &OsStr| name.as_encoded_bytes().starts_with(NAME.as_bytes());
    dir.file_name().is_some_and(starts_so) || dir.iter().any(|part| part == NAME)
}

/// Whether a service has this place, or one above it, for itself: its `$HOME` may be its `StateDirectory=`.
fn is_within_service(lists: &[Vec<PathBuf>], dir: &Path) -> bool {
    let mut services = lists.iter().flatten().filter(|listed| !is_ours(listed));
    services.any(|listed| dir.starts_with(listed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn user(variables: &[(&str, &str)]) -> Dirs {
        Dirs::new(false, |name| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| OsString::from(value))
        })
    }

    fn at(path: &str) -> Option<PathBuf> {
        PathBuf::from(path).into()
    }

    #[test]
    fn root_uses_run_and_var_lib_whatever_the_environment_says() {
        let dirs = Dirs::new(true, |_| Some("/elsewhere".into()));
        assert_eq!(dirs.runtime, at("/run/upgrade-gate"));
        assert_eq!(dirs.state, at("/var/lib/upgrade-gate"));
    }

    #[test]
    fn with_another_root_nothing_outside_it_is_written_to() {
        let dirs = Dirs::of_process(Path::new("/mnt"));
        assert_eq!(dirs.runtime, at("/mnt/run/upgrade-gate"));
        assert_eq!(dirs.state, at("/mnt/var/lib/upgrade-gate"));
    }

    #[test]
    fn a_user_has_the_xdg_directories() {
        let dirs = user(&[
            ("XDG_RUNTIME_DIR", "/run/user/1000"),
            ("XDG_STATE_HOME", "/state"),
            ("STATE_DIRECTORY", "/var/lib/unit"),
            ("HOME", "/home/a"),
        ]);
        assert_eq!(dirs.runtime, at("/run/user/1000/upgrade-gate"));
        assert_eq!(dirs.state, at("/state/upgrade-gate"));
    }

    #[test]
    fn a_user_without_xdg_state_home_has_the_default_below_home() {
        assert_eq!(
            user(&[("HOME", "/home/a")]).state,
            at("/home/a/.local/state/upgrade-gate")
        );
    }

    #[test]
    fn of_a_unit_s_directories_only_one_of_ours_is_used() {
        let of = |runtime: &str, state: &str| {
            let lists = [("RUNTIME_DIRECTORY", runtime), ("STATE_DIRECTORY", state)];
            let dirs = user(&[&[("HOME", "/")], &lists[..]].concat());
            (dirs.runtime, dirs.state)
        };
        let state = "/var/lib/private/upgrade-gate/a";
        assert_eq!(
            of("/run/a:/run/upgrade-gate/a", state),
            (at("/run/upgrade-gate/a"), at(state))
        );
        assert_eq!(of("/run/upgrade-gate-a", "").0, at("/run/upgrade-gate-a"));
        let root = at("/.local/state/upgrade-gate");
        assert_eq!(of("/run/a", "/var/lib/a"), (None, root));
    }

    #[test]
    fn a_home_or_runtime_directory_that_is_the_gated_service_s_own_is_not_written_to() {
        let dirs = user(&[
            ("HOME", "/var/lib/a"),
            ("STATE_DIRECTORY", "/var/lib/a"),
            ("XDG_RUNTIME_DIR", "/run/a/x"),
            ("RUNTIME_DIRECTORY", "/run/a"),
        ]);
        assert_eq!(dirs, Dirs::default());
    }

    #[test]
    fn relative_and_empty_paths_count_as_not_given() {
        let dirs = user(&[
            ("XDG_RUNTIME_DIR", ""),
            ("RUNTIME_DIRECTORY", "run"),
            ("XDG_STATE_HOME", "state"),
            ("HOME", ""),
        ]);
        assert_eq!(dirs, Dirs::default());
    }

    #[test]
    fn no_place_at_all_is_said_with_what_to_do() {
        let message = Dirs::default().usable_state().unwrap_err().to_string();
        assert!(message.contains("$XDG_STATE_HOME or $HOME"), "{message}");
        assert!(
            message.contains("add StateDirectory=upgrade-gate/UNIT to the unit"),
            "{message}"
        );
    }

    #[test]
    fn a_directory_is_created_for_all_to_read() {
        let base = tempfile::tempdir().unwrap();
        let dirs = user(&[("XDG_RUNTIME_DIR", base.path().to_str().unwrap())]);
        let created = dirs.usable_runtime().unwrap();
        let mode = created.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o755, mode & 0o777);
        assert!(dirs.usable_runtime().is_ok(), "it may exist already");
    }

    #[test]
    fn a_directory_that_cannot_be_created_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let dirs = user(&[("XDG_RUNTIME_DIR", file.path().to_str().unwrap())]);
        let message = dirs.usable_runtime().unwrap_err().to_string();
        assert!(message.contains(file.path().to_str().unwrap()), "{message}");
    }

    #[test]
    fn a_directory_that_somebody_else_can_replace_is_not_used_over_a_link() {
        let base = tempfile::tempdir().unwrap();
        let victim = base.path().join("victim");
        std::fs::create_dir(&victim).unwrap();
        std::os::unix::fs::symlink(&victim, base.path().join("upgrade-gate")).unwrap();
        std::fs::set_permissions(base.path(), std::fs::Permissions::from_mode(0o1777)).unwrap();
        let dirs = user(&[("XDG_RUNTIME_DIR", base.path().to_str().unwrap())]);
        let message = dirs.usable_runtime().unwrap_err().to_string();
        assert!(message.contains("it is a symbolic link"), "{message}");
    }

    #[test]
    fn ordinary_profile_names_are_file_names_as_they_are() {
        assert_eq!(file_name("nixos-upgrade_2.x"), "nixos-upgrade_2.x");
    }

    #[test]
    fn odd_profile_names_cannot_leave_the_directory() {
        assert_eq!(file_name("../a b"), "\\x2e.\\x2fa\\x20b");
        assert_eq!(file_name("ü\\"), "\\xc3\\xbc\\x5c");
    }

    #[test]
    fn the_longest_name_of_a_unit_is_a_file_name_with_a_suffix() {
        let long = "bk@srv\\x2ddata".repeat(18);
        let (one, other) = (file_name(&(long.clone() + "a")), file_name(&(long + "b")));
        assert!(one.len() < 240, "{one}");
        assert_ne!(one, other);
    }

    proptest::proptest! {
        #[test]
        fn no_two_names_share_a_file(a: String, b: String) {
            proptest::prop_assert_eq!(file_name(&a) == file_name(&b), a == b);
        }
    }
}
