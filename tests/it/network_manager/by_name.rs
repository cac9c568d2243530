//! Networks that are known by name: a VPN, a LAN without a route, a company proxy, IPv6 only, IPv6 dead, containers.

use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::gate::{Gate, check, upgrade_gate, wait_online};
use super::world::{
    Dns, World, cache, keep, listen, outside, resolv_conf, sh, static_addresses, within,
};
use super::{Stopwatch, in_a_world};
use crate::namespace::{batch, come_and_go, ip};
use crate::support::http::{Reply, Server};

/// Serves the cache at this address of the world outside.
fn serve(address: &str) {
    keep(Server::http(listen(address), cache));
}

in_a_world! {
    fn a_cache_behind_a_vpn_is_waited_for_until_the_vpn_is_up() {
        let world = World::new();
        static_addresses();
        ip("netns add company
            link add vpn0 type veth peer name vpn1 netns company");
        batch(&["-n", "company"], "address add 10.99.0.7/24 dev vpn1
                                   link set vpn1 up");
        let listener = within("company", || TcpListener::bind("10.99.0.7:80").unwrap());
        keep(Server::http(listener, cache));
        // The Internet knows no way to the company's network, and says so.
        sh("echo 1 | ip netns exec out tee /proc/sys/net/ipv4/ip_forward");
        outside("route add unreachable 10.99.0.0/24");
        let mut gate = wait_online(&world, None, "nix-cache:http://vpn.example");
        gate.held(&["unreachable", "no_route"]);
        ip("address add 10.99.0.2/24 dev vpn0
            link set vpn0 up");
        let watch = Stopwatch::start();
        gate.opened();
        watch.tell("VPN up to open");
    }

    fn a_cache_on_the_lan_needs_no_default_route() {
        let world = World::new();
        ip("link set eth0 up
            address add 10.77.0.2/24 dev eth0");
        resolv_conf("10.77.0.1");
        outside("address add 10.77.0.9/24 dev far0");
        serve("10.77.0.9:80");
        assert_eq!(check(&world, None, "nix-cache:http://lan.example"), "open");
        wait_online(&world, None, "nix-cache:http://lan.example").opened();
    }

    fn a_proxy_alone_may_know_the_names() {
        let mut world = World::new();
        world.dns(Dns::Ignorant);
        static_addresses();
        keep(Server::http(listen("10.77.0.1:3128"), |head| {
            assert!(head.starts_with("GET http://cache.corp.example/nix-cache-info "), "{head}");
            Reply::ok("StoreDir: /nix/store\n")
        }));
        let target = "nix-cache:http://cache.corp.example";
        assert_eq!(check(&world, None, target), "dns");
        let mut command = upgrade_gate(&world, None);
        command
            .env("http_proxy", "http://10.77.0.1:3128")
            .args(["wait-online", "--json", "--target", target]);
        Gate::follow(command).opened();
    }

    fn an_ipv6_only_network_with_dns64_suffices() {
        let world = World::new();
        outside("address add 64:ff9b::c633:6407/128 dev lo nodad");
        serve("[64:ff9b::c633:6407]:80");
        ip("link set eth0 up
            address add 2001:db8:1::2/64 dev eth0 nodad
            route add ::/0 via 2001:db8:1::1 dev eth0");
        resolv_conf("2001:db8:1::1");
        let target = "nix-cache:http://six.example";
        wait_online(&world, None, target).opened();
        assert_eq!(check(&world, None, target), "open");
    }

    fn dead_ipv6_beside_good_ipv4_costs_little() {
        let world = World::new();
        static_addresses();
        ip("address add 2001:db8:1::2/64 dev eth0 nodad
            route add ::/0 via 2001:db8:1::1 dev eth0");
        serve("198.51.100.7:80");
        let target = "nix-cache:http://both.example";
        assert_eq!(check(&world, None, target), "open");
        let watch = Stopwatch::start();
        wait_online(&world, None, target).opened();
        watch.tell("open beside dead IPv6");
        // To wait for it would take the five seconds that a connection may take.
        assert!(watch.passed() < Duration::from_secs(4));
    }

    fn containers_that_come_and_go_keep_no_gate_shut() {
        static ENOUGH: AtomicBool = AtomicBool::new(false);
        let world = World::new();
        static_addresses();
        serve("198.51.100.7:80");
        let containers = std::thread::spawn(|| {
            while !ENOUGH.load(Ordering::SeqCst) {
                come_and_go();
            }
        });
        for _ in 0..3 {
            let watch = Stopwatch::start();
            wait_online(&world, None, "nix-cache:http://cache.example").opened();
            watch.tell("open beside 40 containers");
        }
        ENOUGH.store(true, Ordering::SeqCst);
        containers.join().unwrap();
    }
}
