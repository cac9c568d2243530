//! What a machine full of containers costs a waiting gate: many links, and routes that come and go.

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::process::{GATE, Running};
use crate::table::row;

/// Pairs of links beside the cable's and loopback.
const PAIRS: usize = 250;
/// Of pairs of messages, in a millisecond.
const RATE: u128 = 5;
const FLOOD: Duration = Duration::from_secs(10);
const TICK: Duration = Duration::from_millis(10);

/// The gate waits for a target that never answers.
pub(crate) fn measure() {
    links();
    let mut gate = Command::new(GATE);
    gate.env("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus")
        .args(["wait-online", "--target", "tcp://203.0.113.7:1"]);
    let gate = Running::start(&mut gate);
    sleep(Duration::from_secs(5));
    let (before, began) = (gate.processor_time(), Instant::now());
    let messages = flood(began);
    let used = gate.processor_time().saturating_sub(before).as_secs_f64();
    let took = began.elapsed().as_secs_f64();
    row(
        &format!("10,000 route messages a second at {} links", 2 * PAIRS + 3),
        "≤ 1 % of a core",
        &format!("{:.1} %", 100.0 * used / took),
        &format!("{:.0} a second reached", f64::from(messages) / took),
    );
}

fn links() {
    let cable = "link set lo up\nlink add eth0 type veth peer name far0\nlink set far0 up\nlink set eth0 up\n\
                 address add 192.0.2.2/24 dev eth0\nroute add default via 192.0.2.1\n";
    let pairs = (1..=PAIRS).map(|n| format!("link add c{n} type veth peer name d{n}\n"));
    let mut ip = ip();
    let mut words = ip.stdin.take().expect("a pipe");
    write!(words, "{cable}{}", pairs.collect::<String>()).expect("ip listens");
    drop(words);
    assert!(ip.wait().is_ok_and(|status| status.success()), "ip failed");
}

/// A route that is not the target's, added and removed; how many messages that were.
fn flood(began: Instant) -> u32 {
    let mut ip = ip();
    let mut words = ip.stdin.take().expect("a pipe");
    let pair = "route add 198.51.100.0/24 via 192.0.2.9\nroute del 198.51.100.0/24\n";
    let mut sent = 0;
    while began.elapsed() < FLOOD {
        let due = u32::try_from(began.elapsed().as_millis() * RATE).expect("few");
        for _ in sent..due {
            words.write_all(pair.as_bytes()).expect("ip listens");
        }
        sent = due;
        sleep(TICK);
    }
    drop(words);
    let _ = ip.wait();
    2 * sent
}

fn ip() -> Child {
    let mut ip = Command::new("ip");
    let ip = ip.args(["-batch", "-"]).stdin(Stdio::piped());
    ip.spawn().expect("ip starts")
}
