//! The way to systemd and logind: calls with a deadline, and what they tell.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::time::Duration;

use futures::StreamExt;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use zbus::proxy::CacheProperties;
use zbus::{Connection, OwnedObjectPath};

use super::rearm::{FailedUnit, Stamps};
use crate::bus::login1;
use crate::bus::login1::{InhibitMode, Login1ManagerProxy};
use crate::bus::systemd1::{ListedUnit, Systemd1ManagerProxy, Systemd1UnitProxy};
use crate::bus::{BusAddress, ConnectError};
use crate::gate::time::Monotonic;

/// How long systemd or logind may take to answer: both do in milliseconds.
const DEADLINE: Duration = Duration::from_secs(5);

/// What the bus tells without being asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// systemd's `JobRemoved`.
    JobEnded {
        /// The job's object.
        job: String,
        /// Its unit.
        unit: String,
        /// `done`, `failed`, `canceled`, ….
        result: String,
    },
    /// systemd is there again: it has re-executed itself.
    Systemd,
    /// logind is there again, and may know nothing of our lock.
    Logind,
    /// The bus has closed the connection.
    Closed,
}

/// Why something could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no connection.
    #[error(transparent)]
    Bus(#[from] ConnectError),
    /// It was refused, for this reason.
    #[error("{0}")]
    Refused(#[from] zbus::Error),
    /// There was no answer in time.
    #[error("no answer within {} s", DEADLINE.as_secs())]
    Silent,
}

impl Error {
    /// Whether systemd says that there is no unit of that name.
    pub(super) fn is_no_such_unit(&self) -> bool {
        matches!(self, Self::Refused(zbus::Error::MethodError(name, ..))
            if name.as_str() == "org.freedesktop.systemd1.NoSuchUnit")
    }
}

/// A connection to the system bus on which systemd's jobs are followed.
#[derive(Debug)]
pub struct ManagerLink {
    connection: Connection,
    told: mpsc::UnboundedReceiver<Told>,
    /// Held, not asked: it ends when it is dropped.
    _listener: JoinSet<()>,
}

impl ManagerLink {
    /// Connects, and listens before anything is asked.
    pub async fn connect() -> Result<Self, Error> {
        let connection = BusAddress::system().connect().await?;
        let (tell, told) = mpsc::unbounded_channel();
        let streams = within(SignalStreams::open(&connection)).await?;
        within(subscribe(&connection)).await?;
        let mut listener = JoinSet::new();
        listener.spawn(streams.listen(tell));
        Ok(Self {
            connection,
            told,
            _listener: listener,
        })
    }

    /// What is told next. Safe to cancel.
    pub async fn next(&mut self) -> Told {
        self.told.recv().await.unwrap_or(Told::Closed)
    }

    /// Asks for signals again. A systemd that has re-executed itself remembers who did, and then says so.
    pub async fn subscribe(&self) -> Result<(), Error> {
        within(subscribe(&self.connection)).await
    }

    /// Queues a start job, and returns its object.
    pub async fn start(&self, unit: &str) -> Result<String, Error> {
        let job = async { self.manager().await?.start_unit(unit, "replace").await };
        Ok(within(job).await?.to_string())
    }

    /// Queues a stop job, and returns its object; `None` for a unit that is not loaded, which needs none.
    pub async fn stop(&self, unit: &str) -> Result<Option<String>, Error> {
        let job = async { self.manager().await?.stop_unit(unit, "replace").await };
        match within(job).await {
            Ok(job) => Ok(Some(job.to_string())),
            Err(error) if error.is_no_such_unit() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Forgets a unit's failure, and with it the starts that its limit counts.
    pub async fn reset_failed(&self, unit: &str) -> Result<(), Error> {
        within(async { self.manager().await?.reset_failed_unit(unit).await }).await
    }

    /// Whether a unit is active.
    pub async fn is_active(&self, unit: &str) -> Result<bool, Error> {
        within(async {
            let state = self.loaded(unit).await?.active_state().await?;
            Ok(state == "active")
        })
        .await
    }

    /// The failed units whose names match one of these patterns.
    pub async fn failed(&self, patterns: &[String]) -> Result<Vec<FailedUnit>, Error> {
        let patterns: Vec<_> = patterns.iter().map(String::as_str).collect();
        within(async {
            let mut failed = Vec::new();
            for (name, .., path, _, _, _) in self.listed(&["failed"], &patterns).await? {
                let stamps = stamps(&self.unit(path).await?).await?;
                failed.push(FailedUnit::new(name, stamps));
            }
            Ok(failed)
        })
        .await
    }

    /// Those of these units that have a job.
    pub async fn busy(&self, units: &[&str]) -> Result<BTreeSet<String>, Error> {
        let listed = within(self.listed(&[], units)).await?.into_iter();
        let busy = listed.filter(|(.., job, _, _)| *job != 0);
        Ok(busy.map(|(name, ..)| name).collect())
    }

    /// Whether systemd is restarting a unit: its job is to stop it, and then to start it again.
    pub async fn is_restarting(&self, unit: &str) -> Result<bool, Error> {
        let listed = within(self.listed(&[], &[unit])).await?;
        Ok(listed.iter().any(|(.., job_type, _)| job_type == "restart"))
    }

    /// Whether any unit, loaded or not, matches this name or pattern.
    pub async fn knows(&self, pattern: &str) -> Result<bool, Error> {
        within(async {
            let loaded = self.listed(&[], &[pattern]).await?;
            if loaded.iter().any(|(_, _, load, ..)| load != "not-found") {
                return Ok(true);
            }
            let of_template = template(pattern);
            let files = [pattern, of_template.as_deref().unwrap_or(pattern)];
            let manager = self.manager().await?;
            let files = manager.list_unit_files_by_patterns(&[], &files).await?;
            Ok(!files.is_empty())
        })
        .await
    }

    /// Takes logind's delay lock on sleep, and says how long a sleep then waits for it.
    pub async fn delay_sleep(&self) -> Result<(OwnedFd, Duration), Error> {
        within(async {
            let why = "upgrade-gate-online.target is stopped before the machine sleeps";
            let mode = InhibitMode::Delay;
            let lock =
                login1::inhibit(&self.connection, "sleep", "upgrade-gate", why, mode).await?;
            let logind = uncached(Login1ManagerProxy::builder(&self.connection)).await?;
            let longest = logind.inhibit_delay_max_usec().await?;
            Ok((lock, Duration::from_micros(longest)))
        })
        .await
    }

    async fn listed(&self, states: &[&str], patterns: &[&str]) -> zbus::Result<Vec<ListedUnit>> {
        let manager = self.manager().await?;
        manager.list_units_by_patterns(states, patterns).await
    }

    async fn manager(&self) -> zbus::Result<Systemd1ManagerProxy<'_>> {
        uncached(Systemd1ManagerProxy::builder(&self.connection)).await
    }

    async fn loaded(&self, name: &str) -> zbus::Result<Systemd1UnitProxy<'_>> {
        let path = self.manager().await?.load_unit(name).await?;
        self.unit(path).await
    }

    async fn unit(&self, path: OwnedObjectPath) -> zbus::Result<Systemd1UnitProxy<'_>> {
        uncached(Systemd1UnitProxy::builder(&self.connection).path(path)).await
    }
}

