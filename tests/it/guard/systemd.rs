//! A fake of systemd that makes transient units: timers that elapse, and services whose programs are really run.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures::StreamExt;
use upgrade_gate::sys::clock;
use zbus::message::Type;
use zbus::{Connection, Message, MessageStream, ObjectPath, OwnedVariant, Variant, connection};

const NAME: &str = "org.freedesktop.systemd1";
const PATH: &str = "/org/freedesktop/systemd1";

/// It started two seconds after the kernel.
const STARTUP: u64 = 2_000_000;

type Settings = Vec<(String, OwnedVariant)>;
type Listed = (
    String,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    ObjectPath<'static>,
    u32,
    &'static str,
    ObjectPath<'static>,
);

#[derive(Clone, Debug, Default)]
struct Unit {
    state: &'static str,
    /// If it is not the same.
    sub_state: Option<&'static str>,
    code: i32,
    job: u32,
    restarts: u32,
    stays: bool,
    commands: Vec<Vec<String>>,
    environment: Vec<String>,
    lines: Vec<u64>,
}

#[derive(Debug, Default)]
struct State {
    units: BTreeMap<String, Unit>,
    started: Vec<String>,
    /// The patterns that were asked for, in order.
    asked: Vec<String>,
    /// How often the machine has booted: what waits in an earlier boot is gone.
    boot: u32,
    frozen: bool,
    /// In place of `running`.
    instead_of_running: Option<&'static str>,
}

/// systemd, as far as the guard asks it.
#[derive(Clone)]
pub(crate) struct Systemd {
    address: String,
    state: Arc<Mutex<State>>,
}

