//! How long `check` takes on a machine that is online, its own start included.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::namespace::NetworkManager;
use crate::process::{GATE, wall_time};
use crate::support::http::{Reply, Server};
use crate::support::tls::{Ca, Validity, https};
use crate::table::{median, row, skipped, spread};

const ROUNDS: usize = 101;
const MANY: usize = 50;
const NO_BUS: &str = "unix:path=/nonexistent/bus";
const INFO: &str = "StoreDir: /nix/store\n";
/// Where distributions keep their CAs.
const BUNDLES: [&str; 2] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
];

/// In turn with `nm-online -q`, on the same real NetworkManager.
pub(crate) fn measure() {
    let manager = NetworkManager::start();
    manager.connect();
    let server = Server::start(|_| Reply::ok(INFO));
    let target = format!("nix-cache:http://{}", server.address());
    compare("http", "≤ 0.30", &manager, check(&manager, &target));
    without_a_bus(check(&manager, &target));
    let folder = tempfile::tempdir().unwrap();
    let ca = Ca::new();
    let Some((bundle, count)) = bundle(&ca, folder.path()) else {
        return skipped(
            "check over https",
            "no bundle of CA certificates is installed",
        );
    };
    let server = https(ca.issue("127.0.0.1", Validity::Now), |_| Reply::ok(INFO));
    let mut command = check(&manager, &format!("nix-cache:https://{}", server.address()));
    command.env("SSL_CERT_FILE", &bundle);
    compare(&format!("https, {count} CAs"), "≤ 0.40", &manager, command);
    many(&server, &bundle);
}

/// As on an embedded machine; beside the start of any program, which is a part of it.
fn without_a_bus(mut check: Command) {
    check.env("DBUS_SYSTEM_BUS_ADDRESS", NO_BUS);
    let mut nothing = Command::new("true");
    let times = in_turn(&mut check, &mut nothing);
    row(
        "`check` when online, http, without a bus",
        "≤ 2.5 ms, p99 ≤ 2 × median",
        &spread(&times.0),
        &format!("true: {}", spread(&times.1)),
    );
}

/// One look at many targets; beside a look at one.
fn many(server: &Server, bundle: &Path) {
    let look = |targets: usize| {
        let mut command = Command::new(GATE);
        command
            .arg("check")
            .env("DBUS_SYSTEM_BUS_ADDRESS", NO_BUS)
            .env_remove("NIX_SSL_CERT_FILE")
            .env("SSL_CERT_FILE", bundle);
        for number in 0..targets {
            command.arg(format!("--target=https://{}/{number}", server.address()));
        }
        command
    };
    let times = in_turn(&mut look(MANY), &mut look(1));
    row(
        &format!("`check` of {MANY} https targets"),
        "≤ 15 ms",
        &spread(&times.0),
        &format!("of one: {}", spread(&times.1)),
    );
}

fn check(manager: &NetworkManager, target: &str) -> Command {
    let mut command = manager.client(GATE);
    command
        .args(["check", "--target", target])
        .env_remove("NIX_SSL_CERT_FILE");
    command
}

fn compare(how: &str, to_reach: &str, manager: &NetworkManager, mut check: Command) {
    let mut other = manager.client("nm-online");
    other.arg("-q");
    let times = in_turn(&mut check, &mut other);
    let ratio = median(&times.0).as_secs_f64() / median(&times.1).as_secs_f64();
    row(
        &format!("`check` when online, {how}"),
        to_reach,
        &format!("{ratio:.2} of it: {}", spread(&times.0)),
        &format!("nm-online -q: {}", spread(&times.1)),
    );
}

fn in_turn(one: &mut Command, other: &mut Command) -> (Vec<Duration>, Vec<Duration>) {
    let rounds = (0..ROUNDS).map(|_| (wall_time(one), wall_time(other)));
    rounds.unzip()
}

/// The system's CAs and ours in one file, and how many they are.
fn bundle(ca: &Ca, folder: &Path) -> Option<(PathBuf, usize)> {
    let system = BUNDLES
        .iter()
        .find_map(|file| fs::read_to_string(file).ok());
    let mut text = system?;
    writeln!(text, "{}", ca.pem()).ok()?;
    let file = folder.join("bundle.pem");
    fs::write(&file, &text).ok()?;
    Some((file, text.matches("BEGIN CERTIFICATE").count()))
}
