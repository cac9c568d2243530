//! The gate as a process, seen from outside: what /proc says of it.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The binary that is measured.
pub(crate) const GATE: &str = env!("CARGO_BIN_EXE_upgrade-gate");

/// A process that ends with this value.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    /// Starts it without a word.
    pub(crate) fn start(command: &mut Command) -> Self {
        let quiet = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Self(quiet.spawn().expect("a program that can be started"))
    }

    /// A number of kB or a count in /proc/PID/status.
    pub(crate) fn status(&self, key: &str) -> u64 {
        self.number("status", key)
    }

    /// What it shares is counted in proportion, in kB.
    pub(crate) fn pss(&self) -> u64 {
        self.number("smaps_rollup", "Pss")
    }

    fn number(&self, file: &str, key: &str) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/{file}", self.0.id())).unwrap_or_default();
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        let number = value.and_then(|value| value.split_whitespace().next()?.parse().ok());
        number.unwrap_or_else(|| panic!("no {key} in {file}: the process has ended"))
    }

    /// How often it has got a processor, all threads together.
    pub(crate) fn turns(&self) -> u64 {
        let threads = format!("/proc/{}/task", self.0.id());
        let threads = fs::read_dir(threads).expect("a live process").flatten();
        threads.map(|thread| turns(&thread.path())).sum()
    }

    /// Processor time used so far, without that of its children.
    pub(crate) fn processor_time(&self) -> Duration {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap_or_default();
        let after_name = text.rsplit(") ").next().unwrap_or_default();
        let fields = after_name.split(' ').skip(11).take(2);
        let ticks: u64 = fields.filter_map(|field| field.parse::<u64>().ok()).sum();
        Duration::from_millis(ticks * 10)
    }

    /// Memory and threads, in words.
    pub(crate) fn memory(&self) -> String {
        format!(
            "RSS {} kB (anonymous {}), Pss {} kB, threads {}",
            self.status("VmRSS"),
            self.status("RssAnon"),
            self.pss(),
            self.status("Threads")
        )
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn turns(thread: &Path) -> u64 {
    let text = fs::read_to_string(thread.join("status")).unwrap_or_default();
    let lines = text
        .lines()
        .filter(|line| line.contains("voluntary_ctxt_switches"));
    lines
        .filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
        .sum()
}

/// How long the whole of a process takes, from its start to its end; it must succeed.
pub(crate) fn wall_time(command: &mut Command) -> Duration {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let began = Instant::now();
    let status = command.status().expect("a program that can be started");
    let took = began.elapsed();
    assert!(status.success(), "{command:?} failed: {status}");
    took
}
