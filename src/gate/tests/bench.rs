//! A bench to put a gate on: a clock moved by hand, and words for what happens.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::gate::event::{
    Connectivity, Event, Failure, Hop, LinkState, Logind, NetworkManager, Networkd, Outcome, Power,
    ProbeId, Report, Routes,
};
use crate::gate::policy::Policy;
use crate::gate::reason::Reason;
use crate::gate::time::{Boottime, Monotonic, Now};
use crate::gate::verdict::Verdict;
use crate::gate::{Action, Gate};

pub(super) const TARGET: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10));

pub(super) struct Bench {
    pub(super) gate: Gate,
    pub(super) now: Now,
    pub(super) running: Option<ProbeId>,
    pub(super) opened: bool,
    pub(super) gave_up: bool,
    pub(super) probes: usize,
}

impl Bench {
    /// A gate of which no source has spoken yet.
    pub(super) fn silent(policy: Policy) -> Self {
        let at = Duration::from_secs(1000);
        let now = Now {
            monotonic: Monotonic(at),
            boottime: Boottime(at),
        };
        let gate = Gate::new(policy, now);
        Self {
            gate,
            now,
            running: None,
            opened: false,
            gave_up: false,
            probes: 0,
        }
    }

    /// A gate on a machine that is awake, on mains, without NetworkManager, and has a route.
    pub(super) fn ready(policy: Policy) -> Self {
        let mut bench = Self::silent(policy);
        bench.tell(awake());
        bench.tell(Event::NetworkManager(Report::Absent));
        bench.tell(power(false, None));
        bench.tell(way("wlan0"));
        bench
    }

    pub(super) fn tell(&mut self, event: Event) -> Vec<Action> {
        let actions = self.gate.step(event, self.now);
        for action in &actions {
            self.obey(action);
        }
        actions
    }

    fn obey(&mut self, action: &Action) {
        match action {
            Action::Probe(id) => {
                assert_eq!(self.running, None, "two probes at once");
                self.probes += 1;
                self.running = Some(*id);
            }
            Action::Abandon(id) => {
                assert_eq!(self.running.take(), Some(*id), "abandons what does not run");
            }
            Action::Say(_) => {}
            Action::Open(_) => self.opened = true,
            Action::GiveUp(_) => self.gave_up = true,
        }
    }

    /// The running probe reaches everything.
    pub(super) fn reach(&mut self) -> Vec<Action> {
        self.answer(Outcome::Reached("the cache".into()))
    }

    /// The running probe fails for that reason.
    pub(super) fn fail(&mut self, reason: Reason) -> Vec<Action> {
        self.answer(failure(reason))
    }

    pub(super) fn answer(&mut self, outcome: Outcome) -> Vec<Action> {
        let id = self.running.take().expect("no probe is running");
        self.tell(Event::Probed(id, outcome))
    }

    /// Awake time passes, and the gate is woken whenever it asked for it.
    pub(super) fn pass(&mut self, span: Duration) {
        let end = self.now.monotonic.after(span);
        while let Some(at) = self
            .gate
            .look_again(self.now.monotonic)
            .filter(|at| *at <= end)
        {
            assert!(at > self.now.monotonic, "asks to be woken in the past");
            self.advance(at.since(self.now.monotonic));
            self.tell(Event::Tick);
        }
        self.advance(end.since(self.now.monotonic));
    }

    pub(super) fn advance(&mut self, span: Duration) {
        self.now.monotonic.0 += span;
        self.now.boottime.0 += span;
    }

    /// The machine sleeps; only its clocks tell.
    pub(super) fn sleep_silently(&mut self, span: Duration) {
        self.now.boottime.0 += span;
    }

    /// The reason it is held for, or none if it would open.
    pub(super) fn reason(&self) -> Option<Reason> {
        match self.gate.verdict(self.now.monotonic) {
            Verdict::Open(_) => None,
            Verdict::Held(holds) => Some(holds[0].reason),
        }
    }
}

pub(super) fn failure(reason: Reason) -> Outcome {
    Outcome::Failed(Failure {
        reason,
        target: "nix-cache:https://cache.example".into(),
        detail: "it failed".into(),
        may_be_portal: reason == Reason::Unreachable,
    })
}

pub(super) fn awake() -> Event {
    Event::Logind(Report::Known(Logind::default()))
}

pub(super) fn power(on_battery: bool, percentage: Option<u8>) -> Event {
    Event::UPower(Report::Known(Power {
        on_battery,
        percentage,
    }))
}

pub(super) fn hop(interface: &str) -> Hop {
    Hop {
        interface: interface.into(),
        gateway: Some([192, 168, 1, 1].into()),
    }
}

/// The target is reached through that interface.
pub(super) fn way(interface: &str) -> Event {
    Event::Routes(Routes {
        hops: BTreeMap::from([(TARGET, Some(hop(interface)))]),
        known: true,
        link_state: LinkState::Addressed,
    })
}

/// The kernel has no route to the target.
pub(super) fn no_way(link_state: LinkState) -> Event {
    Event::Routes(Routes {
        hops: BTreeMap::from([(TARGET, None)]),
        known: true,
        link_state,
    })
}

pub(super) fn manager(state: u32, connectivity: Connectivity, checks: bool) -> Event {
    Event::NetworkManager(Report::Known(NetworkManager {
        state,
        connectivity,
        checks,
        metered: false,
    }))
}

pub(super) fn networkd(operational_state: &str) -> Event {
    Event::Networkd(Report::Known(Networkd {
        operational_state: operational_state.into(),
    }))
}

pub(super) fn metered(metered: bool) -> Event {
    Event::NetworkManager(Report::Known(NetworkManager {
        state: 70,
        metered,
        ..Default::default()
    }))
}

pub(super) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
