//! Written, replaced, dead, nonsense: what a reader makes of the files.

use nix::fcntl::{FcntlArg, Flock, FlockArg, fcntl};
use proptest::prelude::*;
use tempfile::TempDir;

use super::reader::{Liveness, liveness, parse};
use super::*;

fn gate(reason: &str) -> GateStatus {
    GateStatus {
        version: 1,
        pid: 7,
        command: "run".to_owned(),
        reason: Some(reason.to_owned()),
        ..GateStatus::default()
    }
}

fn read_dir(dir: &TempDir) -> FoundGates {
    read_all(&[Room::at(dir.path())])
}

fn gates(found: &FoundGates) -> Vec<&GateStatus> {
    found.gates.iter().map(|living| &living.gate).collect()
}

fn files(dir: &TempDir) -> usize {
    fs::read_dir(dir.path()).expect("dir").count()
}

#[test]
fn a_living_gate_is_read_as_it_was_written_last() {
    let dir = TempDir::new().expect("dir");
    let mut file = StatusFile::new(dir.path(), 7, 1);
    for reason in ["dns", "portal"] {
        file.write(&gate(reason)).expect("written");
        let found = read_dir(&dir);
        assert_eq!(gates(&found), [&gate(reason)]);
        assert_eq!(found.warnings, [""; 0]);
    }
    assert_eq!(files(&dir), 1);
}

#[test]
fn a_gate_that_ends_leaves_nothing() {
    let dir = TempDir::new().expect("dir");
    let mut file = StatusFile::new(dir.path(), 7, 1);
    file.write(&gate("dns")).expect("written");
    drop(file);
    assert_eq!(files(&dir), 0);
}

#[test]
fn the_directory_is_made_when_it_is_missing() {
    let dir = TempDir::new().expect("dir");
    let deep = dir.path().join("upgrade-gate/gates");
    assert_eq!(read_all(&[Room::at(&deep)]), FoundGates::default());
    let mut file = StatusFile::new(&deep, 7, 1);
    file.write(&gate("dns")).expect("written");
    assert_eq!(read_all(&[Room::at(&deep)]).gates.len(), 1);
    fs::remove_dir_all(dir.path().join("upgrade-gate")).expect("removed");
    file.write(&gate("tls")).expect("written");
    assert_eq!(gates(&read_all(&[Room::at(&deep)])), [&gate("tls")]);
}

#[test]
fn what_a_killed_gate_left_is_ignored_and_removed() {
    let dir = TempDir::new().expect("dir");
    let text = serde_json::to_string(&gate("dns")).expect("json");
    fs::write(dir.path().join("7-1.json"), text).expect("written");
    assert_eq!(read_dir(&dir), FoundGates::default());
    assert_eq!(files(&dir), 0);
}

#[test]
fn only_what_a_gate_of_ours_left_is_removed() {
    let dir = TempDir::new().expect("dir");
    let left = serde_json::to_string(&gate("dns")).expect("json");
    let own = ["package.json", "8-1.json", "7-1.json.bak", "7-x.json"];
    for name in own {
        fs::write(dir.path().join(name), &left).expect("written");
    }
    fs::write(dir.path().join("7-2.json"), "{}").expect("written");
    fs::write(dir.path().join("7-1.json"), &left).expect("written");
    let found = read_dir(&dir);
    assert_eq!(found.gates, []);
    assert_eq!(found.warnings.len(), 2, "{:?}", found.warnings);
    assert_eq!(files(&dir), own.len() + 1);
    assert!(!dir.path().join("7-1.json").exists());
}

#[test]
fn a_gate_that_ends_removes_no_file_but_its_own() {
    let dir = TempDir::new().expect("dir");
    let mut file = StatusFile::new(dir.path(), 7, 1);
    file.write(&gate("dns")).expect("written");
    fs::remove_file(file.path()).expect("removed");
    fs::write(file.path(), "another's").expect("written");
    drop(file);
    assert_eq!(files(&dir), 1);
}

#[test]
fn nobody_can_lock_a_gate_s_file_before_the_gate_has() {
    let dir = TempDir::new().expect("dir");
    let planted = dir.path().join("7-1.new");
    let planted = File::create_new(planted).expect("made");
    living::declare(&planted).expect("locked");
    let mut file = StatusFile::new(dir.path(), 7, 1);
    file.write(&gate("dns")).expect("written");
    let mode = fs::metadata(file.path()).expect("there").permissions();
    assert_eq!(mode.mode() & 0o777, 0o644);
}

