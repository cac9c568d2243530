//! Who gets the lock, and when.

use super::*;

/// Far beyond any machine's load; only a test that fails waits so long.
const GENEROUS: Duration = Duration::from_secs(60);

fn taken(runtime: &Path, profile: &str) -> Lock {
    match try_take(runtime, profile, "pid 1 (a.service)").unwrap() {
        Tried::Taken(lock) => lock,
        Tried::Busy(busy) => panic!("held by {}", busy.holder()),
    }
}

fn busy(runtime: &Path, profile: &str) -> Busy {
    match try_take(runtime, profile, "pid 2").unwrap() {
        Tried::Busy(busy) => busy,
        Tried::Taken(_) => panic!("not held"),
    }
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(GENEROUS, future).await.unwrap()
}

#[tokio::test]
async fn a_held_lock_keeps_others_out_and_names_its_holder() {
    let runtime = tempfile::tempdir().unwrap();
    let _held = taken(runtime.path(), "a");
    assert_eq!(busy(runtime.path(), "a").holder(), "pid 1 (a.service)");
}

#[tokio::test]
async fn profiles_do_not_share_a_lock() {
    let runtime = tempfile::tempdir().unwrap();
    let _one = taken(runtime.path(), "a");
    let _other = taken(runtime.path(), "a/b");
}

#[tokio::test]
async fn a_released_lock_goes_to_who_waits() {
    let runtime = tempfile::tempdir().unwrap();
    let held = taken(runtime.path(), "a");
    let waiting = busy(runtime.path(), "a").taken();
    drop(held);
    let _lock = soon(waiting).await.unwrap();
    assert_eq!(busy(runtime.path(), "a").holder(), "pid 2");
}

#[tokio::test]
async fn of_two_who_wait_each_gets_its_turn() {
    let runtime = tempfile::tempdir().unwrap();
    let held = taken(runtime.path(), "a");
    let turn = async |busy: Busy| drop(busy.taken().await.unwrap());
    let (one, two) = (busy(runtime.path(), "a"), busy(runtime.path(), "a"));
    let release = async || drop(held);
    soon(async { tokio::join!(turn(one), turn(two), release()) }).await;
}

#[tokio::test]
async fn one_who_gives_up_leaves_the_others_waiting() {
    let runtime = tempfile::tempdir().unwrap();
    let held = taken(runtime.path(), "a");
    let mut patient = Box::pin(busy(runtime.path(), "a").taken());
    drop(busy(runtime.path(), "a"));
    assert!(futures::poll!(&mut patient).is_pending());
    drop(held);
    assert!(soon(patient).await.is_ok());
}

#[test]
fn a_free_lock_is_taken_without_a_watch() {
    let file = tempfile::tempfile().unwrap();
    let (tried, _) = lock_or_watch(file, || -> Option<()> { panic!("watched") }).unwrap();
    assert!(tried.is_ok());
}

#[test]
fn a_held_lock_is_watched_before_it_is_tried_again() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let opened = || open(file.path()).unwrap();
    let held = flock(opened()).unwrap().unwrap();
    let (tried, watched) = lock_or_watch(opened(), || Some("watched")).unwrap();
    assert!(tried.is_err() && watched.is_some());
    let release = || {
        drop(held);
        Some("watched")
    };
    let (tried, _) = lock_or_watch(opened(), release).unwrap();
    assert!(tried.is_ok(), "released while the watch was set");
}

#[tokio::test]
async fn a_deleted_file_does_not_make_anyone_wait_for_ever() {
    let runtime = tempfile::tempdir().unwrap();
    let _held = taken(runtime.path(), "a");
    let waiting = busy(runtime.path(), "a").taken();
    fs::remove_file(runtime.path().join("lock/a.lock")).unwrap();
    let _lock = soon(waiting).await.unwrap();
    let _busy = busy(runtime.path(), "a");
}

#[tokio::test]
async fn a_directory_that_is_removed_under_the_waiting_is_made_again() {
    let runtime = tempfile::tempdir().unwrap();
    for vanished in ["a/lock", "a"] {
        let _held = taken(&runtime.path().join("a"), "a");
        let waiting = busy(&runtime.path().join("a"), "a").taken();
        fs::remove_dir_all(runtime.path().join(vanished)).unwrap();
        let _lock = soon(waiting).await.unwrap();
    }
}

#[tokio::test]
async fn a_lock_is_not_taken_through_a_link_nor_in_a_fifo() {
    let runtime = tempfile::tempdir().unwrap();
    let victim = runtime.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    fs::create_dir(runtime.path().join("lock")).unwrap();
    std::os::unix::fs::symlink(&victim, runtime.path().join("lock/a.lock")).unwrap();
    let mode = nix::sys::stat::Mode::S_IRWXU;
    nix::unistd::mkfifo(&runtime.path().join("lock/b.lock"), mode).unwrap();
    for profile in ["a", "b"] {
        assert!(try_take(runtime.path(), profile, "us").is_err());
    }
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
}

#[tokio::test]
async fn only_the_owner_can_open_the_file_and_so_lock_it() {
    let runtime = tempfile::tempdir().unwrap();
    let _held = taken(runtime.path(), "a");
    let metadata = fs::metadata(runtime.path().join("lock/a.lock")).unwrap();
    assert_eq!(metadata.mode() & 0o077, 0);
}

#[tokio::test]
async fn a_place_where_there_can_be_no_lock_is_an_error_that_names_it() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = try_take(file.path(), "a", "").unwrap_err().to_string();
    assert!(error.contains("lock/a.lock"), "{error}");
}

#[tokio::test]
async fn a_holder_that_says_nothing_or_nonsense_is_another_process() {
    let runtime = tempfile::tempdir().unwrap();
    let _held = taken(runtime.path(), "a");
    for content in [&b""[..], b"\n", b"\xff\xfe"] {
        fs::write(runtime.path().join("lock/a.lock"), content).unwrap();
        assert_eq!(busy(runtime.path(), "a").holder(), "another process");
    }
}
