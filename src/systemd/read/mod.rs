//! Units as systemd has them: asked for over D-Bus, or read from the files below a root directory.

pub mod bus;
mod calendar;
mod chroot;
mod defaults;
pub mod files;
mod keys;
mod refusals;
pub mod scope;
mod search;
mod settings;
mod timers;
mod unit_text;
mod values;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use self::bus::Systemd;
use self::files::UnitFiles;
use self::scope::{Scope, UnitPaths};
use super::unit::{Load, Unit};
use super::version::Version;
use crate::bus::{BusAddress, ConnectError};
use crate::sys::limits;

/// Where units are read from.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one of them")]
pub enum UnitSource {
    /// The systemd that runs, the system's or the user's.
    Systemd(Systemd),
    /// The unit files below a root directory.
    Files(Box<UnitFiles>),
}

/// Every service that there is.
#[derive(Debug, Default)]
pub struct All {
    /// By name, each once, whatever aliases it has.
    pub units: Vec<Unit>,
    /// How many templates there are, which are no units; none if they were not counted.
    pub templates: Option<usize>,
    /// What could not be read, and why.
    pub warnings: Vec<String>,
}

impl UnitSource {
    /// The files below `root`, or, without one, systemd; nobody but the files knows what is there for all users.
    pub async fn open(root: Option<&Path>, scope: Scope) -> Result<Self, ReadError> {
        let bus = match scope {
            Scope::System => BusAddress::system(),
            Scope::User => BusAddress::user(),
            Scope::Global => return Self::files(root.unwrap_or(Path::new("/")), scope),
        };
        match root {
            None => Systemd::connect(bus, Path::new("/"))
                .await
                .map(Self::Systemd),
            Some(root) => Self::files(root, scope),
        }
    }

    fn files(root: &Path, scope: Scope) -> Result<Self, ReadError> {
        if !root.is_dir() {
            return Err(ReadError::NoRoot(root.to_owned()));
        }
        let files = UnitFiles::in_paths(root, UnitPaths::of(scope));
        Ok(Self::Files(Box::new(files)))
    }

    /// Whether the systemd that runs is asked.
    pub fn is_running(&self) -> bool {
        matches!(self, Self::Systemd(_))
    }

    /// systemd's version; none if no file tells it.
    pub async fn version(&self) -> Result<Option<Version>, ReadError> {
        match self {
            Self::Systemd(systemd) => systemd.version().await.map(Some),
            Self::Files(files) => Ok(files.version()),
        }
    }

    /// The service of this name, or of which this is an alias; one that does not exist is one too.
    pub async fn unit(&self, name: &str) -> Result<Unit, ReadError> {
        match self {
            Self::Systemd(systemd) => systemd.unit(name).await,
            Self::Files(files) => Ok(files.unit(name).unit),
        }
    }

    /// All services, but not templates.
    pub async fn all(&self) -> Result<All, ReadError> {
        match self {
            Self::Systemd(systemd) => systemd.all().await,
            Self::Files(files) => Ok(all_of(files)),
        }
    }
}

/// The service in a file, and in its drop-ins and timers next to it, wherever that is; of a template an instance.
pub fn unit_in_file(path: &Path) -> Result<Unit, ReadError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if !name.ends_with(".service") {
        return Err(ReadError::NoServiceFile(path.to_owned()));
    }
    let parent = path.parent().filter(|parent| *parent != Path::new(""));
    let dir = parent.unwrap_or(Path::new(".")).canonicalize();
    let dir = dir
        .ok()
        .filter(|dir| dir.join(&*name).symlink_metadata().is_ok());
    let dir = dir.ok_or_else(|| ReadError::NoFile(path.to_owned()))?;
    // A link that leads nowhere, or to itself.
    dir.join(&*name)
        .metadata()
        .map_err(|why| ReadError::Unreadable {
            path: path.to_owned(),
            why,
        })?;
    let files = UnitFiles::in_paths(Path::new("/"), UnitPaths::only(&dir));
    // As systemd-analyze verify names it.
    Ok(files.unit(&name.replacen("@.", "@i.", 1)).unit)
}

fn all_of(files: &UnitFiles) -> All {
    let names = files.names().into_iter();
    let services = names.filter(|name| name.ends_with(".service"));
    let units = services.map(|name| files.unit(&name).unit);
    let startable = units.filter(|unit| !matches!(unit.load, Load::NotFound | Load::Masked));
    let by_name: BTreeMap<_, _> = startable.map(|unit| (unit.name.clone(), unit)).collect();
    All {
        units: by_name.into_values().collect(),
        templates: None,
        warnings: files.warnings().to_vec(),
    }
}

