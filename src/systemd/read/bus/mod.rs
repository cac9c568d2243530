//! Units as systemd has loaded them, asked for over D-Bus (org.freedesktop.systemd1(5)).
//!
//! The calls are pipelined, one for each unit; nothing is cached, and nothing but the unit is loaded.

mod decode;
mod ignored;
mod properties;
mod switch;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use futures::future::try_join_all;
use futures::stream::{self, StreamExt};
use futures::try_join;
use zbus::names::BusName;
use zbus::proxy::CacheProperties;
use zbus::{Connection, Message, OwnedObjectPath, fdo};

use self::properties::GetAllReply;
use super::{All, ReadError, is_template};
use crate::bus::BusAddress;
use crate::bus::systemd1::{Systemd1ManagerProxy, unit_path};
use crate::sys::files;
use crate::systemd::unit::{Timer, Unit, is_of_boot};
use crate::systemd::version::Version;

const SYSTEMD: &str = "org.freedesktop.systemd1";
/// The properties of all interfaces of an object (sd-bus, and D-Bus' specification of `GetAll`). Between two calls systemd
/// may drop a unit that nobody needs, and would read its files again.
const ALL: &str = "";

/// So many units are asked for at a time: enough to keep systemd busy, and few enough to keep the replies few.
const AT_A_TIME: usize = 8;

/// systemd, by its unique name on the bus.
#[derive(Debug)]
pub struct Systemd {
    connection: Connection,
    manager: Systemd1ManagerProxy<'static>,
    owner: BusName<'static>,
    /// Below which the files that units come from are.
    root: PathBuf,
}

impl Systemd {
    /// Connects, or says within five seconds why it cannot.
    pub async fn connect(address: BusAddress, root: &Path) -> Result<Self, ReadError> {
        let no_systemd = |error: &dyn ToString| ReadError::NoSystemd {
            bus: address.name(),
            why: properties::one_line(&error.to_string()),
        };
        let connection = address.connect().await?;
        let name = BusName::try_from(SYSTEMD).map_err(|error| no_systemd(&error))?;
        // Unlike a call to the name itself, this starts nothing.
        let bus = fdo::DBusProxy::new(&connection).await;
        let bus = bus.map_err(|error| no_systemd(&error))?;
        let owner = bus.get_name_owner(name).await;
        let owner = owner.map_err(|error| no_systemd(&error))?;
        let owner = BusName::from(owner.into_inner());
        let manager = Systemd1ManagerProxy::builder(&connection)
            .destination(owner.clone())
            .cache_properties(CacheProperties::No);
        let manager = manager.build().await;
        Ok(Self {
            manager: manager.map_err(|error| no_systemd(&error))?,
            connection,
            owner,
            root: root.to_owned(),
        })
    }

    /// systemd's version.
    pub async fn version(&self) -> Result<Version, ReadError> {
        let text = self.manager.version().await;
        let text = text.map_err(|error| failed("read systemd's version", &error))?;
        Version::parse(&text).ok_or(ReadError::Unknown {
            name: SYSTEMD.to_owned(),
            setting: "Version",
            value: text,
        })
    }

    /// The service of this name, or of which this is an alias; one that does not exist is one too.
    pub async fn unit(&self, name: &str) -> Result<Unit, ReadError> {
        let object = self.manager.load_unit(name).await;
        self.read(&object.map_err(|error| refused(name, &error))?)
            .await
    }

    /// The services in memory, and those of the other unit files.
    pub async fn all(&self) -> Result<All, ReadError> {
        let patterns = ["*.service"];
        let what = |error: zbus::Error| failed("list the units", &error);
        let (units, files) = try_join!(
            self.manager.list_units_by_patterns(&[], &patterns),
            self.manager.list_unit_files_by_patterns(&[], &patterns)
        )
        .map_err(what)?;
        let loaded: BTreeMap<_, _> = units
            .into_iter()
            .map(|(name, _, load, _, _, _, object, ..)| (name, (load, object)))
            .collect();
        let files = files.into_iter().filter(|(_, state)| is_startable(state));
        let files = files.filter_map(|(path, _)| Some(path.rsplit_once('/')?.1.to_owned()));
        let (templates, files): (BTreeSet<_>, BTreeSet<_>) = files.partition(|n| is_template(n));
        let mut all = All {
            templates: Some(templates.len()),
            ..All::default()
        };
        let others = files.into_iter().filter(|name| !loaded.contains_key(name));
        let mut objects: HashSet<_> = others.map(|name| unit_path(&name)).collect();
        let startable = loaded.values().filter(|(load, _)| load == "loaded");
        objects.extend(startable.map(|(_, object)| object.clone()));
        self.read_all(objects, &mut all).await;
        Ok(all)
    }

