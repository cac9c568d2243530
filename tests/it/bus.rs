//! The system bus, against fakes of the services on it.

pub(crate) mod presence;
mod services;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use upgrade_gate::bus::BusAddress;
use upgrade_gate::bus::login1::{InhibitMode, inhibit};
use upgrade_gate::gate::event::{
    Connectivity, Event, Logind as Preparing, NetworkManager as Network, Networkd as Online, Power,
    Report,
};
use upgrade_gate::sources::services::watch;

use crate::support::bus::{DbusDaemon, TestBus};
use crate::support::fake::{Fake, Mood};
use crate::support::fakes::{Logind, NetworkManager, Networkd, UPower};

/// Far longer than anything takes, even on a busy machine.
const GENEROUS: Duration = Duration::from_secs(60);

const AWAKE: Preparing = Preparing {
    preparing_for_sleep: false,
    preparing_for_shutdown: false,
};
const ASLEEP: Preparing = Preparing {
    preparing_for_sleep: true,
    preparing_for_shutdown: false,
};

/// Takes the events in the gate's place.
struct Gate {
    events: mpsc::Receiver<Event>,
    hint: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Gate {
    fn at(address: &str) -> Self {
        let (sender, events) = mpsc::channel(64);
        let hint = Arc::new(Notify::new());
        let task = tokio::spawn(watch(BusAddress::parse(address), sender, hint.clone()));
        Self { events, hint, task }
    }

    async fn next(&mut self) -> Event {
        timeout(GENEROUS, self.events.recv())
            .await
            .expect("an event in time")
            .expect("a watcher")
    }

    /// The next event that is about what `wanted` picks.
    async fn next_of<T>(&mut self, wanted: impl Fn(Event) -> Option<T>) -> T {
        loop {
            if let Some(found) = wanted(self.next().await) {
                return found;
            }
        }
    }

    /// The first reports: one of each kind.
    async fn first(&mut self) -> [Event; 5] {
        let mut found = Vec::new();
        for _ in 0..5 {
            found.push(self.next().await);
        }
        let rank = |event: &Event| match event {
            Event::Logind(_) => 0,
            Event::NetworkManager(_) => 1,
            Event::Networkd(_) => 2,
            Event::UPower(_) => 3,
            _ => 4,
        };
        found.sort_by_key(rank);
        found.try_into().unwrap()
    }

    async fn logind(&mut self) -> Report<Preparing> {
        self.next_of(|e| {
            if let Event::Logind(report) = e {
                Some(report)
            } else {
                None
            }
        })
        .await
    }

    async fn network(&mut self) -> Report<Network> {
        self.next_of(|e| {
            if let Event::NetworkManager(report) = e {
                Some(report)
            } else {
                None
            }
        })
        .await
    }

    async fn upower(&mut self) -> Report<Power> {
        self.next_of(|e| {
            if let Event::UPower(report) = e {
                Some(report)
            } else {
                None
            }
        })
        .await
    }

    async fn external_power(&mut self) -> Report<bool> {
        self.next_of(|e| {
            if let Event::ExternalPower(report) = e {
                Some(report)
            } else {
                None
            }
        })
        .await
    }
}

fn absent() -> [Event; 5] {
    [
        Event::Logind(Report::Absent),
        Event::NetworkManager(Report::Absent),
        Event::Networkd(Report::Absent),
        Event::UPower(Report::Absent),
        Event::ExternalPower(Report::Absent),
    ]
}

fn connected() -> Network {
    Network {
        state: 70,
        connectivity: Connectivity::Full,
        checks: true,
        metered: false,
    }
}

fn bus() -> (TempDir, TestBus) {
    let folder = tempfile::tempdir().unwrap();
    let bus = TestBus::start(&folder.path().join("bus"));
    (folder, bus)
}
