//! The kernel's word alone: no NetworkManager, no bus.

use std::time::Duration;

use super::gate::{Gate, check, wait_online};
use super::world::{CACHE, World, cable_in, cable_out, static_addresses};
use super::{Stopwatch, in_a_world};

/// Whether the gate sleeps through that span.
fn rests(gate: &Gate, span: Duration) -> bool {
    let before = gate.waits();
    std::thread::sleep(span);
    gate.waits() == before
}

in_a_world! {
    fn without_network_manager_a_cable_put_back_opens_the_gate() {
        let world = World::new();
        world.cache();
        static_addresses();
        wait_online(&world, None, CACHE).opened();
        cable_out();
        let mut gate = wait_online(&world, None, CACHE);
        gate.held(&["no_network", "no_route"]);
        assert!(["no_network", "no_route"].contains(&check(&world, None, CACHE).as_str()));
        cable_in();
        let watch = Stopwatch::start();
        gate.opened();
        watch.tell("cable in to open, without NetworkManager");
    }

    fn nothing_is_done_while_there_is_no_route() {
        let world = World::new();
        world.cache();
        static_addresses();
        cable_out();
        let mut gate = wait_online(&world, None, CACHE);
        gate.held(&["no_network", "no_route"]);
        // The one thing to be shown is that time passes and nothing happens, once all has been asked.
        while gate.probes() || !rests(&gate, Duration::from_secs(1)) {}
        assert!(rests(&gate, Duration::from_secs(10)));
        cable_in();
        gate.opened();
    }
}
