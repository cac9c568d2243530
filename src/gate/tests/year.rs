//! A year of a laptop: thousands of suspends, flapping Wi-Fi, portals, restarts and a lying NetworkManager.

use std::time::Duration;

use super::bench::{awake, failure, manager, no_way, way};
use crate::gate::event::{Connectivity, Event, Hint, LinkState, Outcome, ProbeId, Report};
use crate::gate::policy::Policy;
use crate::gate::reason::Reason;
use crate::gate::time::{Monotonic, Now};
use crate::gate::{Action, Gate};

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
/// A gate may take this long to open once everything is fine, beyond settling: a back-off, the probe, the pause of a rush.
const SLACK: Duration = Duration::from_secs(33);

/// What is true of the network, which only a probe can find out.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Net {
    Down,
    Portal,
    DeadDns,
    Good,
}

struct Laptop {
    gate: Gate,
    now: Now,
    random: u64,
    net: Net,
    asleep: bool,
    /// Probes, changes and resumes, in awake time.
    probe: Option<(ProbeId, Monotonic, Net)>,
    good_since: Option<Monotonic>,
    waiting: bool,
    suspends: u64,
    openings: u32,
}

impl Laptop {
    fn new(seed: u64) -> Self {
        let now = Now::default();
        let mut laptop = Self {
            gate: Gate::new(
                Policy {
                    seed,
                    ..Policy::default()
                },
                now,
            ),
            now,
            random: seed,
            net: Net::Down,
            asleep: false,
            probe: None,
            good_since: None,
            waiting: true,
            suspends: 0,
            openings: 0,
        };
        for event in [
            awake(),
            manager(20, Connectivity::None, false),
            no_way(LinkState::NoLink),
        ] {
            laptop.tell(event);
        }
        laptop
    }

    fn draw(&mut self, below: u64) -> u64 {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.random >> 33) % below
    }

    fn tell(&mut self, event: Event) {
        for action in self.gate.step(event, self.now) {
            match action {
                Action::Probe(id) => {
                    let took = Duration::from_millis(20 + self.draw(900));
                    self.probe = Some((id, self.now.monotonic.after(took), self.net));
                }
                Action::Abandon(_) => self.probe = None,
                Action::Open(_) => self.opened(),
                Action::Say(_) | Action::GiveUp(_) => {}
            }
        }
    }

    fn opened(&mut self) {
        assert!(
            !self.asleep && self.net == Net::Good,
            "false opening: {:?}",
            self.net
        );
        self.openings += 1;
        self.waiting = false;
    }

    /// Awake time passes; probes end and deadlines pass in their order.
    fn pass(&mut self, span: Duration) {
        let end = self.now.monotonic.after(span);
        loop {
            let probe_ends = self.probe.map(|(_, at, _)| at);
            let wakes = self.gate.look_again(self.now.monotonic);
            let Some(at) = probe_ends
                .into_iter()
                .chain(wakes)
                .min()
                .filter(|at| *at <= end)
            else {
                break;
            };
            self.advance(at.since(self.now.monotonic));
            if probe_ends == Some(at) {
                self.probe_ends();
            } else {
                self.tell(Event::Tick);
            }
            self.missed_nothing();
        }
        self.advance(end.since(self.now.monotonic));
        self.missed_nothing();
    }

    fn advance(&mut self, span: Duration) {
        self.now.monotonic.0 += span;
        self.now.boottime.0 += span;
    }

    fn probe_ends(&mut self) {
        let Some((id, _, began_in)) = self.probe.take() else {
            return;
        };
        let outcome = match (began_in, self.net) {
            (Net::Good, Net::Good) => Outcome::Reached("the cache".into()),
            (_, Net::Portal) => failure(Reason::Portal),
            (_, Net::DeadDns) => failure(Reason::Dns),
            _ => failure(Reason::Unreachable),
        };
        self.tell(Event::Probed(id, outcome));
    }

    fn missed_nothing(&self) {
        let Some(since) = self.good_since.filter(|_| self.waiting) else {
            return;
        };
        let good_for = self.now.monotonic.since(since);
        assert!(
            good_for <= Duration::from_secs(2) + SLACK,
            "missed opening: good for {good_for:?}"
        );
    }

    fn becomes(&mut self, net: Net) {
        if self.net == Net::Good && net != Net::Down {
            // Another network: there is no way from a good one into it that leaves the route as it is.
            self.becomes(Net::Down);
        }
        self.net = net;
        let lies = self.draw(2) == 0;
        match net {
            Net::Down => {
                self.good_since = None;
                self.tell(no_way(LinkState::NoLink));
                self.tell(manager(20, Connectivity::None, !lies));
            }
            Net::Portal | Net::DeadDns => {
                self.good_since = None;
                self.tell(way("wlan0"));
                let seen = if lies {
                    Connectivity::Full
                } else {
                    Connectivity::Portal
                };
                self.tell(manager(70, seen, !lies));
            }
            Net::Good => {
                self.tell(way("wlan0"));
                self.tell(manager(70, Connectivity::Full, !lies));
                // What lets a portal go need be no local event: a hint or the back-off finds it.
                if !lies {
                    self.tell(Event::Hint(Hint::ResolvConf));
                }
                self.good_since = Some(self.now.monotonic);
            }
        }
    }

    fn sleep(&mut self, span: Duration) {
        self.asleep = true;
        self.good_since = None;
        self.tell(Event::PrepareForSleep(true));
        self.suspends += 1;
        // Some boards' s2idle moves no clock.
        if self.draw(4) != 0 {
            self.now.boottime.0 += span;
        }
        self.net = Net::Down;
        if self.draw(2) == 0 {
            self.tell(Event::SuspendCount(self.suspends));
        }
        self.asleep = false;
        self.tell(Event::PrepareForSleep(false));
        self.becomes(Net::Down);
    }

    fn restart_network_manager(&mut self) {
        self.tell(Event::NetworkManager(Report::Absent));
        self.tell(Event::NetworkManager(Report::Unknown(
            "it does not answer".into(),
        )));
        self.becomes(Net::Down);
    }

    /// One session with the lid open: the network comes over changing routes, stays for a while, and goes.
    fn session(&mut self) {
        for _ in 0..self.draw(6) {
            let nets = [Net::Down, Net::Portal, Net::DeadDns, Net::Good];
            let net = nets[usize::try_from(self.draw(4)).unwrap()];
            self.becomes(net);
            let brief = self.draw(5000);
            self.pass(Duration::from_millis(brief));
        }
        if self.draw(9) == 0 {
            self.restart_network_manager();
        }
        self.becomes(Net::Good);
        self.pass(Duration::from_secs(40));
        assert!(!self.waiting, "missed opening");
        let work = self.draw(2 * 3600);
        self.pass(Duration::from_secs(work));
        self.waiting = true;
        self.gate.begin(self.now);
        self.tell(Event::Tick);
    }
}

#[test]
fn a_simulated_year_of_a_laptop_has_no_false_opening_and_no_missed_one() {
    for seed in [1, 20_261_123, 0xdead_beef] {
        let mut laptop = Laptop::new(seed);
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            while laptop.now.boottime.0 < YEAR {
                laptop.session();
                let night = laptop.draw(4 * 3600);
                laptop.sleep(Duration::from_secs(night));
            }
            (laptop.suspends, laptop.openings)
        }));
        let (suspends, openings) = result.unwrap_or_else(|_| panic!("failed with seed {seed}"));
        assert!(
            suspends > 2000 && u64::from(openings) >= suspends,
            "{suspends} {openings}"
        );
    }
}
