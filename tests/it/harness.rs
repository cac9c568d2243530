//! The real binary in a world of fakes: a root directory, a private bus and a target, and gates that are listened to.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::support::bus::TestBus;
use crate::support::http::{Reply, Server};

/// Far beyond any machine's load; only a test that fails waits so long.
pub(crate) const GENEROUS: Duration = Duration::from_secs(60);

/// Who answers at the target's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Says {
    /// Nobody who speaks HTTP: each connection is broken off.
    Nothing,
    /// A captive portal, with a redirect to itself.
    Portal,
    /// The binary cache.
    Good,
}

/// A binary cache that can be taken away, and be stood in for by a portal.
pub(crate) struct Target {
    server: Server,
    says: Arc<Mutex<Says>>,
}

impl Target {
    pub(crate) fn new(says: Says) -> Self {
        let says = Arc::new(Mutex::new(says));
        let now = says.clone();
        let server = Server::start(move |_| match *now.lock().unwrap() {
            Says::Nothing => Reply::default(),
            Says::Portal => Reply::redirect("http://portal.invalid/login"),
            Says::Good => Reply::ok("StoreDir: /nix/store\n"),
        });
        Self { server, says }
    }

    pub(crate) fn say(&self, says: Says) {
        *self.says.lock().unwrap() = says;
    }

    /// As it is written after `--target`.
    pub(crate) fn written(&self) -> String {
        format!("nix-cache:http://{}", self.server.address())
    }

    /// How often it was asked.
    pub(crate) fn asked(&self) -> usize {
        self.server.heads().len()
    }
}

/// What a gate finds around it.
pub(crate) struct World {
    pub(crate) root: TempDir,
    pub(crate) bus: Option<TestBus>,
    pub(crate) target: Target,
}

impl World {
    /// A bus with nobody on it, and a target that says this.
    pub(crate) fn new(says: Says) -> Self {
        let mut world = Self::without_bus(says);
        world.start_bus();
        world
    }

    /// No bus, but a place for one.
    pub(crate) fn without_bus(says: Says) -> Self {
        Self {
            root: tempfile::tempdir().unwrap(),
            bus: None,
            target: Target::new(says),
        }
    }

    pub(crate) fn start_bus(&mut self) {
        self.bus = Some(TestBus::start(&self.path("bus")));
    }

    /// The bus's address, whether or not it is there.
    pub(crate) fn address(&self) -> String {
        format!("unix:path={}", self.path("bus").display())
    }

    /// A path below the root.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Writes a file below the root.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Sets keys of the default profile.
    pub(crate) fn configure(&self, keys: &str) {
        self.write(
            "etc/upgrade-gate/upgrade-gate.toml",
            &format!("[profile.default]\n{keys}\n"),
        );
    }

    /// The binary with these words, in this world and no other.
    pub(crate) fn command(&self, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_upgrade-gate"));
        command
            .arg("--root")
            .arg(self.root.path())
            .args(words.split_whitespace())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("DBUS_SYSTEM_BUS_ADDRESS", self.address())
            .env("HOME", self.root.path())
            .env("XDG_RUNTIME_DIR", self.root.path())
            .env("XDG_STATE_HOME", self.root.path())
            .current_dir(self.root.path())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Runs the binary to its end.
    pub(crate) async fn ran(&self, words: &str) -> Output {
        let output = self.command(words).output();
        timeout(GENEROUS, output).await.expect("it ends").unwrap()
    }

    /// `wait-online` for the target.
    pub(crate) fn gate(&self, options: &str) -> Gate {
        let target = self.target.written();
        Gate::of(self.command(&format!("wait-online --json --target {target} {options}")))
    }

    /// `run` of a shell's script when the target is reached.
    pub(crate) fn run(&self, options: &str, script: &str) -> Gate {
        Gate::of(self.run_command(options, script))
    }

    /// The same, still to be started.
    pub(crate) fn run_command(&self, options: &str, script: &str) -> Command {
        let target = self.target.written();
        let words = format!("run --json --settle 0 --target {target} {options} --");
        let mut command = self.command(&words);
        command.args(["sh", "-c", script]);
        command
    }

    /// How many lines there are in a file below the root; a script says by that how often it ran.
    pub(crate) fn lines(&self, name: &str) -> usize {
        std::fs::read_to_string(self.path(name)).map_or(0, |text| text.lines().count())
    }
}

/// A waiting or running binary; it is killed with the test.
pub(crate) struct Gate {
    child: Child,
    lines: mpsc::UnboundedReceiver<String>,
    heard: Vec<String>,
}

impl Gate {
    /// Starts it, and listens to all it says.
    pub(crate) fn of(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (tell, lines) = mpsc::unbounded_channel();
        tokio::spawn(listen(child.stdout.take().unwrap(), tell.clone()));
        tokio::spawn(listen(child.stderr.take().unwrap(), tell));
        Self {
            child,
            lines,
            heard: Vec::new(),
        }
    }

