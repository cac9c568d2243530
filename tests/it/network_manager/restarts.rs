//! NetworkManager dies and another takes over: in the middle of a wait, and of a run.

use std::fs::File;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};

use super::gate::{Gate, upgrade_gate, wait_online};
use super::manager::{Check, Manager};
use super::world::{CACHE, World, cable_in, cable_out, cache_if, keep, listen, sh};
use super::{DEADLINE, in_a_world};
use crate::support::http::Server;

/// Tells when it runs, and ends as it is told.
const COMMAND: &str = "echo > /run/runs; read code < /run/ends; exit $code";

/// A run of [`COMMAND`].
struct Run {
    gate: Gate,
    runs: Receiver<()>,
}

impl Run {
    fn start(world: &World, manager: &Manager) -> Self {
        sh("mkfifo /run/runs /run/ends");
        let (tell, runs) = channel();
        std::thread::spawn(move || {
            loop {
                File::open("/run/runs")
                    .unwrap()
                    .read_to_end(&mut Vec::new())
                    .unwrap();
                tell.send(()).unwrap();
            }
        });
        let mut command = upgrade_gate(world, Some(manager));
        command.args([
            "run", "--json", "--target", CACHE, "--", "sh", "-c", COMMAND,
        ]);
        let gate = Gate::follow_run(command);
        Self { gate, runs }
    }

    fn runs(&self) {
        self.runs
            .recv_timeout(DEADLINE)
            .expect("the command is run");
    }

    fn ends(&mut self, code: u8) -> String {
        let mut pipe = File::options().write(true).open("/run/ends").unwrap();
        writeln!(pipe, "{code}").unwrap();
        drop(pipe);
        let ended = self.gate.event("attempt_ended");
        ended["outcome"].as_str().unwrap().to_owned()
    }
}

in_a_world! {
    fn a_wait_outlives_network_manager() {
        static WELL: AtomicBool = AtomicBool::new(false);
        let world = World::with_dhcp();
        keep(Server::http(listen("198.51.100.7:80"), cache_if(&WELL)));
        let mut manager = Manager::online(Check::Off);
        let mut gate = wait_online(&world, Some(&manager), "nix-cache:http://cache.example");
        gate.held(&["unexpected_answer"]);
        manager.restart();
        WELL.store(true, Ordering::SeqCst);
        gate.opened();
    }

    fn a_gate_held_for_the_meter_opens_when_the_one_who_said_so_is_gone() {
        let world = World::with_dhcp();
        world.cache();
        let mut manager = Manager::online(Check::Off);
        manager.nmcli("connection modify cable connection.metered yes");
        manager.nmcli("--wait 50 connection up cable");
        let mut gate = wait_online(&world, Some(&manager), CACHE);
        gate.held(&["metered"]);
        manager.kill();
        gate.opened();
    }

    fn a_failure_beside_a_restart_of_network_manager_is_the_commands_own() {
        let world = World::with_dhcp();
        world.cache();
        let mut manager = Manager::online(Check::Off);
        let mut run = Run::start(&world, &manager);
        run.runs();
        manager.restart();
        assert_eq!(run.ends(3), "failed");
        run.gate.exits_with(3);
    }

    fn a_failure_while_the_route_is_gone_is_repeated() {
        let world = World::with_dhcp();
        world.cache();
        let mut manager = Manager::online(Check::Off);
        let mut run = Run::start(&world, &manager);
        run.runs();
        manager.kill();
        cable_out();
        assert_eq!(run.ends(1), "interrupted");
        manager.restart();
        cable_in();
        run.runs();
        assert_eq!(run.ends(0), "succeeded");
        run.gate.exits_with(0);
    }
}
