//! How long a broken candidate runs before the baseline is back: the guard's own part, with activations that take no time.

use std::time::Duration;

use futures::future::join_all;
use upgrade_gate::sys::clock;

use super::machine::{BASE, CAND, Machine};

/// From the moment in which the candidate is activated, and a unit of it has failed, to that in which the baseline is.
async fn broken() -> Duration {
    let machine = Machine::new().await;
    let mut tries = machine.starts("try /nix/store/cand");
    machine.until("trying").await;
    machine.systemd.fails("own.service");
    runs(&machine, CAND).await;
    let begun = clock::now().monotonic;
    runs(&machine, BASE).await;
    let took = clock::now().monotonic.since(begun);
    assert_eq!(tries.wait().await.unwrap().code(), Some(80));
    took
}

async fn runs(machine: &Machine, system: &str) {
    while machine.runs_now() != system {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
#[ignore = "measures, for a minute"]
async fn a_broken_candidate_is_undone_within_seconds() {
    let mut took = Vec::new();
    for _ in 0..10 {
        took.extend(join_all((0..4).map(|_| broken())).await);
    }
    took.sort();
    let at = |percent: usize| took[took.len() * percent / 100].as_secs_f64();
    println!(
        "median {:.1} s, p99 {:.1} s of {}",
        at(50),
        at(99),
        took.len()
    );
    assert!(at(50) < 10.0 && at(99) < 30.0, "{took:?}");
}
