//! Units of user managers: `--user`, `--global`.

use std::path::Path;

use super::machine::Machine;
use super::systemd::{Unit, line};

const UPDATE: &str = "[Unit]\nAfter=network-online.target\n[Service]\nType=oneshot\nExecStart=/usr/bin/flatpak --user update -y\n";
const DAILY: &str = "[Timer]\nOnCalendar=daily\n";

fn write(machine: &Machine, dir: &str, name: &str, text: &str) {
    let dir = machine.folder.path().join(dir);
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join(name), text).unwrap();
}

#[tokio::test]
async fn units_of_all_users_and_of_one_are_not_those_of_the_system() {
    let machine = Machine::none();
    write(&machine, "etc/systemd/user", "all.service", UPDATE);
    write(&machine, "etc/systemd/user", "all.timer", DAILY);
    write(
        &machine,
        "home/a/.config/systemd/user",
        "mine.service",
        UPDATE,
    );
    write(&machine, "home/a/.config/systemd/user", "mine.timer", DAILY);
    machine.write("system.service", UPDATE);
    let services = async |words: &str| {
        let root = machine.folder.path().display();
        let words = format!("lint --all --json {words} --root {root}");
        let output = machine
            .command(&words)
            .env("HOME", "/home/a")
            .output()
            .await
            .unwrap();
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let units = told["units"].as_array().unwrap().clone();
        units
            .iter()
            .map(|unit| unit["unit"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(services("--user").await, ["all.service", "mine.service"]);
    assert_eq!(services("--global").await, ["all.service"]);
    assert!(services("").await.is_empty());
    machine
        .lint("x --user --global")
        .await
        .refuses(64, &["--user"]);
}

#[tokio::test]
async fn a_user_s_units_are_asked_of_the_user_s_own_manager() {
    let unit = Unit::service("up.service")
        .with("After", vec!["network-online.target"])
        .with("TriggeredBy", vec!["up.timer"])
        .with("ExecStartEx", vec![line("/usr/bin/flatpak update")]);
    let machine = Machine::with(vec![unit, Unit::timer("up.timer")]).await;
    let user = async |bus: &Path| {
        let mut command = machine.command("lint --user up");
        command.env("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent");
        command.env(
            "DBUS_SESSION_BUS_ADDRESS",
            format!("unix:path={}", bus.display()),
        );
        command.output().await.unwrap()
    };
    let said = user(&machine.folder.path().join("bus")).await;
    let out = String::from_utf8_lossy(&said.stdout);
    let lines: Vec<_> = out.split_whitespace().collect();
    let out = lines.join(" ");
    for part in [
        "UG003",
        "a user manager does not have it",
        "upgrade-gate drop-in --user up.service --write",
    ] {
        assert!(out.contains(part), "{part}: {out}");
    }
    let said = user(Path::new("/nonexistent")).await;
    let told = String::from_utf8_lossy(&said.stderr);
    assert_eq!(said.status.code(), Some(69));
    assert!(
        told.contains("no user bus") && told.contains("--root"),
        "{told}"
    );
}
