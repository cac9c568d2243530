//! Services that were reached before the try.

use super::machine::{BASE, CAND, Machine};

/// A machine whose own.service listens.
async fn listening() -> Machine {
    let machine = Machine::new().await;
    machine.touch("proc/7/cgroup", "0::/system.slice/own.service\n");
    machine.link("socket:[777]", "proc/7/fd/3");
    listens(&machine, 22);
    machine
}

/// Its socket, on this port of every address.
fn listens(machine: &Machine, port: u16) {
    let socket = format!("00000000:{port:04X} 00000000:0000 0A 0:0 00:0 0 0 0 777");
    machine.touch(
        "proc/net/tcp",
        &format!("  sl  local_address\n   0: {socket}\n"),
    );
}

/// The exit code of a try during which this happens, and why it ended so.
async fn tried(machine: &Machine, happens: impl FnOnce(&Machine)) -> (i32, String) {
    let words = "try /nix/store/cand --within 6s --settle-after 0s";
    let mut tries = machine.starts(words);
    machine.until("verifying").await;
    happens(machine);
    let code = tries.wait().await.unwrap().code().unwrap();
    let cause = machine.status().await["history"][0]["cause"].clone();
    (code, cause.as_str().unwrap_or_default().to_owned())
}

fn is_silent(machine: &Machine) {
    machine.touch("proc/net/tcp", "  sl  local_address\n");
}

#[tokio::test]
async fn a_service_that_listened_and_does_not_run_any_more_undoes_the_candidate() {
    let machine = listening().await;
    let ended = tried(&machine, is_silent).await;
    assert_eq!(ended, (80, "unhealthy".to_owned()));
    machine.is_wholly(BASE);
}

#[tokio::test]
async fn a_service_that_runs_and_does_not_listen_yet_is_no_verdict() {
    let machine = listening().await;
    machine.systemd.runs("own.service");
    let ended = tried(&machine, is_silent).await;
    assert_eq!(ended, (80, "no_verdict".to_owned()));
    assert_eq!(machine.runs("denied").await, (0, String::new()));
}

#[tokio::test]
async fn a_service_that_listens_elsewhere_now_was_moved() {
    let machine = listening().await;
    assert_eq!(tried(&machine, |machine| listens(machine, 2222)).await.0, 0);
    machine.is_wholly(CAND);
}

#[tokio::test]
async fn a_service_that_the_candidate_has_removed_need_not_listen() {
    let machine = listening().await;
    let unit = machine
        .world
        .path("nix/store/cand/etc/systemd/system/own.service");
    std::fs::remove_file(unit).unwrap();
    assert_eq!(tried(&machine, is_silent).await.0, 0);
}