/// Why units cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is no bus, or it lets nobody in.
    #[error("{0}; {INSTEAD}")]
    Bus(Box<ConnectError>),
    /// The bus is there, and systemd is not on it.
    #[error("systemd is not on the {bus}: {why}; {INSTEAD}")]
    NoSystemd {
        /// `system bus` or `user bus`.
        bus: &'static str,
        /// What the bus answered.
        why: String,
    },
    /// systemd refuses, or does not answer.
    #[error("failed to {what}: {why}; {INSTEAD}")]
    Failed {
        /// What it was asked.
        what: String,
        /// What it answered.
        why: String,
    },
    /// The root directory is none.
    #[error("no directory {}; --root expects one with etc/systemd and usr/lib/systemd in it", .0.display())]
    NoRoot(PathBuf),
    /// A path of a file that is not there.
    #[error("no such file: {}", .0.display())]
    NoFile(PathBuf),
    /// A path of a file that cannot be read.
    #[error("cannot read {}: {}", path.display(), limits::refusal(why))]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// What the kernel says.
        why: std::io::Error,
    },
    /// A path of something else.
    #[error("{} is not a service unit file; its name must end in .service", .0.display())]
    NoServiceFile(PathBuf),
    /// No unit has such a name.
    #[error("invalid unit name {name:?}: {why}")]
    Name {
        /// The name.
        name: String,
        /// Why not.
        why: String,
    },
    /// A template, which is not a unit before it has an instance.
    #[error("{0} is a template; name an instance, such as {instance}", instance = instance_of(.0))]
    Template(String),
    /// It is not a service, so that nothing restarts it.
    #[error("{0} is not a service unit; name the service that it starts")]
    NoService(String),
    /// systemd says something that is newer than this program.
    #[error(
        "{name}: systemd reports {setting}={value:?}, which this version of upgrade-gate does not know"
    )]
    Unknown {
        /// The unit.
        name: String,
        /// The setting.
        setting: &'static str,
        /// Its value; empty if systemd does not tell it.
        value: String,
    },
}

impl From<ConnectError> for ReadError {
    fn from(error: ConnectError) -> Self {
        Self::Bus(Box::new(error))
    }
}

/// What to do without systemd.
const INSTEAD: &str = "--root DIR reads the unit files below DIR instead";

/// What the name of a unit may end with.
const SUFFIXES: &[&str] = &[
    ".service",
    ".timer",
    ".target",
    ".socket",
    ".path",
    ".mount",
    ".automount",
    ".swap",
    ".slice",
    ".scope",
    ".device",
];

/// The service that is meant by a word of the command line: `fwupd-refresh` is `fwupd-refresh.service`.
pub fn service_name(word: &str) -> Result<Cow<'_, str>, ReadError> {
    let name = if SUFFIXES.iter().any(|suffix| word.ends_with(suffix)) {
        Cow::Borrowed(word)
    } else {
        Cow::Owned(format!("{word}.service"))
    };
    if !name.ends_with(".service") {
        return Err(ReadError::NoService(name.into_owned()));
    }
    if is_template(&name) {
        return Err(ReadError::Template(name.into_owned()));
    }
    Ok(name)
}

/// Whether this is the name of a template: `foo@.service`.
pub fn is_template(name: &str) -> bool {
    name.contains("@.")
}

fn instance_of(template: &str) -> String {
    template.replacen("@.", "@NAME.", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_a_suffix_is_a_service() {
        for (word, name) in [
            ("fwupd-refresh", "fwupd-refresh.service"),
            ("fwupd-refresh.service", "fwupd-refresh.service"),
            ("org.example.App", "org.example.App.service"),
            ("foo@bar", "foo@bar.service"),
        ] {
            assert_eq!(service_name(word).unwrap(), name);
        }
    }

    #[test]
    fn templates_and_other_units_are_answered_with_what_to_name() {
        let template = service_name("foo@").unwrap_err().to_string();
        assert!(template.contains("foo@NAME.service"), "{template}");
        let timer = service_name("fwupd-refresh.timer").unwrap_err().to_string();
        assert!(timer.contains("not a service unit"), "{timer}");
    }
}