impl Systemd {
    pub(crate) async fn start(address: &str) -> Self {
        let connection = connection::Builder::address(address).build().await.unwrap();
        let systemd = Self {
            address: address.to_owned(),
            state: Arc::default(),
        };
        tokio::spawn(serve(systemd.clone(), connection.clone()));
        connection.request_name(NAME).await.unwrap();
        systemd
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// A unit of the system fails.
    pub(crate) fn fails(&self, name: &str) {
        let unit = Unit {
            state: "failed",
            ..Unit::default()
        };
        self.state().units.insert(name.to_owned(), unit);
    }

    /// A unit of the system is active.
    pub(crate) fn reaches(&self, name: &str) {
        let unit = Unit {
            state: "active",
            ..Unit::default()
        };
        self.state().units.insert(name.to_owned(), unit);
    }

    /// A unit of the system ended, and waits to be restarted.
    pub(crate) fn loops(&self, name: &str) {
        let unit = Unit {
            state: "activating",
            sub_state: Some("auto-restart"),
            ..Unit::default()
        };
        self.state().units.insert(name.to_owned(), unit);
    }

    /// A service of the system was started again so often, and has just been.
    pub(crate) fn restarts(&self, name: &str, times: u32) {
        let unit = Unit {
            state: "active",
            restarts: times,
            ..Unit::default()
        };
        self.state().units.insert(name.to_owned(), unit);
    }

    /// A unit of the system runs.
    pub(crate) fn runs(&self, name: &str) {
        let unit = Unit {
            state: "active",
            ..Unit::default()
        };
        self.state().units.insert(name.to_owned(), unit);
    }

    /// What `systemctl is-system-running` says.
    pub(crate) fn is(&self, state: &'static str) {
        self.state().instead_of_running = Some(state);
    }

    /// No timer elapses any more.
    pub(crate) fn freeze(&self) {
        self.state().frozen = true;
    }

    /// Everything that is not on a disk is gone.
    pub(crate) fn reboot(&self) {
        let mut state = self.state();
        state.boot += 1;
        state.units.clear();
    }

    /// The units that are active and whose name has this in it.
    pub(crate) fn active(&self, part: &str) -> Vec<String> {
        let state = self.state();
        let units = state.units.iter();
        let active = units.filter(|(name, unit)| unit.state == "active" && name.contains(part));
        active.map(|(name, _)| name.clone()).collect()
    }

    /// What was started, in order.
    pub(crate) fn started(&self) -> Vec<String> {
        self.state().started.clone()
    }

    /// Waits until this was started.
    pub(crate) async fn until_started(&self, name: &str) {
        let wait = async {
            while !self.started().iter().any(|started| started == name) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let waited = tokio::time::timeout(crate::harness::GENEROUS, wait).await;
        assert!(waited.is_ok(), "{:?}", self.started());
    }

    /// Waits until it was asked so often for units like this.
    pub(crate) async fn until_asked(&self, part: &str, times: usize) {
        let asked = || {
            let state = self.state();
            let asked = state.asked.iter();
            asked.filter(|pattern| pattern.contains(part)).count()
        };
        let wait = async {
            while asked() < times {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let waited = tokio::time::timeout(crate::harness::GENEROUS, wait).await;
        assert!(waited.is_ok(), "{:?}", self.state().asked);
    }

    fn make(&self, name: &str, settings: &Settings) {
        let mut unit = Unit::default();
        for (key, value) in settings {
            match (key.as_str(), &**value) {
                ("RemainAfterExit", Variant::Bool(stays)) => unit.stays = *stays,
                ("ExecStart", value) => {
                    let commands = Vec::<(String, Vec<String>, bool)>::try_from(value.clone());
                    unit.commands = commands.unwrap().into_iter().map(|c| c.1).collect();
                }
                ("Environment", value) => {
                    unit.environment = Vec::try_from(value.clone()).unwrap();
                }
                ("TimersMonotonic", value) => {
                    let lines = Vec::<(String, u64)>::try_from(value.clone()).unwrap();
                    assert!(lines.iter().all(|(base, _)| base == "OnStartupSec"));
                    unit.lines = lines.into_iter().map(|line| STARTUP + line.1).collect();
                }
                _ => {}
            }
        }
        unit.state = "inactive";
        self.state().units.insert(name.to_owned(), unit);
    }

    fn run(&self, name: &str) {
        let mut state = self.state();
        state.started.push(name.to_owned());
        let unit = state.units.get_mut(name).unwrap();
        unit.job = 1;
        if !unit.lines.is_empty() {
            let lines = unit.lines.clone();
            let boot = state.boot;
            drop(state);
            tokio::spawn(self.clone().begin(name.to_owned(), "active"));
            for at in lines {
                tokio::spawn(self.clone().elapse(name.to_owned(), at, boot));
            }
            return;
        }
        drop(state);
        let (systemd, name) = (self.clone(), name.to_owned());
        tokio::spawn(async move {
            systemd.clone().begin(name.clone(), "activating").await;
            std::thread::spawn(move || systemd.execute(&name));
        });
    }

    /// A job begins a moment after the call that queued it was answered.
    async fn begin(self, name: String, becomes: &'static str) {
        tokio::time::sleep(Duration::from_millis(50)).await;
        if let Some(unit) = self.state().units.get_mut(&name) {
            (unit.state, unit.job) = (becomes, 0);
        }
    }

    async fn elapse(self, timer: String, at: u64, boot: u32) {
        let now = clock::now().monotonic.0;
        let Some(left) = Duration::from_micros(at).checked_sub(now) else {
            return;
        };
        tokio::time::sleep(left).await;
        let alive = {
            let state = self.state();
            let active = state
                .units
                .get(&timer)
                .is_some_and(|unit| unit.state == "active");
            active && state.boot == boot && !state.frozen
        };
        if alive {
            self.run(&timer.replace(".timer", ".service"));
        }
    }

    fn execute(&self, name: &str) {
        let Some(unit) = self.state().units.get(name).cloned() else {
            return;
        };
        let mut code = 0;
        for words in &unit.commands {
            code = self.exit_of(words, &unit.environment);
            if code != 0 {
                break;
            }
        }
        if let Some(unit) = self.state().units.get_mut(name) {
            unit.code = code;
            unit.state = match code {
                0 if unit.stays => "active",
                0 => "inactive",
                _ => "failed",
            };
        }
    }

    fn exit_of(&self, words: &[String], environment: &[String]) -> i32 {
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).stdin(Stdio::null());
        command.env("DBUS_SYSTEM_BUS_ADDRESS", &self.address);
        command.envs(environment.iter().filter_map(|set| set.split_once('=')));
        loop {
            match command.status() {
                Ok(status) => return status.code().unwrap_or(255),
                // Another test was started while this one wrote the script.
                Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => {}
                Err(_) => return 203,
            }
        }
    }

    fn list(&self, states: &[String], patterns: &[String]) -> Vec<Listed> {
        let state = self.state();
        let fits = |name: &str, pattern: &String| match pattern.split_once('*') {
            Some((before, after)) => name.starts_with(before) && name.ends_with(after),
            None => name == pattern,
        };
        let units = state.units.iter().filter(|(name, unit)| {
            let known = states.is_empty() || states.iter().any(|state| state == unit.state);
            known && patterns.iter().any(|pattern| fits(name, pattern))
        });
        let object = || ObjectPath::try_from("/").unwrap();
        let listed = units.map(|(name, unit)| {
            let (name, state, job) = (name.clone(), unit.state, unit.job);
            (
                name,
                "",
                "loaded",
                state,
                unit.sub_state.unwrap_or(state),
                "",
                object(),
                job,
                "",
                object(),
            )
        });
        listed.collect()
    }

    fn property(&self, object: &str, property: &str) -> Variant<'static> {
        let state = self.state();
        let mut units = state.units.iter();
        let unit = units
            .find(|(name, _)| unit_path(name) == object)
            .map(|(_, unit)| unit);
        match property {
            "Version" => Variant::from("257"),
            "SystemState" => Variant::from(state.instead_of_running.unwrap_or("running")),
            "ExecMainCode" => Variant::from(1i32),
            "ExecMainStatus" => Variant::from(unit.map_or(0, |unit| unit.code)),
            "NRestarts" => Variant::from(unit.map_or(0, |unit| unit.restarts)),
            "ActiveEnterTimestampMonotonic" if unit.is_some_and(|unit| unit.restarts > 0) => {
                let now = clock::now().monotonic.0.as_micros();
                Variant::from(u64::try_from(now).unwrap())
            }
            "UserspaceTimestampMonotonic" => Variant::from(STARTUP),
            "NextElapseUSecMonotonic" => {
                let next = unit.and_then(|unit| unit.lines.iter().min().copied());
                Variant::from(next.unwrap_or(u64::MAX))
            }
            _ => Variant::from(0u64),
        }
    }

    async fn answer(&self, connection: &Connection, call: &Message) {
        let header = call.header();
        let body = call.body();
        let job = ObjectPath::try_from(format!("{PATH}/job/1")).unwrap();
        // A caller that was killed does not mind.
        let _ = match header.member().map_or("", |member| member.as_str()) {
            "StartTransientUnit" => {
                type Call = (String, String, Settings, Vec<(String, Settings)>);
                let (name, _, settings, others): Call = body.deserialize().unwrap();
                self.make(&name, &settings);
                for (other, settings) in &others {
                    self.make(other, settings);
                }
                self.run(&name);
                connection.reply(&header, &job).await
            }
            "ResetFailedUnit" => {
                let name: String = body.deserialize().unwrap();
                self.state().units.remove(&name);
                connection.reply(&header, &()).await
            }
            "StopUnit" => {
                let (name, _): (String, String) = body.deserialize().unwrap();
                self.state().units.remove(&name);
                connection.reply(&header, &job).await
            }
            "StartUnit" => {
                let (name, _): (String, String) = body.deserialize().unwrap();
                self.state().started.push(name);
                connection.reply(&header, &job).await
            }
            "ListUnitsByPatterns" => {
                let (states, patterns): (Vec<String>, Vec<String>) = body.deserialize().unwrap();
                let list = self.list(&states, &patterns);
                self.state().asked.extend(patterns);
                connection.reply(&header, &list).await
            }
            "Get" => {
                let (_, property): (String, String) = body.deserialize().unwrap();
                let object = header.path().unwrap().as_str();
                connection
                    .reply(&header, &self.property(object, &property))
                    .await
            }
            _ => {
                let name = "org.freedesktop.DBus.Error.UnknownMethod";
                connection
                    .reply_error(&header, name, &"so says the fake")
                    .await
            }
        };
    }
}

async fn serve(systemd: Systemd, connection: Connection) {
    let mut messages = MessageStream::from(&connection);
    while let Some(Ok(message)) = messages.next().await {
        if message.message_type() == Type::MethodCall {
            systemd.answer(&connection, &message).await;
        }
    }
}

fn unit_path(name: &str) -> String {
    upgrade_gate::bus::systemd1::unit_path(name).to_string()
}
