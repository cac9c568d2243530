//! What must hold whatever happens, in whatever order.

use std::time::Duration;

use proptest::prelude::*;

use super::bench::{awake, failure, manager, metered, no_way, power, way};
use crate::gate::event::{Connectivity, Event, Hint, LinkState, Logind, Outcome, ProbeId, Report};
use crate::gate::policy::{Policy, PowerPolicy, Reach};
use crate::gate::reason::Reason;
use crate::gate::time::{Monotonic, Now};
use crate::gate::{Action, Gate};

/// One thing that happens to the gate, or to the machine below it.
#[derive(Clone, Debug)]
enum Happening {
    Event(Event),
    /// The running probe ends; true if it reaches everything.
    ProbeEnds(bool),
    /// A probe that is not running is said to have ended.
    StrayProbe(u64),
    /// Awake time passes.
    Awake(Duration),
    /// The machine sleeps and only its clocks tell.
    Asleep(Duration),
    /// Someone waits again.
    Begin,
}

fn events() -> impl Strategy<Value = Event> {
    let report = prop_oneof![
        Just(Event::Logind(Report::Absent)),
        Just(Event::Logind(Report::Unknown("hangs".into()))),
        Just(Event::NetworkManager(Report::Absent)),
        Just(Event::NetworkManager(Report::Unknown("hangs".into()))),
        Just(Event::UPower(Report::Absent)),
        Just(Event::UPower(Report::Unknown("hangs".into()))),
        Just(Event::PowerSupply(Report::Unknown("hangs".into()))),
        any::<bool>().prop_map(|external| Event::ExternalPower(Report::Known(external))),
        any::<bool>().prop_map(metered),
        (any::<bool>(), proptest::option::of(0u8..=100)).prop_map(|(b, p)| power(b, p)),
        (any::<bool>(), any::<bool>()).prop_map(|(sleep, shutdown)| {
            Event::Logind(Report::Known(Logind {
                preparing_for_sleep: sleep,
                preparing_for_shutdown: shutdown,
            }))
        }),
    ];
    let network = prop_oneof![
        prop_oneof!["wlan0", "eth0", "wg0"].prop_map(|name| way(&name)),
        Just(no_way(LinkState::NoLink)),
        Just(no_way(LinkState::Addressed)),
        (any::<u32>(), any::<bool>()).prop_map(|(s, c)| manager(s, Connectivity::Full, c)),
        Just(manager(40, Connectivity::Portal, true)),
    ];
    prop_oneof![
        report,
        network,
        any::<bool>().prop_map(Event::PrepareForSleep),
        any::<bool>().prop_map(Event::PrepareForShutdown),
        (0u64..4).prop_map(Event::SuspendCount),
        Just(Event::Hint(Hint::ResolvConf)),
        Just(Event::Hint(Hint::ClockStep)),
        Just(Event::Tick),
    ]
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let span = (0u64..20_000).prop_map(Duration::from_millis);
    let one = prop_oneof![
        6 => events().prop_map(Happening::Event),
        3 => any::<bool>().prop_map(Happening::ProbeEnds),
        1 => (0u64..9).prop_map(Happening::StrayProbe),
        3 => span.clone().prop_map(Happening::Awake),
        1 => span.prop_map(Happening::Asleep),
        1 => Just(Happening::Begin),
    ];
    proptest::collection::vec(one, 0..120)
}

fn policies() -> impl Strategy<Value = Policy> {
    let power = prop_oneof![
        Just(PowerPolicy::Any),
        Just(PowerPolicy::Mains),
        Just(PowerPolicy::BatteryAtLeast(50)),
    ];
    (0u64..5, any::<bool>(), power, any::<u64>(), any::<bool>()).prop_map(
        |(settle, hold_metered, power, seed, guess)| Policy {
            settle: Duration::from_secs(settle),
            hold_metered,
            power,
            seed,
            reach: if guess {
                Reach::Anywhere
            } else {
                Reach::Targets
            },
            ..Policy::default()
        },
    )
}

/// A gate, and beside it the few facts by which its opening is judged: kept apart from its own bookkeeping.
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is one fact that an opening is judged by"
)]
struct Judged {
    gate: Gate,
    now: Now,
    running: Option<ProbeId>,
    /// The probe whose end is being told: its answer may come too late all the same.
    ending: Option<ProbeId>,
    /// Whether the running probe, and the last one that reached all, began after the last sign of a resume.
    running_is_fresh: bool,
    proof_is_fresh: bool,
    asleep: bool,
    suspends: Option<u64>,
    opened: bool,
    log: Vec<Action>,
}

