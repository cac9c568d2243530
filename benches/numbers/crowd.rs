//! What happens when a thousand gates wait on one machine, and one hint concerns them all.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::process::{GATE, Running};
use crate::support::http::{Reply, Server};
use crate::table::row;

const GATES: usize = 1000;

/// The server becomes good, then the cable gets its address: from there until the last gate has opened.
pub(crate) fn measure() {
    ip("link set lo up");
    ip("link add eth0 type veth peer name far0");
    ip("link set far0 up");
    ip("link set eth0 up");
    let is_good = Arc::new(AtomicBool::new(false));
    let server = server(is_good.clone());
    let target = format!("nix-cache:http://{}", server.address());
    let mut gates: Vec<_> = (0..GATES).map(|_| gate(&target)).collect();
    // Their back-off has grown to half a minute by then.
    sleep(Duration::from_secs(90));
    is_good.store(true, Ordering::SeqCst);
    ip("address add 192.0.2.2/24 dev eth0");
    let began = Instant::now();
    for Running(gate) in &mut gates {
        let status = gate.wait().expect("a child");
        assert!(status.success(), "a gate ended with {status}");
    }
    row(
        "1,000 gates at one hint, until the last is open",
        "≤ 1 s",
        &format!("{:.2} s", began.elapsed().as_secs_f64()),
        "",
    );
}

fn gate(target: &str) -> Running {
    let mut gate = Command::new(GATE);
    gate.env("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus")
        .args(["wait-online", "--settle", "0", "--target", target]);
    Running::start(&mut gate)
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

fn ip(words: &str) {
    let status = Command::new("ip").args(words.split(' ')).status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "ip {words} failed"
    );
}
