//! `drop-in`: what it writes is read by systemd without a complaint, and nothing else is touched.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::root::{ETC, LIB, Root};

const MODES: [&str; 4] = ["run", "pre", "condition", "companion"];

/// Services of many shapes, and the modes that they cannot be gated in.
const SHAPES: &[(&str, &str, &[&str])] = &[
    ("oneshot", "Type=oneshot\nExecStart=/usr/bin/true", &[]),
    ("simple", "ExecStart=/usr/bin/true", &[]),
    (
        "idle",
        "Type=idle\nExecStart=/usr/bin/true\nRestart=on-failure",
        &[],
    ),
    (
        "three",
        "Type=oneshot\nExecStart=/usr/bin/true 1\nExecStart=-/usr/bin/true 2 ; +/usr/bin/true 3",
        &["run"],
    ),
    (
        "after",
        "Type=oneshot\nExecStart=/usr/bin/true\nExecStartPost=/usr/bin/true",
        &["run"],
    ),
    (
        "remaining",
        "Type=oneshot\nExecStart=/usr/bin/true\nRemainAfterExit=yes\nExecStop=/usr/bin/true",
        &["run"],
    ),
    (
        "before",
        "Type=oneshot\nExecStartPre=-/usr/bin/true %n \"a 'b' \\\"c\\\" \\\\ d\" 5%%\nExecStartPre=:/usr/bin/true\nExecStart=/usr/bin/true",
        &[],
    ),
    (
        "only-if",
        "Type=oneshot\nExecCondition=/usr/bin/true\nExecStart=/usr/bin/true",
        &["run", "pre"],
    ),
    (
        "behind-proxy",
        "Type=oneshot\nEnvironment=A=b \"https_proxy=http://p:1\" 'NIX_CONFIG=a = \\\"%%\\\"'\nEnvironmentFile=-/etc/%n.env\nExecStart=/usr/bin/true",
        &[],
    ),
    (
        "own-places",
        "Type=oneshot\nUser=fwupd-refresh\nRuntimeDirectory=own\nStateDirectory=own\nExecStart=/usr/bin/true",
        &[],
    ),
    (
        "_under\\x2dscore",
        "Type=oneshot\nDynamicUser=yes\nExecStart=/usr/bin/true %N",
        &[],
    ),
    (
        "odd",
        "Type=oneshot\nEnvironment=A=b\nExecStart=@-/usr/bin/true named \"a b\" 'c\"d' \\x41 %n 100%% $A ${A} $$ \\; \"\" \u{fc}",
        &[],
    ),
    ("colon", "Type=oneshot\nExecStart=:/usr/bin/true $A", &[]),
    (
        "bang",
        "Type=oneshot\nUser=fwupd-refresh\nExecStart=!/usr/bin/true",
        &[],
    ),
    (
        "dynamic",
        "Type=oneshot\nDynamicUser=yes\nExecStart=/usr/bin/true",
        &[],
    ),
    (
        "limited",
        "Type=exec\nRuntimeMaxSec=5\nTimeoutStartSec=3\nExecStart=/usr/bin/true\nRestartForceExitStatus=1 75 SIGKILL",
        &[],
    ),
    (
        "shut-in",
        "Type=oneshot\nProtectSystem=strict\nRestrictAddressFamilies=AF_UNIX\nStandardOutput=null\nExecStart=/usr/bin/true",
        &[],
    ),
    (
        "denying",
        "Type=oneshot\nRestrictAddressFamilies=~AF_NETLINK AF_PACKET\nExecStart=/usr/bin/true",
        &[],
    ),
    (
        "daemon",
        "Type=notify\nExecStart=/usr/bin/true\nRestart=always",
        &["run"],
    ),
    ("forking", "Type=forking\nExecStart=/usr/bin/true", &["run"]),
    (
        "bus",
        "BusName=org.example\nExecStart=/usr/bin/true",
        &["run"],
    ),
    ("agent", "ExecStart=/usr/bin/true\nRestart=always", &["run"]),
    (
        "alone",
        "Type=oneshot\nPrivateNetwork=yes\nExecStart=/usr/bin/true",
        &["run", "pre", "condition"],
    ),
    (
        "tempfail",
        "Type=oneshot\nSuccessExitStatus=TEMPFAIL\nExecStart=/usr/bin/true",
        &["pre"],
    ),
    ("foo@bar", "Type=oneshot\nExecStart=/usr/bin/true %i", &[]),
    (
        "bk@",
        "Type=oneshot\nUser=fwupd-refresh\nExecStart=/usr/bin/true %i",
        &[],
    ),
];

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn with_shapes() -> Root {
    let root = Root::new();
    let companion = concat!(env!("CARGO_MANIFEST_DIR"), "/units/upgrade-gate@.service");
    root.write(
        &format!("{LIB}/upgrade-gate@.service"),
        &fs::read_to_string(companion).unwrap(),
    );
    for (name, settings, _) in SHAPES {
        root.write(
            &format!("{LIB}/{name}.service"),
            &format!("[Service]\n{settings}\n"),
        );
    }
    root
}

