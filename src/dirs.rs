//! Where state is kept: decided from the effective user and the environment, both handed in.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

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
        "there is no {kind} directory for this user; set {variables} or add {kind_setting}=upgrade-gate to the unit",
        kind = kind.word(), variables = kind.variables(), kind_setting = kind.setting()
    )]
    Nowhere {
        /// Which of the two.
        kind: Kind,
    },
    /// It cannot be created.
    #[error(
        "cannot create the {kind} directory {path}: {source}; add {kind_setting}=upgrade-gate to the unit or make it writable",
        kind = kind.word(), path = path.display(), kind_setting = kind.setting()
    )]
    Create {
        /// Which of the two.
        kind: Kind,
        /// The directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Which of the two directories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// [`Dirs::runtime`].
    Runtime,
    /// [`Dirs::state`].
    State,
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::Runtime => "runtime",
            Self::State => "state",
        }
    }

    const fn variables(self) -> &'static str {
        match self {
            Self::Runtime => "$XDG_RUNTIME_DIR",
            Self::State => "$XDG_STATE_HOME or $HOME",
        }
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
    /// The unit's own directory comes before the default under $HOME: with `DynamicUser=` that is `/`.
    pub fn new(is_root: bool, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        if is_root {
            return Self::of_root_below(Path::new("/"));
        }
        let absolute = |name: &str| {
            variable(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        let of_unit = |name: &str| variable(name).and_then(|list| first_absolute(&list));
        let below = |base: PathBuf| base.join(NAME);
        Self {
            runtime: absolute("XDG_RUNTIME_DIR")
                .map(below)
                .or_else(|| of_unit("RUNTIME_DIRECTORY")),
            state: absolute("XDG_STATE_HOME")
                .map(below)
                .or_else(|| of_unit("STATE_DIRECTORY"))
                .or_else(|| absolute("HOME").map(|home| below(home.join(".local/state")))),
        }
    }

    /// Where this very process keeps its state: below `root`, if that is another than `/`.
    pub fn of_process(root: &Path) -> Self {
        if root != Path::new("/") {
            return Self::of_root_below(root);
        }
        Self::new(nix::unistd::geteuid().is_root(), |name| {
            std::env::var_os(name)
        })
    }

    /// The runtime directory, created if need be.
    pub fn usable_runtime(&self) -> Result<&Path, Unusable> {
        usable(Kind::Runtime, self.runtime.as_deref())
    }

    /// The state directory, created if need be.
    pub fn usable_state(&self) -> Result<&Path, Unusable> {
        usable(Kind::State, self.state.as_deref())
    }

    fn of_root_below(root: &Path) -> Self {
        Self {
            runtime: Some(root.join("run").join(NAME)),
            state: Some(root.join("var/lib").join(NAME)),
        }
    }
}

/// Creates a directory and its parents with mode 0755, less the umask; one that exists is left as it is.
pub fn create(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o755).create(path)
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

fn usable(kind: Kind, path: Option<&Path>) -> Result<&Path, Unusable> {
    let path = path.ok_or(Unusable::Nowhere { kind })?;
    create(path).map_err(|source| Unusable::Create {
        kind,
        path: path.to_owned(),
        source,
    })?;
    Ok(path)
}

/// systemd.exec(5): several directories are separated by colons.
fn first_absolute(list: &OsString) -> Option<PathBuf> {
    let first = list.as_bytes().split(|byte| *byte == b':').next()?;
    Some(PathBuf::from(OsString::from_vec(first.to_owned()))).filter(|path| path.is_absolute())
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
    fn a_dynamic_user_has_the_first_of_the_units_own_directories() {
        let dirs = user(&[
            ("HOME", "/"),
            ("RUNTIME_DIRECTORY", "/run/a:/run/b"),
            ("STATE_DIRECTORY", "/var/lib/a"),
        ]);
        assert_eq!(dirs.runtime, at("/run/a"));
        assert_eq!(dirs.state, at("/var/lib/a"));
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
        assert!(message.contains("StateDirectory=upgrade-gate"), "{message}");
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
