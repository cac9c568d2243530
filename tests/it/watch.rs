//! `watch` from outside: the real binary between fakes of systemd and logind and a target that comes and goes.

mod manners;
mod rearm;
mod target;

use tokio::sync::mpsc::UnboundedReceiver;

use crate::datagrams::{assignments, receive, until};
use crate::harness::{Gate, Says, World};
use crate::support::fakes::Logind;
use crate::support::systemd::{Start, Systemd};

const TARGET: &str = "upgrade-gate-online.target";
const START: &str = "start upgrade-gate-online.target";
const STOP: &str = "stop upgrade-gate-online.target";

/// A machine on which the watch can run.
struct Machine {
    world: World,
    systemd: Systemd,
    logind: Logind,
}

impl Machine {
    async fn new(says: Says) -> Self {
        let world = World::new(says);
        let systemd = Systemd::start(&world.address()).await;
        systemd.install(TARGET, Start::Stays);
        let logind = Logind::start(&world.address()).await;
        logind.put("InhibitDelayMaxUSec", 5_000_000_u64);
        world.write("etc/machine-id", "0123456789abcdef0123456789abcdef\n");
        let machine = Self {
            world,
            systemd,
            logind,
        };
        machine.configure("");
        machine
    }

    /// Sets keys of `[watch]`.
    fn configure(&self, watch: &str) {
        let target = self.world.target.written();
        let text = format!(
            "[profile.default]\ntargets = ['{target}']\nsettle = '0'\n[watch]\nrearm_spread = '0'\n{watch}\n"
        );
        self.world
            .write("etc/upgrade-gate/upgrade-gate.toml", &text);
    }

    /// Starts the watch, and waits until it follows.
    async fn watch(&self) -> Watch {
        self.watch_with("").await
    }

    async fn watch_with(&self, options: &str) -> Watch {
        let socket = self.world.path("notify");
        let _ = std::fs::remove_file(&socket);
        let told = receive(&socket, assignments);
        let mut command = self.world.command(&format!("watch --json {options}"));
        command.env("NOTIFY_SOCKET", &socket);
        let mut watch = Watch {
            gate: Gate::of(command),
            told,
        };
        watch.tells("READY=1").await;
        watch
    }
}

/// A running watch.
struct Watch {
    gate: Gate,
    told: UnboundedReceiver<String>,
}

impl Watch {
    /// Waits until it tells systemd so; returns all until then.
    async fn tells(&mut self, assignment: &str) -> Vec<String> {
        until(&mut self.told, |text| text.starts_with(assignment)).await
    }

    /// Waits until it says something with these words, on any stream.
    async fn says(&mut self, words: &str) {
        while let Some(line) = self.gate.line().await {
            if line.contains(words) {
                return;
            }
        }
        panic!("it ended before {words}, after\n{}", self.gate.heard());
    }
}
