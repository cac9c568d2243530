//! A real NetworkManager on a real bus of its own, and `nmcli` to talk to it.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::world::FOLDER;
use super::{DEADLINE, Stopwatch};
use crate::support::bus::DbusDaemon;

/// A connection that comes up by itself.
const CABLE: &str = "[connection]
id=cable
type=ethernet
interface-name=eth0
[ipv4]
method=auto
[ipv6]
method=disabled
";

/// Whether NetworkManager looks for itself.
#[derive(Clone, Copy)]
pub(super) enum Check {
    Off,
    /// Every two seconds at most.
    On,
}

/// A running NetworkManager; ends when it is dropped.
pub(super) struct Manager {
    bus: DbusDaemon,
    child: Child,
}

impl Manager {
    /// Starts it, without a connection.
    pub(super) fn start(check: Check) -> Self {
        let folder = Path::new(FOLDER);
        std::fs::write(folder.join("nm.conf"), configuration(check)).unwrap();
        let bus = DbusDaemon::start(folder);
        let child = spawn(&bus.address());
        let manager = Self { bus, child };
        manager.answers();
        manager
    }

    /// [`Manager::start`], connected through `eth0` by DHCP.
    pub(super) fn online(check: Check) -> Self {
        let folder = Path::new(FOLDER).join("connections");
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("cable.nmconnection");
        std::fs::write(&file, CABLE).unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        let manager = Self::start(check);
        manager.becomes("STATE", "connected");
        manager
    }

    /// The bus's address.
    pub(super) fn bus(&self) -> String {
        self.bus.address()
    }

    /// Runs `nmcli`, and gives what it prints.
    pub(super) fn nmcli(&self, line: &str) -> String {
        let output = self.try_nmcli(line);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "nmcli {line}: {error}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Kills it as a crash does, and starts another, which takes over what it finds.
    pub(super) fn restart(&mut self) {
        self.kill();
        self.child = spawn(&self.bus.address());
        self.answers();
    }

    /// Kills it as a crash does.
    pub(super) fn kill(&mut self) {
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }

    /// Waits until a field of `nmcli general` begins so.
    pub(super) fn becomes(&self, field: &str, value: &str) {
        let began = Stopwatch::start();
        let line = format!("--terse --fields {field} general");
        while !self.nmcli(&line).starts_with(value) {
            assert!(began.passed() < DEADLINE, "{field} is not {value}");
        }
    }

    fn answers(&self) {
        let began = Stopwatch::start();
        while !self.try_nmcli("general status").status.success() {
            assert!(began.passed() < DEADLINE, "NetworkManager does not answer");
        }
    }

    fn try_nmcli(&self, line: &str) -> std::process::Output {
        Command::new("nmcli")
            .args(line.split(' '))
            .env("DBUS_SYSTEM_BUS_ADDRESS", self.bus())
            .env("LC_ALL", "C")
            .output()
            .expect("nmcli is installed")
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(bus: &str) -> Child {
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open("/run/nm.log")
        .unwrap();
    Command::new("NetworkManager")
        .args([
            "--debug",
            "--config=/run/nm.conf",
            "--config-dir=/run/nm.d",
            "--system-config-dir=/run/nm.system.d",
            "--intern-config=/run/nm.intern",
            "--state-file=/run/nm.state",
            "--pid-file=/run/nm.pid",
        ])
        .env("DBUS_SYSTEM_BUS_ADDRESS", bus)
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("NetworkManager is installed")
}

fn configuration(check: Check) -> String {
    let connectivity = match check {
        Check::Off => "",
        Check::On => "[connectivity]\nuri=http://check.example/check\ninterval=2\n",
    };
    format!(
        "[main]\nplugins=keyfile\ndhcp=internal\ndns=default\nrc-manager=file\n\
         auth-polkit=false\nno-auto-default=*\n\
         [keyfile]\npath=/run/connections\nunmanaged-devices=except:interface-name:eth0\n\
         [logging]\nlevel=INFO\n{connectivity}"
    )
}
