//! How the machine reaches others and is reached: asked of the kernel, and of the tables in `/proc` below a root.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::path::Path;

use super::facts::Health;
use super::reach::{ListeningServices, NetworkBaseline, NetworkReading, no_resolver, silent};
use super::state::Transaction;
use super::systemd::SystemdClient;
use crate::sources::kernel::default_routes;
use crate::sources::resolv_conf;
use crate::sys::clock;
use crate::sys::files::entries;

/// A TCP socket that listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ListeningSocket {
    port: u16,
    /// Whether others than this machine reach it.
    is_reached: bool,
}

type Sockets = BTreeMap<u64, ListeningSocket>;

/// The port of name servers.
const DNS: u16 = 53;

/// What there is to compare with.
pub(super) async fn baseline(root: &Path) -> NetworkBaseline {
    let listeners = listeners(root);
    match reading(root).await {
        Ok(reading) => NetworkBaseline::of(&reading, listeners),
        Err(_) => NetworkBaseline {
            listeners,
            asleep_usec: asleep_usec(),
            ..NetworkBaseline::default()
        },
    }
}

/// Whether others are reached as before. A kernel that cannot be asked says nothing.
pub(super) async fn reaching(root: &Path, t: &Transaction) -> Health {
    let now = reading(root).await;
    now.map_or(Health::Good, |now| {
        t.baseline.network.reaching(&now, t.boots == 0)
    })
}

async fn reading(root: &Path) -> io::Result<NetworkReading> {
    let asked = resolv_conf::asked(&root.join("etc/resolv.conf"));
    Ok(NetworkReading {
        routes: default_routes().await?,
        no_resolver: no_resolver(&asked, &bound(root, DNS)),
        asleep_usec: asleep_usec(),
    })
}

/// The addresses at which somebody takes datagrams to a port.
fn bound(root: &Path, port: u16) -> BTreeSet<IpAddr> {
    let tables = tables(root, ["udp", "udp6"]);
    let lines = tables.iter().flat_map(|table| table.lines());
    let bound = lines.filter_map(|line| local(&words(line)));
    let bound = bound.filter(|(_, found)| *found == port);
    bound.map(|(address, _)| address).collect()
}

/// Whether a service of both systems has fallen silent: one that runs may still listen, one that does not run will not. A
/// service that listens elsewhere was moved.
pub(super) async fn listening(
    root: &Path,
    systemd: &SystemdClient,
    t: &Transaction,
    counts: impl Fn(&str) -> bool,
) -> Health {
    let sockets = sockets(root);
    let ports = ports_of(&sockets);
    let mut silent = silent(&t.baseline.network.listeners, &ports);
    silent.retain(|unit| counts(unit));
    if silent.is_empty() {
        return Health::Good;
    }
    let elsewhere = owners(root, &sockets);
    silent.retain(|unit| !elsewhere.contains_key(*unit));
    let judged = judged(systemd, &silent, &t.rules.ignore_units).await;
    judged.unwrap_or_else(Health::Unknown)
}

async fn judged(
    systemd: &SystemdClient,
    silent: &[&str],
    ignored: &[String],
) -> Result<Health, String> {
    let ignored = systemd.named(ignored).await?;
    let mut silent = silent.to_vec();
    silent.retain(|unit| !ignored.contains(*unit));
    if silent.is_empty() {
        return Ok(Health::Good);
    }
    Ok(verdict(&silent, &systemd.active(&silent).await?))
}

fn listeners(root: &Path) -> ListeningServices {
    let mut sockets = sockets(root);
    sockets.retain(|_, socket| socket.is_reached);
    owners(root, &sockets)
}

/// The sockets that listen, by their inodes.
fn sockets(root: &Path) -> Sockets {
    let tables = tables(root, ["tcp", "tcp6"]);
    let lines = tables.iter().flat_map(|table| table.lines());
    lines.filter_map(listener).collect()
}

fn tables(root: &Path, names: [&str; 2]) -> [String; 2] {
    let folder = root.join("proc/net");
    names.map(|name| fs::read_to_string(folder.join(name)).unwrap_or_default())
}

/// The services of the system that have one of these sockets open.
fn owners(root: &Path, sockets: &Sockets) -> ListeningServices {
    let mut found = ListeningServices::new();
    for process in entries(&root.join("proc")) {
        let cgroup = fs::read_to_string(process.join("cgroup")).unwrap_or_default();
        let Some(unit) = service_of(&cgroup) else {
            continue;
        };
        let files = entries(&process.join("fd")).into_iter();
        let ports = files.filter_map(|file| Some(sockets.get(&inode(&file)?)?.port));
        let ports: BTreeSet<_> = ports.collect();
        if !ports.is_empty() {
            found.entry(unit.to_owned()).or_default().extend(ports);
        }
    }
    found
}

