//! What the gate knows of the world, and what each event adds to it.

use super::event::{
    Event, Logind, NetworkManager, Networkd, Outcome, Power, ProbeId, Report, Routes,
};
use super::policy::{Policy, PowerPolicy};
use super::power::PowerSources;
use super::time::{Now, SUSPEND_JUMP};
use super::verdict::Loss;

/// The last word of every source; `None` where one has not spoken yet.
#[derive(Debug)]
pub(super) struct World {
    pub(super) epoch: u64,
    /// What began the present epoch, if it is not the first.
    pub(super) epoch_began: Option<Loss>,
    pub(super) sleeps: u64,
    pub(super) route_changes: u64,
    pub(super) logind: Option<Report<Logind>>,
    pub(super) network_manager: Option<Report<NetworkManager>>,
    pub(super) networkd: Option<Report<Networkd>>,
    pub(super) routes: Option<Routes>,
    power: PowerSources,
    going: Logind,
    suspends: Option<u64>,
    last: Now,
}

/// What an event means for the gate.
#[derive(Debug, Default)]
pub(super) struct EventEffect {
    /// Evidence gathered so far is worth nothing.
    pub(super) epoch: bool,
    /// All must settle before the gate opens.
    pub(super) unsettling: bool,
    /// Look again.
    pub(super) hint: bool,
    /// A probe ended.
    pub(super) probed: Option<(ProbeId, Outcome)>,
}

impl EventEffect {
    const NONE: Self = Self {
        epoch: false,
        unsettling: false,
        hint: false,
        probed: None,
    };

    fn epoch() -> Self {
        Self {
            epoch: true,
            unsettling: true,
            ..Self::NONE
        }
    }

    fn hint_if(hint: bool) -> Self {
        Self { hint, ..Self::NONE }
    }
}

impl World {
    pub(super) fn new(now: Now) -> Self {
        Self {
            epoch: 0,
            epoch_began: None,
            sleeps: 0,
            route_changes: 0,
            logind: None,
            network_manager: None,
            networkd: None,
            routes: None,
            power: PowerSources::default(),
            going: Logind::default(),
            suspends: None,
            last: now,
        }
    }

    pub(super) fn take(&mut self, event: Event, now: Now) -> EventEffect {
        let slept = self.notice_sleep(now);
        let mut news = self.learn(event);
        if slept {
            // Whatever ended in the same step began before the resume.
            self.resumed();
            news = EventEffect {
                probed: news.probed,
                ..EventEffect::epoch()
            };
        }
        news
    }

    fn notice_sleep(&mut self, now: Now) -> bool {
        let jump = now.slept().saturating_sub(self.last.slept());
        self.last = now;
        jump > SUSPEND_JUMP
    }

    fn learn(&mut self, event: Event) -> EventEffect {
        match event {
            Event::Logind(report) => self.learn_logind(report),
            Event::PrepareForSleep(begins) => self.sleep_signal(begins),
            Event::PrepareForShutdown(begins) => {
                self.going.preparing_for_shutdown = begins;
                EventEffect::NONE
            }
            Event::SuspendCount(count) => self.learn_suspends(count),
            Event::NetworkManager(report) => self.learn_network_manager(report),
            Event::Networkd(report) => self.learn_networkd(report),
            Event::Routes(routes) => self.learn_route(routes),
            Event::UPower(report) => {
                self.power.upower = Some(report);
                EventEffect::NONE
            }
            Event::ExternalPower(report) => {
                self.power.external = Some(report);
                EventEffect::NONE
            }
            Event::PowerSupply(report) => {
                self.power.kernel = Some(report);
                EventEffect::NONE
            }
            Event::Hint(_) => EventEffect::hint_if(true),
            Event::Probed(id, outcome) => EventEffect {
                probed: Some((id, outcome)),
                ..EventEffect::NONE
            },
            Event::Tick => EventEffect::NONE,
        }
    }

