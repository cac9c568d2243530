//! The kernel source against the real kernel: on loopback as anyone, in network namespaces as root.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy knows tests, but not their helpers"
)]

use std::net::IpAddr;
use std::time::Duration;

use crate::namespace::{come_and_go, enter, ip};
use tokio::sync::{mpsc, watch};
use upgrade_gate::gate::event::{Event, Hint, Hop, LinkState, Routes};
use upgrade_gate::sources::kernel::{DefaultRoutes, KernelSettings, default_routes, watch_with};

const TARGET: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 7));
const TARGET6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::new(0x2001, 0xdb8, 7, 0, 0, 0, 0, 7));

/// What stands in for "anywhere", as `routes.rs` has it.
const ANYWHERE: [IpAddr; 2] = [
    IpAddr::V4(std::net::Ipv4Addr::new(192, 175, 48, 1)),
    IpAddr::V6(std::net::Ipv6Addr::new(0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 1)),
];

/// Long enough for a machine under load; nothing waits for it to pass.
const DEADLINE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn loopback_is_reached_over_lo() {
    let localhost = IpAddr::from([127, 0, 0, 1]);
    let seen = routes(&[localhost]).await;
    assert!(seen.known);
    let hop = seen.hops[&localhost].clone();
    let lo = Hop {
        interface: "lo".to_owned(),
        gateway: None,
    };
    assert_eq!(hop, Some(lo));
}

#[tokio::test]
async fn a_v4_address_in_v6_clothes_is_asked_for_as_v4() {
    let clothed: IpAddr = "::ffff:127.0.0.1".parse().unwrap();
    assert!(routes(&[clothed]).await.hops[&clothed].is_some());
}

#[tokio::test]
async fn without_addresses_anywhere_stands_in() {
    let seen = routes(&[]).await;
    assert!(!seen.known);
    assert!(
        ANYWHERE
            .iter()
            .all(|address| seen.hops.contains_key(address))
    );
}

#[tokio::test]
async fn other_addresses_are_looked_at_anew() {
    let mut world = World::watch(KernelSettings::default(), &[IpAddr::from([127, 0, 0, 1])]);
    assert_eq!(world.routes().await.hops.len(), 1);
    world
        .addresses
        .send(vec![
            "127.0.0.2".parse().unwrap(),
            "127.0.0.3".parse().unwrap(),
        ])
        .unwrap();
    assert_eq!(world.routes().await.hops.len(), 2);
}

#[tokio::test]
async fn a_new_name_server_rings_and_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let settings = KernelSettings {
        resolv_conf: folder.path().join("resolv.conf"),
        ..KernelSettings::default()
    };
    let path = settings.resolv_conf.clone();
    let mut world = World::watch(settings, &[]);
    assert_eq!(world.routes().await.hops.len(), ANYWHERE.len());
    // Written whole and then moved: a reader never meets it empty.
    let new = folder.path().join("new");
    std::fs::write(&new, "nameserver 198.51.100.53\n").unwrap();
    std::fs::rename(&new, &path).unwrap();
    let (first, second) = (world.event().await, world.event().await);
    assert!(matches!(first, Event::Hint(Hint::ResolvConf)), "{first:?}");
    let server: IpAddr = "198.51.100.53".parse().unwrap();
    assert!(
        matches!(&second, Event::Routes(seen) if seen.hops.contains_key(&server)),
        "{second:?}"
    );
}

/// Declares a test that runs in a network namespace of its own: the test binary runs itself again there.
macro_rules! in_a_namespace {
    ($(async fn $name:ident() $body:block)*) => {$(
        #[test]
        #[ignore = "needs root and iproute2"]
        fn $name() {
            if enter(concat!("kernel::", stringify!($name))) {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async $body);
            }
        }
    )*};
}

