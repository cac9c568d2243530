//! `lint ./my.service`: files of a repository, whatever systemd runs here.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::machine::Machine;

const JOB: &str =
    "[Unit]\nAfter=network-online.target\n[Service]\nType=oneshot\nExecStart=/usr/bin/job\n";

/// A repository with a gated unit, one that is not, and a template, and no systemd.
fn repository() -> Machine {
    let machine = Machine::none();
    let dir = machine.folder.path().join("units");
    std::fs::create_dir_all(dir.join("gated.service.d")).unwrap();
    let gate =
        "[Service]\nExecStart=\nType=exec\nExecStart=/usr/bin/upgrade-gate run -- /usr/bin/job\n";
    for (name, text) in [
        ("job.service", JOB),
        ("job.timer", "[Timer]\nOnCalendar=daily\nPersistent=true\n"),
        ("gated.service", JOB),
        ("gated.service.d/gate.conf", gate),
        (
            "refused.service",
            "[Service]\nType=dbus\nBusName=x\nExecStart=/bin/a\n",
        ),
        ("each@.service", JOB),
        ("each@.timer", "[Timer]\nOnCalendar=%i\nOnCalendar=weekly\n"),
    ] {
        std::fs::write(dir.join(name), text).unwrap();
    }
    machine
}

#[tokio::test]
async fn a_file_is_looked_at_with_its_timer_and_drop_ins_and_the_exit_code_is_for_ci() {
    let machine = repository();
    let lint = async |words: &str| {
        let mut command = machine.command(&format!("lint {words}"));
        let output = command
            .current_dir(machine.folder.path().join("units"))
            .output()
            .await
            .unwrap();
        let (out, err) = (output.stdout, output.stderr);
        let text = [out, err]
            .map(|text| String::from_utf8(text).unwrap())
            .concat();
        (output.status.code().unwrap(), text)
    };
    let (code, text) = lint("./job.service").await;
    assert!(
        code == 1 && text.contains("UG003") && text.contains("job.timer"),
        "{text}"
    );
    let (code, text) = lint("./gated.service").await;
    assert!(code == 0 && text.contains("no findings"), "{text}");
    let (code, text) = lint("../units/each@.service").await;
    assert!(
        code == 1 && text.contains("UG003") && text.contains("each@i.service"),
        "{text}"
    );
    let (code, text) = lint("./gated.service ./job.service").await;
    assert!(code == 1 && text.contains("gated.service"), "{text}");
    for (words, expected, part) in [
        ("./missing.service", 69, "no such file: ./missing.service"),
        ("nowhere/missing.service", 69, "no such file:"),
        ("./refused.service", 69, "systemd refuses refused.service"),
        ("./refused.service", 69, "UG017"),
        ("./job.timer", 64, "not a service unit file"),
        ("./job", 64, "not a service unit file"),
    ] {
        let (code, text) = lint(words).await;
        assert!(
            code == expected && text.contains(part),
            "{words}: {code} {text}"
        );
    }
}

#[tokio::test]
async fn below_a_root_nobody_is_sent_to_the_systemd_that_runs() {
    let machine = repository();
    machine.write("other.service", JOB);
    let said = machine.lint_files("job").await;
    said.refuses(69, &["error: no unit job.service"]);
    assert!(!said.err.contains("list-unit-files"), "{}", said.err);
}

#[tokio::test]
async fn what_is_there_and_cannot_be_read_is_not_judged() {
    let machine = repository();
    let units = machine.folder.path().join("units");
    let installed = machine.folder.path().join("etc/systemd/system");
    std::fs::create_dir_all(&installed).unwrap();
    for dir in [&units, &installed] {
        std::fs::create_dir(dir.join("folder.service")).unwrap();
        mkfifo(&dir.join("pipe.service"), Mode::S_IRWXU).unwrap();
        symlink("circle.service", dir.join("circle.service")).unwrap();
    }
    for (name, why) in [
        ("folder", "is a directory"),
        ("pipe", "it is not a regular file"),
        ("circle", "Too many levels of symbolic links"),
    ] {
        let path = units.join(format!("{name}.service"));
        for word in [&path.to_string_lossy(), name] {
            let said = machine.lint_files(word).await;
            said.refuses(69, &["cannot read", why]);
            assert!(!said.err.contains("ExecStart"), "{}", said.err);
        }
    }
    let all = machine.lint_files("--all").await;
    all.refuses(
        69,
        &["folder.service: cannot read", "pipe.service: cannot read"],
    );
}

#[tokio::test]
#[ignore = "needs root, to unmount /proc"]
async fn without_proc_it_is_said_that_nothing_can_be_read() {
    let machine = repository();
    let path = machine.folder.path().join("units/job.service");
    let script = "umount -l /proc && exec \"$0\" lint \"$1\"";
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", script])
        .args([Path::new(env!("CARGO_BIN_EXE_upgrade-gate")), &path])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(69), "{text}");
    assert!(text.contains("/proc is not mounted"), "{text}");
}