    fn learn_logind(&mut self, report: Report<Logind>) -> EventEffect {
        let was_asleep = self.going.preparing_for_sleep;
        match &report {
            Report::Known(logind) => self.going = *logind,
            Report::Absent => self.going = Logind::default(),
            // What it said last is all there is; the report itself holds the gate.
            Report::Unknown(_) => {}
        }
        self.logind = Some(report);
        match (was_asleep, self.going.preparing_for_sleep) {
            (true, false) => self.resumed(),
            (_, true) => EventEffect {
                unsettling: true,
                ..EventEffect::NONE
            },
            (false, false) => EventEffect::NONE,
        }
    }

    /// A `false` without its `true` is a resume as well: the `true` came before we listened.
    fn sleep_signal(&mut self, begins: bool) -> EventEffect {
        self.going.preparing_for_sleep = begins;
        if begins {
            self.sleeps += 1;
            return EventEffect {
                unsettling: true,
                ..EventEffect::NONE
            };
        }
        self.resumed()
    }

    fn learn_suspends(&mut self, count: u64) -> EventEffect {
        let before = self.suspends.replace(count);
        if before.is_some_and(|before| before != count) {
            return self.resumed();
        }
        EventEffect::NONE
    }

    fn resumed(&mut self) -> EventEffect {
        self.epoch += 1;
        self.epoch_began = Some(Loss::Resume);
        self.sleeps += 1;
        EventEffect::epoch()
    }

    fn learn_network_manager(&mut self, report: Report<NetworkManager>) -> EventEffect {
        let state = |report: &Report<NetworkManager>| match report {
            Report::Known(nm) => Some((nm.state, nm.connectivity)),
            _ => None,
        };
        let before = self.network_manager.as_ref().and_then(state);
        let changed = self.network_manager.is_some() && before != state(&report);
        self.network_manager = Some(report);
        EventEffect::hint_if(changed)
    }

    fn learn_networkd(&mut self, report: Report<Networkd>) -> EventEffect {
        let changed = self.networkd.as_ref().is_some_and(|seen| *seen != report);
        self.networkd = Some(report);
        EventEffect::hint_if(changed)
    }

    fn learn_route(&mut self, routes: Routes) -> EventEffect {
        let Some(before) = self.routes.replace(routes) else {
            return EventEffect::NONE;
        };
        let Some(now) = &self.routes else {
            return EventEffect::NONE;
        };
        if now.differs_from(&before) {
            self.epoch += 1;
            self.epoch_began = Some(Loss::Routes);
            self.route_changes += 1;
            return EventEffect::epoch();
        }
        EventEffect::hint_if(now.link_state > before.link_state)
    }

    /// What is known of the power; `None` until those who speak for it have spoken.
    pub(super) fn power(&self) -> Option<Report<Power>> {
        self.power.power()
    }

    /// Asleep or on its way there, or to the end.
    pub(super) fn is_going_down(&self) -> bool {
        self.going.preparing_for_sleep || self.going.preparing_for_shutdown
    }

    pub(super) fn is_asleep(&self) -> bool {
        self.going.preparing_for_sleep
    }

    pub(super) fn is_shutting_down(&self) -> bool {
        self.going.preparing_for_shutdown
    }

    /// Unknown counts as yes: it must not forbid a probe.
    pub(super) fn has_route(&self) -> bool {
        self.routes.as_ref().is_none_or(Routes::exists)
    }

    /// Whether every source that this policy asks has spoken.
    pub(super) fn has_reported(&self, policy: &Policy) -> bool {
        let power = policy.power == PowerPolicy::Any || self.power().is_some();
        let metered = !policy.hold_metered || self.network_manager.is_some();
        self.logind.is_some() && self.routes.is_some() && power && metered
    }

    /// What a guess rests on, for people.
    pub(super) fn guess(&self) -> String {
        let hops = self.routes.iter().flat_map(|w| w.hops.values().flatten());
        let mut ways: Vec<&str> = hops.map(|hop| hop.interface.as_str()).collect();
        ways.dedup();
        format!("a route through {}", ways.join(", "))
    }
}