/// A cable (`eth0`, whose other end is `far0`) with an address and a default route of each family.
async fn online() {
    ip("link set lo up
        link add eth0 type veth peer name far0
        link set far0 up
        link set eth0 up
        address add 192.0.2.2/24 dev eth0
        address add 2001:db8:1::2/64 dev eth0 nodad
        route add default via 192.0.2.1
        route add ::/0 via fe80::1 dev eth0 metric 1024");
    reached("192.0.2.1").await;
}

/// A second, better cable (`eth1`).
async fn second_cable() {
    ip("link add eth1 type veth peer name far1
        link set far1 up
        link set eth1 up
        address add 198.51.100.2/24 dev eth1");
    reached("198.51.100.1").await;
}

/// Waits until the kernel has seen the carrier of a new link, which it does on its own time.
async fn reached(address: &str) {
    let address = address.parse().unwrap();
    let mut world = World::watch(KernelSettings::default(), &[address]);
    while world.routes().await.hops[&address].is_none() {}
}

/// What the source says first of the routes to `addresses`.
async fn routes(addresses: &[IpAddr]) -> Routes {
    World::watch(KernelSettings::default(), addresses)
        .routes()
        .await
}

struct World {
    addresses: watch::Sender<Vec<IpAddr>>,
    events: mpsc::Receiver<Event>,
}

impl World {
    fn watch(settings: KernelSettings, addresses: &[IpAddr]) -> Self {
        let (addresses, receiver) = watch::channel(addresses.to_vec());
        let (sender, events) = mpsc::channel(64);
        tokio::spawn(watch_with(settings, receiver, sender));
        Self { addresses, events }
    }

    fn of_targets() -> Self {
        Self::watch(KernelSettings::default(), &[TARGET, TARGET6])
    }

    async fn event(&mut self) -> Event {
        tokio::time::timeout(DEADLINE, self.events.recv())
            .await
            .unwrap()
            .unwrap()
    }

    async fn routes(&mut self) -> Routes {
        match self.event().await {
            Event::Routes(routes) => routes,
            other => panic!("{other:?}"),
        }
    }

    /// The hop to the target, of the first route in which it is another than `last`.
    async fn next_hop(&mut self, last: Option<&Hop>) -> Option<Hop> {
        loop {
            let hop = self.routes().await.hops[&TARGET].clone();
            if hop.as_ref() != last {
                return hop;
            }
        }
    }

    /// Nothing was said until now, for the very next thing is this change of the gateway.
    async fn nothing_but_a_new_gateway(&mut self) {
        ip("route replace default via 192.0.2.99");
        let seen = self.routes().await;
        assert_eq!(seen.hops[&TARGET], Some(hop("eth0", "192.0.2.99")));
    }
}

fn hop(interface: &str, gateway: &str) -> Hop {
    Hop {
        interface: interface.to_owned(),
        gateway: Some(gateway.parse().unwrap()),
    }
}

fn settings(receive_buffer: u32) -> KernelSettings {
    KernelSettings {
        receive_buffer: Some(receive_buffer),
        ..KernelSettings::default()
    }
}

in_a_namespace! {
    async fn the_default_routes_are_asked_for_once() {
        online().await;
        let eth0 = Some("eth0".to_owned());
        let seen = default_routes().await.unwrap();
        assert_eq!((&seen.ipv4, &seen.ipv6), (&eth0, &eth0));
        assert!(seen.passing.contains("eth0") && !seen.passing.contains("lo"), "{seen:?}");
        ip("route del default");
        assert_eq!(seen.addressed, std::collections::BTreeSet::from(["eth0".to_owned()]));
        assert_eq!(default_routes().await.unwrap(), DefaultRoutes { ipv4: None, ..seen });
        ip("link set far0 down");
        while default_routes().await.unwrap().passing.contains("eth0") {
            tokio::task::yield_now().await;
        }
        let now = default_routes().await.unwrap();
        assert_eq!((now.ipv6, now.addressed), (None, std::collections::BTreeSet::new()));
    }

    async fn both_families_have_their_hop() {
        online().await;
        let seen = routes(&[TARGET, TARGET6]).await;
        assert_eq!(seen.hops[&TARGET], Some(hop("eth0", "192.0.2.1")));
        assert_eq!(seen.hops[&TARGET6], Some(hop("eth0", "fe80::1")));
        assert_eq!(seen.link_state, LinkState::Addressed);
    }

    async fn a_namespace_without_a_network_has_no_ground_and_no_way() {
        let seen = routes(&[TARGET, TARGET6]).await;
        assert_eq!((seen.link_state, seen.known), (LinkState::NoLink, true));
        assert!(seen.hops.values().all(Option::is_none));
    }

    async fn a_link_without_an_address_is_called_so() {
        ip("link add eth0 type veth peer name far0
            link set far0 up
            link set eth0 up");
        let mut world = World::of_targets();
        let link_state = loop {
            let link_state = world.routes().await.link_state;
            if link_state != LinkState::NoLink {
                break link_state;
            }
        };
        assert_eq!(link_state, LinkState::NoAddress);
    }

    async fn a_way_through_a_link_without_an_address_has_another_links_ground() {
        online().await;
        ip("link add eth1 type veth peer name far1
            link set far1 up
            link set eth1 up
            route add 203.0.113.7/32 dev eth1");
        reached("203.0.113.7").await;
        let seen = routes(&[TARGET]).await;
        assert_eq!(seen.hops[&TARGET].as_ref().unwrap().interface, "eth1");
        assert_eq!(seen.link_state, LinkState::Addressed);
    }

    async fn routes_that_lead_nowhere_are_no_way() {
        online().await;
        for kind in ["unreachable", "prohibit", "blackhole", "throw"] {
            ip(&format!("route replace {kind} 203.0.113.7/32
                         route replace {kind} 2001:db8:7::7/128"));
            let seen = routes(&[TARGET]).await;
            // Past `throw` the search goes on, but the main table is where the default route is too.
            assert_eq!(seen.hops[&TARGET], None, "{kind}");
            assert_eq!(routes(&[TARGET6]).await.hops[&TARGET6], None, "{kind}");
        }
    }

    async fn a_gateway_of_the_other_family_is_named() {
        online().await;
        ip("route replace 203.0.113.0/24 via inet6 2001:db8:1::1 dev eth0");
        let seen = routes(&[TARGET]).await;
        assert_eq!(seen.hops[&TARGET], Some(hop("eth0", "2001:db8:1::1")));
    }

    async fn a_link_local_name_server_is_asked_for_on_its_interface() {
        online().await;
        second_cable().await;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("resolv.conf");
        std::fs::write(&path, "nameserver fe80::53%eth1\n").unwrap();
        let conf = KernelSettings { resolv_conf: path, ..KernelSettings::default() };
        let seen = World::watch(conf, &[]).routes().await;
        let server: IpAddr = "fe80::53".parse().unwrap();
        assert_eq!(seen.hops[&server].as_ref().unwrap().interface, "eth1");
        assert_eq!(seen.hops[&ANYWHERE[0]], Some(hop("eth0", "192.0.2.1")));
    }

    async fn a_name_server_on_an_interface_that_is_gone_has_no_way() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("resolv.conf");
        std::fs::write(&path, "nameserver fe80::53%wlan0\n").unwrap();
        let conf = KernelSettings { resolv_conf: path, ..KernelSettings::default() };
        let seen = World::watch(conf, &[]).routes().await;
        assert_eq!(seen.hops[&"fe80::53".parse::<IpAddr>().unwrap()], None);
    }

    async fn a_cable_taken_out_and_put_back_is_seen() {
        online().await;
        let mut world = World::of_targets();
        let first = world.next_hop(None).await;
        assert_eq!(first, Some(hop("eth0", "192.0.2.1")));
        ip("link set far0 down");
        assert_eq!(world.next_hop(first.as_ref()).await, None);
        ip("link set far0 up");
        assert_eq!(world.next_hop(None).await, first);
    }

    async fn a_cable_taken_out_leaves_no_ground() {
        online().await;
        let mut world = World::of_targets();
        assert_eq!(world.routes().await.link_state, LinkState::Addressed);
        ip("link set far0 down");
        assert_eq!(world.routes().await.link_state, LinkState::NoLink);
    }

    async fn a_default_route_removed_and_added_is_seen() {
        online().await;
        let mut world = World::of_targets();
        let first = world.next_hop(None).await;
        ip("route del default");
        let without = world.routes().await;
        assert_eq!((without.hops[&TARGET].clone(), without.link_state), (None, LinkState::Addressed));
        ip("route add default via 192.0.2.1");
        assert_eq!(world.next_hop(None).await, first);
    }

    async fn a_new_gateway_is_seen() {
        online().await;
        let mut world = World::of_targets();
        world.routes().await;
        world.nothing_but_a_new_gateway().await;
    }

    async fn a_rule_that_leads_elsewhere_is_seen() {
        online().await;
        second_cable().await;
        ip("route add default via 198.51.100.1 table 100");
        let mut world = World::of_targets();
        let first = world.next_hop(None).await;
        ip("rule add to 203.0.113.0/24 table 100");
        let second = world.next_hop(first.as_ref()).await;
        assert_eq!(second, Some(hop("eth1", "198.51.100.1")));
        ip("rule del to 203.0.113.0/24 table 100");
        assert_eq!(world.next_hop(second.as_ref()).await, first);
    }

    async fn a_link_set_down_gives_way_to_the_next_without_ipv6_telling() {
        std::fs::write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1").unwrap();
        std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1").unwrap();
        ip("link add eth0 type veth peer name far0
            link set far0 up
            link set eth0 up
            address add 192.0.2.2/24 dev eth0
            route add default via 192.0.2.1");
        second_cable().await;
        ip("route add default via 198.51.100.1 metric 600");
        let mut world = World::watch(KernelSettings::default(), &[TARGET]);
        assert_eq!(world.routes().await.hops[&TARGET], Some(hop("eth0", "192.0.2.1")));
        ip("link set eth0 down");
        // The kernel tells of the link before it drops the route, so there may be no way for a moment.
        let expected = Some(hop("eth1", "198.51.100.1"));
        while world.routes().await.hops[&TARGET] != expected {}
    }

    async fn a_renewed_route_says_nothing() {
        online().await;
        let mut world = World::of_targets();
        world.routes().await;
        for lifetime in [1800, 1799, 1798] {
            ip(&format!("route replace ::/0 via fe80::1 dev eth0 metric 1024 expires {lifetime}
                         route replace default via 192.0.2.1
                         address replace 2001:db8:1::2/64 dev eth0 valid_lft {lifetime} preferred_lft {lifetime} nodad"));
        }
        world.nothing_but_a_new_gateway().await;
    }

    async fn a_renamed_interface_is_another_hop() {
        online().await;
        let mut world = World::of_targets();
        world.routes().await;
        ip("link property add dev eth0 altname cable
            link set eth0 name eth7");
        assert_eq!(world.routes().await.hops[&TARGET].as_ref().unwrap().interface, "eth7");
    }

    async fn containers_that_come_and_go_say_nothing() {
        online().await;
        let mut world = World::of_targets();
        world.routes().await;
        tokio::task::spawn_blocking(come_and_go).await.unwrap();
        world.nothing_but_a_new_gateway().await;
    }

    async fn a_flood_that_overruns_the_socket_is_read_again() {
        online().await;
        let mut world = World::watch(settings(2048), &[TARGET, TARGET6]);
        world.routes().await;
        // Nobody reads meanwhile: one thread runs both, so the socket overruns for certain.
        come_and_go();
        ip("route replace default via 192.0.2.98");
        let seen = world.routes().await;
        assert_eq!(seen.hops[&TARGET], Some(hop("eth0", "192.0.2.98")));
        // And it still hears.
        world.nothing_but_a_new_gateway().await;
    }

    async fn a_change_in_the_midst_of_a_flood_is_seen() {
        online().await;
        let mut world = World::of_targets();
        world.routes().await;
        let flood = tokio::task::spawn_blocking(come_and_go);
        world.nothing_but_a_new_gateway().await;
        flood.await.unwrap();
    }
}