    async fn read_all(&self, objects: HashSet<OwnedObjectPath>, all: &mut All) {
        let reads = objects.iter().map(|object| self.read(object));
        let mut reads = stream::iter(reads).buffered(AT_A_TIME);
        let mut units = BTreeMap::new();
        while let Some(read) = reads.next().await {
            match read {
                Ok(unit) => {
                    units.insert(unit.name.clone(), unit);
                }
                Err(error) => all.warnings.push(error.to_string()),
            }
        }
        all.units = units.into_values().collect();
    }

    async fn read(&self, object: &OwnedObjectPath) -> Result<Unit, ReadError> {
        let reply = self.get_all(object).await?;
        let (mut unit, mut timers) = {
            let body = reply.body();
            let told = GetAllReply::read(&body).map_err(|why| not_told(object, &why))?;
            (decode::unit(&told)?, decode::timers(&told))
        };
        unit.nixos = switch::of(&self.root, &unit);
        let fragment = unit.fragment.as_deref();
        unit.ignored = ignored::of(&self.root, &unit.name, fragment, &unit.drop_ins);
        timers.extend(self.timers_of_targets(&unit).await);
        unit.timers = try_join_all(timers.iter().map(|name| self.timer(name))).await?;
        Ok(unit)
    }

    /// The timers of the targets that pull it in; those of the boot have none.
    async fn timers_of_targets(&self, unit: &Unit) -> BTreeSet<String> {
        let mut timers = BTreeSet::new();
        let targets = unit.wanted_by.iter();
        for target in targets.filter(|name| name.ends_with(".target") && !is_of_boot(name)) {
            // Gone since it was named, perhaps.
            if let Ok(reply) = self.get_all(&unit_path(target)).await {
                let body = reply.body();
                timers.extend(GetAllReply::read(&body).iter().flat_map(decode::timers));
            }
        }
        timers
    }

    async fn timer(&self, name: &str) -> Result<Timer, ReadError> {
        let object = unit_path(name);
        let reply = self.get_all(&object).await?;
        let body = reply.body();
        let told = GetAllReply::read(&body).map_err(|why| not_told(&object, &why))?;
        let (fragment, drop_ins) = decode::files(&told);
        Ok(Timer {
            ignored: ignored::of(&self.root, name, fragment.as_deref(), &drop_ins),
            ..decode::timer(name, &told)
        })
    }

    async fn get_all(&self, object: &OwnedObjectPath) -> Result<Message, ReadError> {
        let properties = Some("org.freedesktop.DBus.Properties");
        let owner = Some(self.owner.clone());
        let reply = self
            .connection
            .call_method(owner, object, properties, "GetAll", &ALL);
        reply
            .await
            .map_err(|error| failed(&format!("read {}", object.as_str()), &error))
    }
}

/// Whether a unit file of this state (`UnitFileState`) can be started under its own name.
fn is_startable(state: &str) -> bool {
    !matches!(state, "masked" | "masked-runtime" | "alias" | "bad")
}

/// The text of a file that systemd has read; nothing, if it is gone or is more than a unit file can be.
fn text(root: &Path, path: &Path) -> Vec<u8> {
    const LONGEST: u64 = 4 << 20;
    files::read(&files::below(root, path), LONGEST).unwrap_or_default()
}

fn failed(what: &str, error: &impl ToString) -> ReadError {
    ReadError::Failed {
        what: what.to_owned(),
        why: properties::one_line(&error.to_string()),
    }
}

fn not_told(object: &OwnedObjectPath, why: &str) -> ReadError {
    ReadError::Failed {
        what: format!("read {}", object.as_str()),
        why: why.to_owned(),
    }
}

/// systemd calls a name that is none an invalid argument.
fn refused(name: &str, error: &zbus::Error) -> ReadError {
    match error {
        zbus::Error::FDO(error) => match &**error {
            fdo::Error::InvalidArgs(why) => ReadError::Name {
                name: name.to_owned(),
                why: properties::one_line(why),
            },
            error => failed(&format!("load {name}"), error),
        },
        error => failed(&format!("load {name}"), error),
    }
}
