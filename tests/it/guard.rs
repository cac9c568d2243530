//! The guard, with the real binary on a NixOS system of scripts and a systemd that really runs them.

mod doubt;
mod figures;
mod machine;
mod other;
mod reach;
mod reboot;
mod settings;
mod systemd;
mod told;

use std::fs;

use self::machine::{BASE, CAND, Machine};
use crate::harness::Says;

const QUICK: &str = "--within 5s --settle-after 0s";

fn quick(words: &str) -> String {
    format!("{words} {QUICK}")
}

#[tokio::test]
async fn a_good_candidate_is_kept_at_the_end_of_the_grace_and_not_before() {
    let machine = Machine::new().await;
    let mut tries = machine.starts(&quick("try /nix/store/cand"));
    machine.until("verifying").await;
    assert_eq!(
        (machine.runs_now().as_str(), machine.boots_next().as_str()),
        (CAND, BASE)
    );
    assert_eq!(machine.profile(), BASE);
    assert_eq!(machine.systemd.active("deadline").len(), 1);
    assert_eq!(machine.systemd.active("fallback").len(), 1);
    let status = machine.status().await;
    assert_eq!(
        (&status["phase"], &status["boots_next"]),
        (&"verifying".into(), &BASE.into())
    );
    assert_eq!(tries.wait().await.unwrap().code(), Some(0));
    machine.is_wholly(CAND);
    assert_eq!(machine.status().await["history"][0]["phase"], "confirmed");
}

#[tokio::test]
async fn what_the_units_run_does_not_end_a_try_that_is_about_to_begin() {
    let machine = Machine::new().await;
    let mut tries = machine.starts(&format!(
        "try {CAND} --within 10min --settle-after 0s --confirm"
    ));
    while machine.systemd.active("deadline").is_empty() {
        assert_eq!(machine.runs("act").await.0, 0);
        assert_eq!(tries.try_wait().unwrap(), None, "{}", machine.log());
    }
    machine.until("verifying").await;
    assert_eq!(machine.runs("confirm --here").await.0, 0);
    assert_eq!(tries.wait().await.unwrap().code(), Some(0));
    machine.is_wholly(CAND);
}

const TRIED: &str = r#"
[profile.default]
inhibit = []
[profile.default.guard]
enable = true
within = "5s"
settle_after = "0s"
"#;

#[tokio::test]
async fn a_run_with_the_guard_tries_what_its_command_has_built() {
    let machine = Machine::new().await;
    machine.touch("etc/upgrade-gate/upgrade-gate.toml", TRIED);
    machine.world.target.say(Says::Good);
    let built = machine.world.path("nix/var/nix/profiles/built");
    let built = built.display();
    let link = format!("ln -s {CAND} {built} && ln -s /nix/var/nix/profiles/built result");
    let mut run = machine.gated("run");
    let mut run = run.args(["--", "sh", "-c", &link]).spawn().unwrap();
    machine.until("verifying").await;
    assert_eq!(machine.boots_next(), BASE);
    assert_eq!(run.wait().await.unwrap().code(), Some(0));
    machine.is_wholly(CAND);
}

#[tokio::test]
async fn a_run_whose_command_fails_or_whose_system_is_worse_says_so_by_its_exit_code() {
    let machine = Machine::new().await;
    let unhealthy = format!("{TRIED}checks = [\"false\"]\n");
    machine.touch("etc/upgrade-gate/upgrade-gate.toml", &unhealthy);
    machine.world.target.say(Says::Good);
    let code = async |script: &str| {
        let mut run = machine.gated("run");
        let status = run.args(["--", "sh", "-c", script]).status().await;
        status.unwrap().code().unwrap()
    };
    assert_eq!(code("exit 7").await, 7);
    assert!(!machine.exists("log"));
    assert_eq!(code("true").await, 64, "nothing was built");
    assert_eq!(code(&format!("ln -s {CAND} result")).await, 80);
    machine.is_wholly(BASE);
}

