//! The kernel's word on the network: the route, at each change of it, and resolv.conf as a hint.

mod message;
mod queries;
mod routes;

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use netlink_sys::protocols::NETLINK_ROUTE;
use nix::errno::Errno;
use tokio::sync::{Notify, mpsc, watch};

use crate::gate::event::{Event, Hint, Routes};
use crate::sources::netlink::{Opening, Port};
use crate::sources::resolv_conf::ResolvConf;
use crate::sys::limits;
use message::is_hint;
use queries::Queries;

pub use routes::{DefaultRoutes, default_routes};

/// `RTNLGRP_LINK`, `_IPV4_IFADDR`, `_IPV4_ROUTE`, `_IPV4_RULE`, `_IPV6_IFADDR`, `_IPV6_ROUTE`,
/// `_IPV6_RULE` and `_NEXTHOP` (linux/rtnetlink.h), each number n as bit n − 1.
const GROUPS: u32 = bits(&[1, 5, 7, 8, 9, 11, 19, 32]);

const ENOBUFS: i32 = Errno::ENOBUFS as i32;

/// Room for some twenty notices. A flood overruns it, and that says "look" as well as hundreds of notices read one by one.
const RECEIVE_BUFFER: u32 = 16 * 1024;

/// How long after a look the next one is due at the earliest, where notices pour in.
const PAUSE: Duration = Duration::from_millis(50);

/// Where the kernel source looks, and how; the default is the machine's.
#[derive(Clone, Debug)]
pub struct KernelSettings {
    /// The resolver's configuration.
    pub resolv_conf: PathBuf,
    /// `SO_RCVBUF` of the socket for notices, in bytes; the system's default if none. An overrun is
    /// only one more reason to look.
    pub receive_buffer: Option<u32>,
}

impl Default for KernelSettings {
    fn default() -> Self {
        Self {
            resolv_conf: PathBuf::from("/etc/resolv.conf"),
            receive_buffer: Some(RECEIVE_BUFFER),
        }
    }
}

/// Sends [`Event::Routes`] at the start and at each change of it, and [`Event::Hint`] when resolv.conf
/// changes, until nobody listens to `events`.
///
/// `addresses` are those of the targets or of their proxies, empty while they are not known.
pub async fn watch(addresses: watch::Receiver<Vec<IpAddr>>, events: mpsc::Sender<Event>) {
    watch_with(KernelSettings::default(), addresses, events).await;
}

/// [`watch()`], with other settings.
pub async fn watch_with(
    settings: KernelSettings,
    addresses: watch::Receiver<Vec<IpAddr>>,
    events: mpsc::Sender<Event>,
) {
    let rewritten = Notify::new();
    tokio::select! {
        () = follow(&settings, addresses, &rewritten, &events) => {}
        () = hint_at_rewrite(&settings.resolv_conf, &rewritten, &events) => {}
        () = events.closed() => {}
    }
}

/// [`watch()`] for one look: resolv.conf is read, and not watched.
pub async fn look(addresses: watch::Receiver<Vec<IpAddr>>, events: mpsc::Sender<Event>) {
    let (settings, never) = (KernelSettings::default(), Notify::new());
    tokio::select! {
        () = follow(&settings, addresses, &never, &events) => {}
        () = events.closed() => {}
    }
}

// resolv.conf is the gate's hint, and ours: while no address is known, its name servers are asked for.
async fn hint_at_rewrite(path: &Path, rewritten: &Notify, events: &mpsc::Sender<Event>) {
    let mut conf = ResolvConf::watch(path);
    loop {
        conf.changed().await;
        rewritten.notify_one();
        if events.send(Event::Hint(Hint::ResolvConf)).await.is_err() {
            return;
        }
    }
}

async fn follow(
    settings: &KernelSettings,
    addresses: watch::Receiver<Vec<IpAddr>>,
    rewritten: &Notify,
    events: &mpsc::Sender<Event>,
) {
    let mut said = Said::new(events);
    match KernelFollower::open(settings, addresses) {
        Ok(follower) => follower.run(rewritten, &mut said).await,
        Err(error) => {
            said.unknown(&error).await;
            events.closed().await;
        }
    }
}

/// The sockets: notices are subscribed to before the first question.
struct KernelFollower<'a> {
    notices: Port,
    queries: Queries,
    resolv_conf: &'a Path,
    addresses: watch::Receiver<Vec<IpAddr>>,
}

