//! Units from files, in a root of their own.

mod surroundings;

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::systemd::read::scope::Scope;
use crate::systemd::unit::{NotifyAccess, Restart, ServiceType};

mod timers;

const LIB: &str = "usr/lib/systemd/system";
const ETC: &str = "etc/systemd/system";

struct Root(TempDir);

impl Root {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn with(self, path: &str, text: &str) -> Self {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn link(self, path: &str, target: &str) -> Self {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
        self
    }

    fn files(&self) -> UnitFiles {
        UnitFiles::in_paths(self.0.path(), UnitPaths::of(Scope::System))
    }

    fn read(&self, name: &str) -> ParsedUnit {
        self.files().unit(name)
    }

    fn paths(&self, name: &str) -> Vec<String> {
        let read = self.read(name);
        let drop_ins = read.unit.drop_ins.iter();
        drop_ins.map(|path| path.display().to_string()).collect()
    }
}

fn commands(read: &ParsedUnit) -> Vec<&str> {
    let service = read.unit.service.as_ref().unwrap();
    let execs = service.exec_start.iter();
    execs.map(|exec| exec.path.as_str()).collect()
}

#[test]
fn the_most_important_directory_has_the_unit_and_drop_ins_add_to_it() {
    let root = Root::new()
        .with(
            &format!("{LIB}/a.service"),
            "[Service]\nExecStart=/bin/lib\n",
        )
        .with(
            &format!("{ETC}/a.service"),
            "[Service]\nType=oneshot\nExecStart=/bin/etc\n",
        )
        .with(
            &format!("{LIB}/a.service.d/9.conf"),
            "[Service]\nExecStart=/bin/more\nUser=x\n",
        )
        .with(
            &format!("{ETC}/a.service.d/1.conf"),
            "[Service]\nRestart=on-failure\nUser=y\n",
        );
    let read = root.read("a.service");
    assert_eq!(commands(&read), ["/bin/etc", "/bin/more"]);
    let service = read.unit.service.unwrap();
    assert_eq!(service.restart, Restart::OnFailure);
    assert_eq!(
        service.user, "x",
        "9.conf comes after 1.conf wherever they lie"
    );
    assert_eq!(service.timeout_start, None, "a oneshot has all the time");
    assert_eq!(
        read.unit.fragment.unwrap().display().to_string(),
        format!("/{ETC}/a.service")
    );
}

#[test]
fn drop_ins_of_one_name_hide_each_other_and_dev_null_hides_all() {
    let root = Root::new()
        .with(
            &format!("{LIB}/a-b.service"),
            "[Service]\nExecStart=/bin/a\n",
        )
        .with(
            &format!("{LIB}/a-b.service.d/x.conf"),
            "[Service]\nUser=lib\n",
        )
        .with(
            &format!("{ETC}/a-.service.d/x.conf"),
            "[Service]\nUser=etc\n",
        )
        .with(&format!("{LIB}/service.d/y.conf"), "[Service]\nType=exec\n")
        .with(
            &format!("{LIB}/a-b.service.d/z.conf"),
            "[Service]\nType=idle\n",
        )
        .link(&format!("{ETC}/a-b.service.d/z.conf"), "/dev/null");
    let read = root.read("a-b.service");
    assert!(read.warnings.is_empty(), "{:?}", read.warnings);
    let service = read.unit.service.unwrap();
    assert_eq!(service.user, "etc");
    assert_eq!(service.kind, ServiceType::Exec);
}

#[test]
fn an_alias_leads_to_the_unit_and_its_drop_ins_count() {
    let root = Root::new()
        .with(
            &format!("{LIB}/real.service"),
            "[Service]\nExecStart=/bin/a\n",
        )
        .link(
            &format!("{ETC}/other.service"),
            &format!("/{LIB}/real.service"),
        )
        .with(
            &format!("{ETC}/other.service.d/1.conf"),
            "[Service]\nUser=x\n",
        );
    for name in ["real.service", "other.service"] {
        let unit = root.read(name).unit;
        assert_eq!(unit.name, "real.service");
        assert_eq!(unit.service.unwrap().user, "x", "{name}");
    }
}

#[test]
fn an_instance_comes_from_its_template_and_fills_in_its_name() {
    let root = Root::new()
        .with(
            &format!("{LIB}/a@.service"),
            "[Unit]\nAfter=b@%i.service\n[Service]\nExecStart=/bin/a %i\n",
        )
        .with(
            &format!("{LIB}/a@.service.d/1.conf"),
            "[Service]\nUser=%i\n",
        )
        .with(
            &format!("{ETC}/a@x.service.d/2.conf"),
            "[Unit]\nAfter=c.service\n",
        );
    let read = root.read("a@x.service");
    assert_eq!(read.unit.after, ["b@x.service", "c.service"]);
    assert_eq!(commands(&read), ["/bin/a"]);
    let service = read.unit.service.unwrap();
    assert_eq!(
        service.exec_start[0].argv[1], "%i",
        "what is printed again is resolved then"
    );
    assert_eq!(service.user, "x");
    assert_eq!(root.paths("a@x.service").len(), 2);
}

#[test]
fn masked_missing_and_refused_units_are_told_apart() {
    let root = Root::new()
        .with(
            &format!("{LIB}/masked.service"),
            "[Service]\nExecStart=/bin/a\n",
        )
        .link(&format!("{ETC}/masked.service"), "/dev/null")
        .with(&format!("{ETC}/empty.service"), "")
        .link(
            &format!("{ETC}/dangling.service"),
            "/nowhere/dangling.service",
        )
        .with(
            &format!("{ETC}/relative.service"),
            "[Service]\nExecStart=bin/a\n",
        )
        .with(
            &format!("{ETC}/two.service"),
            "[Service]\nExecStart=/bin/a\nExecStart=/bin/b\n",
        )
        .with(&format!("{ETC}/none.service"), "[Unit]\nAfter=a\n");
    let load = |name| root.read(name).unit.load;
    assert_eq!(load("masked.service"), Load::Masked);
    assert_eq!(load("empty.service"), Load::Masked);
    assert_eq!(load("dangling.service"), Load::NotFound);
    assert_eq!(load("absent.service"), Load::NotFound);
    for name in ["relative.service", "two.service", "none.service"] {
        assert!(
            matches!(load(name), Load::Refused(_)),
            "{name}: {:?}",
            load(name)
        );
    }
}

#[test]
fn lists_are_reset_and_bad_values_are_left_out_with_file_and_line() {
    let text = "[Service]\nExecStart=/bin/a\nExecStart=\nExecStart=/bin/b\n\
                SuccessExitStatus=2 TEMPFAIL nonsense\nRestartSec=soon\nType=later\nRuntimeMaxSec=1h\n";
    let root = Root::new().with(&format!("{ETC}/a.service"), text);
    let read = root.read("a.service");
    assert_eq!(commands(&read), ["/bin/b"]);
    assert_eq!(read.warnings.len(), 3, "{:?}", read.warnings);
    assert!(read.warnings[0].starts_with("/etc/systemd/system/a.service:5:"));
    let service = read.unit.service.unwrap();
    assert!(service.success.codes.into_iter().eq([2, 75]));
    assert_eq!(service.runtime_max, Some(Duration::from_secs(3600)));
    assert_eq!(service.kind, ServiceType::Simple);
}

#[test]
fn a_start_has_the_timeouts_and_the_access_that_systemd_fills_in() {
    let minutes = |minutes: u64| Some(Duration::from_secs(60 * minutes));
    for (text, queued, running) in [
        ("JobTimeoutSec=2min\n", minutes(2), minutes(2)),
        (
            "JobRunningTimeoutSec=1min\nJobTimeoutSec=2min\n",
            minutes(2),
            minutes(1),
        ),
        ("JobTimeoutSec=0\n", None, None),
    ] {
        let text = format!("[Unit]\n{text}[Service]\nType=notify\nExecStart=/bin/a\n");
        let root = Root::new().with(&format!("{ETC}/a.service"), &text);
        let unit = root.read("a.service").unit;
        assert_eq!(
            (unit.job_timeout, unit.job_running_timeout),
            (queued, running)
        );
        assert_eq!(unit.service.unwrap().notify_access, NotifyAccess::Main);
    }
}

#[test]
fn the_managers_defaults_are_filled_in() {
    let root = Root::new()
        .with(
            "etc/systemd/system.conf",
            "[Manager]\nDefaultTimeoutStartSec=5s\nDefaultStartLimitBurst=x\n",
        )
        .with(
            "usr/lib/systemd/system.conf.d/1.conf",
            "[Manager]\nDefaultStartLimitIntervalSec=1h\n",
        )
        .with(&format!("{ETC}/a.service"), "[Service]\nExecStart=/bin/a\n");
    let unit = root.read("a.service").unit;
    assert_eq!(unit.start_limit.interval, Some(Duration::from_secs(3600)));
    assert_eq!(unit.start_limit.burst, 5);
    assert_eq!(
        unit.service.unwrap().timeout_start,
        Some(Duration::from_secs(5))
    );
    assert_eq!(root.files().warnings().len(), 1);
}

#[test]
fn whoever_wants_it_and_whatever_starts_it_is_found() {
    let root = Root::new()
        .with(
            &format!("{LIB}/a.service"),
            "[Service]\nExecStart=/bin/a\n[Install]\nWantedBy=x.target\n",
        )
        .link(
            &format!("{ETC}/y.target.wants/a.service"),
            &format!("/{LIB}/a.service"),
        )
        .with(
            &format!("{LIB}/t.timer"),
            "[Timer]\nUnit=a.service\nOnCalendar=daily\nPersistent=yes\n",
        )
        .with(
            &format!("{LIB}/a.timer"),
            "[Timer]\nOnBootSec=1h\nRandomizedDelaySec=5min\n",
        );
    let unit = root.read("a.service").unit;
    assert_eq!(unit.wanted_by, ["x.target", "y.target"]);
    let timers: Vec<_> = unit
        .timers
        .iter()
        .map(|timer| timer.name.as_str())
        .collect();
    assert_eq!(timers, ["a.timer", "t.timer"]);
    assert!(unit.timers[1].calendar && unit.timers[1].persistent && !unit.timers[0].calendar);
}

#[test]
fn what_nixos_says_to_its_switch_is_read() {
    let text =
        "[Unit]\nX-StopOnRemoval=false\n[Service]\nExecStart=/bin/a\nX-RestartIfChanged=false\n";
    let root = Root::new()
        .with("nix/store/x/a.service", text)
        .link(&format!("{ETC}/a.service"), "/nix/store/x/a.service");
    let unit = root.read("a.service").unit;
    assert_eq!(unit.load, Load::Loaded);
    assert!(!unit.nixos.stop_on_removal && !unit.nixos.restart_if_changed);
}

#[test]
fn one_drop_in_can_be_left_out() {
    let root = Root::new()
        .with(&format!("{LIB}/a.service"), "[Service]\nExecStart=/bin/a\n")
        .with(
            &format!("{ETC}/a.service.d/x.conf"),
            "[Service]\nExecStart=\nExecStart=/bin/x\n",
        );
    assert_eq!(commands(&root.read("a.service")), ["/bin/x"]);
    let without = root
        .files()
        .without(Path::new("/etc/systemd/system/a.service.d/x.conf"));
    let read = without.unit("a.service");
    assert_eq!(commands(&read), ["/bin/a"]);
    assert!(read.unit.drop_ins.is_empty());
}

#[test]
fn all_services_and_timers_are_named_and_templates_are_not() {
    let root = Root::new()
        .with(&format!("{LIB}/a.service"), "x")
        .with(&format!("{LIB}/a@.service"), "x")
        .with(&format!("{ETC}/a@b.service"), "x")
        .with(&format!("{ETC}/a.timer"), "x")
        .with(&format!("{ETC}/a.target"), "x");
    assert_eq!(
        root.files().names(),
        ["a.service", "a.timer", "a@b.service"]
    );
}

#[test]
fn the_version_is_that_of_the_library() {
    let root = Root::new().with(
        "usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-257.so",
        "",
    );
    assert_eq!(root.files().version(), Some(Version(257)));
    assert_eq!(Root::new().files().version(), None);
}
