//! What the services say, turned into events, and each said only once.

use std::mem::discriminant;
use std::sync::Arc;

use tokio::sync::{Notify, mpsc};

use super::follower::Service;
use super::properties::Properties;
use crate::gate::event::{Event, Power, Report};
use crate::sources::power::Speakers;
use crate::sources::{logind, network_manager, networkd, upower};

/// The kernel's word on the power: the last to be believed, and the only bell that logind has for it.
pub struct Sysfs<F> {
    /// Reads `/sys/class/power_supply`.
    pub read: F,
    /// Rings when something there has changed.
    pub bell: Arc<Notify>,
}

/// The services that are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Logind,
    NetworkManager,
    Networkd,
    UPower,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [
        Self::Logind,
        Self::NetworkManager,
        Self::Networkd,
        Self::UPower,
    ];

    pub(super) fn service(self) -> &'static Service {
        match self {
            Self::Logind => &logind::SERVICE,
            Self::NetworkManager => &network_manager::SERVICE,
            Self::Networkd => &networkd::SERVICE,
            Self::UPower => &upower::SERVICE,
        }
    }
}

/// Nobody listens any more.
#[derive(Debug)]
pub(super) struct Unheard;

/// Where the events go.
pub(super) struct Outlet<F> {
    events: mpsc::Sender<Event>,
    sysfs: Sysfs<F>,
    speakers: Speakers,
    /// The last report of each kind.
    said: Vec<Event>,
}

impl<F: Fn() -> Report<Power>> Outlet<F> {
    pub(super) fn new(events: mpsc::Sender<Event>, sysfs: Sysfs<F>) -> Self {
        let speakers = Speakers::default();
        let said = Vec::new();
        Self {
            events,
            sysfs,
            speakers,
            said,
        }
    }

    /// Says an event that happened, however often it does.
    pub(super) async fn happened(&self, event: Event) -> Result<(), Unheard> {
        self.events.send(event).await.map_err(|_| Unheard)
    }

    /// Says what became known of a service, if it is news.
    pub(super) async fn report(
        &mut self,
        kind: Kind,
        report: Report<Properties>,
    ) -> Result<(), Unheard> {
        match kind {
            Kind::Logind => {
                let preparing = and_then(&report, logind::preparing);
                self.news(Event::Logind(preparing)).await?;
                self.speakers.external = Some(and_then(&report, logind::external_power));
                self.power().await
            }
            Kind::NetworkManager => {
                let state = and_then(&report, |p| Report::Known(network_manager::state(p)));
                self.news(Event::NetworkManager(state)).await
            }
            Kind::Networkd => {
                let state = and_then(&report, |p| Report::Known(networkd::state(p)));
                self.news(Event::Networkd(state)).await
            }
            Kind::UPower => {
                self.speakers.upower = Some(and_then(&report, upower::power));
                self.power().await
            }
        }
    }

    /// Says the same of every service.
    pub(super) async fn report_all(&mut self, report: &Report<Properties>) -> Result<(), Unheard> {
        for kind in Kind::ALL {
            self.report(kind, report.clone()).await?;
        }
        Ok(())
    }

    /// Says what is known of the power, if it is news.
    pub(super) async fn power(&mut self) -> Result<(), Unheard> {
        match self.speakers.power(&self.sysfs.read) {
            Some(power) => self.news(Event::Power(power)).await,
            None => Ok(()),
        }
    }

    /// Waits until sysfs has changed.
    pub(super) async fn sysfs_rings(&self) {
        self.sysfs.bell.notified().await;
    }

    /// Waits until nobody listens any more.
    pub(super) async fn unheard(&self) {
        self.events.closed().await;
    }

    /// Whether it is logind's word on the power that counts.
    pub(super) fn logind_speaks_for_the_power(&self) -> bool {
        self.speakers.logind_speaks()
    }

    async fn news(&mut self, event: Event) -> Result<(), Unheard> {
        let same_kind = |said: &Event| discriminant(said) == discriminant(&event);
        match self.said.iter_mut().find(|said| same_kind(said)) {
            Some(said) if *said == event => return Ok(()),
            Some(said) => *said = event.clone(),
            None => self.said.push(event.clone()),
        }
        self.happened(event).await
    }
}

fn and_then<T, U>(report: &Report<T>, decode: impl FnOnce(&T) -> Report<U>) -> Report<U> {
    match report {
        Report::Absent => Report::Absent,
        Report::Unknown(why) => Report::Unknown(why.clone()),
        Report::Known(known) => decode(known),
    }
}
