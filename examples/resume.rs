//! A laptop's resume, from the timer to the finished upgrade, with the real upgrade-gate.
//!
//! `cargo run --example resume`: needs no root, no systemd and no network. logind and NetworkManager are
//! fakes on a private bus, the cache is a real HTTP server on loopback, and the gate is this very
//! program, which becomes `upgrade-gate` when it is run with arguments.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    unreachable_pub,
    reason = "a play with many props: what goes wrong ends it"
)]

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use support::bus::TestBus;
use support::fakes::{Logind, NetworkManager};
use support::http::{Reply, Server, listener};
use tokio::sync::mpsc;
use upgrade_gate::sys::clock;

#[path = "../tests/it/support/mod.rs"]
mod support;

const PARTS: usize = 5;
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let argv: Vec<OsString> = std::env::args_os().collect();
    match argv.get(1).and_then(|word| word.to_str()) {
        None => play(),
        Some("upgrade") => upgrade(argv[2].to_str().unwrap()),
        Some(_) => upgrade_gate::commands::main(&argv),
    }
}

/// The command that is wrapped: fetches something large, part by part.
fn upgrade(address: &str) -> ExitCode {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET /system HTTP/1.1\r\nHost: cache\r\n\r\n").unwrap();
    let mut lines = BufReader::new(stream).lines();
    let mut parts = 0;
    while let Some(Ok(line)) = lines.next() {
        if line.starts_with("part") {
            parts += 1;
            println!("upgrade: {line} of {PARTS}");
        }
    }
    if parts == PARTS {
        println!("upgrade: switched to the new system");
        return ExitCode::SUCCESS;
    }
    println!("upgrade: error: unable to download: the connection was cut");
    ExitCode::FAILURE
}

/// What stands between the laptop and its cache.
struct Network {
    mode: Arc<AtomicU8>,
    address: SocketAddr,
    server: Option<Server>,
}

const PORTAL: u8 = 1;
const GOOD: u8 = 2;

impl Network {
    fn down() -> Self {
        let address = listener("127.0.0.1:0").local_addr().unwrap();
        Self {
            mode: Arc::default(),
            address,
            server: None,
        }
    }

    /// From now on the address answers: as a portal, or as the cache.
    fn becomes(&mut self, mode: u8, downloads: &Arc<AtomicU32>) {
        self.mode.store(mode, SeqCst);
        let (mode, downloads) = (Arc::clone(&self.mode), Arc::clone(downloads));
        let answer = move |head: &str| match mode.load(SeqCst) {
            PORTAL => Reply::redirect("http://portal.example/login"),
            _ if head.starts_with("GET /nix-cache-info") => Reply::ok("StoreDir: /nix/store\n"),
            _ => system(downloads.fetch_add(1, SeqCst)),
        };
        self.server
            .get_or_insert_with(|| Server::http(listener(&self.address.to_string()), answer));
    }
}

/// The first download is cut off in the middle, the second one is whole.
fn system(download: u32) -> Reply {
    let parts = if download == 0 { PARTS / 2 } else { PARTS };
    let reply = Reply::raw("HTTP/1.1 200 OK\r\n\r\n");
    let second = Duration::from_secs(1);
    let send = |reply: Reply, part| {
        reply.and(Reply::after(
            second / 2,
            Reply::raw(format!("part {part}\n")),
        ))
    };
    let reply = (1..=parts).fold(reply, send);
    // The lid stays shut for longer than the connection lives.
    if download == 0 {
        reply.and(Reply::after(second * 2, Reply::raw("")))
    } else {
        reply
    }
}