#[test]
#[ignore = "needs systemd-analyze"]
fn every_shape_is_gated_in_every_mode_or_refused_with_a_sentence_and_systemd_agrees() {
    for mode in MODES {
        let root = with_shapes();
        for (name, _, refused) in SHAPES {
            let output = root.upgrade_gate(&format!("drop-in {name} --mode {mode} --write"));
            let (code, sentence) = (output.status.code(), said(&output));
            let expected = if refused.contains(&mode) { 69 } else { 0 };
            assert_eq!(code, Some(expected), "{name} {mode}: {sentence}");
            assert_eq!(
                sentence.is_empty(),
                expected == 0,
                "{name} {mode}: {sentence}"
            );
        }
        let units: Vec<_> = SHAPES
            .iter()
            .map(|(name, ..)| format!("{name}.service").replace("@.", "@an\\x2dinstance."))
            .collect();
        assert_eq!(root.complaints(&units), "", "{mode}");
    }
}

#[test]
fn without_a_mode_there_is_always_one_that_does() {
    let root = with_shapes();
    for (name, _, refused) in SHAPES {
        let output = root.upgrade_gate(&format!("drop-in {name}"));
        assert!(output.status.success(), "{name}: {}", said(&output));
        let printed = String::from_utf8(output.stdout).unwrap();
        let mode = if refused.contains(&"run") {
            "companion"
        } else {
            "run"
        };
        assert!(printed.contains(&format!(" --mode {mode} ")), "{printed}");
        assert_eq!(printed.contains("# Not mode run: "), mode == "companion");
    }
}

#[test]
fn the_companions_environment_comes_and_goes_with_the_drop_in() {
    let root = with_shapes();
    let etc = root.path().join(ETC);
    let file = etc.join("upgrade-gate@behind-proxy.service.d/upgrade-gate.conf");
    let printed = root
        .upgrade_gate("drop-in behind-proxy --mode companion")
        .stdout;
    let printed = String::from_utf8(printed).unwrap();
    let (own, companion) = printed
        .split_once(
            "\n# /etc/systemd/system/upgrade-gate@behind-proxy.service.d/upgrade-gate.conf\n",
        )
        .expect("both, and where the second one goes");
    let write = "drop-in behind-proxy --mode companion --write";
    assert!(root.upgrade_gate(write).status.success());
    assert_eq!(fs::read_to_string(&file).unwrap(), companion);
    let unit = etc.join("behind-proxy.service.d/upgrade-gate.conf");
    assert_eq!(fs::read_to_string(&unit).unwrap(), own);
    let other = "drop-in odd --mode companion --profile behind-proxy --write";
    assert!(root.upgrade_gate(other).status.success(), "it has none");
    assert!(root.upgrade_gate("drop-in odd --remove").status.success());
    assert!(file.exists(), "another unit's");
    assert!(
        root.upgrade_gate("drop-in behind-proxy --mode run --write")
            .status
            .success()
    );
    assert!(!file.exists(), "no longer needed");
    assert!(root.upgrade_gate(write).status.success());
    assert!(
        root.upgrade_gate("drop-in behind-proxy --remove")
            .status
            .success()
    );
    assert!(!file.parent().unwrap().exists() && !unit.exists());
}