#[test]
fn who_can_only_read_a_dead_gate_s_file_cannot_keep_it_alive() {
    let dir = TempDir::new().expect("dir");
    let path = dir.path().join("7-1.json");
    fs::write(&path, serde_json::to_string(&gate("dns")).expect("json")).expect("written");
    let reader = File::open(&path).expect("open");
    assert!(living::declare(&reader).is_err());
    let other = File::open(&path).expect("open");
    let _lock = Flock::lock(other, FlockArg::LockExclusive).expect("lock");
    let read = nix::libc::flock {
        l_type: nix::libc::F_RDLCK.try_into().expect("it is small"),
        l_whence: 0,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    fcntl(&reader, FcntlArg::F_OFD_SETLK(&read)).expect("a shared lock");
    assert_eq!(read_dir(&dir), FoundGates::default());
    assert_eq!(files(&dir), 0);
}

#[test]
fn a_file_replaced_while_it_is_read_is_not_taken_for_a_dead_one() {
    let dir = TempDir::new().expect("dir");
    let mut writer = StatusFile::new(dir.path(), 7, 1);
    writer.write(&gate("dns")).expect("written");
    let directory = Directory::open(dir.path()).expect("open");
    let name = OsStr::new("7-1.json");
    let opened = directory.file(name).expect("open");
    writer.write(&gate("portal")).expect("written");
    let liveness = liveness(&opened, &directory, name).expect("asked");
    assert!(matches!(liveness, Liveness::Replaced));
    assert_eq!(gates(&read_dir(&dir)), [&gate("portal")]);
}

#[test]
fn a_living_file_of_nonsense_is_a_warning_and_the_others_are_read() {
    let dir = TempDir::new().expect("dir");
    let mut good = StatusFile::new(dir.path(), 7, 1);
    good.write(&gate("dns")).expect("written");
    let mut locks = Vec::new();
    for (name, text) in [
        ("1-1.json", "nonsense"),
        ("2-1.json", "{}"),
        ("3-1.json", ""),
    ] {
        let path = dir.path().join(name);
        fs::write(&path, text).expect("written");
        let file = File::options().append(true).open(&path).expect("open");
        living::declare(&file).expect("lock");
        locks.push(file);
    }
    let found = read_dir(&dir);
    assert_eq!(gates(&found), [&gate("dns")]);
    assert_eq!(found.warnings.len(), 3);
    assert!(
        found.warnings[0].contains("1-1.json"),
        "{:?}",
        found.warnings
    );
}

#[test]
fn a_fifo_by_a_gate_s_name_is_a_warning_not_a_hang() {
    let dir = TempDir::new().expect("dir");
    let mode = nix::sys::stat::Mode::S_IRWXU;
    nix::unistd::mkfifo(&dir.path().join("7-1.json"), mode).expect("fifo");
    let found = read_dir(&dir);
    assert_eq!(found.warnings.len(), 1);
    assert_eq!(found.gates, []);
    assert_eq!(files(&dir), 1);
}

#[test]
fn the_file_of_a_newer_version_is_read_as_far_as_it_is_known() {
    let newer = br#"{"version": 2, "command": "run", "pid": 9, "colour": "blue"}"#;
    let gate = parse(newer).expect("read");
    assert_eq!((gate.version, gate.pid), (2, 9));
}

#[test]
fn the_unit_is_the_innermost_service() {
    let table = [
        (
            "0::/system.slice/nixos-upgrade.service\n",
            Some("nixos-upgrade.service"),
        ),
        ("0::/system.slice/a.service/payload\n", Some("a.service")),
        ("0::/user.slice/user-1000.slice/session-2.scope\n", None),
        (
            "0::/user.slice/user-1000.slice/user@1000.service/app.slice/vte.scope\n",
            None,
        ),
        (
            "0::/user.slice/user-1000.slice/user@1000.service/app.slice/b.service\n",
            Some("b.service"),
        ),
        (
            "12:cpu:/\n1:name=systemd:/system.slice/c.service\n0::/\n",
            Some("c.service"),
        ),
        ("0::/\n", None),
        ("", None),
    ];
    for (text, unit) in table {
        assert_eq!(unit_of_cgroup(text).as_deref(), unit, "{text}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes);
        let _ = unit_of_cgroup(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn a_torn_file_is_an_error_and_no_panic(cut in 0..100_usize) {
        let whole = serde_json::to_vec(&gate("dns")).expect("json");
        prop_assert!(parse(&whole[..cut.min(whole.len() - 1)]).is_err());
    }
}
