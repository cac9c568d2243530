//! Targets that are no web: `ssh` by its banner, `tcp` by being accepted at all.

use std::io;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::body;
use super::connect::{self, connect, is_routable};
use super::fault::{Fault, FaultKind, Progress};
use super::names::{Names, Purpose, still_resolving};
use crate::probe::messages::{lost, no_route, place, silent};

/// Whether somebody accepts at `host`.
pub(super) async fn tcp(
    names: &Names,
    progress: &Progress,
    host: &str,
    port: u16,
) -> Result<TcpStream, Fault> {
    progress.now(still_resolving(host));
    let addresses = names.addresses(host, port, Purpose::Routes).await?;
    let place = place(host, port, &addresses);
    progress.now(silent(&place));
    connect(&addresses).await.map_err(|error| {
        if is_routable(&addresses) {
            unconnected(&place, &error)
        } else {
            no_route(&place)
        }
    })
}

/// Whether an SSH server introduces itself at `host`.
///
/// Other lines may come before the banner (RFC 4253, section 4.2).
pub(super) async fn ssh(
    names: &Names,
    progress: &Progress,
    host: &str,
    port: u16,
) -> Result<(), Fault> {
    let mut stream = tcp(names, progress, host, port).await?;
    let mut said = Vec::new();
    while !has_banner(&said) {
        let room = body::LIMIT.saturating_sub(said.len());
        let read = (&mut stream).take(room as u64).read_buf(&mut said).await;
        if matches!(read, Ok(0) | Err(_)) {
            return Err(no_banner(host, port, &said));
        }
    }
    Ok(())
}

fn has_banner(said: &[u8]) -> bool {
    said.split(|byte| *byte == b'\n')
        .any(|line| line.starts_with(b"SSH-"))
}

fn no_banner(host: &str, port: u16, said: &[u8]) -> Fault {
    if said.is_empty() {
        let detail = format!("{host}:{port} closed the connection without a reply");
        return Fault::new(FaultKind::Silence, detail);
    }
    let detail = format!("{host}:{port} does not answer as an SSH server should");
    Fault::new(FaultKind::Answer, detail)
}

fn unconnected(place: &str, error: &io::Error) -> Fault {
    if error.kind() == io::ErrorKind::TimedOut {
        let within = connect::LIMIT.as_secs();
        return silent(&format!("{place} within {within} s"));
    }
    lost(place, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_banner_may_follow_other_lines() {
        assert!(has_banner(b"SSH-2.0-x"));
        assert!(has_banner(b"Welcome\r\nto\r\nSSH-2.0-x\r\n"));
        assert!(!has_banner(b"HTTP/1.1 400 not SSH-2.0\r\n"));
        assert!(!has_banner(b"SSH"));
        assert!(!has_banner(b""));
    }
}
