//! Where the gate learns of the world: each source turns what it hears into events.

pub mod clock_step;
pub mod kernel;
mod logind;
mod netlink;
mod network_manager;
mod networkd;
pub mod power_supply;
pub mod resolv_conf;
pub mod services;
pub mod suspend_count;
pub mod uevent;
mod upower;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;

use self::uevent::PowerHint;
use crate::bus::BusAddress;
use crate::gate::event::Event;

/// How many events may wait to be heard. The sources say each thing once, so this is never short for long.
const QUEUED_EVENTS: usize = 64;

/// All sources at work; they end when this is dropped.
#[derive(Debug)]
pub struct Sources {
    events: mpsc::Receiver<Event>,
    /// Held, not asked: the tasks end when it is dropped.
    _tasks: JoinSet<()>,
}

impl Sources {
    /// No source at all: nothing is ever heard.
    pub fn none() -> Self {
        Self {
            events: mpsc::channel(1).1,
            _tasks: JoinSet::new(),
        }
    }

    /// Waits for the next event; indefinitely if no source is left. Safe to cancel.
    pub async fn next(&mut self) -> Event {
        match self.events.recv().await {
            Some(event) => event,
            None => std::future::pending().await,
        }
    }

    /// An event that has been told already.
    pub fn waiting(&mut self) -> Option<Event> {
        self.events.try_recv().ok()
    }
}

/// Starts all sources. `addresses` are those that the route is about. Within tokio's runtime.
pub fn start(root: &Path, addresses: watch::Receiver<Vec<IpAddr>>) -> Sources {
    let (tell, events) = mpsc::channel(QUEUED_EVENTS);
    let mut tasks = JoinSet::new();
    let hint = Arc::new(Notify::new());
    tasks.spawn(kernel::watch(addresses, tell.clone()));
    tasks.spawn(clock_step::watch(tell.clone()));
    tasks.spawn(power(root.to_owned(), tell.clone(), Arc::clone(&hint)));
    tasks.spawn(services::watch(BusAddress::system(), tell, hint));
    Sources {
        events,
        _tasks: tasks,
    }
}

/// [`start`] for one look: no file is watched, as the kernel takes milliseconds to drop such a watch.
pub fn look(root: &Path, addresses: watch::Receiver<Vec<IpAddr>>) -> Sources {
    let (tell, events) = mpsc::channel(QUEUED_EVENTS);
    let mut tasks = JoinSet::new();
    // There is room for one event.
    let _ = tell.try_send(Event::PowerSupply(power_supply::read(root)));
    tasks.spawn(kernel::look(addresses, tell.clone()));
    tasks.spawn(services::look(BusAddress::system(), tell));
    Sources {
        events,
        _tasks: tasks,
    }
}

/// Tells what the kernel says of the power, and at each change of it has logind asked again, which does not tell of
/// changes itself.
async fn power(root: PathBuf, events: mpsc::Sender<Event>, changed: Arc<Notify>) {
    let mut supplies = PowerHint::listen();
    loop {
        let power = power_supply::read(&root);
        if events.send(Event::PowerSupply(power)).await.is_err() {
            return;
        }
        supplies.changed().await;
        changed.notify_one();
    }
}
