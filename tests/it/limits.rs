//! Limits of the system: the hold, or the error, names them.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Output;

use tokio::process::Command;
use tokio::time::timeout;

use crate::harness::{GENEROUS, Says, World};
use crate::namespace::{enter, enter_mounts, ip};

/// What a shell's line makes of the command that follows it.
async fn limited(world: &World, line: &str, words: &str) -> Output {
    let check = world.command(words);
    let check = check.as_std();
    let mut shell = Command::new("bash");
    shell
        .args(["-c", &format!("{line}; exec \"$0\" \"$@\"")])
        .arg(check.get_program())
        .args(check.get_args())
        .current_dir(world.root.path());
    for (name, value) in check.get_envs() {
        shell.env(name, value.unwrap_or_default());
    }
    timeout(GENEROUS, shell.output()).await.unwrap().unwrap()
}

fn all_said(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr[..]].concat();
    let said = String::from_utf8(both).unwrap();
    for raw in ["panicked", "SIGABRT", "Os {", "os error"] {
        assert!(!said.contains(raw), "{said}");
    }
    said
}

fn check(world: &World) -> String {
    format!("check --json --target {}", world.target.written())
}

#[tokio::test]
async fn too_few_files_to_wait_at_all_are_an_error_that_names_the_limit() {
    let world = World::without_bus(Says::Good);
    for files in 5..=10 {
        let output = limited(&world, &format!("ulimit -n {files}"), &check(&world)).await;
        assert_eq!(output.status.code(), Some(70), "{files}");
        let said = all_said(&output);
        let limit =
            format!("Too many open files: RLIMIT_NOFILE is {files} (LimitNOFILE= in a unit)");
        assert!(said.contains(&limit), "{said}");
    }
}

#[tokio::test]
async fn a_gate_that_may_write_no_file_says_so_and_runs_the_command_as_ever() {
    let world = World::without_bus(Says::Good);
    let target = world.target.written();
    let greps = format!("run --settle 0 --target {target} -- grep ^SigIgn: /proc/self/status");
    let output = limited(&world, "ulimit -f 0", &greps).await;
    let said = all_said(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let limit = "File too large: RLIMIT_FSIZE is 0 (LimitFSIZE= in a unit)";
    assert_eq!(said.matches("cannot write the status file").count(), 1);
    assert!(said.contains(limit), "{said}");
    // The command finds the signal's default again, and dies of it.
    let dies = format!("run --settle 0 --target {target} -- dd if=/dev/zero of=file count=1");
    let output = limited(&world, "ulimit -f 0", &dies).await;
    let killed = nix::sys::signal::Signal::SIGXFSZ as i32;
    assert_eq!(output.status.signal(), Some(killed), "{output:?}");
}

#[tokio::test]
#[ignore = "needs root and unshare"]
async fn a_gate_that_can_leave_no_file_says_so_once_and_runs_the_command() {
    if !enter_mounts("limits::a_gate_that_can_leave_no_file_says_so_once_and_runs_the_command") {
        return;
    }
    let world = World::without_bus(Says::Good);
    let words = format!("run --settle 0 --target {} -- true", world.target.written());
    let mount = "mkdir -p run/upgrade-gate; mount -t tmpfs -o ro tmpfs run/upgrade-gate";
    let output = limited(&world, mount, &words).await;
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_eq!(said.matches("status will not show this gate").count(), 1);
    let advice = "add ReadWritePaths=-";
    assert!(
        said.contains("Read-only file system") && said.contains(advice),
        "{said}"
    );
}

/// The program where a user without any rights may run it, and who is not root, whom no limit on processes binds.
fn as_nobody(world: &World) -> String {
    let program = world.path("upgrade-gate");
    std::fs::copy(env!("CARGO_BIN_EXE_upgrade-gate"), &program).unwrap();
    std::fs::set_permissions(world.root.path(), PermissionsExt::from_mode(0o755)).unwrap();
    format!(
        "exec setpriv --reuid 64123 --clear-groups --no-new-privs bash -c 'ulimit -u \"$0\"; exec {} \"$@\"'",
        program.display()
    )
}

#[tokio::test]
#[ignore = "needs root and setpriv"]
async fn a_limit_on_processes_is_named_by_the_probe_and_by_its_resolver() {
    if !enter("limits::a_limit_on_processes_is_named_by_the_probe_and_by_its_resolver") {
        return;
    }
    ip("link set lo up");
    let causes = [
        (
            1,
            "cannot start the probe: Resource temporarily unavailable: ",
        ),
        (
            2,
            "cannot start a thread to resolve localhost: Resource temporarily unavailable: ",
        ),
    ];
    for (processes, cause) in causes {
        let world = World::without_bus(Says::Good);
        let line = format!(
            "{} {processes} check --target http://localhost:1/; :",
            as_nobody(&world)
        );
        let mut shell = Command::new("bash");
        shell
            .args(["-c", &line])
            .env("DBUS_SYSTEM_BUS_ADDRESS", world.address());
        let output = timeout(GENEROUS, shell.output()).await.unwrap().unwrap();
        assert_eq!(output.status.code(), Some(75));
        let said = all_said(&output);
        assert!(said.starts_with("held: unknown: "), "{said}");
        assert!(said.contains(cause), "{said}");
        let limit = format!("RLIMIT_NPROC is {processes} (LimitNPROC= in a unit)");
        assert!(said.contains(&limit), "{said}");
    }
}

#[tokio::test]
#[ignore = "needs root"]
async fn a_missing_proc_is_named_by_the_hold() {
    if !enter_mounts("limits::a_missing_proc_is_named_by_the_hold") {
        return;
    }
    let world = World::without_bus(Says::Good);
    let target = world.target.written();
    let wait = format!("wait-online --json --timeout 1s --target {target}");
    let output = limited(&world, "mount -t tmpfs tmpfs /proc", &wait).await;
    assert!(!Path::new("/proc/self").exists());
    assert_eq!(output.status.code(), Some(75));
    let said = all_said(&output);
    assert!(said.contains("\"reason\":\"unknown\""), "{said}");
    assert!(
        said.contains("/proc/self/exe: No such file or directory: is /proc mounted?"),
        "{said}"
    );
}
