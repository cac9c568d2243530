//! The system bus, followed for as long as anyone listens: what logind, NetworkManager,
//! systemd-networkd and UPower say, as the gate's events.
//!
//! No service is ever started by this, and no bus, service or reply is waited for without a deadline.
//! Where there is no bus, its socket's folder is watched; nothing is polled.

mod reports;
mod session;

use std::sync::Arc;

use tokio::sync::{Notify, mpsc};

use crate::bus::arrival::Arrival;
use crate::bus::{BusAddress, ConnectError, backoff};
use crate::gate::backoff::Backoff;
use crate::gate::event::{Event, Report};
use crate::gate::time::Monotonic;
use crate::sources::services::reports::{EventSink, ReceiverGone};
use crate::sys::clock;

/// Tells `events` what the services on the bus say; ends when its receiver is gone.
///
/// The first report of each service follows at once, or within five seconds of silence. logind's
/// signals are passed on as they come, each of them; of the others' only what is news. The events must
/// be taken: the bus is not read further while `events` is full.
///
/// `power_changed` is notified when the kernel says that the power supply has changed.
pub async fn watch(address: BusAddress, events: mpsc::Sender<Event>, power_changed: Arc<Notify>) {
    let mut sink = EventSink::new(events);
    let mut reconnect = Reconnect::to(address, power_changed);
    while reconnect.visit(&mut sink).await.is_ok() && reconnect.rest(&sink).await.is_ok() {}
}

/// [`watch`] for one look: a bus that is not there, or goes away, is not waited for.
pub async fn look(address: BusAddress, events: mpsc::Sender<Event>) {
    // An error says that nobody listens any more.
    let _ = Reconnect::to(address, Arc::default())
        .visit(&mut EventSink::new(events))
        .await;
}

/// The way to the bus.
struct Reconnect {
    address: BusAddress,
    backoff: Backoff,
    power_changed: Arc<Notify>,
    been_there: bool,
}

impl Reconnect {
    const fn to(address: BusAddress, power_changed: Arc<Notify>) -> Self {
        Self {
            address,
            backoff: backoff(),
            power_changed,
            been_there: false,
        }
    }

    /// Follows the services while the bus is there, and says what is to be said of them then.
    async fn visit(&mut self, sink: &mut EventSink) -> Result<(), ReceiverGone> {
        let report = match self.address.connect().await {
            Ok(connection) => {
                self.been_there = true;
                session::run(connection, sink, &mut self.backoff, &self.power_changed).await?
            }
            Err(ConnectError::NoBus(_)) => Report::Absent,
            Err(error) => {
                self.been_there = true;
                Report::Unknown(error.to_string())
            }
        };
        sink.report_all(&report).await
    }

    /// Returns when it is time to look for the bus again.
    async fn rest(&mut self, sink: &EventSink) -> Result<(), ReceiverGone> {
        let retry = clock::now().monotonic.after(self.backoff.next());
        while self.wait(retry, sink).await? {}
        Ok(())
    }

    /// Waits for something to change; whether that was something else, so that it is to be called again.
    async fn wait(&self, retry: Monotonic, sink: &EventSink) -> Result<bool, ReceiverGone> {
        // The watch comes before the look at the socket, so that a bus coming in between is seen.
        let arrival = self
            .address
            .socket()
            .and_then(|socket| Arrival::of(socket).ok());
        tokio::select! {
            () = clock::sleep_until(retry), if self.may_be_there(arrival.is_some()) => Ok(false),
            () = arrived(arrival.as_ref()) => Ok(!self.may_be_there(true)),
            () = sink.closed() => Err(ReceiverGone),
        }
    }

    /// Whether it is worth the while to try again without having been told of a change.
    fn may_be_there(&self, watched: bool) -> bool {
        match self.address.socket() {
            Some(socket) => !watched || socket.exists(),
            None => self.been_there,
        }
    }
}

/// Waits for a change on the way to the socket; indefinitely, if nothing is watched.
async fn arrived(arrival: Option<&Arrival>) {
    match arrival {
        Some(arrival) if arrival.changed().await.is_ok() => {}
        _ => std::future::pending().await,
    }
}
