//! The one loop that drives every command: the world's events go into the gate, its actions come out.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::path::PathBuf;
use std::pin::pin;

use tokio::sync::watch;

use crate::gate::event::Event;
use crate::gate::policy::Policy;
use crate::gate::verdict::{Evidence, Hold, Loss, Verdict};
use crate::gate::{Action, Gate};
use crate::probe::protocol::ProbeRequest;
use crate::probe::{Finished, Prober};
use crate::report::Reporter;
use crate::sources::{self, Sources};
use crate::sys::clock;

/// A gate, its sources and its probes.
#[derive(Debug)]
pub struct Engine {
    gate: Gate,
    prober: Prober,
    sources: Sources,
    addresses: watch::Sender<Vec<IpAddr>>,
    root: PathBuf,
    suspends: Option<u64>,
    /// A probe that has ended, and is not told to the gate before all else that has happened by now.
    ended: Option<Finished>,
    news: VecDeque<News>,
}

/// What an [`Engine`] leaves to its caller: the gate's actions, probes aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// The verdict is another than it was.
    Say(Verdict),
    /// It may run now. The gate rests until [`Engine::begin`].
    Open(Evidence),
    /// The deadline has passed, or one look was asked for. The gate rests until [`Engine::begin`].
    GiveUp(Vec<Hold>),
}

impl Engine {
    /// Starts the first probe, then the sources: on a machine that is online the probe's round trip is all
    /// there is to wait for.
    ///
    /// To be called within a tokio runtime of one thread. `root` is `/`, or another root in tests.
    pub fn start(policy: Policy, request: ProbeRequest, root: PathBuf) -> Self {
        let (addresses, known) = watch::channel(Vec::new());
        let once = policy.once;
        let mut engine = Self {
            gate: Gate::new(policy, clock::now()),
            prober: if once {
                Prober::of_one_look(request)
            } else {
                Prober::new(request)
            },
            sources: Sources::none(),
            addresses,
            suspends: None,
            ended: None,
            root,
            news: VecDeque::new(),
        };
        engine.step(Event::Tick);
        let start = if once { sources::look } else { sources::start };
        engine.sources = start(&engine.root, known);
        engine
    }

    /// Begins to wait again, as [`Gate::begin`] does.
    pub fn begin(&mut self) {
        self.gate.begin(clock::now());
        self.step(Event::Tick);
    }

    /// The kernel's count of suspends, as it was read last.
    pub fn suspends(&self) -> Option<u64> {
        self.suspends
    }

    /// The gate, to be asked.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// The next thing the gate wants said or done. While it rests it only listens, and this never returns.
    ///
    /// Safe to cancel: nothing that was heard is lost.
    pub async fn next(&mut self) -> News {
        loop {
            if let Some(news) = self.turn().await {
                return news;
            }
        }
    }

    /// Waits until the gate has opened or has given up, and reports what it says until then. Safe to cancel.
    pub async fn decided(&mut self, reporter: &mut Reporter) -> Verdict {
        loop {
            let news = tokio::select! {
                biased;
                news = self.next() => news,
                () = reporter.ticked() => {
                    reporter.redraw(clock::now());
                    continue;
                }
            };
            match news {
                News::Open(evidence) => return Verdict::Open(evidence),
                News::GiveUp(holds) => return Verdict::Held(holds),
                News::Say(verdict) => reporter.verdict(&verdict, clock::now()),
            }
        }
    }

    /// The next thing the gate wants said or done; `None` when something was heard that it does not speak of. For
    /// those who look at the gate themselves while it rests. Safe to cancel.
    pub async fn turn(&mut self) -> Option<News> {
        if self.news.is_empty() {
            self.listen().await;
        }
        self.news.pop_front()
    }

    /// Does something else while the world is listened to. Only while the gate rests: its words are not heard.
    pub async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                _ = self.turn() => {}
            }
        }
    }

    /// Listens while the gate rests, until what it has opened on proves nothing any more; says why.
    pub async fn lost(&mut self, evidence: &Evidence) -> Loss {
        loop {
            if let Some(loss) = self.gate.loss(evidence) {
                return loss;
            }
            self.turn().await;
        }
    }

    async fn listen(&mut self) {
        if self.ended.is_some() {
            self.hear_all().await;
            self.probed();
            return;
        }
        let look_again = self.gate.look_again(clock::now().monotonic);
        tokio::select! {
            biased;
            event = self.sources.next() => self.step(event),
            probe = self.prober.finished() => self.ended = Some(probe),
            // A gate that was frozen finds its deadlines passed, and news beside them.
            () = clock::sleep_until_some(look_again) => self.hear_all().await,
        }
    }

    /// Takes in what has been told by now, and looks at the clocks, so that no proof opens the gate before a
    /// resume that is already known.
    pub async fn hear_all(&mut self) {
        // Each turn looks at what the kernel has for us and lets every woken task run: from the socket through the
        // bus connection and its source to here it takes a few.
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
        while let Some(event) = self.sources.waiting() {
            self.step(event);
        }
        self.step(Event::Tick);
    }

    fn probed(&mut self) {
        if let Some(probe) = self.ended.take() {
            self.learn(probe.addresses);
            self.step(Event::Probed(probe.id, probe.outcome));
        }
    }

    fn learn(&mut self, addresses: Vec<IpAddr>) {
        if !addresses.is_empty() {
            self.addresses.send_if_modified(|known| {
                let news = *known != addresses;
                *known = addresses;
                news
            });
        }
    }

    fn step(&mut self, event: Event) {
        self.count_suspends();
        self.step_gate(event);
    }

    /// The kernel's own count tells of a suspend that moved no clock and that no logind spoke of.
    fn count_suspends(&mut self) {
        let count = sources::suspend_count::suspend_count(&self.root);
        if let Some(count) = count.filter(|_| count != self.suspends) {
            self.suspends = Some(count);
            self.step_gate(Event::SuspendCount(count));
        }
    }

    fn step_gate(&mut self, event: Event) {
        tracing::trace!(?event);
        for action in self.gate.step(event, clock::now()) {
            match action {
                Action::Probe(id) => self.prober.start(id),
                Action::Abandon(id) => self.prober.abandon(id),
                Action::Say(verdict) => self.news.push_back(News::Say(verdict)),
                Action::Open(evidence) => self.news.push_back(News::Open(evidence)),
                Action::GiveUp(holds) => self.news.push_back(News::GiveUp(holds)),
            }
        }
    }
}