#[tokio::main(flavor = "current_thread")]
async fn play() -> ExitCode {
    let folder = tempfile::tempdir().unwrap();
    let bus = TestBus::start(&folder.path().join("bus"));
    let logind = Logind::start(&bus.address()).await;
    let manager = NetworkManager::start(&bus.address()).await;
    let downloads = Arc::new(AtomicU32::new(0));
    let mut network = Network::down();
    let mut stage = Stage::new();

    logind.put("PreparingForSleep", true);
    manager.set_state(10).await;
    stage.say(
        "systemd",
        "the timer elapsed during the night; the laptop wakes, and the upgrade is started at once",
    );
    stage.start_gate(folder.path(), &bus.address(), network.address);
    stage.until("held: asleep").await;

    manager.set_state(40).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    logind.sleep(false).await;
    stage.say("logind", "awake; NetworkManager begins to look for Wi-Fi");
    stage.until("held: connecting").await;

    network.becomes(PORTAL, &downloads);
    manager.set_state(70).await;
    stage.say(
        "laptop",
        "Wi-Fi is there, and NetworkManager says \"full\"; but a captive portal answers",
    );
    stage.until("held: portal").await;

    network.becomes(GOOD, &downloads);
    manager.set_state(60).await;
    manager.set_state(70).await;
    stage.say("you", "accept the portal's terms");
    stage.until("part 2 of 5").await;

    logind.sleep(true).await;
    network.server = None;
    stage.say("you", "shut the lid in the middle of the download");
    stage.until("unable to download").await;
    logind.sleep(false).await;
    network.becomes(GOOD, &downloads);
    stage.say("logind", "awake again");
    stage.until("switched to the new system").await;
    stage.end().await
}

/// Who says what, and when.
struct Stage {
    began: upgrade_gate::gate::time::Monotonic,
    lines: mpsc::UnboundedReceiver<String>,
    speaker: mpsc::UnboundedSender<String>,
    gate: Option<std::process::Child>,
}

impl Stage {
    fn new() -> Self {
        let (speaker, lines) = mpsc::unbounded_channel();
        Self {
            began: clock::now().monotonic,
            lines,
            speaker,
            gate: None,
        }
    }

    fn say(&self, who: &str, what: &str) {
        let at = clock::now().monotonic.since(self.began).as_secs_f32();
        println!("{at:5.1}s  {who:<12}  {what}");
    }

    /// `upgrade-gate run -- upgrade`, as a service would have it.
    fn start_gate(&mut self, root: &std::path::Path, bus: &str, cache: SocketAddr) {
        let us = std::env::current_exe().unwrap();
        let mut gate = std::process::Command::new(&us)
            .args(["run", "--root"])
            .arg(root)
            .args(["--target", &format!("nix-cache:http://{cache}"), "--"])
            .arg(&us)
            .args(["upgrade", &cache.to_string()])
            .env("DBUS_SYSTEM_BUS_ADDRESS", bus)
            .env_remove("http_proxy")
            .env_remove("HTTP_PROXY")
            .env_remove("all_proxy")
            .env_remove("ALL_PROXY")
            .env_remove("NOTIFY_SOCKET")
            .env_remove("JOURNAL_STREAM")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("this program can be run again");
        self.listen(gate.stdout.take().unwrap());
        self.listen(gate.stderr.take().unwrap());
        self.gate = Some(gate);
    }

    fn listen(&self, stream: impl Read + Send + 'static) {
        let speaker = self.speaker.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                let _ = speaker.send(line);
            }
        });
    }

    /// Waits until the gate or its command has said this.
    async fn until(&mut self, text: &str) {
        loop {
            let line = tokio::time::timeout(PATIENCE, self.lines.recv()).await;
            let line = line.expect("within a minute").expect("somebody speaks");
            self.repeat(&line);
            if line.contains(text) {
                return;
            }
        }
    }

    fn repeat(&self, line: &str) {
        let (who, what) = line.split_once(": ").unwrap_or(("", line));
        self.say(who, what);
    }

    /// The gate ends, and so does the play, as well as it did.
    async fn end(&mut self) -> ExitCode {
        let mut gate = self.gate.take().unwrap();
        // The threads that listen end with the gate and its command, and then nobody speaks any more.
        self.speaker = mpsc::unbounded_channel().0;
        while let Some(line) = self.lines.recv().await {
            self.repeat(&line);
        }
        let status = gate.wait().unwrap();
        self.say("systemd", &format!("upgrade-gate ended: {status}"));
        if status.success() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}
