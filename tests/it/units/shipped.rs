//! The files of `units/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use upgrade_gate::systemd::drop_in::GateMode;

use super::root::{ETC, LIB, Root};

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("units")
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = entries.collect();
    paths.sort();
    paths
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

/// Units as others have them, as far as our drop-ins count on it.
fn foreign(unit: &str) -> &'static str {
    match unit {
        "cachix-agent.service" | "comin.service" => {
            "[Service]\nExecStart=/usr/bin/true run\nRestart=always\nRestartSec=5s\n"
        }
        "fwupd-refresh.service" => {
            "[Service]\nType=oneshot\nExecStart=/usr/bin/true refresh\nUser=fwupd-refresh\nStandardError=null\n\
             ProtectSystem=strict\nProtectHome=true\nSystemCallFilter=~@mount\nSuccessExitStatus=2 101\n\
             RestrictAddressFamilies=AF_NETLINK AF_UNIX AF_INET AF_INET6\n"
        }
        _ => "[Service]\nType=oneshot\nExecStartPre=-/usr/bin/true wait\nExecStart=/usr/bin/true\n",
    }
}

/// Installs everything, and says what there is to verify.
fn installed() -> (Root, Vec<String>) {
    let root = Root::new();
    for program in ["bin/sh", "usr/bin/fwupdmgr", "usr/local/bin/my-upgrade"] {
        root.program(program);
    }
    let mut units = Vec::new();
    for path in [shipped(), shipped().join("example")]
        .iter()
        .flat_map(|dir| files(dir))
    {
        // A script is none.
        if path.is_file() && path.extension().is_some() {
            root.write(
                &format!("{LIB}/{}", name(&path)),
                &fs::read_to_string(&path).unwrap(),
            );
            units.push(name(&path).replace("@.", "@my-upgrade."));
        }
    }
    for dir in files(&shipped().join("drop-ins")) {
        let unit = name(&dir).strip_suffix(".d").unwrap().to_owned();
        if !units.contains(&unit) {
            root.write(&format!("{LIB}/{unit}"), foreign(&unit));
            units.push(unit.clone());
        }
        for path in files(&dir) {
            root.write(
                &format!("{ETC}/{unit}.d/{}", name(&path)),
                &fs::read_to_string(&path).unwrap(),
            );
        }
    }
    (root, units)
}

#[test]
#[ignore = "needs systemd-analyze"]
fn systemd_finds_nothing_wrong_with_what_is_shipped() {
    let (root, units) = installed();
    assert!(units.len() > 10, "{units:?}");
    assert_eq!(root.complaints(&units), "");
}

#[test]
#[ignore = "needs systemd-analyze"]
fn systemd_would_say_if_something_were_wrong() {
    let (root, _) = installed();
    root.write(
        &format!("{ETC}/a.service"),
        "[Service]\nExecStart=/usr/bin/true\nProtectClocks=yes\n",
    );
    root.write(
        &format!("{ETC}/b.service"),
        "[Service]\nExecStart=/usr/bin/absent\n",
    );
    for (unit, complaint) in [
        ("a.service", "ProtectClocks"),
        ("b.service", "/usr/bin/absent"),
    ] {
        let said = root.complaints(&[unit.to_owned()]);
        assert!(said.contains(complaint), "{unit}: {said}");
    }
}

