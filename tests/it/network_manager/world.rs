//! The world around the machine under test: a cable, a router, DHCP, DNS, a binary cache and a captive portal.
//!
//! The machine is the namespace the test runs in, the world is the namespace `out`. A socket belongs to the
//! namespace in which it was made, so the servers are threads of the test.

use std::fs::File;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sched::{CloneFlags, setns};

use crate::namespace::{batch, ip};
use crate::support::http::{Reply, Server};
use crate::support::tls::{Ca, Validity, https_on};

/// The machine's own, gone with its mount namespace.
pub(super) const FOLDER: &str = "/run";
/// What the upgrade needs; its name is known to [`Dns::Good`].
pub(super) const CACHE: &str = "nix-cache:https://cache.example";

/// Private files, and the far end of a cable whose near end is `eth0`.
const MOUNTS: &str = "mount -t tmpfs tmpfs /run
    mount -t sysfs -o ro sysfs /sys
    mkdir /run/etc
    cp -a /etc/. /run/etc
    mount --bind /run/etc /etc
    rm -f /etc/resolv.conf
    mount -t tmpfs tmpfs /var/lib
    mkdir /var/lib/NetworkManager";

/// Who answers at port 53.
#[derive(Clone, Copy)]
pub(super) enum Dns {
    /// dnsmasq, which knows the cache.
    Good,
    /// dnsmasq, which knows nothing.
    Ignorant,
    /// dnsmasq, which answers every name with the portal's address.
    Portal,
    /// A socket that takes questions and answers none.
    Silent,
}

/// What keeps port 53.
enum Asked {
    Dnsmasq(Child),
    Silence(UdpSocket),
}

/// The namespace `out` and all in it.
pub(super) struct World {
    asked: Option<Asked>,
    dhcp: Option<Child>,
    ca: Ca,
}