async fn uncached<'a, P>(builder: zbus::proxy::Builder<'a, P>) -> zbus::Result<P>
where
    P: zbus::proxy::Defaults + From<zbus::Proxy<'a>>,
{
    builder.cache_properties(CacheProperties::No).build().await
}

async fn within<T>(call: impl Future<Output = zbus::Result<T>>) -> Result<T, Error> {
    match tokio::time::timeout(DEADLINE, call).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Error::Silent),
    }
}

async fn subscribe(connection: &Connection) -> zbus::Result<()> {
    let manager = uncached(Systemd1ManagerProxy::builder(connection)).await?;
    match manager.subscribe().await {
        Err(zbus::Error::MethodError(name, ..))
            if name.as_str() == "org.freedesktop.systemd1.AlreadySubscribed" =>
        {
            Ok(())
        }
        other => other,
    }
}

async fn stamps(unit: &Systemd1UnitProxy<'_>) -> zbus::Result<Stamps> {
    let at = |usec| Monotonic(Duration::from_micros(usec));
    Ok(Stamps {
        inactive_exit: at(unit.inactive_exit_timestamp_monotonic().await?),
        active_enter: at(unit.active_enter_timestamp_monotonic().await?),
        inactive_enter: at(unit.inactive_enter_timestamp_monotonic().await?),
        state_change: at(unit.state_change_timestamp_monotonic().await?),
    })
}

/// The file of an instance: `backup@.service` for `backup@home.service`.
fn template(unit: &str) -> Option<String> {
    let (name, instance) = unit.split_once('@')?;
    let (_, suffix) = instance.rsplit_once('.')?;
    Some(format!("{name}@.{suffix}"))
}

/// The signals that are followed, apart from the calls: a queue of signals that nobody empties would stop the answers.
struct SignalStreams {
    jobs: crate::bus::systemd1::JobRemovedStream,
    systemd: zbus::proxy::OwnerChangedStream<'static>,
    logind: zbus::proxy::OwnerChangedStream<'static>,
}

impl SignalStreams {
    async fn open(connection: &Connection) -> zbus::Result<Self> {
        let manager = uncached(Systemd1ManagerProxy::builder(connection)).await?;
        let logind = uncached(Login1ManagerProxy::builder(connection)).await?;
        Ok(Self {
            jobs: manager.receive_job_removed().await?,
            systemd: manager.inner().receive_owner_changed().await?,
            logind: logind.inner().receive_owner_changed().await?,
        })
    }

    /// Passes on what is heard until the bus closes the connection.
    async fn listen(mut self, tell: mpsc::UnboundedSender<Told>) {
        loop {
            let told = tokio::select! {
                job = self.jobs.next() => job.map_or(Some(Told::Closed), |job| ended(&job)),
                owner = self.systemd.next() => owner.map_or(Some(Told::Closed), |new| new.map(|_| Told::Systemd)),
                owner = self.logind.next() => owner.map_or(Some(Told::Closed), |new| new.map(|_| Told::Logind)),
            };
            let closed = told == Some(Told::Closed);
            let unheard = told.is_some_and(|told| tell.send(told).is_err());
            if closed || unheard {
                return;
            }
        }
    }
}

fn ended(signal: &crate::bus::systemd1::JobRemoved) -> Option<Told> {
    let args = signal.args().ok()?;
    Some(Told::JobEnded {
        job: args.job().to_string(),
        unit: args.unit().clone(),
        result: args.result().clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_known_by_its_template() {
        let table = [
            ("backup@home.service", Some("backup@.service")),
            ("backup@a.b.service", Some("backup@.service")),
            ("backup.service", None),
            ("backup@", None),
        ];
        for (unit, file) in table {
            assert_eq!(template(unit).as_deref(), file, "{unit}");
        }
    }
}
