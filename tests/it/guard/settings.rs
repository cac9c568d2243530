//! What a profile or an option says about units, checks and packages.

use super::machine::{BASE, CAND, Machine};
use super::quick;

#[tokio::test]
async fn a_unit_that_is_ignored_may_fail() {
    let machine = Machine::new().await;
    let mut tries = machine.starts(&quick(&format!("try {CAND} --ignore-unit o*n.service")));
    machine.until("verifying").await;
    machine.systemd.fails("own.service");
    assert_eq!(tries.wait().await.unwrap().code(), Some(0));
    machine.is_wholly(CAND);
}

#[tokio::test]
async fn a_check_that_takes_too_long_has_failed() {
    let machine = Machine::new().await;
    let words = format!("try {CAND} --check-timeout 100ms");
    let mut tries = machine.command(&quick(&words));
    let tries = tries.args(["--check", "sleep 60"]);
    let output = tries.output().await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(80), "{said}");
    assert!(said.contains("sleep takes longer than 100ms"), "{said}");
}

#[tokio::test]
async fn a_check_that_is_no_program_is_refused_before_anything_is_done() {
    let machine = Machine::new().await;
    let words = format!("try {CAND} --check no-such-program");
    let (code, said) = machine.runs(&quick(&words)).await;
    let why = "the check no-such-program is not there";
    assert_eq!((code, said.contains(why)), (78, true), "{said}");
    assert_eq!(machine.log(), "");
}

#[tokio::test]
async fn a_system_that_does_not_start_what_must_be_started_is_refused() {
    let machine = Machine::new().await;
    let wants = "etc/systemd/system/multi-user.target.wants/tailscaled.service";
    machine.touch(&format!("nix/store/base/{wants}"), "");
    let tried = quick(&format!("try {CAND} --must-have tailscaled.service"));
    let (code, said) = machine.runs(&tried).await;
    let lacks = format!("bare: {CAND} has no tailscaled.service");
    assert_eq!((code, said.contains(&lacks)), (75, true), "{said}");
    machine.touch(&format!("nix/store/cand/{wants}"), "");
    assert_eq!(machine.runs(&tried).await.0, 0);
}

#[tokio::test]
async fn a_service_is_started_by_its_socket_as_well() {
    let machine = Machine::new().await;
    let link = |system: &str, wants: &str| format!("nix/store/{system}/etc/systemd/system/{wants}");
    machine.touch(&link("base", "sockets.target.wants/sshd.socket"), "");
    let tried = quick(&format!("try {CAND}"));
    let (code, said) = machine.runs(&tried).await;
    let lacks = format!("bare: {CAND} has no sshd.service");
    assert_eq!((code, said.contains(&lacks)), (75, true), "{said}");
    machine.touch(&link("cand", "multi-user.target.wants/sshd.service"), "");
    assert_eq!(machine.runs(&tried).await.0, 0);
}

#[tokio::test]
async fn another_major_version_of_a_package_whose_data_cannot_go_back_wants_somebodys_word() {
    let machine = Machine::new().await;
    for (system, version) in [("base", "16.4"), ("cand", "17.1")] {
        let start = format!("ExecStart=/nix/store/00-postgresql-{version}/bin/postgres");
        let unit = format!("nix/store/{system}/etc/systemd/system/db.service");
        machine.touch(&unit, &format!("[Service]\n{start}\n"));
    }
    let tried = quick(&format!("try {CAND} --one-way postgresql"));
    let (code, said) = machine.runs(&tried).await;
    let refused = format!("one_way: {CAND} has postgresql 17, and 16 runs");
    assert_eq!((code, said.contains(&refused)), (75, true), "{said}");
    assert_eq!(machine.log(), "", "nothing was run");
    let (code, said) = machine.runs(&format!("{tried} --confirm")).await;
    assert_eq!(
        (code, said.contains("guard confirm ")),
        (80, true),
        "{said}"
    );
    machine.is_wholly(BASE);
    let waived = format!("{tried} --allow one-way,denied");
    let (code, said) = machine.runs(&waived).await;
    assert_eq!(code, 0, "{said}");
}
