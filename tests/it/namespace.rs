//! A network namespace for a test, and what `ip` does in it; apart from the tests that use it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy knows tests, but not their helpers"
)]

use std::process::Command;

const INSIDE: &str = "UPGRADE_GATE_TEST_NAMESPACE";

/// Whether this is the run inside a network namespace; outside, starts it and waits for its success.
pub(crate) fn enter(name: &str) -> bool {
    enter_with(&["--net"], name)
}

/// The same for mounts: what is mounted inside is seen by nobody else.
pub(crate) fn enter_mounts(name: &str) -> bool {
    enter_with(&["--mount", "--propagation", "private"], name)
}

/// [`enter`], with the options of `unshare` that say of what the run has its own.
pub(crate) fn enter_with(options: &[&str], name: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let output = Command::new("unshare")
        .args(options)
        .arg("--")
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", name, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let erred = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}{erred}"
    );
    eprint!("{erred}");
    false
}

/// `/run` becomes a file system of our own; only after [`enter_mounts`].
pub(crate) fn own_run() {
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "tmpfs", "/run"])
        .status();
    assert!(mounted.unwrap().success());
}

/// Runs `ip`, a batch of commands at once.
pub(crate) fn ip(commands: &str) {
    batch(&[], commands);
}

/// Runs `ip` with options, a batch of commands at once.
pub(crate) fn batch(options: &[&str], commands: &str) {
    let folder = tempfile::tempdir().unwrap();
    let batch = folder.path().join("batch");
    std::fs::write(&batch, commands).unwrap();
    let output = Command::new("ip")
        .args(options)
        .arg("-batch")
        .arg(&batch)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{commands}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Ten rounds of forty containers: each has a pair of links, an address and a route.
pub(crate) fn come_and_go() {
    for _ in 0..10 {
        let round: String = (1..=40).map(container).collect();
        ip(&round);
        ip("link set group 7 down");
        ip("link del group 7");
    }
}

fn container(number: u32) -> String {
    format!(
        "link add host{number} group 7 type veth peer name guest{number}
         link set guest{number} up
         link set host{number} up
         address add 10.9.{number}.1/24 dev host{number}\n"
    )
}
