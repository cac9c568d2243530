//! What the services say, turned into events, and each said only once.

use std::mem::discriminant;

use tokio::sync::mpsc;

use crate::bus::follower::BusService;
use crate::bus::properties::Properties;
use crate::gate::event::{Event, Report};
use crate::sources::{logind, network_manager, networkd, upower};

/// The services that are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FollowedService {
    Logind,
    NetworkManager,
    Networkd,
    UPower,
}

impl FollowedService {
    pub(super) const ALL: [Self; 4] = [
        Self::Logind,
        Self::NetworkManager,
        Self::Networkd,
        Self::UPower,
    ];

    pub(super) fn service(self) -> &'static BusService {
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
pub(super) struct ReceiverGone;

/// Where the events go.
pub(super) struct EventSink {
    events: mpsc::Sender<Event>,
    /// The last report of each kind.
    said: Vec<Event>,
}

impl EventSink {
    pub(super) fn new(events: mpsc::Sender<Event>) -> Self {
        let said = Vec::new();
        Self { events, said }
    }

    /// Says an event that happened, however often it does.
    pub(super) async fn happened(&self, event: Event) -> Result<(), ReceiverGone> {
        self.events.send(event).await.map_err(|_| ReceiverGone)
    }

    /// Says what became known of a service, if it is news.
    pub(super) async fn report(
        &mut self,
        kind: FollowedService,
        report: Report<Properties>,
    ) -> Result<(), ReceiverGone> {
        match kind {
            FollowedService::Logind => {
                let preparing = and_then(&report, logind::preparing);
                self.news(Event::Logind(preparing)).await?;
                let external = and_then(&report, logind::external_power);
                self.news(Event::ExternalPower(external)).await
            }
            FollowedService::NetworkManager => {
                let state = and_then(&report, |p| Report::Known(network_manager::state(p)));
                self.news(Event::NetworkManager(state)).await
            }
            FollowedService::Networkd => {
                let state = and_then(&report, |p| Report::Known(networkd::state(p)));
                self.news(Event::Networkd(state)).await
            }
            FollowedService::UPower => {
                let power = and_then(&report, upower::power);
                self.news(Event::UPower(power)).await
            }
        }
    }

    /// Says the same of every service.
    pub(super) async fn report_all(
        &mut self,
        report: &Report<Properties>,
    ) -> Result<(), ReceiverGone> {
        for kind in FollowedService::ALL {
            self.report(kind, report.clone()).await?;
        }
        Ok(())
    }

    /// Waits until nobody listens any more.
    pub(super) async fn closed(&self) {
        self.events.closed().await;
    }

    async fn news(&mut self, event: Event) -> Result<(), ReceiverGone> {
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