#[test]
fn a_script_that_waits_for_a_gate_is_not_given_a_second_one() {
    let root = with_shapes();
    root.write(
        "usr/local/bin/up",
        "#!/bin/sh\nset -e\nupgrade-gate wait-online --profile up\ndnf upgrade\n",
    );
    for (unit, start) in [
        ("direct", "/usr/local/bin/up now"),
        ("shell", "/bin/bash -e /usr/local/bin/up"),
    ] {
        root.write(
            &format!("{ETC}/{unit}.service"),
            &format!("[Service]\nType=oneshot\nExecStart={start}\n"),
        );
        let output = root.upgrade_gate(&format!("drop-in {unit}"));
        assert_eq!(output.status.code(), Some(69), "{unit}");
        let said = said(&output);
        assert!(
            said.contains("already gated, by /usr/local/bin/up"),
            "{said}"
        );
    }
}

#[test]
fn units_of_one_directory_are_gated_in_another_with_the_program_that_is_named() {
    let root = with_shapes();
    root.write(
        "tree/own.service",
        "[Service]\nExecStart=/bin/own\nRestart=always\n",
    );
    let line = "drop-in --units /tree --output /out --program /opt/a%b/upgrade-gate own";
    let output = root.upgrade_gate(line);
    let written = "/out/own.service.d/upgrade-gate.conf";
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        format!("wrote {}{written}\n", root.path().display()),
        "as it is named here; systemd does not look there, so there is nothing to apply"
    );
    let text = fs::read_to_string(root.path().join(&written[1..])).unwrap();
    assert!(text.contains("After=upgrade-gate@own.service"), "{text}");
    let in_mode_pre = root.upgrade_gate(&format!("{line} --mode pre"));
    assert!(in_mode_pre.status.success(), "{}", said(&in_mode_pre));
    let text = fs::read_to_string(root.path().join(&written[1..])).unwrap();
    assert!(
        text.contains("ExecStartPre=/opt/a%%b/upgrade-gate wait-online"),
        "{text}"
    );
    let elsewhere = root.upgrade_gate("drop-in --units /tree --output /out oneshot");
    assert!(said(&elsewhere).contains("no unit file found for oneshot.service"));
    let nowhere = root.upgrade_gate("drop-in --units /nowhere own");
    assert_eq!(nowhere.status.code(), Some(64));
    assert!(
        said(&nowhere).contains("no directory"),
        "{}",
        said(&nowhere)
    );
}

#[test]
fn a_directory_of_units_does_not_tell_its_systemd_so_no_setting_is_too_new() {
    let root = with_shapes();
    let service = "[Service]\nExecStart=/bin/own\nRestartMode=direct\n";
    root.write("tree/own.service", service);
    root.write(&format!("{ETC}/own.service"), service);
    assert!(said(&root.upgrade_gate("drop-in own")).contains("RestartMode"));
    assert_eq!(said(&root.upgrade_gate("drop-in --units /tree own")), "");
}

#[test]
fn units_of_users_are_gated_where_users_have_them() {
    let root = with_shapes();
    let service = "[Service]\nType=oneshot\nExecStart=/usr/bin/true\n";
    root.write("usr/lib/systemd/user/sync.service", service);
    let home = root
        .path()
        .join("me/.config/systemd/user/sync.service.d/upgrade-gate.conf");
    let all = root
        .path()
        .join("etc/systemd/user/sync.service.d/upgrade-gate.conf");
    for (option, file) in [("--user", home), ("--global", all)] {
        let ran = |words: &str| {
            let output = Command::new(env!("CARGO_BIN_EXE_upgrade-gate"))
                .arg("--root")
                .arg(root.path())
                .args(words.split_whitespace())
                .env_clear()
                .env("HOME", "/me")
                .output()
                .unwrap();
            assert!(output.status.success(), "{words}: {}", said(&output));
            String::from_utf8(output.stdout).unwrap()
        };
        let told = ran(&format!("drop-in sync {option} --write"));
        assert_eq!(told, format!("wrote {}\n", file.display()));
        let written = fs::read_to_string(&file).unwrap();
        assert!(!written.contains("Directory="), "{written}");
        ran(&format!("drop-in sync {option} --remove"));
        assert!(!file.exists());
    }
}

