//! A candidate that the next boot tries.

use std::fs;

use super::machine::{BASE, CAND, Machine};
use super::quick;

/// Has the next boot try the candidate.
async fn stages(machine: &Machine) -> (i32, String) {
    let tried = format!("try {CAND} --mode reboot");
    machine.runs(&quick(&tried)).await
}

#[tokio::test]
async fn what_cannot_be_activated_now_is_tried_by_the_next_boot_in_mode_auto() {
    let machine = Machine::new().await;
    machine.touch("check-cand", "Switch inhibited: systemd 257 -> 258\n");
    let (code, said) = machine.runs("try /nix/store/cand --mode auto").await;
    assert_eq!((code, said.contains("staged")), (0, true), "{said}");
    assert_eq!(
        (machine.runs_now(), machine.boots_next()),
        (BASE.into(), BASE.into())
    );
}

#[tokio::test]
async fn a_kernel_is_tried_by_the_next_boot_in_mode_auto() {
    let machine = Machine::new().await;
    machine.link(BASE, "run/booted-system");
    for (system, kernel) in [("base", "6.12.1"), ("cand", "6.12.2")] {
        machine.link(kernel, &format!("nix/store/{system}/kernel"));
    }
    let tried = quick(&format!("try {CAND} --mode auto"));
    let (code, said) = machine.runs(&tried).await;
    let why = "only a reboot tries its kernel";
    assert_eq!(
        (code, said.contains(why), said.contains("staged")),
        (0, true, true),
        "{said}"
    );
    machine.runs("disarm").await;
    for system in ["base", "cand"] {
        let triggers = format!("nix/store/{system}/reboot-triggers");
        machine.touch(&triggers, &format!(r#"{{"kernel":"6.12","{system}":"1"}}"#));
    }
    let (code, said) = machine.runs(&tried).await;
    assert_eq!((code, said.contains("staged")), (0, false), "{said}");
    machine.is_wholly(CAND);
}

#[tokio::test]
async fn a_try_by_a_reboot_is_kept_after_the_grace_of_the_boot_that_tries_it() {
    let mut machine = Machine::new().await;
    let (code, said) = stages(&machine).await;
    assert_eq!(code, 0, "{said}");
    assert!(
        machine
            .log()
            .ends_with("bootctl set-oneshot nixos-cand.conf\n"),
        "{}",
        machine.log()
    );
    assert_eq!(
        (machine.boots_next().as_str(), machine.profile().as_str()),
        (BASE, BASE)
    );
    let status = machine.status().await;
    assert_eq!(
        (&status["phase"], &status["boots_next"]),
        (&"staged".into(), &CAND.into())
    );
    assert_eq!(
        machine.systemd.active("upgrade-gate-guard"),
        Vec::<String>::new()
    );
    machine.boots(CAND);
    assert_eq!(machine.runs("act").await.0, 0);
    assert_eq!(machine.status().await["phase"], "verifying");
    assert_eq!(machine.boots_next(), BASE);
    machine.until_idle().await;
    machine.is_wholly(CAND);
    assert!(!machine.log().contains("test"), "{}", machine.log());
}

#[tokio::test]
async fn a_candidate_that_does_not_boot_is_denied_and_the_baseline_stays() {
    let mut machine = Machine::new().await;
    stages(&machine).await;
    machine.boots(BASE);
    assert_eq!(machine.runs("act").await.0, 0);
    machine.is_wholly(BASE);
    let status = machine.status().await;
    assert_eq!(status["history"][0]["phase"], "candidate_did_not_boot");
    assert_eq!(status["denied"][0]["system"], CAND);
}

#[tokio::test]
async fn a_candidate_that_is_bad_after_its_reboot_is_undone_by_another() {
    let mut machine = Machine::new().await;
    machine
        .runs(&quick("try /nix/store/cand --mode reboot --check false"))
        .await;
    machine.boots(CAND);
    machine.runs("act").await;
    machine.until("undoing").await;
    machine.systemd.until_started("reboot.target").await;
    machine.reboot();
    assert_eq!(machine.runs("act").await.0, 0);
    machine.is_wholly(BASE);
    assert_eq!(machine.status().await["history"][0]["cause"], "unhealthy");
}

#[tokio::test]
async fn a_system_that_met_an_outage_is_kept_without_a_verdict_the_next_time() {
    let mut machine = Machine::new().await;
    machine.script("check", "#!/bin/sh\nexit 75\n");
    let check = machine.world.path("check").display().to_string();
    let tried = format!("try {CAND} --mode reboot --within 2s --check {check}");
    let tried = format!("{tried} --on-doubt experiment");
    machine.runs(&tried).await;
    machine.boots(CAND);
    machine.runs("act").await;
    machine.systemd.until_started("reboot.target").await;
    machine.reboot();
    machine.runs("act").await;
    assert_eq!(machine.status().await["phase"], "comparing");
    machine.until_idle().await;
    assert_eq!(machine.status().await["history"][0]["cause"], "outage");
    machine.is_wholly(BASE);
    machine.runs(&tried).await;
    machine.boots(CAND);
    machine.runs("act").await;
    machine.until_idle().await;
    machine.is_wholly(CAND);
}

#[tokio::test]
async fn a_staged_reboot_can_be_taken_back() {
    let machine = Machine::new().await;
    stages(&machine).await;
    let (code, said) = machine.runs("disarm").await;
    assert_eq!(code, 0, "{said}");
    machine.is_wholly(BASE);
    let status = machine.status().await;
    assert_eq!(
        (&status["boots_next"], &status["history"][0]["cause"]),
        (&BASE.into(), &"taken_back".into())
    );
    assert_eq!(stages(&machine).await.0, 0, "it is not denied");
}

#[tokio::test]
async fn what_waits_for_its_boot_gives_way_to_a_newer_system_unless_that_is_refused() {
    const NEWER: &str = "/nix/store/newer";
    let mut machine = Machine::new().await;
    stages(&machine).await;
    let (code, said) = stages(&machine).await;
    assert_eq!((code, said.contains("staged already")), (0, true), "{said}");
    machine.build("newer");
    let unit = machine
        .world
        .path("nix/store/newer/etc/systemd/system/upgrade-gate-guard.service");
    fs::remove_file(&unit).unwrap();
    let tried = quick(&format!("try {NEWER} --mode reboot"));
    let (code, said) = machine.runs(&tried).await;
    assert_eq!((code, said.contains("bare")), (75, true), "{said}");
    assert_eq!(machine.status().await["boots_next"], CAND);
    fs::write(&unit, "[Service]\n").unwrap();
    let (code, said) = machine.runs(&tried).await;
    assert_eq!(
        (code, said.contains(&format!("gives way to {NEWER}"))),
        (0, true),
        "{said}"
    );
    assert_eq!(machine.status().await["boots_next"], NEWER);
    // that of the one that gave way is gone: many of them would push the baseline out of the boot menu
    assert!(
        machine.log().contains("--delete-generations 2"),
        "{}",
        machine.log()
    );
    machine.boots(NEWER);
    machine.runs("act").await;
    machine.until_idle().await;
    machine.is_wholly(NEWER);
    assert_eq!(machine.status().await["denied"], serde_json::json!([]));
}

#[tokio::test]
async fn without_a_one_shot_entry_a_try_by_a_reboot_is_refused() {
    let machine = Machine::new().await;
    fs::remove_dir_all(machine.world.path("boot/loader")).unwrap();
    let (code, said) = machine.runs("try /nix/store/cand --mode reboot").await;
    assert_eq!((code, said.contains("one-shot")), (69, true), "{said}");
    let (_, said) = machine.runs("status").await;
    let uncovered = "no boot tries a new kernel here: no one-shot boot entry";
    assert!(said.contains(uncovered), "{said}");
}

#[tokio::test]
async fn a_candidate_that_ends_in_emergency_mode_is_undone_though_no_unit_of_it_has_failed() {
    let mut machine = Machine::new().await;
    stages(&machine).await;
    machine.boots(CAND);
    machine.systemd.is("starting");
    machine.systemd.reaches("emergency.target");
    machine.runs("act").await;
    machine.until("undoing").await;
    machine.systemd.until_started("reboot.target").await;
}

#[tokio::test]
async fn a_boot_that_is_never_done_is_no_verdict_if_that_of_the_baseline_was() {
    let mut machine = Machine::new().await;
    stages(&machine).await;
    machine.boots(CAND);
    machine.systemd.is("starting");
    machine.runs("act").await;
    assert_eq!(machine.runs("verify").await.0, 75);
    machine.until("undoing").await;
    let state = fs::read_to_string(machine.state()).unwrap();
    assert!(state.contains("no_verdict"), "{state}");
}

#[tokio::test]
async fn a_mount_of_another_fstab_that_fails_undoes_it() {
    let mut machine = Machine::new().await;
    machine.touch("nix/store/cand/etc/fstab", "/dev/gone /data ext4\n");
    stages(&machine).await;
    machine.boots(CAND);
    machine.systemd.fails("data.mount");
    machine.runs("act").await;
    machine.systemd.until_started("reboot.target").await;
}

#[tokio::test]
async fn grub_tries_it_by_the_variable_that_its_menu_deletes() {
    let mut machine = Machine::new().await;
    machine.has_grub();
    let (code, said) = stages(&machine).await;
    assert_eq!(code, 0, "{said}");
    let environment = fs::read_to_string(machine.world.path("boot/grub/grubenv")).unwrap();
    assert!(
        environment.contains("\nnext_entry=All>system-2-link\n"),
        "{environment}"
    );
    assert_eq!(machine.status().await["boots_next"], CAND);
    assert_eq!(machine.boots_next(), BASE);
    machine.boots(CAND);
    machine.runs("act").await;
    machine.until_idle().await;
    machine.is_wholly(CAND);
}

#[tokio::test]
async fn grubs_variable_is_taken_back_with_the_staged_reboot() {
    let machine = Machine::new().await;
    machine.has_grub();
    stages(&machine).await;
    assert_eq!(machine.runs("disarm").await.0, 0);
    assert_eq!(machine.status().await["boots_next"], BASE);
    machine.is_wholly(BASE);
}
