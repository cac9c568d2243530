//! Which lines of a unit systemd ignores: ours against what `systemd-analyze verify` says.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use upgrade_gate::systemd::read::files::UnitFiles;
use upgrade_gate::systemd::read::scope::{Scope, UnitPaths};
use upgrade_gate::systemd::unit::{IgnoredLine, Load};
use upgrade_gate::systemd::version::Version;

const SERVICE: &str = r#"Before=any.section
[Unit]
After=network-online.target # comment
After=a.service,b.service
Wants="a.service"
Requires=a@.service x@y.timer
OnFailure=mail
OnFailure=mail@%n
StartLimitBurst=010
StartLimitBurst=5 # five
StartLimitBurst=-1
StartLimitIntervalSec=10min ; or so
StartLimitIntervalSec=
RestartSec=5
WantedBy=multi-user.target
=nothing
no assignment
 # a comment
; another one
[service]
Restart=always
[Service]
Type=onshot
Type=oneshot # once
ExecStart=/bin/true \
  # a comment within \
  and more
ExecStart=-
ExecStartPre="/bin/true
ExecStartPre=-/bin/true "
ExecStartPre=-/bin/date +%F
ExecStartPre=-/bin/date +%%F %i
ExecStartPre=/bin/grep \d+ "\x00" \.
ExecStartPre=/bin/grep \\d+ \x41 \s
ExecStartPre=/bin/true ; -bin/b
ExecStartPre=-|/bin/true
Restart=on-failure  # try again
Restart="on-failure"
Restart=On-Failure
Restart=
Restrt=on-failure
RestartSec=30s # half a minute
RestartSec=5 min, 3s
RestartSec=1min 30s
StartLimitIntervalSec=600
StartLimitInterval=600
StartLimitBurst=5.0
StartLimitBurst=0b11
StartLimitBurst=0b12
StartLimitBurst=0o17
NotifyAccess=al
NotifyAccess=exec
SuccessExitStatus=75 TEMPFAIL bogus SIGTERM
SuccessExitStatus=0x4b 0113 0b1
RestartPreventExitStatus=256
RestartForceExitStatus=
TimeoutStartSec=5 foo
TimeoutSec=
TimeoutStart=5
RemainAfterExit=maybe
RemainAfterExit=YES
StandardOutput=jornal
StandardOutput=append:/var/log/a
OnFailure=mail.service
Persistent=true
ProtectSystem=srict
PrivateNetwork=2
[Timer]
OnCalendar=daily
[X-Own]
Restrt=1
[Install]
WantedBy=multi-user.target
After=a.service
"#;

const TIMER: &str = r"[Timer]
OnCalendar=dayly
OnCalendar=daily # every day
OnCalendar=*-*-* 25:00
OnCalender=daily
OnCalendar=
OnBootSec=15min
OnBootSec=soon
OnBootSec=
OnUnitActiveSec=1d
OnCalendar=Mon..Fri 04:00
Persistent=tru
Persistant=true
RandomizedDelaySec=1h # at most
RandomizedDelaySec=
WakeSystem=
Unit=
Unit=u.service
Unit=v.service
";

/// The lines that systemd complains of, whatever it says, and whether it loads the unit.
fn systemd(dir: &Path, file: &str) -> (BTreeSet<usize>, bool) {
    let path = dir.join(file);
    let mut verify = Command::new("systemd-analyze");
    verify.args(["verify", "--man=no"]).arg(&path);
    let output = verify.env("LC_ALL", "C.UTF-8").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let prefix = format!("{}:", path.display());
    let lines = said
        .lines()
        .filter_map(|line| line.strip_prefix(&prefix)?.split(':').next()?.parse().ok());
    let refused =
        said.contains("failed to load properly") || said.contains("bad unit file setting");
    (lines.collect(), !refused)
}

/// A folder in the search path below another root.
fn written(name: &str, text: &[u8]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("etc/systemd/system");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("u.service"), "[Service]\nExecStart=/bin/true\n").unwrap();
    std::fs::write(dir.join(name), text).unwrap();
    root
}

fn system_units(root: &Path) -> UnitFiles {
    UnitFiles::in_paths(root, UnitPaths::of(Scope::System))
}

fn lines(ignored: &[IgnoredLine]) -> BTreeSet<usize> {
    // What verify can say is what the installed systemd says.
    let all = ignored.iter().filter(|ignored| ignored.by(Version(252)));
    all.map(|ignored| ignored.line).collect()
}

#[test]
#[ignore = "needs systemd-analyze"]
fn the_lines_of_a_service_that_systemd_ignores_are_the_ones_we_name() {
    let root = written("a.service", SERVICE.as_bytes());
    let (expected, loaded) = systemd(&root.path().join("etc/systemd/system"), "a.service");
    let read = system_units(root.path()).unit("a.service").unit;
    assert!(loaded && read.load == Load::Loaded, "{:?}", read.load);
    assert_eq!(lines(&read.ignored), expected, "{:#?}", read.ignored);
    assert!(expected.len() > 30, "{expected:?}");
}