#[test]
fn a_second_time_the_same_is_written_and_removing_leaves_nothing() {
    let root = with_shapes();
    let path = root
        .path()
        .join(ETC)
        .join("odd.service.d/upgrade-gate.conf");
    for mode in MODES {
        let line = format!("drop-in odd --mode {mode}");
        let printed = root.upgrade_gate(&line).stdout;
        for _ in 0..2 {
            let output = root.upgrade_gate(&format!("{line} --write"));
            assert!(output.status.success(), "{}", said(&output));
            assert_eq!(fs::read(&path).unwrap(), printed, "{mode}");
        }
    }
    assert!(root.upgrade_gate("drop-in odd --remove").status.success());
    assert!(!path.parent().unwrap().exists());
    assert_eq!(
        root.upgrade_gate("drop-in odd --remove").status.code(),
        Some(69)
    );
}

#[test]
fn a_file_that_someone_else_wrote_is_neither_overwritten_nor_removed() {
    let root = with_shapes();
    let file = "[Service]\nEnvironment=A=1\n";
    let path = root.write(&format!("{ETC}/simple.service.d/upgrade-gate.conf"), file);
    for option in ["--write", "--remove"] {
        let output = root.upgrade_gate(&format!("drop-in simple {option}"));
        assert_eq!(output.status.code(), Some(69));
        assert!(said(&output).contains("/etc/systemd/system/simple.service.d/upgrade-gate.conf"));
        assert_eq!(fs::read_to_string(&path).unwrap(), file);
    }
}

type Make = fn(&Path);

#[test]
fn nothing_but_a_file_of_ours_is_waited_for_written_through_or_removed() {
    let makers: [Make; 4] = [
        |path| mkfifo(path, Mode::S_IRWXU).unwrap(),
        |path| symlink("/etc/other.conf", path).unwrap(),
        |path| symlink("/dev/null", path).unwrap(),
        |path| fs::create_dir(path).unwrap(),
    ];
    for (what, make) in makers.into_iter().enumerate() {
        let root = with_shapes();
        let directory = root.path().join(ETC).join("simple.service.d");
        let path = directory.join("upgrade-gate.conf");
        fs::create_dir_all(&directory).unwrap();
        make(&path);
        for option in ["--write", "--remove"] {
            let output = root.upgrade_gate(&format!("drop-in simple {option}"));
            assert_eq!(output.status.code(), Some(69), "{what}");
            assert!(
                said(&output).contains("move it away first"),
                "{what}: {}",
                said(&output)
            );
        }
        assert!(!path.symlink_metadata().unwrap().is_file(), "{what}");
        for other in ["etc/other.conf", "dev/null"] {
            assert!(!root.path().join(other).exists(), "{what}");
        }
        assert_eq!(fs::read_dir(directory).unwrap().count(), 1, "{what}");
    }
}

#[test]
fn a_directory_of_drop_ins_that_is_a_link_is_followed_to_a_directory_and_to_nothing_else() {
    let root = with_shapes();
    let (directory, target) = ("etc/systemd/system/simple.service.d", "srv/drop-ins");
    fs::create_dir_all(root.path().join(ETC)).unwrap();
    symlink("/srv/drop-ins", root.path().join(directory)).unwrap();
    let output = root.upgrade_gate("drop-in simple --write");
    assert_eq!(output.status.code(), Some(69));
    assert!(
        said(&output).contains("leads to no directory"),
        "{}",
        said(&output)
    );
    assert!(!root.path().join(target).exists());
    fs::create_dir_all(root.path().join(target)).unwrap();
    assert!(root.upgrade_gate("drop-in simple --write").status.success());
    assert!(root.path().join(target).join("upgrade-gate.conf").is_file());
}

