//! `lint`, the real binary: units from a systemd that is faked on a private bus, and from files below a root.

mod loaded;
mod machine;
mod path;
mod systemd;
mod user;
mod verify;

use std::os::unix::net::UnixListener;

use serde_json::Value;

use self::machine::Machine;
use self::systemd::{Unit, line};

fn fwupd() -> Vec<Unit> {
    let service = Unit::service("fwupd-refresh.service")
        .with("After", vec!["network-online.target"])
        .with("Wants", vec!["network-online.target"])
        .with("TriggeredBy", vec!["fwupd-refresh.timer", "other.socket"])
        .with("ExecStartEx", vec![line("/usr/bin/fwupdmgr refresh")])
        .with("SuccessExitStatus", (vec![2, 101], Vec::<i32>::new()));
    vec![service, Unit::timer("fwupd-refresh.timer")]
}

/// What everybody pastes: 100/5/20.
fn hack(name: &str) -> Unit {
    Unit::service(name)
        .with("StartLimitIntervalUSec", 100_000_000_u64)
        .with("Restart", "on-failure")
        .with("RestartUSec", 20_000_000_u64)
}

fn ids(unit: &Value) -> Vec<&str> {
    let findings = unit["findings"].as_array().unwrap();
    findings
        .iter()
        .map(|finding| finding["id"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn the_stock_fwupd_refresh_is_started_at_the_resume_whatever_it_is_ordered_after() {
    let bus = Machine::with(fwupd()).await;
    let said = bus.lint("fwupd-refresh").await;
    assert_eq!(said.code, Some(1), "{said:?}");
    for part in [
        "fwupd-refresh.service (/usr/lib/systemd/system/fwupd-refresh.service)",
        "UG003",
        "UG006",
        "RandomizedDelaySec=1h",
        "upgrade-gate drop-in fwupd-refresh.service --write",
        "during 30min without a network:",
    ] {
        assert!(said.out.contains(part), "{part}: {}", said.out);
    }
    assert!(
        said.out.lines().all(|line| line.chars().count() <= 100),
        "{}",
        said.out
    );
    let said = bus.lint("fwupd-refresh.service --json").await;
    let told = said.json();
    assert_eq!(ids(&told["units"][0]), ["UG003", "UG006"]);
    assert_eq!(told["systemd"], 257);
}

#[tokio::test]
async fn a_restart_loop_is_told_in_numbers() {
    let bus = Machine::with(vec![hack("a.service")]).await;
    let told = bus.lint("a --outage 1h --attempt 10s --json").await.json();
    let unit = &told["units"][0];
    assert_eq!(ids(unit), ["UG001"]);
    assert_eq!(unit["fate"], "tried");
    assert_eq!(unit["story"]["ending"], "survives");
    // Every 30 s from 0 on, and once more when the network is back.
    assert_eq!(unit["story"]["starts"], 121);
    assert_eq!(told["outage_usec"], 3_600_000_000_u64);
}

#[tokio::test]
async fn a_clean_unit_is_called_so() {
    let gated = Unit::service("u.service").with("Type", "exec").with(
        "ExecStartEx",
        vec![line("/usr/bin/upgrade-gate run -- /usr/bin/tool")],
    );
    let bus = Machine::with(vec![gated, Unit::service("b.service")]).await;
    let said = bus.lint("u b").await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(said.out.matches("no findings").count(), 2, "{}", said.out);
    assert!(said.out.contains("its gate holds it"), "{}", said.out);
}

#[tokio::test]
async fn all_shows_only_units_with_findings_and_each_once() {
    let mut units = fwupd();
    units.extend([
        Unit::service("b.service"),
        hack("c.service").unloaded("disabled"),
        hack("d.service")
            .with("LoadState", "masked")
            .unloaded("masked"),
        hack("e@.service").unloaded("static"),
        hack("alias.service").unloaded("alias"),
        hack("gone.service").with("LoadState", "not-found"),
        Unit::service("new.service").with("Type", "rocket"),
    ]);
    let bus = Machine::with(units).await;
    let said = bus.lint("--all").await;
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.out.contains("c.service") && said.out.contains("fwupd-refresh.service"));
    for absent in [
        "b.service",
        "d.service",
        "e@.service",
        "gone.service",
        "without a network:\n",
    ] {
        assert!(!said.out.contains(absent), "{absent}: {}", said.out);
    }
    let last = "3 services checked, 2 with findings; templates left out: 1\n";
    assert!(said.out.ends_with(last), "{}", said.out);
    assert!(
        said.err.contains("new.service") && said.err.contains("rocket"),
        "{}",
        said.err
    );
    let told = bus.lint("--all --json").await.json();
    assert_eq!(told["units"].as_array().unwrap().len(), 2);
    assert_eq!(told["services"], 3);
    assert_eq!(told["templates"], 1);
}

#[tokio::test]
async fn three_lines_of_exec_start_are_all_looked_at() {
    let lines = ["/bin/a", "/bin/b", "/usr/bin/nm-online -s"].map(line);
    let unit = Unit::service("u.service").with("ExecStartEx", lines.to_vec());
    let bus = Machine::with(vec![unit]).await;
    // nm-online as the last of three is not a wait before the work, but the work itself.
    assert_eq!(bus.lint("u").await.code, Some(0));
    let switch = ["/bin/a", "/bin/nixos-rebuild switch", "/bin/c"].map(line);
    let unit = Unit::service("u.service").with("ExecStartEx", switch.to_vec());
    let bus = Machine::with(vec![unit]).await;
    assert_eq!(
        ids(&bus.lint("u --json").await.json()["units"][0]),
        ["UG016"]
    );
}

#[tokio::test]
async fn an_old_systemd_is_judged_as_it_is() {
    let oneshot = || Unit::service("u.service").with("Restart", "on-failure");
    let forced = || oneshot().with("RestartForceExitStatus", (vec![1], Vec::<i32>::new()));
    let old = Machine::with_version("v252", vec![forced()]).await;
    assert_eq!(
        ids(&old.lint("u --json").await.json()["units"][0]),
        ["UG007"]
    );
    let new = Machine::with_version("262", vec![forced()]).await;
    assert_eq!(new.lint("u").await.code, Some(0));
    let odd = Machine::with_version("main", vec![oneshot()]).await;
    odd.lint("u").await.refuses(70, &["Version", "main"]);
}

#[tokio::test]
async fn a_unit_that_systemd_refuses_is_explained_or_passed_on() {
    let refused = |restart: &'static str| {
        let why = (
            "org.freedesktop.systemd1.BadUnitSetting",
            "it has a bad unit file setting",
        );
        Unit::service("u.service")
            .with("LoadState", "bad-setting")
            .with("LoadError", why)
            .with("Restart", restart)
    };
    let bus = Machine::with(vec![refused("always")]).await;
    let said = bus.lint("u").await;
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(
        said.out.contains("UG007") && said.out.contains("bad unit file"),
        "{said:?}"
    );
    let bus = Machine::with(vec![refused("no")]).await;
    bus.lint("u").await.refuses(
        69,
        &[
            "systemd refuses u.service",
            "bad unit file",
            "daemon-reload",
        ],
    );
}

#[tokio::test]
async fn what_cannot_be_looked_at_is_named_and_the_others_are_looked_at() {
    let masked = Unit::service("masked.service").with("LoadState", "masked");
    let transient = Unit::service("run-u7.service").with("Transient", true);
    let bus = Machine::with(vec![masked, transient]).await;
    bus.lint("missing")
        .await
        .refuses(69, &["error: no unit missing.service"]);
    bus.lint("masked")
        .await
        .refuses(69, &["masked.service is masked", "systemctl unmask"]);
    bus.lint("a@")
        .await
        .refuses(64, &["a@.service is a template", "a@NAME.service"]);
    bus.lint("a.timer")
        .await
        .refuses(64, &["a.timer is not a service unit"]);
    bus.lint("a/b")
        .await
        .refuses(64, &["a/b is not a service unit file"]);
    let said = bus.lint("missing run-u7").await;
    said.refuses(69, &["missing.service"]);
    assert!(
        said.out.contains("run-u7.service")
            && said.out.contains("transient: it disappears when it ends")
    );
}

#[tokio::test]
async fn without_a_unit_there_is_nothing_to_look_at() {
    let bus = Machine::none();
    bus.lint("").await.refuses(64, &["--all"]);
    bus.lint("u --all").await.refuses(64, &["--all"]);
    bus.lint("u --outage infinity")
        .await
        .refuses(64, &["finite"]);
    bus.lint("u --attempt soon").await.refuses(64, &["soon"]);
}

#[tokio::test]
async fn without_systemd_the_way_to_the_files_is_shown() {
    for (bus, why) in [
        (Machine::none(), "there is no system bus"),
        (Machine::empty(), "systemd is not on the system bus"),
    ] {
        for words in ["u", "--all"] {
            bus.lint(words).await.refuses(69, &[why, "--root DIR"]);
        }
    }
}

#[tokio::test]
async fn a_bus_that_lets_nobody_in_is_no_systemd_either() {
    let bus = Machine::none();
    let listener = UnixListener::bind(bus.folder.path().join("bus")).unwrap();
    // Each caller is let in and hung up on, until the listener is shut down.
    let refusing = std::thread::spawn(move || {
        let _ = listener.accept().map(drop);
    });
    bus.lint("u")
        .await
        .refuses(69, &["failed to connect to the system bus", "--root DIR"]);
    refusing.join().unwrap();
}

const UPGRADE: &str = "[Unit]\nAfter=network-online.target\nStartLimitIntervalSec=5min\n\
    [Service]\nType=oneshot\nExecStart=/bin/a\nExecStart=-/bin/b c\nExecStart=/bin/nixos-rebuild boot\n\
    Restart=on-failure\nRestartSec=20\n";

#[tokio::test]
async fn without_systemd_the_files_below_a_root_are_read() {
    let root = Machine::none();
    root.write("up.service", UPGRADE);
    root.write(
        "up.timer",
        "[Timer]\nOnCalendar=daily\nRandomizedDelaySec=2h\n",
    );
    root.write("foo@.service", "[Service]\nExecStart=/bin/true\n");
    let said = root.lint_files("up").await;
    assert_eq!(said.code, Some(1), "{said:?}");
    for part in [
        "UG002",
        "UG003",
        "UG005",
        "UG006",
        "5 times within 2min 5s",
        "RandomizedDelaySec=2h",
    ] {
        assert!(said.out.contains(part), "{part}: {}", said.out);
    }
    assert!(said.err.contains("assuming systemd 257"), "{}", said.err);
    let told = root.lint_files("--all --json").await.json();
    assert_eq!(told["services"], 1);
    assert_eq!(told["units"][0]["unit"], "up.service");
    // A drop-in fixes it.
    let mend = "[Service]\nType=exec\nExecStart=\nExecStart=/usr/bin/upgrade-gate run -- /bin/b\n";
    root.write("up.service.d/gate.conf", mend);
    let said = root.lint_files("up").await;
    assert_eq!(said.code, Some(0), "{said:?}");
}

#[tokio::test]
async fn the_version_of_systemd_is_known_by_the_files_of_the_root() {
    let root = Machine::none();
    root.write(
        "up.service",
        "[Service]\nType=oneshot\nExecStart=/bin/a\nRestartForceExitStatus=1\n",
    );
    let library = root
        .folder
        .path()
        .join("usr/lib/systemd/libsystemd-shared-252.so");
    std::fs::create_dir_all(library.parent().unwrap()).unwrap();
    std::fs::write(library, "").unwrap();
    let told = root.lint_files("up --json").await.json();
    assert_eq!(told["systemd"], 252);
    assert_eq!(ids(&told["units"][0]), ["UG007"]);
}

#[tokio::test]
async fn bad_files_are_named_as_bad_units_are() {
    let root = Machine::none();
    root.write("up.service", UPGRADE);
    root.write("none.service", "[Service]\nType=simple\n");
    let masked = root.folder.path().join("etc/systemd/system/masked.service");
    std::os::unix::fs::symlink("/dev/null", masked).unwrap();
    root.lint_files("missing")
        .await
        .refuses(69, &["error: no unit missing.service"]);
    root.lint_files("masked")
        .await
        .refuses(69, &["masked.service is masked"]);
    root.lint_files("none")
        .await
        .refuses(69, &["systemd refuses none.service"]);
    let nowhere = root.lint("up --root /nonexistent/root").await;
    nowhere.refuses(64, &["/nonexistent/root", "--root"]);
}

/// Debian's fwupd-refresh, as far as it matters.
const FWUPD: &str = "[Unit]\nWants=network-online.target\nAfter=network-online.target\n\
    [Service]\nType=oneshot\nStandardError=null\nUser=fwupd-refresh\nSuccessExitStatus=2 101\n\
    ExecStart=/usr/bin/fwupdmgr refresh\n";

#[tokio::test]
async fn what_drop_in_writes_has_no_findings() {
    for mode in ["run", "condition", "companion"] {
        let root = Machine::none();
        root.write("fwupd-refresh.service", FWUPD);
        root.write(
            "fwupd-refresh.timer",
            "[Timer]\nOnCalendar=hourly\nRandomizedDelaySec=1h\nPersistent=yes\n",
        );
        root.write(
            "upgrade-gate@.service",
            "[Service]\nType=notify\nExecStart=/usr/bin/upgrade-gate wait-online\n",
        );
        assert_eq!(root.lint_files("fwupd-refresh").await.code, Some(1));
        let words = format!("drop-in fwupd-refresh --mode {mode} --write --root");
        let written = root
            .command(&words)
            .arg(root.folder.path())
            .output()
            .await
            .unwrap();
        assert!(written.status.success(), "{mode}: {written:?}");
        let said = root.lint_files("fwupd-refresh").await;
        assert_eq!(said.code, Some(0), "{mode}: {said:?}");
    }
}

#[tokio::test]
async fn the_drop_ins_that_are_shipped_have_no_findings() {
    let shipped = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("units/drop-ins");
    let root = Machine::none();
    let mut count = 0;
    for folder in std::fs::read_dir(shipped).unwrap() {
        let folder = folder.unwrap();
        let name = folder.file_name().into_string().unwrap();
        let Some(unit) = name
            .strip_suffix(".d")
            .filter(|unit| unit.ends_with(".service"))
        else {
            continue;
        };
        root.write(unit, "[Service]\nType=oneshot\nExecStart=/usr/bin/tool\n");
        for file in std::fs::read_dir(folder.path()).unwrap() {
            let file = file.unwrap();
            let text = std::fs::read_to_string(file.path()).unwrap();
            root.write(&format!("{name}/{}", file.file_name().display()), &text);
        }
        count += 1;
    }
    assert!(count >= 5, "they have moved: {count}");
    let said = root.lint_files("--all").await;
    assert_eq!(said.code, Some(0), "{said:?}");
}