impl Judged {
    fn new(policy: Policy) -> Self {
        let now = Now::default();
        Self {
            gate: Gate::new(policy, now),
            now,
            running: None,
            ending: None,
            running_is_fresh: false,
            proof_is_fresh: false,
            asleep: false,
            suspends: None,
            opened: false,
            log: Vec::new(),
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Event(event) => self.tell(event),
            Happening::StrayProbe(id) => {
                if self.running != Some(ProbeId(id)) {
                    self.tell(Event::Probed(ProbeId(id), Outcome::Reached("stray".into())));
                }
            }
            Happening::ProbeEnds(reached) => self.probe_ends(reached),
            Happening::Awake(span) => self.pass(span),
            Happening::Asleep(span) => {
                self.now.boottime.0 += span;
                if span > Duration::from_millis(100) {
                    self.nothing_is_fresh();
                }
            }
            Happening::Begin => {
                self.gate.begin(self.now);
                self.opened = false;
                self.proof_is_fresh = false;
            }
        }
    }

    fn probe_ends(&mut self, reached: bool) {
        let Some(id) = self.running.take() else {
            return;
        };
        self.ending = Some(id);
        self.proof_is_fresh = reached && self.running_is_fresh;
        let outcome = if reached {
            Outcome::Reached("all".into())
        } else {
            failure(Reason::Dns)
        };
        self.tell(Event::Probed(id, outcome));
    }

    fn pass(&mut self, span: Duration) {
        let end = self.now.monotonic.after(span);
        while let Some(at) = self.wake_up_before(end) {
            self.advance(at.since(self.now.monotonic));
            self.tell(Event::Tick);
        }
        self.advance(end.since(self.now.monotonic));
    }

    fn wake_up_before(&self, end: Monotonic) -> Option<Monotonic> {
        let at = self.gate.look_again(self.now.monotonic)?;
        (at > self.now.monotonic && at <= end).then_some(at)
    }

    fn advance(&mut self, span: Duration) {
        self.now.monotonic.0 += span;
        self.now.boottime.0 += span;
    }

    fn nothing_is_fresh(&mut self) {
        self.running_is_fresh = false;
        self.proof_is_fresh = false;
    }

    fn tell(&mut self, event: Event) {
        self.judge(&event);
        for action in self.gate.step(event, self.now) {
            match &action {
                Action::Probe(id) => {
                    assert!(!self.asleep, "probes while asleep");
                    assert_eq!(self.running.replace(*id), None, "two probes at once");
                    self.running_is_fresh = true;
                }
                Action::Abandon(id) => {
                    assert_eq!(self.running.take().or(self.ending), Some(*id));
                }
                Action::Open(evidence) => {
                    assert!(!self.asleep, "opened while asleep");
                    assert!(
                        evidence.guess || self.proof_is_fresh,
                        "opened on stale evidence"
                    );
                    self.opened = true;
                }
                Action::Say(_) | Action::GiveUp(_) => {}
            }
            self.log.push(action);
        }
    }

    fn judge(&mut self, event: &Event) {
        match event {
            Event::PrepareForSleep(true) => self.asleep = true,
            Event::PrepareForSleep(false) => {
                self.asleep = false;
                self.nothing_is_fresh();
            }
            Event::Logind(Report::Known(logind)) => self.asleep = logind.preparing_for_sleep,
            Event::Logind(Report::Absent) => self.asleep = false,
            Event::SuspendCount(count)
                if self.suspends.replace(*count).is_some_and(|c| c != *count) =>
            {
                self.nothing_is_fresh();
            }
            _ => {}
        }
    }

    /// The world becomes good and stays so; every probe reaches all. Returns the awake time until it opens.
    fn until_it_opens(&mut self) -> Option<Duration> {
        let began = self.now.monotonic;
        for event in [
            awake(),
            Event::NetworkManager(Report::Absent),
            power(false, Some(100)),
            way("eth1"),
        ] {
            self.tell(event);
        }
        while !self.opened {
            if self.running.is_some() {
                self.advance(Duration::from_millis(50));
                self.probe_ends(true);
                continue;
            }
            let at = self.gate.look_again(self.now.monotonic)?;
            assert!(at > self.now.monotonic, "asks to be woken in the past");
            self.advance(at.since(self.now.monotonic));
            self.tell(Event::Tick);
        }
        Some(self.now.monotonic.since(began))
    }
}

fn run(policy: &Policy, happenings: &[Happening]) -> Judged {
    let mut judged = Judged::new(policy.clone());
    for happening in happenings {
        judged.happen(happening.clone());
    }
    judged
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn never_open_on_stale_evidence_or_asleep_and_never_a_panic(
        policy in policies(), happenings in happenings()
    ) {
        run(&policy, &happenings);
    }

    #[test]
    fn whatever_happened_a_good_world_opens_the_gate(
        policy in policies(), happenings in happenings()
    ) {
        let mut judged = run(&policy, &happenings);
        if judged.opened {
            return Ok(());
        }
        let took = judged.until_it_opens();
        // The route became another one, so it is probed at once, or at the end of a rush of changes.
        let limit = policy.settle + Duration::from_secs(31);
        prop_assert!(took.is_some_and(|took| took <= limit), "{took:?}");
    }

    #[test]
    fn the_same_events_give_the_same_actions(policy in policies(), happenings in happenings()) {
        prop_assert_eq!(run(&policy, &happenings).log, run(&policy, &happenings).log);
    }
}
