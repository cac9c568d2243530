//! What others may plant: links, FIFOs, other users' files.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};

use tempfile::TempDir;

use super::*;

const LIMIT: u64 = 16;

/// A directory that only this user can write to, or everybody.
fn directory(mode: u32) -> (TempDir, Directory) {
    let place = TempDir::new().unwrap();
    fs::set_permissions(place.path(), Permissions::from_mode(mode)).unwrap();
    let directory = Directory::open(place.path()).unwrap();
    (place, directory)
}

fn fifo(path: &Path) {
    nix::unistd::mkfifo(path, Mode::S_IRWXU).unwrap();
}

fn name(name: &str) -> &OsStr {
    OsStr::new(name)
}

#[test]
fn what_is_no_regular_file_is_not_opened() {
    let (place, directory) = directory(0o755);
    fifo(&place.path().join("fifo"));
    symlink("/dev/zero", place.path().join("device")).unwrap();
    for (name, why) in [("fifo", "not a regular file"), ("device", "symbolic link")] {
        let error = directory.file(OsStr::new(name)).unwrap_err();
        assert!(error.to_string().contains(why), "{name}: {error}");
        let error = read(&place.path().join(name), LIMIT).unwrap_err();
        assert!(
            error.to_string().contains("not a regular file"),
            "{name}: {error}"
        );
    }
    let error = directory.private_file(name("fifo")).unwrap_err();
    assert!(error.to_string().contains("not a regular file"), "{error}");
}

#[test]
fn a_file_is_read_over_links_up_to_the_limit() {
    let (place, _) = directory(0o755);
    let (file, link) = (place.path().join("file"), place.path().join("link"));
    symlink("file", &link).unwrap();
    fs::write(&file, [b'x'; 16]).unwrap();
    assert_eq!(read(&link, LIMIT).unwrap(), [b'x'; 16]);
    fs::write(&file, [b'x'; 17]).unwrap();
    let error = read(&link, LIMIT).unwrap_err();
    assert_eq!(error.to_string(), "it is longer than 16 bytes");
}

#[test]
fn a_link_to_a_directory_is_followed_only_where_nobody_else_can_have_made_it() {
    for (mode, followed) in [(0o755, true), (0o775, false), (0o1777, false)] {
        let (place, directory) = directory(mode);
        fs::create_dir(place.path().join("real")).unwrap();
        symlink("real", place.path().join("link")).unwrap();
        assert_eq!(directory.enter(name("link")).is_ok(), followed, "{mode:o}");
        assert!(directory.enter(name("real")).is_ok());
    }
}

#[test]
fn no_other_file_system_is_entered() {
    let root = Directory::open(Path::new("/")).unwrap();
    let error = root.enter(name("proc")).unwrap_err().to_string();
    assert!(error.contains("another file system"), "{error}");
    let (place, directory) = directory(0o755);
    symlink("/proc", place.path().join("link")).unwrap();
    assert!(directory.enter(name("link")).is_ok(), "a link of our own");
}

#[test]
fn nothing_is_written_through_a_link_or_into_a_file_with_a_second_name() {
    let (place, directory) = directory(0o755);
    let victim = place.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    symlink(&victim, place.path().join("link")).unwrap();
    fs::hard_link(&victim, place.path().join("hard")).unwrap();
    assert!(directory.private_file(name("link")).is_err());
    assert!(directory.private_file(name("hard")).is_err());
    for planted in ["link", "hard"] {
        directory.new_file(name(planted), 0o600).unwrap();
    }
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
}

#[test]
fn a_directory_goes_on_being_the_one_that_was_opened() {
    let (place, _) = directory(0o755);
    let ours = place.path().join("ours");
    let directory = Directory::ours(&ours).unwrap();
    fs::rename(&ours, place.path().join("moved")).unwrap();
    symlink("/", &ours).unwrap();
    directory.new_file(name("file"), 0o600).unwrap();
    assert!(place.path().join("moved/file").exists());
    assert_eq!(directory.names(9).unwrap(), ["file"]);
    assert_eq!(directory.names(0).unwrap(), [""; 0]);
}

#[test]
fn only_the_file_that_is_meant_counts_as_being_there() {
    let (place, directory) = directory(0o755);
    let file = directory.new_file(name("a"), 0o600).unwrap();
    assert!(directory.has(name("a"), &file).unwrap());
    fs::hard_link(place.path().join("a"), place.path().join("b")).unwrap();
    symlink("a", place.path().join("c")).unwrap();
    directory.new_file(name("a"), 0o600).unwrap();
    assert!(!directory.has(name("a"), &file).unwrap());
    assert!(directory.has(name("b"), &file).unwrap());
    assert!(!directory.has(name("c"), &file).unwrap());
}

#[test]
#[ignore = "needs root"]
fn a_stranger_s_directory_and_files_are_told_by_their_owner() {
    let (place, parent) = directory(0o755);
    let path = place.path().join("service");
    fs::create_dir_all(path.join("gates")).unwrap();
    fs::write(path.join("file"), "root's").unwrap();
    std::os::unix::fs::chown(&path, Some(65534), None).unwrap();
    let error = Directory::ours(&path).unwrap_err().to_string();
    assert!(error.ends_with("not to root"), "{error}");
    let service = parent.enter(name("service")).unwrap();
    assert!(!service.is_private());
    assert!(service.file(name("file")).is_err());
    assert!(service.enter(name("gates")).is_err());
}

#[test]
fn users_have_names_and_unknown_ones_numbers() {
    assert_eq!(user_name(0), "root");
    assert_eq!(user_name(4_000_000_001), "4000000001");
}
