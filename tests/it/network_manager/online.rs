//! A cable, dead DNS, metered connections and networking switched off, as NetworkManager has them.

use super::gate::{check, wait_online};
use super::manager::{Check, Manager};
use super::world::{CACHE, Dns, World, cable_in, cable_out};
use super::{Stopwatch, in_a_world};

/// What may be said while a cable is out, and while it is put back.
const NO_WAY: &[&str] = &["no_network", "no_route", "connecting"];

in_a_world! {
    fn an_online_machine_is_open_at_once() {
        let world = World::with_dhcp();
        world.cache();
        let manager = Manager::online(Check::Off);
        let watch = Stopwatch::start();
        assert_eq!(check(&world, Some(&manager), CACHE), "open");
        watch.tell("check");
        let watch = Stopwatch::start();
        wait_online(&world, Some(&manager), CACHE).opened();
        watch.tell("wait-online");
    }

    fn a_cable_put_back_opens_the_gate_by_itself() {
        let world = World::with_dhcp();
        world.cache();
        let manager = Manager::online(Check::Off);
        cable_out();
        let mut gate = wait_online(&world, Some(&manager), CACHE);
        gate.held(NO_WAY);
        assert!(NO_WAY.contains(&check(&world, Some(&manager), CACHE).as_str()));
        cable_in();
        let watch = Stopwatch::start();
        gate.opened();
        watch.tell("cable in to open");
    }

    fn a_lease_lost_with_the_cable_comes_back_with_it() {
        let world = World::with_dhcp();
        world.cache();
        let manager = Manager::online(Check::Off);
        cable_out();
        while !manager.nmcli("--terse --fields GENERAL.STATE device show eth0").contains("unavailable") {}
        let mut gate = wait_online(&world, Some(&manager), CACHE);
        gate.held(&["no_network"]);
        cable_in();
        let watch = Stopwatch::start();
        gate.opened();
        watch.tell("cable in, with a new lease, to open");
    }

    fn dead_dns_holds_though_network_manager_says_full() {
        let mut world = World::with_dhcp();
        world.cache();
        let manager = Manager::online(Check::Off);
        world.dns(Dns::Silent);
        assert_eq!(manager.nmcli("networking connectivity check"), "full");
        let watch = Stopwatch::start();
        let mut gate = wait_online(&world, Some(&manager), CACHE);
        let sentence = gate.held(&["dns"]);
        watch.tell("to be held for dns");
        assert!(sentence.contains("NetworkManager's \"full\" is a guess"), "{sentence}");
        world.dns(Dns::Good);
        let watch = Stopwatch::start();
        gate.opened();
        watch.tell("DNS revived to open");
    }

    fn a_metered_connection_holds_until_it_is_none() {
        let world = World::with_dhcp();
        world.cache();
        let manager = Manager::online(Check::Off);
        manager.nmcli("connection modify cable connection.metered yes");
        manager.nmcli("--wait 50 connection up cable");
        let mut gate = wait_online(&world, Some(&manager), CACHE);
        gate.held(&["metered"]);
        assert_eq!(check(&world, Some(&manager), CACHE), "metered");
        manager.nmcli("connection modify cable connection.metered no");
        let watch = Stopwatch::start();
        manager.nmcli("--wait 50 connection up cable");
        gate.opened();
        watch.tell("metered no longer to open");
    }

    fn networking_switched_off_holds_until_it_is_on() {
        let world = World::with_dhcp();
        world.cache();
        let manager = Manager::online(Check::Off);
        manager.nmcli("networking off");
        let mut gate = wait_online(&world, Some(&manager), CACHE);
        gate.held(&["no_network"]);
        gate.says("NetworkManager is asleep or switched off");
        let watch = Stopwatch::start();
        manager.nmcli("networking on");
        gate.opened();
        watch.tell("networking on to open");
    }
}
