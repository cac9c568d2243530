//! The clauses in which a failed connection is told to people. Pure.

use std::io;
use std::net::{IpAddr, SocketAddr};

use super::fault::{Fault, FaultKind};

/// Who was connected to: `192.0.2.1:443`, or a name with its first addresses.
pub(super) fn place(host: &str, port: u16, addresses: &[SocketAddr]) -> String {
    if let Ok(address) = host.parse::<IpAddr>() {
        return SocketAddr::new(address, port).to_string();
    }
    let mut shown: Vec<_> = addresses.iter().map(|a| a.ip().to_string()).collect();
    if shown.len() > 2 {
        shown.truncate(2);
        shown.push("…".to_owned());
    }
    if shown.is_empty() {
        return format!("{host}:{port}");
    }
    format!("{host}:{port} ({})", shown.join(", "))
}

/// What it means if the time runs out before `place` says anything.
pub(super) fn silent(place: &str) -> Fault {
    Fault::new(FaultKind::Silence, format!("no answer from {place}"))
}

/// What it means if the kernel has no route to `place`.
pub(super) fn no_route(place: &str) -> Fault {
    Fault::new(FaultKind::NoRoute, format!("no route to {place}"))
}

/// A connection to `place` that did not come about, or was lost.
pub(super) fn lost(place: &str, error: &io::Error) -> Fault {
    use io::ErrorKind as E;
    let detail = match error.kind() {
        E::ConnectionRefused => format!("connection refused by {place}"),
        E::NetworkUnreachable | E::HostUnreachable => format!("{place} is unreachable"),
        E::TimedOut => format!("no answer from {place}"),
        E::ConnectionReset | E::ConnectionAborted | E::BrokenPipe | E::UnexpectedEof => {
            format!("{place} reset the connection")
        }
        _ => format!("no connection to {place}: {error}"),
    };
    Fault::new(FaultKind::Silence, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_names_the_host_and_some_addresses() {
        let addresses: Vec<SocketAddr> = ["192.0.2.1:1", "192.0.2.2:1", "[2001:db8::1]:1"]
            .map(|a| a.parse().unwrap())
            .to_vec();
        assert_eq!(place("192.0.2.1", 443, &addresses[..1]), "192.0.2.1:443");
        assert_eq!(place("2001:db8::1", 443, &[]), "[2001:db8::1]:443");
        assert_eq!(place("x.org", 22, &[]), "x.org:22");
        let two = "x.org:22 (192.0.2.1, 192.0.2.2)";
        assert_eq!(place("x.org", 22, &addresses[..2]), two);
        let more = "x.org:22 (192.0.2.1, 192.0.2.2, …)";
        assert_eq!(place("x.org", 22, &addresses), more);
    }

    #[test]
    fn a_refusal_names_who_refused() {
        let error = io::ErrorKind::ConnectionRefused.into();
        let fault = lost("192.0.2.1:443", &error);
        assert_eq!(fault.detail, "connection refused by 192.0.2.1:443");
        assert_eq!(fault.kind, FaultKind::Silence);
    }
}
