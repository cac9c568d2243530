//! Network and mount namespaces in which the real NetworkManager runs without touching the machine.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::process::Running;
use crate::support::bus::DbusDaemon;
use crate::{machine, table};

/// How this program calls itself in there.
pub(crate) const INSIDE: &str = "--inside-namespace";

/// Measures `name` in namespaces, or says why that cannot be.
pub(crate) fn enter(name: &str) {
    if let Some(why) = obstacle() {
        return table::skipped(name, &why);
    }
    let program = std::env::current_exe().expect("a program");
    let status = Command::new("unshare")
        .args(["--net", "--mount", "--"])
        .arg(program)
        .args([INSIDE, name])
        .status();
    if !status.is_ok_and(|status| status.success()) {
        table::skipped(name, "it failed in its namespace, see above");
    }
}

fn obstacle() -> Option<String> {
    let programs = [
        "unshare",
        "ip",
        "mount",
        "dbus-daemon",
        "NetworkManager",
        "nmcli",
        "nm-online",
    ];
    if let Some(missing) = programs.into_iter().find(|program| !machine::has(program)) {
        return Some(format!("{missing} is not installed"));
    }
    let id = Command::new("id").arg("-u").output();
    let is_root = id.is_ok_and(|output| output.stdout == b"0\n");
    (!is_root).then(|| "it needs root, for namespaces".to_owned())
}

/// NetworkManager on a bus of its own, with one cable.
pub(crate) struct NetworkManager {
    _daemon: Running,
    bus: DbusDaemon,
    _folder: TempDir,
}

impl NetworkManager {
    /// Starts it; the cable is in, and not yet used.
    pub(crate) fn start() -> Self {
        for command in [
            "mount -t sysfs -o ro sysfs /sys",
            "mount -t tmpfs tmpfs /run",
            "mount -t tmpfs tmpfs /var/lib/NetworkManager",
            "ip link set lo up",
            "ip link add eth0 type veth peer name peer",
            "ip link set peer up",
        ] {
            words(command);
        }
        fs::create_dir("/run/NetworkManager").expect("an empty /run");
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("services")).unwrap();
        let bus = DbusDaemon::start(folder.path());
        let daemon = daemon(folder.path(), &bus.address());
        let started = Self {
            _daemon: daemon,
            bus,
            _folder: folder,
        };
        let began = Instant::now();
        while !started.knows_the_cable() {
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "NetworkManager does not start"
            );
            sleep(Duration::from_millis(100));
        }
        started
    }

    fn knows_the_cable(&self) -> bool {
        let mut nmcli = self.client("nmcli");
        let output = nmcli
            .args(["-g", "GENERAL.STATE", "device", "show", "eth0"])
            .output();
        output.is_ok_and(|output| output.stdout.starts_with(b"30"))
    }

    /// Brings the cable into use: NetworkManager is then connected.
    pub(crate) fn connect(&self) {
        let add = "con add type ethernet ifname eth0 con-name cable ipv4.method manual \
                   ipv4.addresses 192.0.2.2/24 ipv4.gateway 192.0.2.1 ipv6.method disabled";
        for arguments in [add, "con up cable"] {
            let mut nmcli = self.client("nmcli");
            let done = nmcli
                .args(arguments.split_whitespace())
                .stdout(Stdio::null())
                .status();
            assert!(
                done.is_ok_and(|status| status.success()),
                "nmcli {arguments} failed"
            );
        }
    }

    /// A program that finds its bus.
    pub(crate) fn client(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("DBUS_SYSTEM_BUS_ADDRESS", self.bus.address());
        command
    }
}

fn daemon(folder: &Path, bus: &str) -> Running {
    let at = |name: &str| folder.join(name).display().to_string();
    let config = format!(
        "[main]\nplugins=keyfile\ndns=none\nrc-manager=unmanaged\nno-auto-default=*\nhostname-mode=none\n\
         [keyfile]\npath={}\nunmanaged-devices=interface-name:peer\n",
        at("connections")
    );
    fs::write(folder.join("nm.conf"), config).unwrap();
    let mut command = Command::new("NetworkManager");
    command
        .env("DBUS_SYSTEM_BUS_ADDRESS", bus)
        .arg("--no-daemon");
    for (option, name) in [
        ("config", "nm.conf"),
        ("intern-config", "intern.conf"),
        ("state-file", "state"),
        ("pid-file", "pid"),
        ("config-dir", "conf.d"),
        ("system-config-dir", "system.d"),
    ] {
        command.arg(format!("--{option}={}", at(name)));
    }
    Running::start(&mut command)
}

fn words(command: &str) {
    let mut words = command.split(' ');
    let program = words.next().unwrap_or_default();
    let status = Command::new(program).args(words).status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "{command} failed"
    );
}