fn verdict(silent: &[&str], running: &BTreeSet<String>) -> Health {
    let ended = silent.iter().find(|unit| !running.contains(**unit));
    match ended {
        Some(unit) => Health::Bad(format!("{unit}, which listened, does not run")),
        None => Health::Unknown(format!("{} listened, and does not", silent.join(", "))),
    }
}

/// How long the machine has been asleep in this boot.
fn asleep_usec() -> u64 {
    let now = clock::now();
    let asleep = now.boottime.0.saturating_sub(now.monotonic.0);
    u64::try_from(asleep.as_micros()).unwrap_or(u64::MAX)
}

/// The inode of a socket that a process has open.
fn inode(file: &Path) -> Option<u64> {
    let target = fs::read_link(file).ok()?;
    let inode = target.to_str()?.strip_prefix("socket:[")?;
    inode.strip_suffix(']')?.parse().ok()
}

/// The service of the system that a process belongs to; containers and users have their own.
fn service_of(cgroup: &str) -> Option<&str> {
    let mut paths = cgroup.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    let path = paths.find_map(|path| path.strip_prefix("/system.slice/"))?;
    path.split('/').find(|part| part.ends_with(".service"))
}

fn ports_of(sockets: &Sockets) -> BTreeSet<u16> {
    let reached = sockets.values().filter(|socket| socket.is_reached);
    reached.map(|socket| socket.port).collect()
}

/// A line of `/proc/net/tcp` or `tcp6` whose socket listens: its inode, and the socket.
fn listener(line: &str) -> Option<(u64, ListeningSocket)> {
    /// `TCP_LISTEN` of `net/tcp_states.h`.
    const LISTEN: &str = "0A";
    let words = words(line);
    let (address, port) = local(&words)?;
    let is_reached = !address.is_loopback();
    let socket = ListeningSocket { port, is_reached };
    let inode = words.get(9)?.parse().ok()?;
    (*words.get(3)? == LISTEN).then_some((inode, socket))
}

fn words(line: &str) -> Vec<&str> {
    line.split_ascii_whitespace().collect()
}

/// The address and the port of this end.
fn local(words: &[&str]) -> Option<(IpAddr, u16)> {
    let (address, port) = words.get(1)?.split_once(':')?;
    Some((address_of(address)?, u16::from_str_radix(port, 16).ok()?))
}

/// The kernel prints an address as words of 32 bits, each in the order of the machine.
fn address_of(hex: &str) -> Option<IpAddr> {
    let words = (0..hex.len()).step_by(8).map(|at| hex.get(at..at + 8));
    let words = words.map(|word| u32::from_str_radix(word?, 16).ok());
    let words: Option<Vec<u32>> = words.collect();
    let bytes: Vec<u8> = words?.into_iter().flat_map(u32::to_ne_bytes).collect();
    let v4 = || Some(IpAddr::from(<[u8; 4]>::try_from(&*bytes).ok()?));
    let v6 = || Some(Ipv6Addr::from(<[u8; 16]>::try_from(&*bytes).ok()?).to_canonical());
    v4().or_else(v6)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line as the kernel of this machine prints it.
    fn line(address: IpAddr, state: &str) -> String {
        let bytes = match address {
            IpAddr::V4(v4) => v4.octets().to_vec(),
            IpAddr::V6(v6) => v6.octets().to_vec(),
        };
        let words = bytes.chunks(4).map(|word| {
            let word = u32::from_ne_bytes(word.try_into().unwrap());
            format!("{word:08X}")
        });
        let address: String = words.collect();
        format!("   0: {address}:0016 00000000:0000 {state} 0:0 00:0 0 0 0 777 1 0 100 0 0 10 0")
    }

    #[test]
    fn what_listens_is_known_by_whether_others_reach_it() {
        for address in ["0.0.0.0", "192.0.2.7", "::", "2001:db8::7"] {
            let line = line(address.parse().unwrap(), "0A");
            assert_eq!(listener(&line), Some(socket(true)), "{line}");
        }
        for address in ["127.0.0.1", "127.0.0.53", "::1", "::ffff:127.0.0.1"] {
            let line = line(address.parse().unwrap(), "0A");
            assert_eq!(listener(&line), Some(socket(false)), "{line}");
        }
    }

    fn socket(is_reached: bool) -> (u64, ListeningSocket) {
        let port = 22;
        (777, ListeningSocket { port, is_reached })
    }

    #[test]
    fn what_does_not_listen_is_passed_over() {
        assert_eq!(listener(&line("0.0.0.0".parse().unwrap(), "01")), None);
        assert_eq!(listener("  sl  local_address rem_address   st"), None);
    }

    #[test]
    fn a_service_is_the_systems_own() {
        let sshd = "0::/system.slice/sshd.service\n";
        assert_eq!(service_of(sshd), Some("sshd.service"));
        let getty = "1:name=systemd:/system.slice/system-a.slice/a@x.service\n";
        assert_eq!(service_of(getty), Some("a@x.service"));
        let session = "0::/user.slice/user-0.slice/user@0.service/app.slice/a.service\n";
        assert_eq!(service_of(session), None);
    }
}
