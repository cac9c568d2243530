//! Names to addresses by the system's resolver, remembering every address of a route.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::thread;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::oneshot;

use super::fault::{Fault, FaultKind};
use crate::sys::limits;

/// Asks the system's resolver, and remembers what the route is about.
#[derive(Debug, Default)]
pub(super) struct Names {
    ways_out: RefCell<BTreeSet<IpAddr>>,
}

/// What a name is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// It will be connected to.
    Routes,
    /// A proxy will be told its address.
    ForTheProxy,
}

impl Names {
    /// Every address of a route so far, sorted.
    pub(super) fn ways_out(&self) -> Vec<IpAddr> {
        self.ways_out.borrow().iter().copied().collect()
    }

    /// The addresses of `host`, in the resolver's order; never empty.
    pub(super) async fn addresses(
        &self,
        host: &str,
        port: u16,
        purpose: Purpose,
    ) -> Result<Vec<SocketAddr>, Fault> {
        let addresses = resolved(host, port).await?;
        if addresses.is_empty() {
            return Err(Fault::new(
                FaultKind::Name,
                format!("{host} has no address"),
            ));
        }
        if purpose == Purpose::Routes {
            let mut known = self.ways_out.borrow_mut();
            known.extend(addresses.iter().map(SocketAddr::ip));
        }
        Ok(addresses)
    }
}

/// Asks the resolver in a thread of its own: tokio's panic where there is none to be had.
async fn resolved(host: &str, port: u16) -> Result<Vec<SocketAddr>, Fault> {
    if let Ok(address) = host.parse() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let (tell, told) = oneshot::channel();
    let asked = (host.to_owned(), port);
    let resolve = move || {
        let found = asked.to_socket_addrs().map(Iterator::collect);
        // Nobody waits any longer for a name that was too slow.
        let _ = tell.send(found);
    };
    let thread = thread::Builder::new().spawn(resolve);
    thread.map_err(|error| no_thread(host, &error))?;
    let found = told
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)));
    found.map_err(|error| unresolved(host, &error))
}

fn no_thread(host: &str, error: &io::Error) -> Fault {
    let why = limits::refusal(error);
    let detail = format!("cannot start a thread to resolve {host}: {why}");
    Fault::new(FaultKind::Malformed, detail)
}

/// What it means if the time runs out while `host` is resolved.
pub(super) fn still_resolving(host: &str) -> Fault {
    let detail = format!("{host} does not resolve: the name servers do not answer");
    Fault::new(FaultKind::Name, detail)
}

fn unresolved(host: &str, error: &io::Error) -> Fault {
    // std puts "failed to lookup address information: " before getaddrinfo's own words.
    let text = error.to_string();
    let why = text.rsplit(": ").next().unwrap_or_default();
    Fault::new(FaultKind::Name, format!("{host} does not resolve: {why}"))
}

/// A resolver for the HTTP client that knows only what was resolved before.
///
/// So the limit for connecting begins when the name is known, however slow the name servers are.
#[derive(Debug, Default)]
pub(super) struct Known(pub(super) HashMap<String, Vec<SocketAddr>>);

impl Resolve for Known {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().trim_start_matches('[').trim_end_matches(']');
        let found = self.0.get(host).cloned().map(|addresses| {
            let addresses: Addrs = Box::new(addresses.into_iter());
            addresses
        });
        Box::pin(std::future::ready(
            found.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound).into()),
        ))
    }
}