#[test]
fn what_is_written_for_all_can_be_read_by_all_whatever_the_umask() {
    let root = with_shapes();
    root.write(
        "etc/systemd/user/sync.service",
        "[Service]\nExecStart=/usr/bin/true\n",
    );
    for (unit, directory) in [("simple", ETC), ("sync --global", "etc/systemd/user")] {
        let script = format!("umask 077; exec \"$0\" --root \"$1\" drop-in {unit} --write");
        let mut shell = Command::new("sh");
        let shell = shell.args(["-c", &script, env!("CARGO_BIN_EXE_upgrade-gate")]);
        let output = shell.arg(root.path()).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        let name = unit.split(' ').next().unwrap();
        let directory = root
            .path()
            .join(directory)
            .join(format!("{name}.service.d"));
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&directory), 0o755);
        assert_eq!(mode(&directory.join("upgrade-gate.conf")), 0o644);
    }
}

#[test]
fn what_the_administrator_has_changed_is_what_is_wrapped() {
    let root = with_shapes();
    root.write(
        &format!("{ETC}/simple.service.d/override.conf"),
        "[Service]\nExecStart=\nExecStart=/usr/bin/true --mine\n",
    );
    let printed = root.upgrade_gate("drop-in simple").stdout;
    let printed = String::from_utf8(printed).unwrap();
    assert!(
        printed.contains("run --profile simple -- /usr/bin/true --mine\n"),
        "{printed}"
    );
}

#[test]
fn a_drop_in_that_is_read_later_is_warned_of() {
    let root = with_shapes();
    root.write(
        &format!("{ETC}/simple.service.d/zz.conf"),
        "[Service]\nExecStart=\nExecStart=/usr/bin/true\n",
    );
    let output = root.upgrade_gate("drop-in simple --write");
    assert!(output.status.success());
    assert!(
        said(&output).contains("zz.conf is read after"),
        "{}",
        said(&output)
    );
}

#[test]
fn units_that_cannot_be_gated_are_refused_with_what_to_do() {
    let root = with_shapes();
    root.write(
        &format!("{ETC}/bad.service"),
        "[Service]\nExecStart=usr/bin/true\n",
    );
    symlink("/dev/null", root.path().join(ETC).join("masked.service")).unwrap();
    root.write(
        "run/systemd/transient/run-u1.service",
        "[Service]\nExecStart=/usr/bin/true\n",
    );
    root.write(
        &format!("{ETC}/gated.service"),
        "[Service]\nExecStart=/opt/upgrade-gate run -- true\n",
    );
    for (unit, code, words) in [
        ("absent", 69, "no unit file found"),
        ("masked", 69, "systemctl unmask"),
        ("run-u1", 69, "transient"),
        ("bad", 69, "systemd refuses"),
        ("gated", 69, "already gated"),
        ("foo@", 69, "no unit file found"),
        ("timers.target", 64, "not a service unit"),
        ("../evil", 64, "slash"),
    ] {
        let output = root.upgrade_gate(&format!("drop-in {unit} --write"));
        assert_eq!(
            output.status.code(),
            Some(code),
            "{unit}: {}",
            said(&output)
        );
        assert!(said(&output).contains(words), "{unit}: {}", said(&output));
        assert!(output.stdout.is_empty(), "{unit}");
    }
}

#[test]
fn what_is_in_the_way_is_named_and_nothing_is_left_behind() {
    let root = with_shapes();
    root.write(&format!("{ETC}/simple.service.d"), "a file");
    let output = root.upgrade_gate("drop-in simple --write");
    assert_eq!(output.status.code(), Some(69));
    assert!(
        said(&output).contains("/etc/systemd/system/simple.service.d/upgrade-gate.conf"),
        "{}",
        said(&output)
    );
}

#[test]
#[ignore = "needs root, to mount something read-only"]
fn a_read_only_folder_is_answered_with_what_nixos_has_instead() {
    let root = with_shapes();
    root.write(&format!("{ETC}/keep"), "");
    let etc = root.path().join("etc");
    let script = "mount --bind \"$1\" \"$1\" && mount -o remount,ro,bind \"$1\" && exec \"$2\" --root \"$3\" drop-in simple --write";
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", script, "sh"])
        .arg(&etc)
        .arg(env!("CARGO_BIN_EXE_upgrade-gate"))
        .arg(root.path())
        .output()
        .expect("unshare runs");
    assert_eq!(output.status.code(), Some(69), "{}", said(&output));
    assert!(
        said(&output).contains("services.upgrade-gate.units"),
        "{}",
        said(&output)
    );
}