#[tokio::test]
async fn a_check_that_fails_is_named_undoes_the_candidate_and_denies_it() {
    let machine = Machine::new().await;
    let (code, said) = machine
        .runs(&quick("try /nix/store/cand --check false"))
        .await;
    assert_eq!(code, 80, "{said}");
    for words in [
        &format!("guard: trying {CAND}"),
        "guard: worse than the baseline: /",
        "/false: exit status: 1",
        "guard: undoing (unhealthy)",
        &format!("guard: undone (unhealthy): {BASE} runs, and boots"),
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    machine.is_wholly(BASE);
    let (code, said) = machine.runs(&quick("try /nix/store/cand")).await;
    assert_eq!((code, said.contains("denied")), (75, true), "{said}");
    assert_eq!(
        machine.runs("denied").await,
        (0, format!("{CAND} unhealthy\n"))
    );
    assert_eq!(machine.runs(&format!("allow {CAND}")).await.0, 0);
    assert_eq!(machine.runs("denied").await, (0, String::new()));
}

#[tokio::test]
async fn a_unit_that_the_candidate_changed_and_that_fails_undoes_it() {
    let machine = Machine::new().await;
    let mut tries = machine.starts(&quick("try /nix/store/cand"));
    machine.until("verifying").await;
    machine.systemd.fails("own.service");
    assert_eq!(tries.wait().await.unwrap().code(), Some(80));
    assert_eq!(machine.status().await["history"][0]["cause"], "unhealthy");
}

#[tokio::test]
async fn a_unit_that_the_candidate_changed_and_that_is_restarted_for_ever_undoes_it() {
    let machine = Machine::new().await;
    let mut tries = machine.starts(&quick("try /nix/store/cand"));
    machine.until("verifying").await;
    machine.systemd.loops("own.service");
    assert_eq!(tries.wait().await.unwrap().code(), Some(80));
    assert_eq!(machine.status().await["history"][0]["cause"], "unhealthy");
}

#[tokio::test]
async fn a_service_that_runs_for_a_while_and_is_restarted_again_and_again_undoes_it() {
    let machine = Machine::new().await;
    machine.systemd.restarts("own.service", 2);
    let mut tries = machine.starts("try /nix/store/cand --within 1min --settle-after 2s");
    machine.until("verifying").await;
    machine.systemd.restarts("own.service", 5);
    assert_eq!(tries.wait().await.unwrap().code(), Some(80));
    assert_eq!(machine.status().await["history"][0]["cause"], "unhealthy");
}

#[tokio::test]
async fn a_unit_whose_template_or_requirement_the_candidate_changed_and_that_fails_undoes_it() {
    for (file, failed) in [
        ("app.service", "app.service"),
        ("job@.service", "job@1.service"),
    ] {
        let machine = Machine::new().await;
        for system in ["base", "cand"] {
            let version = if file == failed { "" } else { system };
            let text = format!("[Unit]\nDescription={version}\nRequires=own.service\n");
            machine.touch(
                &format!("nix/store/{system}/etc/systemd/system/{file}"),
                &text,
            );
        }
        let mut tries = machine.starts(&quick("try /nix/store/cand"));
        machine.until("verifying").await;
        machine.systemd.fails(failed);
        assert_eq!(tries.wait().await.unwrap().code(), Some(80), "{failed}");
    }
}

#[tokio::test]
async fn a_unit_that_the_candidate_left_alone_and_that_fails_is_not_held_against_it() {
    let machine = Machine::new().await;
    let mut tries = machine.starts(&quick("try /nix/store/cand"));
    machine.until("verifying").await;
    machine.systemd.fails("remote-api.service");
    assert_eq!(tries.wait().await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn a_routine_exit_4_of_the_activation_is_no_verdict() {
    let machine = Machine::new().await;
    machine.touch("exit-cand", "4");
    assert_eq!(machine.runs(&quick("try /nix/store/cand")).await.0, 0);
    machine.is_wholly(CAND);
}

#[tokio::test]
async fn an_activation_that_is_refused_leaves_the_baseline_and_starts_it_again() {
    let machine = Machine::new().await;
    machine.touch("refuse-cand", "");
    let (code, said) = machine.runs(&quick("try /nix/store/cand")).await;
    assert_eq!(code, 80, "{said}");
    assert!(
        machine.log().ends_with("cand test\nbase test\n"),
        "{}",
        machine.log()
    );
    machine.is_wholly(BASE);
}

#[tokio::test]
async fn what_must_be_confirmed_and_is_not_is_undone() {
    let machine = Machine::new().await;
    let (code, said) = machine.runs(&quick("try /nix/store/cand --confirm")).await;
    assert_eq!(code, 80, "{said}");
    assert!(said.contains("guard confirm "), "{said}");
    machine.is_wholly(BASE);
    let history = machine.status().await;
    assert_eq!(history["history"][0]["cause"], "not_confirmed");
}

#[tokio::test]
async fn a_word_keeps_the_candidate_at_once_with_the_token_of_this_try() {
    let machine = Machine::new().await;
    let mut tries = machine.starts("try /nix/store/cand --confirm --within 5min");
    machine.until("verifying").await;
    assert_eq!(machine.runs("confirm --here abc").await.0, 75);
    let (code, said) = machine.runs("confirm").await;
    assert_eq!((code, said.contains("--here")), (75, true), "{said}");
    let token = machine.status().await["token"].as_str().unwrap().to_owned();
    let (code, said) = machine.runs(&format!("confirm --here {token}")).await;
    assert_eq!(code, 0, "{said}");
    machine.is_wholly(CAND);
    assert_eq!(tries.wait().await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn a_word_undoes_it_at_once() {
    let machine = Machine::new().await;
    let mut tries = machine.starts("try /nix/store/cand --within 5min");
    machine.until("verifying").await;
    assert_eq!(machine.runs("rollback").await.0, 0);
    machine.is_wholly(BASE);
    assert_eq!(tries.wait().await.unwrap().code(), Some(80));
}

#[tokio::test]
async fn a_try_that_is_killed_is_undone_by_the_deadline_of_systemd() {
    let machine = Machine::new().await;
    let mut tries = machine.starts(&quick("try /nix/store/cand --confirm"));
    machine.until("verifying").await;
    tries.kill().await.unwrap();
    machine.until_idle().await;
    machine.is_wholly(BASE);
}

#[tokio::test]
async fn a_loss_of_power_in_the_grace_ends_in_the_baseline_and_says_so() {
    let mut machine = Machine::new().await;
    machine.systemd.freeze();
    let mut tries = machine.starts("try /nix/store/cand --within 5min");
    machine.until("verifying").await;
    tries.kill().await.unwrap();
    machine.reboot();
    assert_eq!(machine.runs_now(), BASE, "without any program of ours");
    assert_eq!(machine.runs("act").await.0, 0);
    machine.is_wholly(BASE);
    let status = machine.status().await;
    assert_eq!(status["history"][0]["cause"], "lost");
    assert_eq!(status["denied"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn a_boot_loader_that_cannot_be_written_leaves_the_baseline() {
    let machine = Machine::new().await;
    machine.touch("full", "");
    let (code, said) = machine.runs(&quick("try /nix/store/cand")).await;
    assert_eq!(code, 80, "{said}");
    machine.is_wholly(BASE);
    assert_eq!(
        machine.status().await["history"][0]["cause"],
        "commit_failed"
    );
}

#[tokio::test]
async fn a_second_try_while_one_is_under_way_is_refused() {
    let machine = Machine::new().await;
    let mut tries = machine.starts("try /nix/store/cand --within 5min");
    machine.until("verifying").await;
    for words in ["try /nix/store/cand", "arm"] {
        let (code, said) = machine.runs(words).await;
        assert_eq!((code, said.contains("armed")), (75, true), "{said}");
    }
    machine.runs("rollback").await;
    tries.wait().await.unwrap();
}

#[tokio::test]
async fn a_candidate_without_the_guards_unit_is_refused_unless_that_is_waived() {
    let machine = Machine::new().await;
    let unit = "nix/store/cand/etc/systemd/system/upgrade-gate-guard.service";
    fs::remove_file(machine.world.path(unit)).unwrap();
    let (code, said) = machine.runs(&quick("try /nix/store/cand")).await;
    assert_eq!((code, said.contains("bare")), (75, true), "{said}");
    assert_eq!(machine.log(), "", "nothing was run");
    let waived = quick("try /nix/store/cand --allow bare");
    assert_eq!(machine.runs(&waived).await.0, 0);
}

#[tokio::test]
async fn a_candidate_whose_own_checks_refuse_the_switch_is_not_tried_and_not_denied() {
    let machine = Machine::new().await;
    machine.touch(
        "check-cand",
        "Disk usage: 95 %\nSwitch inhibited: systemd 257 -> 258\n",
    );
    let (code, said) = machine.runs(&quick("try /nix/store/cand")).await;
    assert_eq!(code, 75, "{said}");
    assert!(said.contains("checks: /nix/store/cand refuses"), "{said}");
    assert!(
        said.contains("systemd 257 -> 258; if it wants a reboot"),
        "{said}"
    );
    assert_eq!(machine.log(), "", "nothing was run");
    assert_eq!(machine.runs("denied").await, (0, String::new()));
    machine.touch(
        "check-cand",
        "Usage: switch-to-configuration [switch|boot|test]\n",
    );
    assert_eq!(machine.runs(&quick("try /nix/store/cand")).await.0, 0);
}

#[tokio::test]
async fn after_three_undone_systems_in_a_row_another_one_is_tried_only_if_told_to() {
    let machine = Machine::new().await;
    for system in ["cand", "second", "third", "fourth"] {
        machine.build(system);
    }
    let bad = "--within 5s --settle-after 0s --check false";
    for system in ["cand", "second", "third"] {
        let tried = machine
            .runs(&format!("try /nix/store/{system} {bad}"))
            .await;
        assert_eq!(tried.0, 80, "{tried:?}");
    }
    let (code, said) = machine.runs(&quick("try /nix/store/fourth")).await;
    assert_eq!((code, said.contains("paused")), (75, true), "{said}");
    let waived = quick("try /nix/store/fourth --allow paused");
    assert_eq!(machine.runs(&waived).await.0, 0);
    let denied = quick("try /nix/store/third --allow denied");
    assert_eq!(machine.runs(&denied).await.0, 0, "it is over");
}

/// The candidate has a kernel that is sparse, and larger than what any disk of a test has free.
fn with_a_large_kernel(machine: &Machine) {
    let kernel = machine.world.path("nix/store/linux/bzImage");
    fs::create_dir_all(kernel.parent().unwrap()).unwrap();
    fs::File::create(kernel).unwrap().set_len(8 << 40).unwrap();
    machine.link("/nix/store/linux/bzImage", "nix/store/cand/kernel");
}

#[tokio::test]
async fn a_system_that_does_not_fit_beside_grub_is_refused_where_kernels_are_copied() {
    let machine = Machine::new().await;
    machine.has_grub();
    with_a_large_kernel(&machine);
    let menu = fs::read_to_string(machine.world.path("boot/grub/grub.cfg")).unwrap();
    let copied = menu.replace("linux /x ", "linux ($drive1)//kernels/x ");
    machine.touch("boot/grub/grub.cfg", &copied);
    let (code, said) = machine.runs(&quick("try /nix/store/cand")).await;
    assert_eq!((code, said.contains("no_space")), (75, true), "{said}");
    machine.touch("boot/grub/grub.cfg", &menu);
    assert_eq!(machine.runs(&quick("try /nix/store/cand")).await.0, 0);
}

#[tokio::test]
async fn a_kernel_that_grubs_builder_has_copied_before_needs_no_room() {
    let machine = Machine::new().await;
    machine.has_grub();
    with_a_large_kernel(&machine);
    let menu = fs::read_to_string(machine.world.path("boot/grub/grub.cfg")).unwrap();
    let copied = menu.replace("linux /x ", "linux /kernels/x ");
    machine.touch("boot/grub/grub.cfg", &copied);
    machine.touch("boot/kernels/linux-bzImage", "copied before");
    assert_eq!(machine.runs(&quick("try /nix/store/cand")).await.0, 0);
}

#[tokio::test]
async fn a_system_that_does_not_fit_into_the_boot_partition_is_refused() {
    let machine = Machine::new().await;
    with_a_large_kernel(&machine);
    let (code, said) = machine.runs(&quick("try /nix/store/cand")).await;
    assert_eq!((code, said.contains("no_space")), (75, true), "{said}");
    assert_eq!(machine.log(), "", "nothing was run");
    machine.touch("boot/EFI/nixos/linux-bzImage.efi", "copied before");
    assert_eq!(machine.runs(&quick("try /nix/store/cand")).await.0, 0);
}

#[tokio::test]
async fn a_system_that_is_older_than_the_one_that_runs_is_refused() {
    let machine = Machine::new().await;
    machine.touch("nix/store/base/nixos-version", "25.11.20251103.b");
    machine.touch("nix/store/cand/nixos-version", "25.11.20251009.a\n");
    let (code, said) = machine.runs(&quick("try /nix/store/cand")).await;
    let older = "is NixOS 25.11.20251009.a, and 25.11.20251103.b runs";
    assert_eq!((code, said.contains(older)), (75, true), "{said}");
    let waived = quick("try /nix/store/cand --allow older");
    assert_eq!(machine.runs(&waived).await.0, 0);
}

#[tokio::test]
async fn an_undo_waits_for_the_other_tools_activation() {
    let machine = Machine::new().await;
    machine.runs("arm --within 10min").await;
    machine.link(CAND, "run/current-system");
    let lock = machine.world.path("run/nixos/switch-to-configuration.lock");
    fs::create_dir_all(lock.parent().unwrap()).unwrap();
    let lock = fs::File::create(lock).unwrap();
    lock.lock().unwrap();
    let mut undoes = machine.starts("rollback");
    machine.until("undoing").await;
    machine.systemd.until_asked("nixos-rebuild-switch", 5).await;
    assert_eq!(machine.runs_now(), CAND);
    assert!(!machine.log().contains("base test"), "{}", machine.log());
    lock.unlock().unwrap();
    assert_eq!(undoes.wait().await.unwrap().code(), Some(0));
    machine.is_wholly(BASE);
}

#[tokio::test]
async fn a_push_tool_that_activates_by_itself_is_watched_and_undone() {
    let machine = Machine::new().await;
    let armed = machine.command(&quick("arm --confirm")).output().await;
    let armed = armed.unwrap();
    assert_eq!(
        armed.stdout.len(),
        "
"
        .len()
            + 32,
        "{armed:?}"
    );
    // As nixos-rebuild switch does: profile, boot loader, activation.
    for words in [
        "base/sw/bin/nix-env -p x --set /nix/store/cand",
        "cand/bin/switch-to-configuration boot",
        "cand/bin/switch-to-configuration test",
    ] {
        let store = machine.world.path("nix/store");
        let mut words = words.split(' ');
        let program = store.join(words.next().unwrap());
        assert!(
            std::process::Command::new(program)
                .args(words)
                .status()
                .unwrap()
                .success()
        );
    }
    assert_eq!(machine.boots_next(), CAND);
    assert_eq!(machine.runs("act").await.0, 0);
    machine.until_idle().await;
    machine.is_wholly(BASE);
}

#[tokio::test]
async fn a_drill_shows_that_systemd_undoes_it() {
    let machine = Machine::new().await;
    let (code, said) = machine.runs("drill --within 2s").await;
    assert_eq!(code, 0, "{said}");
    assert!(
        machine.log().ends_with("base test\nbase test\n"),
        "{}",
        machine.log()
    );
    machine.is_wholly(BASE);
}

#[tokio::test]
async fn a_drill_that_nobody_undoes_fails() {
    let machine = Machine::new().await;
    machine.systemd.freeze();
    let drill = machine.starts("drill --within 4s");
    machine.until("verifying").await;
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    let status = machine.status().await;
    assert_eq!(
        status["phase"], "verifying",
        "the drill itself undoes nothing"
    );
    drop(drill);
}

#[tokio::test]
async fn a_state_that_cannot_be_read_is_said_and_nothing_is_done() {
    let machine = Machine::new().await;
    for text in [
        "",
        "{",
        r#"{"format":9,"machine_id":"0123456789abcdef"}"#,
        r#"{"format":1,"machine_id":"ff"}"#,
    ] {
        machine.runs("act").await;
        fs::write(machine.state(), text).unwrap();
        for words in [
            "act",
            "status",
            "try /nix/store/cand",
            "rollback",
            "confirm --here",
        ] {
            let (code, said) = machine.runs(words).await;
            assert_eq!(
                (code, said.contains("state.json")),
                (78, true),
                "{words}: {said}"
            );
        }
        assert_eq!(fs::read_to_string(machine.state()).unwrap(), text);
    }
    assert_eq!(machine.log(), "");
    assert_eq!(machine.systemd.started(), Vec::<String>::new());
    assert_eq!(machine.runs("reset").await.0, 0);
    assert_eq!(machine.runs("status").await.0, 0);
}

#[tokio::test]
async fn the_status_says_what_boots_if_the_power_fails() {
    let machine = Machine::new().await;
    let (code, said) = machine.runs("status").await;
    assert_eq!(code, 0);
    assert!(said.contains("guard: idle\n"), "{said}");
    assert!(
        said.contains("if the power failed now: boots /nix/store/base\n"),
        "{said}"
    );
    let mut tries = machine.starts("try /nix/store/cand --within 5min --confirm");
    machine.until("verifying").await;
    let (_, said) = machine.runs("status").await;
    assert!(
        said.contains("if the power failed now: boots /nix/store/base (the baseline)\n"),
        "{said}"
    );
    assert!(said.contains("deadline: in 4min"), "{said}");
    let gates = machine.world.ran("status").await.stdout;
    let gates = String::from_utf8(gates).unwrap();
    assert!(
        gates.ends_with("guard: verifying; see upgrade-gate guard status\n"),
        "{gates}"
    );
    machine.runs("rollback").await;
    tries.wait().await.unwrap();
    assert!(!machine.exists("nix/var/nix/gcroots/upgrade-gate/baseline"));
}

#[tokio::test]
async fn what_is_no_system_and_what_runs_already_is_not_tried() {
    let machine = Machine::new().await;
    assert_eq!(machine.runs("try /nix/store/none").await.0, 64);
    assert_eq!(machine.runs("try /nix/store/base").await.0, 0);
    assert_eq!(machine.log(), "");
}
