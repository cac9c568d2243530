//! A fake of systemd's manager: units with states and timestamps, jobs, and a record of what it is asked to do.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures::StreamExt;
use tokio::sync::Notify;
use upgrade_gate::clock;
use zbus::message::Type;
use zbus::{Connection, Message, MessageStream, ObjectPath, Variant, connection};

const NAME: &str = "org.freedesktop.systemd1";
const PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";

/// What becomes of a unit that is started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// It is active from then on.
    #[default]
    Stays,
    /// It runs to its end, and is inactive.
    Ends,
    /// It fails.
    Fails,
}

#[derive(Clone, Debug, Default)]
struct Unit {
    state: &'static str,
    start: Start,
    began: Duration,
    failed: Duration,
    was_active: bool,
}

#[derive(Default)]
struct State {
    units: BTreeMap<String, Unit>,
    calls: Vec<String>,
    jobs: BTreeMap<u32, (String, bool)>,
    last_job: u32,
    holds_jobs: bool,
    subscribed: bool,
}

/// systemd, as far as its manager is asked.
pub struct Systemd {
    connection: Connection,
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
}

impl Systemd {
    /// Starts it, without a unit.
    pub async fn start(address: &str) -> Self {
        let connection = connection::Builder::address(address).build().await.unwrap();
        let systemd = Self {
            connection,
            state: Arc::default(),
            changed: Arc::default(),
        };
        tokio::spawn(serve(systemd.other_end()));
        systemd.connection.request_name(NAME).await.unwrap();
        systemd
    }

