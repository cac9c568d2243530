//! How soon the command is started after the last thing it needed has come.

use std::process::{Command as Blocking, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::oneshot;

use crate::machine;
use crate::process::GATE;
use crate::support::bus::DbusDaemon;
use crate::support::fakes::{Logind, NetworkManager};
use crate::support::http::{Reply, Server};
use crate::table::{median, row, skipped, spread};

const ROUNDS: usize = 101;
const WHAT: &str = "last needed event → command started, settle = 0";
/// The alternatives are measured at this speed.
const SPEED: u32 = 20;
const RESTART: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_secs(5);

/// The server becomes good, then NetworkManager says so: from there to the command's first word, and from the verdict.
pub(crate) fn measure() {
    if !machine::has("dbus-daemon") {
        return skipped(WHAT, "dbus-daemon is not installed");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let times = runtime.block_on(async {
        let mut times: (Vec<_>, Vec<_>) = Default::default();
        for _ in 0..ROUNDS {
            let (event, verdict) = once().await;
            times.0.push(event);
            times.1.push(verdict);
        }
        times
    });
    let beside = [
        format!(
            "Restart=on-failure, RestartSec=20: {}",
            alternative(RESTART)
        ),
        format!("a poll every 5 s: {}", alternative(POLL)),
    ];
    row(
        WHAT,
        "median ≤ 5 ms, p99 ≤ 8 ms",
        &format!("{}, the probe included", spread(&times.0)),
        &beside.join("; "),
    );
    row("verdict → command started", "≤ 3 ms", &spread(&times.1), "");
}

/// From the event to the command's first word, and from the verdict.
async fn once() -> (Duration, Duration) {
    let folder = tempfile::tempdir().unwrap();
    let bus = DbusDaemon::start(folder.path());
    let _logind = Logind::start(&bus.address()).await;
    let manager = NetworkManager::start(&bus.address()).await;
    manager.put("State", 40_u32);
    let is_good = Arc::new(AtomicBool::new(false));
    let server = server(is_good.clone());
    let (mut gate, mut said, opened) = start(&bus.address(), &server).await;
    quiet(&server).await;
    is_good.store(true, Ordering::SeqCst);
    let began = Instant::now();
    manager.set_state(70).await;
    let mut word = [0];
    said.read_exact(&mut word)
        .await
        .expect("the command speaks");
    let spoke = Instant::now();
    let opened = opened.await.expect("the gate says that it opens");
    let _ = gate.wait().await;
    (spoke - began, spoke.saturating_duration_since(opened))
}

/// Waits for some failures, and then until hints may bring the next probe forward, which is a tenth of
/// a second after the last one; of its own accord it is two seconds away at least.
async fn quiet(server: &Server) {
    let (mut seen, mut since) = (0, Instant::now());
    while seen < 4 || since.elapsed() < Duration::from_millis(300) {
        if server.heads().len() > seen {
            (seen, since) = (server.heads().len(), Instant::now());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
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

/// Starts `run`, and waits until it says that it is held; when it says that it is open is told later.
async fn start(bus: &str, server: &Server) -> (Child, ChildStdout, oneshot::Receiver<Instant>) {
    let state = tempfile::tempdir().unwrap();
    let mut gate = Command::new(GATE)
        .args(["run", "--settle", "0", "--target"])
        .arg(format!("nix-cache:http://{}", server.address()))
        .args(["--", "echo", "started"])
        .env("DBUS_SYSTEM_BUS_ADDRESS", bus)
        .env("XDG_RUNTIME_DIR", state.path())
        .env("XDG_STATE_HOME", state.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the gate starts");
    let mut errors = BufReader::new(gate.stderr.take().unwrap()).lines();
    while let Ok(Some(line)) = errors.next_line().await {
        if line.contains("held: ") {
            break;
        }
    }
    let (tell, opened) = oneshot::channel();
    tokio::spawn(async move {
        let mut tell = Some(tell);
        while let Ok(Some(line)) = errors.next_line().await {
            if let Some(tell) = tell.take_if(|_| line.contains("open: ")) {
                let _ = tell.send(Instant::now());
            }
        }
    });
    let said = gate.stdout.take().unwrap();
    (gate, said, opened)
}

/// A loop that tries, and waits `period` after each failure: what is to be expected of it, and what it does.
fn alternative(period: Duration) -> String {
    let expected = format!(
        "{:.1} s expected (half the period, computed)",
        period.as_secs_f64() / 2.0
    );
    if !machine::has("curl") {
        return format!("{expected}, not measured: curl is not installed");
    }
    let times: Vec<_> = (0..7)
        .map(|round| looped(period / SPEED, round) * SPEED)
        .collect();
    let middle = median(&times).as_secs_f64();
    format!("{expected}, {middle:.1} s measured at {SPEED} times the speed")
}

fn looped(period: Duration, round: u32) -> Duration {
    let is_good = Arc::new(AtomicBool::new(false));
    let server = server(is_good.clone());
    let script = format!(
        "until curl -sf -o /dev/null http://{}/; do sleep {}; done",
        server.address(),
        period.as_secs_f64()
    );
    let mut child = Blocking::new("sh")
        .args(["-c", &script])
        .spawn()
        .expect("sh");
    // Phases spread evenly over the period, after the first failure.
    while server.heads().is_empty() {
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(period * (2 * round + 1) / 14);
    is_good.store(true, Ordering::SeqCst);
    let began = Instant::now();
    let _ = child.wait();
    began.elapsed()
}