#[test]
#[ignore = "needs systemd-analyze"]
fn lines_end_where_they_end_for_systemd() {
    let text = b"[Service]\nExecStart=/bin/true\0x\nRestrt=1\rRestrt=2\n\rRestrt=3\r\n\nRestrt=1\n";
    let root = written("a.service", text);
    let (expected, _) = systemd(&root.path().join("etc/systemd/system"), "a.service");
    let read = system_units(root.path()).unit("a.service").unit;
    assert_eq!(lines(&read.ignored), expected, "{:#?}", read.ignored);
    assert_eq!(expected.len(), 5);
}

#[test]
#[ignore = "needs systemd-analyze"]
fn the_lines_of_a_timer_that_systemd_ignores_are_the_ones_we_name() {
    let root = written("u.timer", TIMER.as_bytes());
    let (expected, loaded) = systemd(&root.path().join("etc/systemd/system"), "u.timer");
    let timers = system_units(root.path()).unit("u.service").unit.timers;
    assert!(loaded && timers[0].calendar);
    assert_eq!(
        lines(&timers[0].ignored),
        expected,
        "{:#?}",
        timers[0].ignored
    );
}

#[test]
#[ignore = "needs systemd-analyze"]
fn what_breaks_a_file_for_systemd_breaks_it_for_us() {
    let long = vec![b'#'; 1 << 20];
    for bad in [
        &long[..],
        b"[Service] # x",
        b"[Service",
        b"[Serv\\ice]",
        b"Nice=\xff",
        b"DynamicUser=perhaps",
        b"User=back:up",
        b"User=%i",
        b"Group=-1",
        b"ExecStartPre=/bin/date +%F",
    ] {
        let text = [
            b"[Service]\nExecStart=/bin/true\n",
            bad,
            b"\nRestart=on-failure\n",
        ]
        .concat();
        let root = written("a.service", &text);
        let (_, loaded) = systemd(&root.path().join("etc/systemd/system"), "a.service");
        let read = system_units(root.path()).unit("a.service").unit;
        assert!(!loaded && matches!(read.load, Load::Refused(_)), "{bad:?}");
    }
}

#[test]
#[ignore = "needs systemd-analyze"]
fn a_service_without_a_command_is_refused_as_systemd_refuses_it() {
    for text in [
        "[Service]\nExecStop=/bin/true\n",
        "[Service]\nExecStop=/bin/true\nRemainAfterExit=yes\n",
        "[Service]\nType=simple\nExecStop=/bin/true\nRemainAfterExit=yes\n",
        "[Service]\nType=oneshot\nRemainAfterExit=yes\n",
        "[Service]\nType=oneshot\n[Unit]\nSuccessAction=exit\n",
        "[Service]\nType=simple\n[Unit]\nSuccessAction=exit\n",
        "[Service]\n[Unit]\nSuccessAction=none\n",
    ] {
        let root = written("a.service", text.as_bytes());
        let (_, loaded) = systemd(&root.path().join("etc/systemd/system"), "a.service");
        let read = system_units(root.path()).unit("a.service").unit;
        assert_eq!(read.load == Load::Loaded, loaded, "{text}: {:?}", read.load);
    }
}

#[test]
#[ignore = "needs systemd-analyze"]
fn a_service_that_systemd_does_not_load_is_refused_whatever_the_setting() {
    let mut refused = 0;
    for text in [
        "Type=oneshot\nExitType=cgroup",
        "Type=oneshot\nExitType=cgroup\nExitType=",
        "Type=forking\nExitType=cgroup",
        "Type=dbus\nBusName=name",
        "Type=dbus\nBusName=org.1example.a",
        "Type=dbus\nBusName=:1.5",
        "Type=dbus\nBusName=org.example.a\nBusName=",
        "Type=dbus\nBusName=org.example.%Z",
        "PAMName=x\nKillMode=none",
        "PAMName=x\nKillMode=process\nKillMode=",
        "PAMName=x\nPAMName=\nKillMode=process",
        "PAMName=%Z\nKillMode=process",
        "WorkingDirectory=var",
        "WorkingDirectory=-var",
        "WorkingDirectory=/a/../b",
        "WorkingDirectory=/a/./b//c/",
        "WorkingDirectory=%t/x",
        "WorkingDirectory=%%t/x",
        "RootDirectory=-/srv",
        "RootImage=%Z",
        "User=%Z",
        "Group=a%%Z",
        "DynamicUser=",
        "SupplementaryGroups=audio a/b",
        "SupplementaryGroups=audio %p",
        "SELinuxContext=%Z",
        "AppArmorProfile=-%Z",
        "ExecReload=bin/x",
        "ExecReload=/bin/kill -HUP $MAINPID",
    ] {
        let text = format!("[Service]\nExecStart=/bin/true\n{text}\n");
        let root = written("a.service", text.as_bytes());
        let (_, loaded) = systemd(&root.path().join("etc/systemd/system"), "a.service");
        let read = system_units(root.path()).unit("a.service").unit;
        assert_eq!(read.load == Load::Loaded, loaded, "{text}: {:?}", read.load);
        refused += usize::from(!loaded);
    }
    assert!(refused > 10, "{refused}");
}
