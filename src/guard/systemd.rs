//! systemd, as far as the guard asks it: transient units, and what became of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use zbus::proxy::CacheProperties;
use zbus::{Connection, Variant};

use crate::bus::BusAddress;
use crate::bus::systemd1::{
    ListedUnit, Systemd1ManagerProxy, Systemd1ServiceProxy, Systemd1TimerProxy, Systemd1UnitProxy,
    UnitProperties, unit_path,
};
use crate::guard::facts::ProgramState;
use crate::guard::plan::{PropertyValue, UnitSpec};

/// How long a unit that is stopped may take, and how often it is looked at meanwhile.
const STOPPING: Duration = Duration::from_secs(120);
/// How often a timer that is started is looked at.
const STARTING: u32 = 25;
/// How much later than meant a timer may elapse.
const SLACK: u64 = 2_000_000;
/// How many seconds systemd may be away.
const ATTEMPTS: u32 = 20;
const BETWEEN: Duration = Duration::from_millis(200);

/// A unit that is not well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UnwellUnit {
    pub(super) name: String,
    /// Whether systemd starts it again by itself.
    pub(super) restarts: bool,
}

/// A connection to systemd.
#[derive(Debug)]
pub(super) struct SystemdClient {
    connection: Connection,
    manager: Systemd1ManagerProxy<'static>,
}

fn said(error: &zbus::Error) -> String {
    error.to_string()
}

