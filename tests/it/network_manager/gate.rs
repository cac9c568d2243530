//! The real binary, followed by its lines of JSON.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use serde_json::Value;

use super::manager::Manager;
use super::world::World;
use super::{DEADLINE, Stopwatch};

/// A running gate; killed when it is dropped.
pub(super) struct Gate {
    child: Child,
    lines: Receiver<Value>,
    seen: Vec<String>,
}

/// The binary, on the manager's bus or on none.
pub(super) fn upgrade_gate(world: &World, manager: Option<&Manager>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_upgrade-gate"));
    let bus = manager.map_or("unix:path=/run/no-bus".to_owned(), Manager::bus);
    command
        .env("DBUS_SYSTEM_BUS_ADDRESS", bus)
        .env("NIX_SSL_CERT_FILE", world.ca_file())
        .env_remove("JOURNAL_STREAM")
        .stdin(Stdio::null());
    for proxy in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
        command.env_remove(proxy).env_remove(proxy.to_uppercase());
    }
    command
}

/// A waiting gate.
pub(super) fn wait_online(world: &World, manager: Option<&Manager>, target: &str) -> Gate {
    let mut command = upgrade_gate(world, manager);
    command.args(["wait-online", "--json", "--target", target]);
    Gate::follow(command)
}

/// What `check` says of a target: the label of the reason, or `open`.
pub(super) fn check(world: &World, manager: Option<&Manager>, target: &str) -> String {
    let mut command = upgrade_gate(world, manager);
    command.args(["check", "--json", "--target", target]);
    let output = command.output().unwrap();
    let line: Value = serde_json::from_slice(&output.stdout).unwrap();
    let open = line["verdict"] == "open";
    assert_eq!(
        output.status.code(),
        Some(if open { 0 } else { 75 }),
        "{line}"
    );
    line["reason"].as_str().unwrap_or("open").to_owned()
}

impl Gate {
    /// Starts what prints JSON on its standard output.
    pub(super) fn follow(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = lines(child.stdout.take().unwrap());
        Self::of(child, lines)
    }

    /// Starts `run`, whose standard output is the command's.
    pub(super) fn follow_run(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let lines = lines(child.stderr.take().unwrap());
        Self::of(child, lines)
    }

    fn of(child: Child, lines: Receiver<Value>) -> Self {
        Self {
            child,
            lines,
            seen: Vec::new(),
        }
    }

    /// Waits until it is held for one of these reasons, and gives the sentence.
    pub(super) fn held(&mut self, reasons: &[&str]) -> String {
        let line = self.until(|line| {
            let reason = line["reason"].as_str();
            assert_ne!(line["verdict"], "open", "{line}");
            reason.is_some_and(|reason| reasons.contains(&reason))
        });
        line["sentence"].as_str().unwrap().to_owned()
    }

    /// Waits until it is held with these words, which may have been the last ones.
    pub(super) fn says(&mut self, words: &str) {
        if !self.seen.last().is_some_and(|line| line.contains(words)) {
            self.until(|line| line.to_string().contains(words));
        }
    }

    /// Waits until it opens and ends well.
    pub(super) fn opened(mut self) {
        self.until(|line| line["verdict"] == "open");
        self.exits_with(0);
    }

    /// Waits for an event of this name.
    pub(super) fn event(&mut self, name: &str) -> Value {
        self.until(|line| line["event"] == name)
    }

    /// Waits for its end.
    pub(super) fn exits_with(&mut self, code: i32) {
        while let Ok(line) = self.lines.recv_timeout(DEADLINE) {
            self.seen.push(line.to_string());
        }
        let status = self.child.wait().unwrap();
        assert_eq!(status.code(), Some(code), "{}", self.seen.join("\n"));
    }

    /// How often its process gave up the processor of its own accord: to wait for something.
    pub(super) fn waits(&self) -> String {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status
            .lines()
            .find(|l| l.starts_with("voluntary_ctxt_switches"));
        line.unwrap().to_owned()
    }

    /// Whether a probe is running.
    pub(super) fn probes(&self) -> bool {
        let id = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        !children.unwrap().is_empty()
    }

    fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        let began = Stopwatch::start();
        loop {
            let left = DEADLINE.saturating_sub(began.passed());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!("not what was waited for, but:\n{}", self.seen.join("\n"));
            };
            eprintln!("{line}");
            self.seen.push(line.to_string());
            if wanted(&line) {
                return line;
            }
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A thread of its own, so that a line that never comes is a failure and not a hang.
fn lines(pipe: impl Read + Send + 'static) -> Receiver<Value> {
    let (tell, lines) = channel();
    std::thread::spawn(move || {
        BufReader::new(pipe)
            .lines()
            .map_while(Result::ok)
            // A warning may stand between them.
            .filter_map(|line| serde_json::from_str(&line).ok())
            .try_for_each(|line| tell.send(line))
    });
    lines
}