    fn other_end(&self) -> Self {
        Self {
            connection: self.connection.clone(),
            state: self.state.clone(),
            changed: self.changed.clone(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Installs a unit, which is inactive and does this when it is started.
    pub fn install(&self, name: &str, start: Start) {
        let unit = Unit {
            state: "inactive",
            start,
            ..Unit::default()
        };
        self.state().units.insert(name.to_owned(), unit);
    }

    /// Uninstalls a unit.
    pub fn remove(&self, name: &str) {
        self.state().units.remove(name);
    }

    /// A unit has just failed, after an attempt of no length.
    pub fn fails(&self, name: &str) {
        self.failed_at(name, clock::now().monotonic.0);
    }

    /// A unit failed then, after an attempt of no length.
    pub fn failed_at(&self, name: &str, when: Duration) {
        let mut state = self.state();
        let unit = state.units.get_mut(name).unwrap();
        unit.state = "failed";
        unit.began = when;
        unit.failed = when;
    }

    /// A job of a unit fails now, after an attempt that began then.
    pub async fn failed_since(&self, name: &str, began: Duration) {
        let job = self.state().queue(name, true);
        let start = {
            let mut state = self.state();
            let unit = state.units.get_mut(name).unwrap();
            std::mem::replace(&mut unit.start, Start::Fails)
        };
        let result = self.state().run(job);
        {
            let mut state = self.state();
            let unit = state.units.get_mut(name).unwrap();
            (unit.start, unit.began) = (start, began);
        }
        self.tell(job, name, result).await;
    }

    /// Puts a unit into a state without a word.
    pub fn set(&self, name: &str, state: &'static str) {
        self.state().units.get_mut(name).unwrap().state = state;
    }

    /// Jobs stay until [`Self::finish_jobs`].
    pub fn hold_jobs(&self) {
        self.state().holds_jobs = true;
    }

    /// All jobs end, and later ones at once.
    pub async fn finish_jobs(&self) {
        self.state().holds_jobs = false;
        self.run_jobs().await;
    }

    /// How many jobs there are.
    pub fn jobs(&self) -> usize {
        self.state().jobs.len()
    }

    /// Somebody starts or stops a unit.
    pub async fn by_hand(&self, name: &str, start: bool) {
        self.state().queue(name, start);
        self.run_jobs().await;
    }

    /// Re-executes itself; nobody is subscribed then.
    pub async fn reexec(&self) {
        self.connection.release_name(NAME).await.unwrap();
        self.state().subscribed = false;
        self.connection.request_name(NAME).await.unwrap();
    }

    /// What it was asked to do, in order: `start a.service`, `stop …`, `reset-failed …`, `subscribe`.
    pub fn calls(&self) -> Vec<String> {
        self.state().calls.clone()
    }

    /// How often it was asked that.
    pub fn count(&self, call: &str) -> usize {
        self.state().calls.iter().filter(|one| *one == call).count()
    }

    /// Waits until it was asked that so often.
    pub async fn until(&self, call: &str, times: usize) {
        self.until_true(call, || self.count(call) >= times).await;
    }

    /// Waits until a unit is in that state.
    pub async fn until_state(&self, name: &str, state: &str) {
        let is = || {
            self.state()
                .units
                .get(name)
                .is_some_and(|u| u.state == state)
        };
        self.until_true(&format!("{name} is {state}"), is).await;
    }

    async fn until_true(&self, what: &str, is: impl Fn() -> bool) {
        let wait = async {
            while !is() {
                self.changed.notified().await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(60), wait).await;
        assert!(waited.is_ok(), "not {what} after {:#?}", self.calls());
    }

    async fn run_jobs(&self) {
        for (job, unit) in self.state_jobs() {
            let result = self.state().run(job);
            self.tell(job, &unit, result).await;
        }
    }

    async fn tell(&self, job: u32, unit: &str, result: &str) {
        self.changed.notify_one();
        if self.state().subscribed {
            let path = ObjectPath::try_from(job_path(job)).unwrap();
            let body = (job, path, unit, result);
            let sent = self
                .connection
                .emit_signal(None::<()>, PATH, MANAGER, "JobRemoved", &body);
            sent.await.unwrap();
        }
    }

    fn state_jobs(&self) -> Vec<(u32, String)> {
        let state = self.state();
        let jobs = state.jobs.iter().filter(|_| !state.holds_jobs);
        jobs.map(|(job, (unit, _))| (*job, unit.clone())).collect()
    }

    async fn answer(&self, call: &Message) {
        let header = call.header();
        let reply = self.state().reply(call);
        let sent = match reply {
            Ok(Reply::Nothing) => self.connection.reply(&header, &()).await,
            Ok(Reply::Path(path)) => self.connection.reply(&header, &path).await,
            Ok(Reply::Units(units)) => self.connection.reply(&header, &units).await,
            Ok(Reply::Files(files)) => self.connection.reply(&header, &files).await,
            Ok(Reply::Value(value)) => self.connection.reply(&header, &value).await,
            Err(name) => {
                self.connection
                    .reply_error(&header, name, &"so says the fake")
                    .await
            }
        };
        // A caller that has gone away does not mind.
        let _ = sent;
        self.changed.notify_one();
        self.run_jobs().await;
    }
}

async fn serve(systemd: Systemd) {
    let mut messages = MessageStream::from(&systemd.connection);
    while let Some(Ok(message)) = messages.next().await {
        if message.message_type() == Type::MethodCall {
            systemd.answer(&message).await;
        }
    }
}

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

enum Reply {
    Nothing,
    Path(ObjectPath<'static>),
    Units(Vec<Listed>),
    Files(Vec<(String, &'static str)>),
    Value(Variant<'static>),
}

impl State {
    fn reply(&mut self, call: &Message) -> Result<Reply, &'static str> {
        let header = call.header();
        let body = call.body();
        let member = header.member().map_or("", |member| member.as_str());
        match member {
            "Subscribe" => {
                self.calls.push("subscribe".to_owned());
                self.subscribed = true;
                Ok(Reply::Nothing)
            }
            "StartUnit" | "StopUnit" => {
                let (unit, _): (String, String) = body.deserialize().unwrap();
                let start = member == "StartUnit";
                let verb = if start { "start" } else { "stop" };
                self.calls.push(format!("{verb} {unit}"));
                self.known(&unit)?;
                let job = self.queue(&unit, start);
                Ok(Reply::Path(ObjectPath::try_from(job_path(job)).unwrap()))
            }
            "ResetFailedUnit" => {
                let unit: String = body.deserialize().unwrap();
                self.calls.push(format!("reset-failed {unit}"));
                self.known(&unit)?;
                self.units.get_mut(&unit).unwrap().state = "inactive";
                Ok(Reply::Nothing)
            }
            "LoadUnit" => {
                let unit: String = body.deserialize().unwrap();
                Ok(Reply::Path(unit_path(&unit)))
            }
            "ListUnitsByPatterns" => {
                let (states, patterns): (Vec<String>, Vec<String>) = body.deserialize().unwrap();
                Ok(Reply::Units(self.list(&states, &patterns)))
            }
            "ListUnitFilesByPatterns" => {
                let (_, patterns): (Vec<String>, Vec<String>) = body.deserialize().unwrap();
                let files = self.units.keys().filter(|name| matches(name, &patterns));
                Ok(Reply::Files(
                    files.map(|name| (format!("/{name}"), "static")).collect(),
                ))
            }
            "Get" => {
                let (_, property): (String, String) = body.deserialize().unwrap();
                let path = header.path().unwrap().as_str();
                Ok(Reply::Value(self.property(path, &property)))
            }
            _ => Err("org.freedesktop.DBus.Error.UnknownMethod"),
        }
    }

    fn known(&self, unit: &str) -> Result<(), &'static str> {
        let known = self.units.contains_key(unit);
        known
            .then_some(())
            .ok_or("org.freedesktop.systemd1.NoSuchUnit")
    }

    fn queue(&mut self, unit: &str, start: bool) -> u32 {
        self.last_job += 1;
        self.jobs.insert(self.last_job, (unit.to_owned(), start));
        self.last_job
    }

    /// Runs a job to its end, and says how it ended.
    fn run(&mut self, job: u32) -> &'static str {
        let (name, start) = self.jobs.remove(&job).unwrap();
        let unit = self.units.get_mut(&name).unwrap();
        let now = clock::now().monotonic.0;
        (unit.state, unit.began) = match (start, unit.start) {
            (true, Start::Stays) => ("active", now),
            (true, Start::Fails) => ("failed", now),
            (true, Start::Ends) | (false, _) => ("inactive", unit.began),
        };
        unit.was_active |= unit.state == "active";
        if unit.state == "failed" {
            unit.failed = now;
            return "failed";
        }
        "done"
    }

    fn list(&self, states: &[String], patterns: &[String]) -> Vec<Listed> {
        let units = self.units.iter().filter(|(name, unit)| {
            let wanted = states.is_empty() || states.iter().any(|state| state == unit.state);
            wanted && matches(name, patterns)
        });
        let listed = units.map(|(name, unit)| {
            let job = self.jobs.iter().find(|(_, (unit, _))| unit == name);
            let job = job.map_or(0, |(job, _)| *job);
            let path = ObjectPath::try_from(job_path(job)).unwrap();
            let state = unit.state;
            let path_of_unit = unit_path(name);
            (
                name.clone(),
                "",
                "loaded",
                state,
                state,
                "",
                path_of_unit,
                job,
                "",
                path,
            )
        });
        listed.collect()
    }

    fn property(&self, path: &str, property: &str) -> Variant<'static> {
        let unit = self
            .units
            .iter()
            .find(|(name, _)| unit_path(name).as_str() == path);
        let unit = unit.map(|(_, unit)| unit.clone()).unwrap_or_default();
        let usec = |at: Duration| Variant::from(u64::try_from(at.as_micros()).unwrap());
        match property {
            "ActiveState" => Variant::from(unit.state),
            "InactiveExitTimestampMonotonic" => usec(unit.began),
            "ActiveEnterTimestampMonotonic" => Variant::from(u64::from(unit.was_active)),
            "InactiveEnterTimestampMonotonic" | "StateChangeTimestampMonotonic" => {
                usec(unit.failed)
            }
            _ => panic!("nobody should ask for {property}"),
        }
    }
}

fn job_path(job: u32) -> String {
    format!("{PATH}/job/{job}")
}

fn unit_path(name: &str) -> ObjectPath<'static> {
    let escape = |c: char| match c {
        c if c.is_ascii_alphanumeric() => c.to_string(),
        c => format!("_{:02x}", u32::from(c)),
    };
    let escaped: String = name.chars().map(escape).collect();
    ObjectPath::try_from(format!("{PATH}/unit/{escaped}")).unwrap()
}

/// As fnmatch(3), but for `*` alone.
fn matches(name: &str, patterns: &[String]) -> bool {
    patterns.iter().any(|pattern| fits(name, pattern))
}

fn fits(name: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => name == pattern,
        Some((before, after)) => name.strip_prefix(before).is_some_and(|rest| {
            let ends = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
            ends.into_iter().any(|at| fits(&rest[at..], after))
        }),
    }
}
