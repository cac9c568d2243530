//! One TCP connection to whichever address answers first (Happy Eyeballs, RFC 8305).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// How long a connection may take, however many addresses there are.
pub(super) const LIMIT: Duration = Duration::from_secs(5);

/// How long an address is tried alone (RFC 8305, section 5: recommended).
const HEAD_START: Duration = Duration::from_millis(250);

/// Connects; the error is the first address's, or `TimedOut` after [`LIMIT`].
pub(super) async fn connect(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    within(LIMIT, addresses).await
}

/// Whether the kernel has a route to any of `addresses`. Nothing is sent: connecting a UDP socket only looks it up.
///
/// A failed connection does not tell: a router or a neighbour that does not answer fails it in the same way.
pub(super) fn is_routable(addresses: &[SocketAddr]) -> bool {
    let has_route = |address: &SocketAddr| {
        let anywhere: IpAddr = match address {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((anywhere, 0));
        socket.is_ok_and(|socket| socket.connect(address).is_ok())
    };
    addresses.iter().any(has_route)
}

async fn within(limit: Duration, addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    timeout(limit, race(&alternating(addresses)))
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn race(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut left = addresses.iter();
    let mut running = FuturesUnordered::new();
    let mut first_error = None;
    running.extend(left.next().map(TcpStream::connect));
    while !running.is_empty() {
        let head_start = async {
            sleep(HEAD_START).await;
            None
        };
        let ended = tokio::select! {
            ended = running.next() => ended,
            over = head_start, if left.len() > 0 => over,
        };
        match ended {
            Some(Ok(stream)) => return Ok(stream),
            Some(Err(error)) => first_error = first_error.or(Some(error)),
            None => {}
        }
        running.extend(left.next().map(TcpStream::connect));
    }
    Err(first_error.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()))
}

/// The families in turn, beginning with the one that the resolver put first.
fn alternating(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let first_is_ipv6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (one, other): (Vec<SocketAddr>, Vec<SocketAddr>) =
        addresses.iter().partition(|a| a.is_ipv6() == first_is_ipv6);
    let mut mixed = Vec::with_capacity(addresses.len());
    let (mut one, mut other) = (one.into_iter(), other.into_iter());
    while mixed.len() < addresses.len() {
        mixed.extend(one.next());
        mixed.extend(other.next());
    }
    mixed
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::probe::tests::black_hole::BlackHole;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn families_take_turns_and_the_resolver_decides_which_begins() {
        let resolved = ["[::1]:1", "[::2]:1", "1.1.1.1:1"].map(address);
        let mixed = ["[::1]:1", "1.1.1.1:1", "[::2]:1"].map(address);
        assert_eq!(alternating(&resolved), mixed);
        assert!(alternating(&[]).is_empty());
    }

    #[test]
    fn one_address_with_a_route_is_enough() {
        // Link-local, and no scope says of which link.
        let nowhere = address("[fe80::1]:1");
        assert!(!is_routable(&[nowhere]));
        assert!(is_routable(&[nowhere, address("127.0.0.1:1")]));
    }

    #[tokio::test]
    async fn a_refused_address_gives_way_to_the_next() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let open = listener.local_addr().unwrap();
        let closed = {
            let gone = TcpListener::bind("127.0.0.1:0").unwrap();
            gone.local_addr().unwrap()
        };
        let stream = connect(&[closed, open]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), open);
        let error = connect(&[closed]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[tokio::test]
    async fn a_silent_address_delays_the_next_by_its_head_start_only() {
        let full = BlackHole::new("[::1]:0");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let open = listener.local_addr().unwrap();
        let stream = connect(&[full.address, open]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), open);
    }

    #[tokio::test]
    async fn silence_alone_ends_at_the_limit() {
        let full = BlackHole::new("[::1]:0");
        let limit = Duration::from_millis(1);
        let error = within(limit, &[full.address]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
