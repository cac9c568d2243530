//! A fake of systemd's manager: units with states and timestamps, jobs, and a record of what it is asked to do.

mod state;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures::StreamExt;
use tokio::sync::Notify;
use upgrade_gate::sys::clock;
use zbus::message::Type;
use zbus::{Connection, Message, MessageStream, ObjectPath, connection};

pub use self::state::Start;
use self::state::{Reply, State, Unit, job_path};

const NAME: &str = "org.freedesktop.systemd1";
const PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";

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

    /// A unit is being restarted.
    pub fn restarts(&self, name: &str) {
        let unit = Unit {
            restarts: true,
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