/// `→ Overall exposure level for upgrade-gate-watch.service: 1.7 OK`.
fn exposure(unit: &str) -> f32 {
    let file = shipped().join(unit);
    let output = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--no-pager"])
        .arg(file)
        .output()
        .expect("systemd-analyze runs");
    let table = String::from_utf8(output.stdout).unwrap();
    let (_, level) = table.rsplit_once(".service: ").expect("a level");
    level.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
#[ignore = "needs systemd-analyze"]
fn what_runs_all_the_time_is_shut_in() {
    for unit in ["upgrade-gate-watch.service", "upgrade-gate@.service"] {
        let level = exposure(unit);
        assert!(level <= 3.0, "{unit}: {level}");
    }
}

/// switch-to-configuration starts every active target again unless it has this; `RefuseManualStart=` would refuse the watch, too.
#[test]
fn a_switch_of_nixos_does_not_start_the_target_again() {
    let text = fs::read_to_string(shipped().join("upgrade-gate-online.target")).unwrap();
    let (_, unit) = text.split_once("[Unit]").unwrap();
    assert!(unit.lines().any(|line| line == "X-OnlyManualStart=yes"));
    assert!(!unit.contains("RefuseManualStart="));
}

/// By watch itself, and after it by the shell in its unit.
#[test]
fn a_watch_that_is_killed_stops_the_target_unless_it_has_handed_it_over() {
    let text = fs::read_to_string(shipped().join("upgrade-gate-watch.service")).unwrap();
    let setting = "ExecStopPost=-/bin/sh -c '";
    let line = text.lines().find_map(|line| line.strip_prefix(setting));
    let script = line.and_then(|line| line.strip_suffix('\'')).unwrap();
    let root = tempfile::tempdir().unwrap();
    let handover = root.path().join("handover");
    let script = script.replace("/run/upgrade-gate/handover", handover.to_str().unwrap());
    let stops = |result: &str| {
        let stub = format!("systemctl() {{ echo \"$@\"; }}; {script}");
        let mut shell = Command::new("/bin/sh");
        let output = shell
            .env("SERVICE_RESULT", result)
            .args(["-c", &stub])
            .output();
        output.unwrap().stdout == b"stop --no-block upgrade-gate-online.target\n"
    };
    assert!(stops("signal") && stops("success"));
    fs::write(&handover, "0 -\n").unwrap();
    assert!(stops("signal") && !stops("success"));
}

/// The settings that need a newer systemd than 252 must not be in what everyone gets.
#[test]
fn nothing_shipped_needs_a_newer_systemd_than_the_oldest_supported() {
    let newer = [
        "notify-reload",
        "RestartMode=",
        "RestartSteps=",
        "RestartMaxDelaySec=",
        "DeferReactivation=",
    ];
    let drop_ins = files(&shipped().join("drop-ins"));
    let dirs = [shipped(), shipped().join("example")]
        .into_iter()
        .chain(drop_ins);
    for path in dirs
        .flat_map(|dir| files(&dir))
        .filter(|path| path.is_file())
    {
        let text = fs::read_to_string(&path).unwrap();
        let found = newer.iter().find(|setting| text.contains(**setting));
        assert!(
            found.is_none() || name(&path).contains("-25"),
            "{}: {found:?}",
            path.display()
        );
    }
}

#[test]
fn gated_services_never_fail_for_not_now_and_say_what_they_wait_for() {
    let drop_ins = files(&shipped().join("drop-ins"));
    let dirs = [shipped().join("example")].into_iter().chain(drop_ins);
    for path in dirs.flat_map(|dir| files(&dir)) {
        let text = fs::read_to_string(&path).unwrap();
        if text.contains("ExecStart=/usr/bin/upgrade-gate run") {
            for line in ["Type=exec", "SuccessExitStatus=75", "NotifyAccess=main"] {
                assert!(
                    text.lines().any(|found| found == line),
                    "{}: {line}",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn the_documentation_names_everything_that_is_installed_and_every_mode() {
    let page = include_str!("../../../docs/units.md");
    let all = [
        shipped(),
        shipped().join("tmpfiles.d"),
        shipped().join("example"),
        shipped().join("user"),
    ];
    for path in all
        .iter()
        .flat_map(|dir| files(dir))
        .filter(|path| path.is_file())
    {
        let found = page
            .lines()
            .any(|line| line.starts_with("| `") && line.contains(&name(&path)));
        assert!(found, "{}", path.display());
    }
    for dir in files(&shipped().join("drop-ins")) {
        let unit = name(&dir).replace(".service.d", "");
        assert!(
            page.contains(&format!("`{unit}`")) || page.contains(&format!("`drop-ins/{unit}/")),
            "{unit}"
        );
    }
    let modes = GateMode::ALL.map(|mode| format!("| `{}` ", mode.name()));
    let header = page
        .lines()
        .find(|line| line.starts_with("| |"))
        .expect("a table");
    for mode in modes {
        assert!(header.contains(&mode), "{mode}");
    }
}