impl World {
    /// A router with the cache behind it; nobody gives the machine an address yet.
    pub(super) fn new() -> Self {
        sh(MOUNTS);
        ip("netns add out
            link set lo up
            link add eth0 type veth peer name far0 netns out");
        outside(
            "link set lo up
             link set far0 up
             address add 10.77.0.1/24 dev far0
             address add 2001:db8:1::1/64 dev far0 nodad
             address add 198.51.100.7/32 dev lo",
        );
        let mut world = Self {
            asked: None,
            dhcp: None,
            ca: Ca::new(),
        };
        world.dns(Dns::Good);
        world
    }

    /// [`World::new`], with DHCP.
    pub(super) fn with_dhcp() -> Self {
        let mut world = Self::new();
        let lease = "--dhcp-leasefile=/run/leases";
        let range = "--dhcp-range=10.77.0.50,10.77.0.99";
        let name_server = "--dhcp-option=6,10.77.0.1";
        let quick = ["--port=0", "--dhcp-authoritative", "--no-ping"];
        let dhcp = [&quick[..], &[lease, range, name_server]].concat();
        world.dhcp = Some(dnsmasq("dhcp.pid", &dhcp));
        world
    }

    /// The cache answers from now on, over TLS and without.
    pub(super) fn cache(&self) {
        let tls = self.ca.issue("cache.example", Validity::Now);
        keep(https_on(listen("198.51.100.7:443"), tls, cache));
        keep(Server::http(listen("198.51.100.7:80"), cache));
    }

    /// The file of the authority that the cache's certificate comes from.
    pub(super) fn ca_file(&self) -> PathBuf {
        self.ca.write(Path::new(FOLDER))
    }

    /// Lets another answer the names.
    pub(super) fn dns(&mut self, dns: Dns) {
        match self.asked.take() {
            Some(Asked::Dnsmasq(mut child)) => end(&mut child),
            Some(Asked::Silence(socket)) => drop(socket),
            None => {}
        }
        let common = [
            "--listen-address=10.77.0.1",
            "--listen-address=2001:db8:1::1",
        ];
        let serve =
            |records: &[&str]| Asked::Dnsmasq(dnsmasq("dns.pid", &[&common[..], records].concat()));
        self.asked = Some(match dns {
            Dns::Good => serve(&[
                "--address=/cache.example/198.51.100.7",
                "--address=/check.example/198.51.100.7",
                "--address=/six.example/64:ff9b::c633:6407",
                "--address=/both.example/198.51.100.7",
                "--address=/both.example/2001:db8:7::7",
                "--address=/vpn.example/10.99.0.7",
                "--address=/lan.example/10.77.0.9",
            ]),
            Dns::Ignorant => serve(&[]),
            Dns::Portal => serve(&["--address=/#/10.77.0.1"]),
            Dns::Silent => {
                Asked::Silence(within("out", || UdpSocket::bind("10.77.0.1:53").unwrap()))
            }
        });
    }
}

/// A captive portal at the router's address.
pub(super) fn portal() {
    let login = |_: &str| Reply::redirect("http://login.portal.example/");
    let tls = Ca::new().issue("login.portal.example", Validity::Now);
    keep(https_on(listen("10.77.0.1:443"), tls, login));
    keep(Server::http(listen("10.77.0.1:80"), login));
}

/// `ip`, in the world outside.
pub(super) fn outside(commands: &str) {
    batch(&["-n", "out"], commands);
}

/// Takes the cable out, at the far end.
pub(super) fn cable_out() {
    outside("link set far0 down");
}

/// Puts it back.
pub(super) fn cable_in() {
    outside("link set far0 up");
}

/// Addresses by hand, as without NetworkManager.
pub(super) fn static_addresses() {
    ip("link set eth0 up
        address add 10.77.0.2/24 dev eth0
        route add default via 10.77.0.1");
    resolv_conf("10.77.0.1");
}

/// Names the name server.
pub(super) fn resolv_conf(server: &str) {
    std::fs::write("/etc/resolv.conf", format!("nameserver {server}\n")).unwrap();
}

/// A listener in the world outside.
pub(super) fn listen(address: &str) -> TcpListener {
    let address: SocketAddr = address.parse().unwrap();
    within("out", move || TcpListener::bind(address).unwrap())
}

/// Serves until the test ends: to stop a server it must be reached, and it may be cut off by then.
pub(super) fn keep(server: Server) -> &'static Server {
    Box::leak(Box::new(server))
}

/// A binary cache, which answers NetworkManager's check too.
pub(super) fn cache(head: &str) -> Reply {
    match head {
        head if head.starts_with("GET /nix-cache-info ") => Reply::ok("StoreDir: /nix/store\n"),
        head if head.starts_with("GET /check ") => Reply::ok("NetworkManager is online\n"),
        _ => Reply::status("404 Not Found", ""),
    }
}

/// [`cache`], while the switch is on; a server that is not well before.
pub(super) fn cache_if(on: &'static AtomicBool) -> impl Fn(&str) -> Reply + Send + Sync + 'static {
    move |head| {
        if on.load(Ordering::SeqCst) {
            return cache(head);
        }
        Reply::status("503 Service Unavailable", "")
    }
}

/// Runs a shell's commands up to the first that fails.
pub(super) fn sh(commands: &str) {
    let status = Command::new("sh").args(["-ec", commands]).status().unwrap();
    assert!(status.success(), "{commands}");
}

/// Kills a process of ours.
pub(super) fn end(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Starts it, and waits until it listens: only then does it write its file.
fn dnsmasq(pid_file: &str, options: &[&str]) -> Child {
    let pid_file = Path::new(FOLDER).join(pid_file);
    let _ = std::fs::remove_file(&pid_file);
    let always = [
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--no-resolv",
        "--no-hosts",
        "--user=root",
        "--bind-interfaces",
        "--interface=far0",
        "--except-interface=lo",
    ];
    let mut child = Command::new("ip")
        .args(["netns", "exec", "out", "dnsmasq"])
        .args(always)
        .args(options)
        .arg(format!("--pid-file={}", pid_file.display()))
        .stderr(Stdio::null())
        .spawn()
        .expect("ip is installed");
    while std::fs::read(&pid_file).unwrap_or_default().is_empty() {
        assert!(child.try_wait().unwrap().is_none(), "dnsmasq ended");
    }
    child
}

/// Does it on a thread in that namespace.
pub(super) fn within<T: Send + 'static>(
    namespace: &str,
    action: impl FnOnce() -> T + Send + 'static,
) -> T {
    let namespace = File::open(Path::new("/run/netns").join(namespace)).unwrap();
    let done = std::thread::spawn(move || {
        setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
        action()
    });
    done.join().unwrap()
}
