//! A real captive portal: DNS answers every name with its address, HTTP with a redirect, TLS with its own certificate.

use super::gate::{check, wait_online};
use super::manager::{Check, Manager};
use super::world::{CACHE, Dns, World, portal};
use super::{Stopwatch, in_a_world};

/// Held by the portal, and open once it is lifted.
fn held_until_lifted(check_of_its_own: Check) {
    let mut world = World::with_dhcp();
    world.cache();
    portal();
    world.dns(Dns::Portal);
    let manager = Manager::online(check_of_its_own);
    if matches!(check_of_its_own, Check::On) {
        manager.becomes("CONNECTIVITY", "portal");
    }
    assert_eq!(check(&world, Some(&manager), CACHE), "portal");
    let mut gate = wait_online(&world, Some(&manager), CACHE);
    let sentence = gate.held(&["portal"]);
    eprintln!("{sentence}");
    world.dns(Dns::Good);
    let watch = Stopwatch::start();
    gate.opened();
    watch.tell("portal lifted to open");
}

in_a_world! {
    fn a_portal_holds_until_it_is_lifted_where_network_manager_checks() {
        held_until_lifted(Check::On);
    }

    fn a_portal_holds_until_it_is_lifted_where_network_manager_guesses() {
        held_until_lifted(Check::Off);
    }
}
