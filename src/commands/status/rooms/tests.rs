//! Which directories are looked into, and what is made of those of other users.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::report::status_file::{FoundGates, GateStatus, StatusFile, read_all};

const STRANGER: u32 = 65534;

struct Machine(TempDir);

impl Machine {
    fn new() -> Self {
        let machine = Self(TempDir::new().unwrap());
        machine.make("gates");
        machine
    }

    fn path(&self, below: &str) -> PathBuf {
        self.0.path().join("run/upgrade-gate").join(below)
    }

    fn make(&self, below: &str) -> PathBuf {
        let path = self.path(below);
        fs::create_dir_all(&path).unwrap();
        path
    }

    /// A living gate that calls itself `unit`.
    fn gate(&self, below: &str, unit: &str) -> StatusFile {
        let gate = GateStatus {
            version: 1,
            pid: 7,
            command: "run".to_owned(),
            unit: Some(unit.to_owned()),
            ..GateStatus::default()
        };
        let mut file = StatusFile::new(&self.make(below), 7, 1);
        file.write(&gate).unwrap();
        file
    }

    fn give_away(&self, below: &[&str]) {
        for below in below {
            std::os::unix::fs::lchown(self.path(below), Some(STRANGER), None).unwrap();
        }
    }

    fn read(&self) -> FoundGates {
        read_all(&open(self.0.path(), &Dirs::default(), None).unwrap())
    }
}

fn units(found: &FoundGates) -> Vec<Option<&str>> {
    let units = found.gates.iter().map(|living| living.gate.unit.as_deref());
    units.collect()
}

#[test]
fn the_user_s_directory_is_read_too_and_a_service_s_only_once() {
    let machine = Machine::new();
    let _root = machine.gate("gates", "a.service");
    let _service = machine.gate("b/gates", "b.service");
    for (runtime, expected) in [("b", 2), ("", 2), ("../user", 3)] {
        let _user = machine.gate("../user/gates", "c.service");
        let own = Dirs {
            runtime: Some(machine.path("").join(runtime)),
            state: None,
        };
        let own = Dirs {
            runtime: own.runtime.map(|dir| dir.canonicalize().unwrap()),
            ..own
        };
        let root = machine.0.path().canonicalize().unwrap();
        let found = read_all(&open(&root, &own, None).unwrap());
        assert_eq!(found.gates.len(), expected, "{runtime}");
    }
}

#[test]
fn files_and_directories_without_gates_are_passed_over() {
    let machine = Machine::new();
    machine.make("lock");
    machine.make("fwupd-refresh");
    fs::write(machine.path("upgrade-gate.toml"), "").unwrap();
    symlink("/nowhere", machine.path("dangling")).unwrap();
    assert_eq!(machine.read(), FoundGates::default());
}

#[test]
fn a_machine_without_a_directory_has_no_gates() {
    let root = TempDir::new().unwrap();
    assert!(
        open(root.path(), &Dirs::default(), None)
            .unwrap()
            .is_empty()
    );
}

#[test]
#[ignore = "needs root"]
fn where_a_stranger_s_link_leads_nothing_is_read_or_removed() {
    let machine = Machine::new();
    let victim = machine.make("../victim");
    fs::write(
        victim.join("7-1.json"),
        r#"{"version":1,"pid":7,"command":"run"}"#,
    )
    .unwrap();
    symlink(&victim, machine.make("a").join("gates")).unwrap();
    symlink(
        victim.join("7-1.json"),
        machine.make("b/gates").join("8-1.json"),
    )
    .unwrap();
    machine.give_away(&["a", "a/gates", "b", "b/gates", "b/gates/8-1.json"]);
    let found = machine.read();
    assert!(victim.join("7-1.json").exists());
    assert_eq!(found.gates, []);
    assert_eq!(found.warnings.len(), 2, "{:?}", found.warnings);
    for warning in found.warnings {
        assert!(warning.ends_with("it is a symbolic link"), "{warning}");
    }
}

#[test]
#[ignore = "needs root"]
fn what_a_stranger_s_dead_gate_left_is_the_stranger_s_to_remove() {
    let machine = Machine::new();
    let left = machine.path("a/gates/7-1.json");
    let living = machine.gate("a/gates", "a.service");
    let text = fs::read(&left).unwrap();
    drop(living);
    fs::write(&left, text).unwrap();
    machine.give_away(&["a", "a/gates", "a/gates/7-1.json"]);
    assert_eq!(machine.read(), FoundGates::default());
    assert!(machine.path("a/gates/7-1.json").exists());
}

#[test]
#[ignore = "needs root"]
fn a_file_of_root_s_in_a_stranger_s_directory_is_not_read() {
    let machine = Machine::new();
    let _planted = machine.gate("a/gates", "a.service");
    machine.give_away(&["a", "a/gates"]);
    let found = machine.read();
    assert_eq!(found.gates, []);
    assert!(
        found.warnings[0].contains("it belongs to root"),
        "{found:?}"
    );
}

#[test]
#[ignore = "needs root"]
fn a_stranger_s_gate_is_of_its_own_service_and_of_no_other() {
    let machine = Machine::new();
    let _own = machine.gate("a/gates", "a.service");
    let _false = machine.gate("b/gates", "nixos-upgrade.service");
    let _root = machine.gate("c/gates", "nixos-upgrade.service");
    let theirs = [
        "a",
        "a/gates",
        "a/gates/7-1.json",
        "b",
        "b/gates",
        "b/gates/7-1.json",
    ];
    machine.give_away(&theirs);
    let found = machine.read();
    assert_eq!(
        units(&found),
        [Some("a.service"), None, Some("nixos-upgrade.service")]
    );
    let owners: Vec<_> = found.gates.iter().map(|living| &*living.owner).collect();
    let stranger = crate::sys::files::user_name(STRANGER);
    assert_eq!(owners, [&*stranger, &*stranger, "root"]);
}

#[test]
#[ignore = "needs root"]
fn a_directory_that_systemd_keeps_elsewhere_is_reached_over_root_s_link() {
    let machine = Machine::new();
    let _gate = machine.gate("../private/upgrade-gate/a/gates", "a.service");
    symlink("../private/upgrade-gate/a", machine.path("a")).unwrap();
    let private =
        ["", "/gates", "/gates/7-1.json"].map(|below| format!("../private/upgrade-gate/a{below}"));
    machine.give_away(&private.each_ref().map(String::as_str));
    assert_eq!(units(&machine.read()), [Some("a.service")]);
}

#[test]
fn a_flood_of_files_is_cut_short() {
    let machine = Machine::new();
    for usec in 0..1010 {
        fs::write(machine.path("gates").join(format!("7-{usec}.json")), "").unwrap();
    }
    let found = machine.read();
    assert_eq!(found.gates, []);
    assert_eq!(found.warnings.len(), 1, "{:?}", found.warnings);
}
