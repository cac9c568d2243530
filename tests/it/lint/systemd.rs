//! A fake of systemd's manager: units in a table, told over D-Bus as the real one tells them.

use std::collections::BTreeMap;

use futures::StreamExt;
use upgrade_gate::bus::systemd1::{ListedUnit, unit_path};
use zbus::message::Type;
use zbus::{Connection, Message, MessageStream, ObjectPath, OwnedVariant, Variant, connection};

const NAME: &str = "org.freedesktop.systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";

type Properties = BTreeMap<String, OwnedVariant>;

/// A unit with the properties of all its interfaces.
pub(super) struct Unit {
    name: String,
    is_loaded: bool,
    state: &'static str,
    properties: Properties,
}

/// One command line of an `Ex` property.
pub(super) type Line = (
    String,
    Vec<String>,
    Vec<String>,
    u64,
    u64,
    u64,
    u64,
    u32,
    i32,
    i32,
);

pub(super) fn line(text: &str) -> Line {
    let argv: Vec<String> = text.split(' ').map(str::to_owned).collect();
    (argv[0].clone(), argv, Vec::new(), 0, 0, 0, 0, 0, 0, 0)
}

impl Unit {
    /// A oneshot that is loaded, with systemd's defaults.
    pub(super) fn service(name: &str) -> Self {
        Self::new(name)
            .with("LoadState", "loaded")
            .with("FragmentPath", format!("/usr/lib/systemd/system/{name}"))
            .with("StartLimitIntervalUSec", 10_000_000_u64)
            .with("StartLimitBurst", 5_u32)
            .with("Type", "oneshot")
            .with("Restart", "no")
            .with("RestartUSec", 100_000_u64)
            .with("RestartSteps", 0_u32)
            .with("RestartMaxDelayUSec", u64::MAX)
            .with("RestartMode", "normal")
            .with("TimeoutStartUSec", u64::MAX)
            .with("NotifyAccess", "none")
            .with("ExecStartEx", vec![line("/usr/bin/tool")])
    }

    /// A calendar timer.
    pub(super) fn timer(name: &str) -> Self {
        let calendar = vec![("OnCalendar", "*-*-* 06:00:00", 1_u64)];
        Self::new(name)
            .with("TimersCalendar", calendar)
            .with("Persistent", true)
            .with("RandomizedDelayUSec", 3_600_000_000_u64)
    }

    fn new(name: &str) -> Self {
        let unit = Self {
            name: name.to_owned(),
            is_loaded: true,
            state: "static",
            properties: Properties::new(),
        };
        unit.with("Id", name.to_owned())
    }

    pub(super) fn with(mut self, name: &str, value: impl Into<Variant<'static>>) -> Self {
        let value = value.into().try_into_owned().unwrap();
        self.properties.insert(name.to_owned(), value);
        self
    }

    /// Only a unit file, until someone asks for it.
    pub(super) fn unloaded(mut self, state: &'static str) -> Self {
        self.is_loaded = false;
        self.state = state;
        self
    }

    fn load_state(&self) -> String {
        let state = self
            .properties
            .get("LoadState")
            .map(|state| state.try_clone().unwrap());
        state.map_or_else(String::new, |state| state.try_into().unwrap())
    }
}

/// systemd, as long as the connection lives.
pub(super) struct Systemd(#[allow(dead_code, reason = "it is there while it is kept")] Connection);

impl Systemd {
    pub(super) async fn start(address: &str, version: &'static str, units: Vec<Unit>) -> Self {
        let connection = connection::Builder::address(address).build().await.unwrap();
        let stream = MessageStream::from(&connection);
        tokio::spawn(serve(connection.clone(), stream, version, units));
        connection.request_name(NAME).await.unwrap();
        Self(connection)
    }
}

async fn serve(
    connection: Connection,
    mut calls: MessageStream,
    version: &'static str,
    units: Vec<Unit>,
) {
    while let Some(Ok(call)) = calls.next().await {
        if call.message_type() != Type::MethodCall {
            continue;
        }
        if let Some(reply) = reply(&call, version, &units) {
            // A caller that has gone away does not mind.
            let _ = connection.send(&reply).await;
        }
    }
}

fn reply(call: &Message, version: &'static str, units: &[Unit]) -> Option<Message> {
    let header = call.header();
    let answer = Message::method_return(&header);
    let body = call.body();
    let built = match header.member()?.as_str() {
        "Get" => answer.build(&Variant::from(version)),
        "LoadUnit" => {
            let name: String = body.deserialize().unwrap();
            if name.contains('/') {
                let error = Message::error(&header, "org.freedesktop.DBus.Error.InvalidArgs");
                return error.build(&format!("Unit name {name} is not valid.")).ok();
            }
            answer.build(&unit_path(&name))
        }
        "ListUnitsByPatterns" => answer.build(&listed(units)),
        "ListUnitFilesByPatterns" => answer.build(&files(units)),
        "GetAll" => {
            let interface: String = body.deserialize().unwrap();
            assert_eq!(
                interface, "",
                "the properties of all interfaces are asked for"
            );
            answer.build(&all(units, header.path()?.as_str()))
        }
        _ => Message::error(&header, "org.freedesktop.DBus.Error.UnknownMethod").build(&MANAGER),
    };
    built.ok()
}

fn listed(units: &[Unit]) -> Vec<ListedUnit> {
    let text = str::to_owned;
    let loaded = units
        .iter()
        .filter(|unit| unit.is_loaded && unit.name.ends_with(".service"));
    loaded
        .map(|unit| {
            let none = ObjectPath::try_from("/").unwrap().into();
            (
                unit.name.clone(),
                text("A unit"),
                unit.load_state(),
                text("inactive"),
                text("dead"),
                text(""),
                unit_path(&unit.name),
                0,
                text(""),
                none,
            )
        })
        .collect()
}

fn files(units: &[Unit]) -> Vec<(String, String)> {
    let services = units.iter().filter(|unit| unit.name.ends_with(".service"));
    services
        .map(|unit| {
            (
                format!("/usr/lib/systemd/system/{}", unit.name),
                unit.state.to_owned(),
            )
        })
        .collect()
}

/// The properties of an object; one that nobody has written is a unit that was not found.
fn all(units: &[Unit], object: &str) -> Properties {
    let unit = units
        .iter()
        .find(|unit| unit_path(&unit.name).as_str() == object);
    if let Some(unit) = unit {
        let all = unit.properties.iter();
        return all
            .map(|(k, v)| (k.clone(), v.try_clone().unwrap()))
            .collect();
    }
    let missing = [("Id", "missing.service"), ("LoadState", "not-found")];
    let owned = |value: &'static str| Variant::from(value).try_into_owned().unwrap();
    missing
        .map(|(name, value)| (name.to_owned(), owned(value)))
        .into()
}