impl<'a> KernelFollower<'a> {
    fn open(
        settings: &'a KernelSettings,
        addresses: watch::Receiver<Vec<IpAddr>>,
    ) -> io::Result<Self> {
        let notices = Port::open(&Opening {
            protocol: NETLINK_ROUTE,
            groups: GROUPS,
            receive_buffer: settings.receive_buffer,
        })?;
        Ok(Self {
            notices,
            queries: Queries::open()?,
            resolv_conf: &settings.resolv_conf,
            addresses,
        })
    }

    /// Looks at once when a hint comes after quiet, and again after each pause until one was quiet.
    ///
    /// The look after the pause is due even then: the kernel announces that a link goes down before it
    /// drops the IPv4 routes through it, and it drops those in silence.
    async fn run(mut self, rewritten: &Notify, said: &mut Said<'_>) {
        loop {
            self.drain();
            self.look(said).await;
            let mut hinted = true;
            while hinted {
                let asked = self.pause().await;
                hinted = self.drain() || asked;
                self.look(said).await;
            }
            self.wait(rewritten).await;
        }
    }

    /// Waits until the next look may be taken; whether other addresses are asked about, which cannot wait: a change
    /// of their route must not go by unseen.
    async fn pause(&mut self) -> bool {
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => false,
            () = changed(&mut self.addresses) => true,
        }
    }

    async fn look(&mut self, said: &mut Said<'_>) {
        let addresses = self.addresses.borrow_and_update().clone();
        match routes::read(&mut self.queries, self.resolv_conf, &addresses).await {
            Ok(routes) => said.routes(routes).await,
            Err(error) => said.unknown(&error).await,
        }
    }

    async fn wait(&mut self, rewritten: &Notify) {
        tokio::select! {
            () = notified(&mut self.notices) => {}
            () = rewritten.notified() => {}
            () = changed(&mut self.addresses) => {}
        }
    }

    /// Reads what has piled up and says whether anything in it is a hint. It is read to its end, for after an
    /// overrun the kernel drops notices until then.
    fn drain(&mut self) -> bool {
        let mut hinted = false;
        loop {
            match self.notices.try_receive() {
                Ok(true) => hinted |= is_hint(self.notices.datagram()),
                Ok(false) => return hinted,
                // Something was lost, so it must be looked at.
                Err(error) if error.raw_os_error() == Some(ENOBUFS) => hinted = true,
                Err(_) => return true,
            }
        }
    }
}

// An error here is an overrun (ENOBUFS): something was lost, so it must be looked at.
async fn notified(notices: &mut Port) {
    while notices
        .receive()
        .await
        .is_ok_and(|datagram| !is_hint(datagram))
    {}
}

// Nobody left to change them means that they stay.
async fn changed(addresses: &mut watch::Receiver<Vec<IpAddr>>) {
    if addresses.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// What was said last, so that nothing is said twice.
struct Said<'a> {
    events: &'a mpsc::Sender<Event>,
    last: Option<Routes>,
    troubled: bool,
}

impl<'a> Said<'a> {
    fn new(events: &'a mpsc::Sender<Event>) -> Self {
        Self {
            events,
            last: None,
            troubled: false,
        }
    }

    async fn routes(&mut self, routes: Routes) {
        self.troubled = false;
        self.say(routes).await;
    }

    async fn unknown(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.troubled, true) {
            say_unknown(error);
        }
        self.say(routes::unknown()).await;
    }

    async fn say(&mut self, routes: Routes) {
        if self.last.as_ref() == Some(&routes) {
            return;
        }
        self.last = Some(routes.clone());
        // Without a listener the whole task ends.
        let _ = self.events.send(Event::Routes(routes)).await;
    }
}

fn say_unknown(error: &io::Error) {
    tracing::warn!(
        "cannot query routes from the kernel over netlink ({}), probing on timers only; \
         allow AF_NETLINK in RestrictAddressFamilies=",
        limits::refusal(error)
    );
}

const fn bits(groups: &[u32]) -> u32 {
    match groups {
        [] => 0,
        [first, rest @ ..] => 1 << (*first - 1) | bits(rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_joined_by_their_bit() {
        assert_eq!(GROUPS, 0x8004_05d1);
        assert_eq!(bits(&[]), 0);
    }

    #[tokio::test]
    async fn where_netlink_is_forbidden_the_route_is_unknown_and_said_once() {
        let (events, mut listener) = mpsc::channel(4);
        let mut said = Said::new(&events);
        let forbidden = io::Error::from(io::ErrorKind::PermissionDenied);
        said.unknown(&forbidden).await;
        said.unknown(&forbidden).await;
        assert_eq!(
            listener.recv().await,
            Some(Event::Routes(routes::unknown()))
        );
        assert!(listener.try_recv().is_err());
    }
}
