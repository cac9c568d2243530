//! What a flood of NetworkManager's signals does to a waiting gate.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::machine;
use crate::process::{GATE, Running};
use crate::support::bus::DbusDaemon;
use crate::support::fakes::{Logind, NetworkManager};
use crate::support::http::{Reply, Server};
use crate::table::{row, skipped};

const WHAT: &str = "10,000 NetworkManager signals a second for 10 s";
const RATE: u128 = 10_000;
const FLOOD: Duration = Duration::from_secs(10);
/// When the server becomes good; the gate's last allowance of probes may be spent by then.
const GOOD_AFTER: Duration = Duration::from_secs(8);

/// Twice: a gate that nothing can open, for its memory and its time, and one that is to open in the flood.
pub(crate) fn measure() {
    if !machine::has("dbus-daemon") {
        return skipped(WHAT, "dbus-daemon is not installed");
    }
    let folder = tempfile::tempdir().unwrap();
    let bus = DbusDaemon::start(folder.path());
    let is_good = Arc::new(AtomicBool::new(false));
    let never = server(Arc::default());
    let soon = server(is_good.clone());
    let flood = Flood::ready(&bus.address());
    let shut = gate(&bus.address(), &never);
    let mut opens = gate(&bus.address(), &soon);
    let mut online = client("nm-online", &bus.address());
    let mut online = Running::start(online.args(["-q", "-t", "3600"]));
    std::thread::sleep(Duration::from_secs(3));
    let before = (shut.status("VmRSS"), shut.processor_time(), Instant::now());
    let online_before = online_figures(&mut online);
    flood.begin();
    std::thread::sleep(GOOD_AFTER);
    is_good.store(true, Ordering::SeqCst);
    let opened = opened(&mut opens, flood.deadline());
    let sent = flood.end();
    let share = percent(before.1, shut.processor_time(), before.2.elapsed());
    let measured = format!(
        "{opened}; RSS {} kB before, {} kB after; {:.0} % of a core; {sent:.0} signals a second reached",
        before.0,
        shut.status("VmRSS"),
        share
    );
    let beside = beside(&mut online, online_before, before.2.elapsed());
    row(
        WHAT,
        "no missed opening, memory flat, ≤ 60 % of a core",
        &measured,
        &beside,
    );
}

fn server(is_good: Arc<AtomicBool>) -> Server {
    Server::start(move |_| {
        if is_good.load(Ordering::SeqCst) {
            Reply::ok("StoreDir: /nix/store\n")
        } else {
            Reply::status("503 Service Unavailable", "")
        }
    })
}

fn client(program: &str, bus: &str) -> std::process::Command {
    let mut command = std::process::Command::new(program);
    command.env("DBUS_SYSTEM_BUS_ADDRESS", bus);
    command
}

fn gate(bus: &str, server: &Server) -> Running {
    let target = format!("nix-cache:http://{}", server.address());
    Running::start(client(GATE, bus).args(["wait-online", "--settle", "0", "--target", &target]))
}

fn opened(gate: &mut Running, deadline: Instant) -> String {
    let began = Instant::now();
    // The flood is over by then; a gate that opens later has missed its opening in it.
    while Instant::now() < deadline {
        if let Ok(Some(status)) = gate.0.try_wait() {
            return format!(
                "opened after {:.1} s ({status})",
                began.elapsed().as_secs_f64()
            );
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    "MISSED the opening in the flood".to_owned()
}

/// RSS and processor time, unless the fake was not enough for it.
fn online_figures(online: &mut Running) -> Option<(u64, Duration)> {
    let lives = matches!(online.0.try_wait(), Ok(None));
    lives.then(|| (online.status("VmRSS"), online.processor_time()))
}

fn beside(online: &mut Running, before: Option<(u64, Duration)>, took: Duration) -> String {
    match (before, online_figures(online)) {
        (Some((rss, spent)), Some((later, more))) => format!(
            "nm-online: RSS {rss} kB before, {later} kB after; {:.0} % of a core",
            percent(spent, more, took)
        ),
        _ => "nm-online skipped: the fake does not satisfy it, it gave up".to_owned(),
    }
}

/// How much of one core was used.
fn percent(before: Duration, after: Duration, took: Duration) -> f64 {
    after.saturating_sub(before).as_secs_f64() / took.as_secs_f64() * 100.0
}

/// The services, in a thread of their own.
struct Flood {
    begin: std::sync::mpsc::Sender<Instant>,
    sent: Arc<AtomicU64>,
    thread: JoinHandle<Duration>,
    began: std::cell::Cell<Instant>,
}

impl Flood {
    /// Returns when the services are there.
    fn ready(bus: &str) -> Self {
        let (begin, told) = std::sync::mpsc::channel();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let sent = Arc::new(AtomicU64::new(0));
        let (bus, count) = (bus.to_owned(), sent.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let _logind = Logind::start(&bus).await;
                let manager = NetworkManager::start(&bus).await;
                ready.send(()).unwrap();
                while told.try_recv().is_err() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                send(&manager, &count).await
            })
        });
        is_ready.recv().unwrap();
        Self {
            begin,
            sent,
            thread,
            began: std::cell::Cell::new(Instant::now()),
        }
    }

    fn begin(&self) {
        self.began.set(Instant::now());
        let _ = self.begin.send(Instant::now());
    }

    fn deadline(&self) -> Instant {
        self.began.get() + FLOOD
    }

    /// Waits for its end; how many were sent in a second.
    fn end(self) -> f64 {
        let took = self.thread.join().expect("the flood ends");
        self.sent.load(Ordering::SeqCst) as f64 / took.as_secs_f64()
    }
}

/// Connecting, connected, connecting, ...: each signal is news, and built beforehand so as to keep the rate.
async fn send(manager: &NetworkManager, count: &AtomicU64) -> Duration {
    let gusts = [40, 70].map(|state| (state, manager.signals(state)));
    let began = Instant::now();
    while began.elapsed() < FLOOD {
        let due = began.elapsed().as_micros() * RATE / 1_000_000;
        let mut sent = count.load(Ordering::SeqCst);
        for (state, signals) in gusts.iter().cycle() {
            if u128::from(sent) >= due {
                break;
            }
            manager.put("State", *state);
            manager.send_all(signals).await;
            sent += 2;
        }
        count.store(sent, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    began.elapsed()
}
