use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::files::StateDirectory;
use super::*;
use crate::guard::reach::NetworkBaseline;
use crate::guard::state::{Cause, Transaction, TransactionPhase};

const MACHINE: &str = "0123456789abcdef0123456789abcdef";

fn store(dir: &Path) -> Store<StateDirectory> {
    Store::new(StateDirectory::open(dir).unwrap(), dir, MACHINE)
}

fn armed() -> GuardState {
    GuardState {
        transaction: Some(Transaction {
            id: "ab12".to_owned(),
            phase: TransactionPhase::Armed,
            candidate: Some("/nix/store/new".into()),
            ..Transaction::default()
        }),
        ..GuardState::idle(MACHINE)
    }
}

/// A directory with this as the state.
fn with(text: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let base = tempfile::tempdir().unwrap();
    let dir = base.path().join("guard");
    store(&dir).save(&armed()).unwrap();
    fs::write(dir.join(STATE), text).unwrap();
    (base, dir)
}

/// Refused, with these words, and the file is still there as it was.
fn refused(text: &[u8], words: &str) {
    let (_base, dir) = with(text);
    let error = store(&dir).load().unwrap_err().to_string();
    assert!(error.contains(words), "{error}");
    assert!(error.contains("state.json"), "{error}");
    assert_eq!(fs::read(dir.join(STATE)).unwrap(), text);
}