impl SystemdClient {
    /// Connects, and waits for a bus or a systemd that is being restarted by the switch.
    pub(super) async fn patiently() -> Result<Self, String> {
        for _ in 1..ATTEMPTS {
            if let Ok(systemd) = Self::connect().await
                && systemd.manager.version().await.is_ok()
            {
                return Ok(systemd);
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Self::connect().await
    }

    pub(super) async fn connect() -> Result<Self, String> {
        let connection = BusAddress::system().connect().await;
        let connection = connection.map_err(|error| error.to_string())?;
        let manager = Systemd1ManagerProxy::builder(&connection)
            .cache_properties(CacheProperties::No)
            .build();
        Ok(Self {
            manager: manager.await.map_err(|error| said(&error))?,
            connection,
        })
    }

    /// The units in memory of these states and names.
    async fn list(&self, states: &[&str], patterns: &[&str]) -> Result<Vec<ListedUnit>, String> {
        let listed = self.manager.list_units_by_patterns(states, patterns).await;
        listed.map_err(|error| said(&error))
    }

    /// The names of the units that are active.
    pub(super) async fn active(&self, patterns: &[&str]) -> Result<BTreeSet<String>, String> {
        let listed = self.list(&["active", "activating", "reloading"], patterns);
        Ok(listed.await?.into_iter().map(|unit| unit.0).collect())
    }

    /// The units that have failed, or that ended and wait to be restarted: one that is restarted again and again never
    /// fails.
    pub(super) async fn failed(&self) -> Result<Vec<UnwellUnit>, String> {
        let listed = self.list(&["failed", "activating"], &["*"]).await?;
        let bad = listed.into_iter().filter_map(|unit| {
            let restarts = unit.4.starts_with("auto-restart");
            let name = unit.0;
            (restarts || unit.3 == "failed").then_some(UnwellUnit { name, restarts })
        });
        Ok(bad.collect())
    }

    /// How often each running service was started again by `Restart=`, if it was.
    pub(super) async fn restarts(&self) -> Result<BTreeMap<String, u32>, String> {
        let mut found = BTreeMap::new();
        for unit in self.active(&["*.service"]).await? {
            // One that has gone meanwhile has no number.
            let number = self.service(&unit).await?.n_restarts().await.unwrap_or(0);
            if number > 0 {
                found.insert(unit, number);
            }
        }
        Ok(found)
    }

    async fn service(&self, unit: &str) -> Result<Systemd1ServiceProxy<'static>, String> {
        let proxy = Systemd1ServiceProxy::builder(&self.connection)
            .cache_properties(CacheProperties::No)
            .path(unit_path(unit));
        proxy.build().await.map_err(|error| said(&error))
    }

    /// These names, and those of the units in memory that these patterns mean.
    pub(super) async fn named(&self, patterns: &[String]) -> Result<BTreeSet<String>, String> {
        let mut names: BTreeSet<_> = patterns.iter().cloned().collect();
        if !patterns.is_empty() {
            let patterns: Vec<_> = patterns.iter().map(String::as_str).collect();
            let listed = self.list(&[], &patterns).await?;
            names.extend(listed.into_iter().map(|unit| unit.0));
        }
        Ok(names)
    }

    /// Makes and starts a unit, with another that it starts.
    pub(super) async fn start(
        &self,
        unit: &UnitSpec,
        other: Option<&UnitSpec>,
    ) -> Result<(), String> {
        let others = other
            .into_iter()
            .map(|other| (other.name.as_str(), settings(other)));
        let started = self.manager.start_transient_unit(
            &unit.name,
            "replace",
            settings(unit),
            others.collect(),
        );
        started.await.map(drop).map_err(|error| said(&error))
    }

    /// How far the system has come.
    pub(super) async fn system_state(&self) -> Result<String, String> {
        let state = self.manager.system_state().await;
        state.map_err(|error| said(&error))
    }

    /// When this systemd started.
    pub(super) async fn startup_usec(&self) -> Result<u64, String> {
        let startup = self.manager.userspace_timestamp_monotonic().await;
        startup.map_err(|error| said(&error))
    }

    /// Makes a timer and its service, and reads back that it elapses by `latest`.
    pub(super) async fn set_timer(
        &self,
        [timer, service]: &[UnitSpec; 2],
        latest: u64,
    ) -> Result<(), String> {
        if self.active(&[&timer.name]).await?.is_empty() {
            self.start(timer, Some(service)).await?;
        }
        // The job of a timer that has just been started takes a moment.
        let mut next = None;
        for _ in 0..STARTING {
            next = self.next_elapse(&timer.name).await?;
            if next.is_some_and(|next| next <= latest.saturating_add(SLACK)) {
                return Ok(());
            }
            tokio::time::sleep(BETWEEN).await;
        }
        let next = next.map_or("never".to_owned(), |next| format!("at {next}"));
        Err(format!(
            "{} would elapse {next}, not by {latest}",
            timer.name
        ))
    }

    /// When an active timer elapses next.
    async fn next_elapse(&self, timer: &str) -> Result<Option<u64>, String> {
        if self.active(&[timer]).await?.is_empty() {
            return Ok(None);
        }
        let proxy = Systemd1TimerProxy::builder(&self.connection)
            .cache_properties(CacheProperties::No)
            .path(unit_path(timer));
        let timer = proxy.build().await.map_err(|error| said(&error))?;
        let next = timer.next_elapse_usec_monotonic().await;
        let next = next.map_err(|error| said(&error))?;
        Ok(Some(next).filter(|next| *next != u64::MAX))
    }

    /// Stops these units, but for one.
    pub(super) async fn stop_all(&self, patterns: &[&str], but: &str) -> Result<(), String> {
        for unit in self.active(patterns).await? {
            if unit != but {
                self.stop(&unit).await?;
            }
        }
        Ok(())
    }

    /// Forgets the units that stay though their programs have ended well.
    pub(super) async fn forget_ended(&self, pattern: &str) -> Result<(), String> {
        for unit in self.list(&["active"], &[pattern]).await? {
            self.stop(&unit.0).await?;
        }
        Ok(())
    }

    /// Forgets the units that have ended, however they ended.
    pub(super) async fn forget(&self, pattern: &str) -> Result<(), String> {
        self.stop_all(&[pattern], "").await?;
        for unit in self.list(&["failed"], &[pattern]).await? {
            let reset = self.manager.reset_failed_unit(&unit.0).await;
            reset.map_err(|error| said(&error))?;
        }
        Ok(())
    }

    pub(super) async fn stop(&self, unit: &str) -> Result<(), String> {
        let stopped = self.manager.stop_unit(unit, "replace").await;
        stopped.map(drop).map_err(|error| said(&error))
    }

    /// Stops a unit, and waits until it has ended.
    pub(super) async fn end(&self, unit: &str) -> Result<(), String> {
        self.stop(unit).await?;
        let ended = async {
            while self.is_alive(unit).await? {
                tokio::time::sleep(BETWEEN).await;
            }
            Ok(())
        };
        let late = |_| format!("{unit} does not end");
        tokio::time::timeout(STOPPING, ended).await.map_err(late)?
    }

    async fn is_alive(&self, unit: &str) -> Result<bool, String> {
        let states = ["active", "activating", "deactivating", "reloading"];
        Ok(!self.list(&states, &[unit]).await?.is_empty())
    }

    pub(super) async fn reboot(&self) -> Result<(), String> {
        let started = self
            .manager
            .start_unit("reboot.target", "replace-irreversibly");
        started.await.map(drop).map_err(|error| said(&error))
    }

    /// What became of a program that runs as a unit, which stays when it has ended.
    pub(super) async fn run(&self, unit: &str) -> Result<ProgramState, String> {
        let listed = self.list(&[], &[unit]).await?;
        let Some(found) = listed.first() else {
            return Ok(ProgramState::Absent);
        };
        match found.3.as_str() {
            // Its job has not begun.
            _ if found.7 != 0 => Ok(ProgramState::Running),
            "activating" | "deactivating" | "reloading" => Ok(ProgramState::Running),
            "active" => Ok(ProgramState::Exited(0)),
            "failed" => self.exit_of(unit).await,
            _ => Ok(ProgramState::Absent),
        }
    }

    async fn exit_of(&self, unit: &str) -> Result<ProgramState, String> {
        let service = self.service(unit).await?;
        let code = service
            .exec_main_code()
            .await
            .map_err(|error| said(&error))?;
        let status = service
            .exec_main_status()
            .await
            .map_err(|error| said(&error))?;
        let exited = u8::try_from(status).ok().filter(|_| code == EXITED);
        Ok(ProgramState::Exited(exited.unwrap_or(u8::MAX)))
    }

    /// When the unit became active, in `CLOCK_MONOTONIC`.
    pub(super) async fn active_since(&self, unit: &str) -> Result<u64, String> {
        let proxy = Systemd1UnitProxy::builder(&self.connection)
            .cache_properties(CacheProperties::No)
            .path(unit_path(unit));
        let unit = proxy.build().await.map_err(|error| said(&error))?;
        let since = unit.active_enter_timestamp_monotonic().await;
        since.map_err(|error| said(&error))
    }
}

/// `CLD_EXITED` of waitid(2).
const EXITED: i32 = 1;

fn settings(unit: &UnitSpec) -> UnitProperties<'_> {
    let settings = unit.settings.iter();
    settings
        .map(|(name, value)| (*name, variant(value)))
        .collect()
}

fn variant(setting: &PropertyValue) -> Variant<'_> {
    match setting {
        PropertyValue::Bool(value) => Variant::from(*value),
        PropertyValue::U64(value) => Variant::from(*value),
        PropertyValue::I32(value) => Variant::from(*value),
        PropertyValue::Text(value) => Variant::from(value.as_str()),
        PropertyValue::List(values) => Variant::from(values.clone()),
        PropertyValue::Exec(commands) => Variant::from(exec(commands)),
        PropertyValue::Timer(lines) => Variant::from(lines.clone()),
        PropertyValue::IfLink(path) => Variant::from(vec![(
            "ConditionPathIsSymbolicLink",
            false,
            false,
            path.as_str(),
        )]),
    }
}

/// Program, all words, and whether a failure is ignored.
fn exec(commands: &[Vec<String>]) -> Vec<(String, Vec<String>, bool)> {
    let program = |words: &Vec<String>| words.first().cloned().unwrap_or_default();
    let commands = commands.iter();
    commands
        .map(|words| (program(words), words.clone(), false))
        .collect()
}
