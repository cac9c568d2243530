//! Tries that end without a verdict.

use super::machine::{BASE, CAND, Machine};

/// The exit code of a try with this check, and why it ended so.
async fn tried(check: &str, on_doubt: &str) -> (Machine, i32, String) {
    let machine = Machine::new().await;
    machine.script("check", &format!("#!/bin/sh\n{check}\n"));
    let check = machine.world.path("check").display().to_string();
    let words = format!("try {CAND} --within 2s --check {check} --on-doubt {on_doubt}");
    let (code, _) = machine.runs(&words).await;
    let cause = machine.status().await["history"][0]["cause"].clone();
    (machine, code, cause.as_str().unwrap_or_default().to_owned())
}

const NOT_WITH_THE_CANDIDATE: &str =
    r#"[ "$(readlink @root@/run/current-system)" = /nix/store/base ] || exit 75"#;

#[tokio::test]
async fn what_has_a_verdict_only_with_the_baseline_is_denied() {
    let (machine, code, cause) = tried(NOT_WITH_THE_CANDIDATE, "experiment").await;
    assert_eq!((code, cause.as_str()), (80, "unhealthy"));
    machine.is_wholly(BASE);
    assert_eq!(
        machine.runs("denied").await.1,
        format!("{CAND} unhealthy\n")
    );
}

#[tokio::test]
async fn what_has_a_verdict_with_neither_is_an_outage_and_not_denied() {
    let (machine, code, cause) = tried("exit 75", "experiment").await;
    assert_eq!((code, cause.as_str()), (80, "outage"));
    machine.is_wholly(BASE);
    assert_eq!(machine.runs("denied").await, (0, String::new()));
}

#[tokio::test]
async fn what_has_no_verdict_is_kept_if_that_is_wanted() {
    let (machine, code, _) = tried(NOT_WITH_THE_CANDIDATE, "keep").await;
    assert_eq!(code, 0);
    machine.is_wholly(CAND);
}