#[test]
fn what_is_written_is_read_again_and_nothing_else_is_left() {
    let base = tempfile::tempdir().unwrap();
    let dir = base.path().join("guard");
    assert_eq!(store(&dir).load().unwrap(), GuardState::idle(MACHINE));
    store(&dir).save(&armed()).unwrap();
    assert_eq!(store(&dir).load().unwrap(), armed());
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
    assert_eq!(dir.metadata().unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_state_cut_off_at_any_byte_is_damaged_and_kept() {
    let whole = serde_json::to_vec(&armed()).unwrap();
    let (_base, dir) = with(&whole);
    for length in 0..whole.len() {
        fs::write(dir.join(STATE), &whole[..length]).unwrap();
        let error = store(&dir).load().unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{length}");
        assert_eq!(fs::read(dir.join(STATE)).unwrap(), &whole[..length]);
    }
}

#[test]
fn a_newer_format_is_left_to_the_program_that_wrote_it() {
    let text = format!(r#"{{"format":2,"machine_id":"{MACHINE}","plan":[]}}"#);
    refused(text.as_bytes(), "format 2");
}

#[test]
fn a_state_of_another_machine_is_left_alone() {
    refused(
        br#"{"format":1,"machine_id":"ffff","transaction":null}"#,
        "another machine",
    );
}

#[test]
fn a_phase_that_this_version_does_not_know_is_damage() {
    let known = serde_json::to_string(&armed()).unwrap();
    refused(known.replace("armed", "flying").as_bytes(), "damaged");
}

#[test]
fn fields_that_this_version_does_not_know_are_ignored() {
    let text = serde_json::to_string(&armed()).unwrap();
    let text = text.replacen('{', r#"{"later":true,"#, 1);
    let (_base, dir) = with(text.as_bytes());
    assert_eq!(store(&dir).load().unwrap(), armed());
}

#[test]
fn a_state_that_others_can_write_to_says_nothing() {
    let (_base, dir) = with(&serde_json::to_vec(&armed()).unwrap());
    fs::set_permissions(dir.join(STATE), fs::Permissions::from_mode(0o666)).unwrap();
    let error = store(&dir).load().unwrap_err().to_string();
    assert!(error.contains("others can write"), "{error}");
}

#[test]
fn a_link_in_the_states_place_is_not_followed() {
    let (base, dir) = with(b"");
    let planted = base.path().join("planted");
    fs::write(&planted, serde_json::to_vec(&armed()).unwrap()).unwrap();
    fs::remove_file(dir.join(STATE)).unwrap();
    symlink(&planted, dir.join(STATE)).unwrap();
    let error = store(&dir).load().unwrap_err();
    assert!(matches!(error, StoreError::Read { .. }), "{error}");
}

#[test]
fn a_directory_or_a_pipe_in_the_states_place_is_refused_at_once() {
    let (_base, dir) = with(b"");
    fs::remove_file(dir.join(STATE)).unwrap();
    fs::create_dir(dir.join(STATE)).unwrap();
    let error = store(&dir).load().unwrap_err().to_string();
    assert!(error.contains("not a regular file"), "{error}");
    fs::remove_dir(dir.join(STATE)).unwrap();
    nix::unistd::mkfifo(&dir.join(STATE), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let error = store(&dir).load().unwrap_err().to_string();
    assert!(error.contains("not a regular file"), "{error}");
}

#[test]
fn a_directory_that_others_can_write_to_is_refused() {
    let base = tempfile::tempdir().unwrap();
    let dir = base.path().join("guard");
    fs::create_dir(&dir).unwrap();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o777)).unwrap();
    let error = StateDirectory::open(&dir).unwrap_err().to_string();
    assert!(error.contains("others can write"), "{error}");
}

#[test]
fn a_state_that_another_user_planted_says_nothing() {
    let (_base, dir) = with(&serde_json::to_vec(&armed()).unwrap());
    // Only root can give a file away.
    if std::os::unix::fs::chown(dir.join(STATE), Some(65534), None).is_err() {
        return;
    }
    let error = store(&dir).load().unwrap_err().to_string();
    assert!(error.contains("belongs to user 65534"), "{error}");
}

#[test]
fn what_is_not_there_is_not_made_durable() {
    let (_base, dir) = with(b"");
    let mut files = StateDirectory::open(&dir).unwrap();
    files.sync(STATE).unwrap();
    files.sync_dir().unwrap();
    assert!(files.sync(TEMPORARY).is_err());
    fs::remove_dir_all(&dir).unwrap();
    assert!(files.sync_dir().is_err());
}

#[test]
fn who_only_looks_creates_nothing_and_is_told_what_is_wrong() {
    let base = tempfile::tempdir().unwrap();
    let dir = base.path().join("guard");
    assert!(StateDirectory::existing(&dir).unwrap().is_none());
    assert!(!dir.exists());
    StateDirectory::open(&dir).unwrap();
    assert!(StateDirectory::existing(&dir).unwrap().is_some());
    let file = base.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(StateDirectory::existing(&file).is_err());
    assert!(StateDirectory::existing(&file.join("guard")).is_err());
}

#[test]
fn what_is_set_aside_is_kept_under_the_name_that_is_said() {
    let (_base, dir) = with(b"what it was");
    let aside = StateDirectory::open(&dir).unwrap().set_aside(STATE, "7");
    let aside = aside.unwrap();
    assert_eq!(aside, dir.join("state.json.7"));
    assert_eq!(fs::read(aside).unwrap(), b"what it was");
    assert!(!dir.join(STATE).exists());
}

#[test]
fn what_is_written_is_its_owners_alone() {
    let base = tempfile::tempdir().unwrap();
    let dir = base.path().join("guard");
    store(&dir).save(&armed()).unwrap();
    let _lock = StateDirectory::open(&dir).unwrap().lock().unwrap();
    for name in [STATE, "lock"] {
        let mode = dir.join(name).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn years_of_upgrades_take_32_kibibytes_at_most() {
    let base = tempfile::tempdir().unwrap();
    let dir = base.path().join("guard");
    let system = format!("/nix/store/{}-nixos-system-laptop-25.11", "0".repeat(32));
    let mut state = GuardState::idle(MACHINE);
    for _ in 0..1000 {
        let mut t = armed().transaction.unwrap();
        t.id = MACHINE.to_owned();
        t.phase = TransactionPhase::CandidateDidNotBoot;
        t.cause = Some(Cause::RolledBackElsewhere);
        t.armed_at_usec_realtime = 1_800_000_000_000_000;
        t.candidate = Some(system.clone().into());
        t.baseline.system = system.clone().into();
        state.transaction = Some(t);
        state.close();
    }
    store(&dir).save(&state).unwrap();
    let size = dir.join(STATE).metadata().unwrap().len();
    assert!((16 << 10..32 << 10).contains(&size), "{size}");
}

#[test]
fn a_write_cut_off_before_the_rename_leaves_the_old_state() {
    let (_base, dir) = with(&serde_json::to_vec(&armed()).unwrap());
    fs::write(dir.join(TEMPORARY), "{\"form").unwrap();
    assert_eq!(store(&dir).load().unwrap(), armed());
    store(&dir).save(&GuardState::idle(MACHINE)).unwrap();
    assert_eq!(store(&dir).load().unwrap(), GuardState::idle(MACHINE));
}

proptest::proptest! {
    #[test]
    fn no_content_makes_it_panic(text: Vec<u8>) {
        let _ = parse(Path::new("a"), &text, MACHINE);
    }
}

/// As 0.1.0 wrote it: what came later has the value that it had in effect.
#[test]
fn a_state_of_an_earlier_version_is_read() {
    let text = format!(
        r#"{{"format":1,"machine_id":"{MACHINE}","transaction":{{"id":"ab12","phase":"verifying","cause":null,"boot_id":"b","steps":3,
        "tries":0,"boots":0,"armed_at_usec_realtime":1,"tried_at_usec":2,"deadline_usec":3,"bad_since_usec":null,
        "rules":{{"grace_usec":600000000,"settle_usec":30000000,"confirm":false,"reboot":true,"checks":[["true"]],"notify":[]}},"mode":"live",
        "baseline":{{"system":"/nix/store/old","generation":1,"failed_units":[]}},"candidate":"/nix/store/new"}},"history":[],"denied":[]}}"#
    );
    let (_base, dir) = with(text.as_bytes());
    let t = store(&dir).load().unwrap().transaction.unwrap();
    assert_eq!(
        (t.phase, t.rules.check_usec),
        (TransactionPhase::Verifying, 60_000_000)
    );
    assert_eq!(t.baseline.network, NetworkBaseline::default());
}