    /// The next line; none at its end.
    pub(crate) async fn line(&mut self) -> Option<String> {
        let Ok(line) = timeout(GENEROUS, self.lines.recv()).await else {
            panic!("silence after\n{}", self.heard.join("\n"));
        };
        self.heard.extend(line.clone());
        line
    }

    /// All lines so far.
    pub(crate) fn heard(&self) -> String {
        self.heard.join("\n")
    }

    /// Waits until it is held for this reason, and returns the particulars. It must not open before.
    pub(crate) async fn held(&mut self, reason: &str) -> String {
        loop {
            let told = self.told("verdict", reason).await;
            assert_eq!(told["verdict"], "held", "{reason} after\n{}", self.heard());
            if told["reason"] == reason {
                return told["holds"][0]["detail"].as_str().unwrap().to_owned();
            }
        }
    }

    /// The same of a run that has opened, and found its lock taken.
    pub(crate) async fn held_even_after_open(&mut self, reason: &str) -> String {
        loop {
            let told = self.told("verdict", reason).await;
            if told["reason"] == reason {
                return told["holds"][0]["detail"].as_str().unwrap().to_owned();
            }
        }
    }

    /// Waits until it opens, and returns the evidence.
    pub(crate) async fn opens(&mut self) -> Value {
        loop {
            let told = self.told("verdict", "open").await;
            if told["verdict"] == "open" {
                return told["evidence"].clone();
            }
        }
    }

    /// Waits until it tells of this event.
    pub(crate) async fn tells(&mut self, event: &str) -> Value {
        self.told(event, "").await
    }

    async fn told(&mut self, event: &str, why: &str) -> Value {
        while let Some(line) = self.line().await {
            let value: Value = serde_json::from_str(&line).unwrap_or_default();
            if value["event"] == event {
                return value;
            }
        }
        panic!("it ended before {event} {why}, after\n{}", self.heard());
    }

    /// Waits for its end.
    pub(crate) async fn ends(&mut self) -> ExitStatus {
        while self.line().await.is_some() {}
        let ended = timeout(GENEROUS, self.child.wait()).await;
        ended.expect("it ends").unwrap()
    }

    /// Waits until it opens and ends with success.
    pub(crate) async fn opens_and_ends(&mut self) -> Value {
        let evidence = self.opens().await;
        assert_eq!(self.ends().await.code(), Some(0), "{}", self.heard());
        evidence
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().expect("it still runs")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid().try_into().unwrap()), signal).unwrap();
    }
}

async fn listen(pipe: impl AsyncRead + Unpin, tell: mpsc::UnboundedSender<String>) {
    let mut lines = BufReader::new(pipe).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if tell.send(line).is_err() {
            return;
        }
    }
}

/// Waits until a script has made this file, or another has come to be.
pub(crate) async fn appears(path: &Path) {
    let look = async {
        while !path.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(GENEROUS, look).await.expect("the file appears");
}
