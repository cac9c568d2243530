//! What systemd does not pass over with a warning: it refuses the unit instead. Pure.

use super::values::{is_bus_name, is_user, specifiers};
use crate::systemd::exec_line::unknown_specifier;
use crate::systemd::unit::ServiceType;

/// What the value of this key in `[Service]` is not, and must be for the unit to be loaded: what is meant to run as another user,
/// elsewhere or confined is not run in another way.
pub(super) fn needed(key: &str, value: &str, unit: &str) -> Option<&'static str> {
    let is_known = unknown_specifier(value).is_none();
    let is_user = |word: &str| is_known && is_user(&specifiers(word, unit));
    let (good, what) = match key {
        _ if value.is_empty() && key != "DynamicUser" => return None,
        "DynamicUser" => (super::values::boolean(value).is_some(), "a boolean"),
        "User" | "Group" => (is_user(value), "a user or group"),
        "SupplementaryGroups" => (value.split_whitespace().all(is_user), "a list of groups"),
        "WorkingDirectory" => {
            let good = value.starts_with('-') || value == "~" || is_known && is_path(value);
            (good, "an absolute path, or ~")
        }
        "RootDirectory" | "RootImage" => (is_known && is_path(value), "an absolute path"),
        "SELinuxContext" | "AppArmorProfile" | "SmackProcessLabel" => {
            (value.starts_with('-') || is_known, "a label")
        }
        _ => return None,
    };
    (!good).then_some(what)
}

/// An absolute path without `..`; what a specifier at its start stands for is not known here.
fn is_path(value: &str) -> bool {
    let is_absolute = value.starts_with(['/', '%']) && !value.starts_with("%%");
    is_absolute && !value.split('/').any(|part| part == "..")
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ExitType {
    #[default]
    Main,
    Cgroup,
}

/// Settings of which systemd refuses one beside another.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    pub(super) bus_name: bool,
    exit_type: ExitType,
    pam: bool,
    /// `KillMode=process` or `none`.
    leaves_processes: bool,
}

impl Pairs {
    /// Takes a setting over, unless systemd ignores its value.
    pub(super) fn assign(&mut self, key: &str, value: &str, unit: &str) -> bool {
        match (key, value) {
            ("BusName" | "PAMName", _) if unknown_specifier(value).is_some() => return false,
            ("BusName", _) if !is_bus_name(&specifiers(value, unit)) => return false,
            ("BusName", _) => self.bus_name = true,
            ("PAMName", _) => self.pam = !value.is_empty(),
            ("ExitType", "main") => self.exit_type = ExitType::Main,
            ("ExitType", "cgroup") => self.exit_type = ExitType::Cgroup,
            ("KillMode", "" | "control-group" | "mixed") => self.leaves_processes = false,
            ("KillMode", "process" | "none") => self.leaves_processes = true,
            _ => return false,
        }
        true
    }

    /// Why systemd refuses a service of this type.
    pub(super) fn refused(&self, kind: ServiceType) -> Option<&'static str> {
        match kind {
            ServiceType::Dbus if !self.bus_name => Some("it is of Type=dbus and has no BusName="),
            ServiceType::Oneshot if self.exit_type == ExitType::Cgroup => {
                Some("ExitType=cgroup is not for Type=oneshot")
            }
            _ if self.pam && self.leaves_processes => {
                Some("PAMName= needs KillMode=control-group or mixed")
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_decides_as_whom_and_where_a_service_runs_is_never_passed_over() {
        for line in [
            "DynamicUser=perhaps",
            "DynamicUser=",
            "User=01",
            "User=%Z",
            "Group=a%Z",
            "SupplementaryGroups=audio a/b",
            "WorkingDirectory=var",
            "WorkingDirectory=%Z/x",
            "WorkingDirectory=%%h/x",
            "WorkingDirectory=/a/../b",
            "RootDirectory=srv",
            "RootImage=%Z",
            "AppArmorProfile=%Z",
        ] {
            let (key, value) = line.split_once('=').unwrap();
            assert!(needed(key, value, "a.service").is_some(), "{line}");
        }
        for line in [
            "User=",
            "User=%i",
            "Group=100%%Z",
            "SupplementaryGroups=audio %i 5",
            "WorkingDirectory=-var",
            "WorkingDirectory=~",
            "WorkingDirectory=%h/x",
            "WorkingDirectory=/a/..b/",
            "RootDirectory=%S/a",
            "SELinuxContext=-%Z",
            "SmackProcessLabel=a b",
            "Nice=soon",
        ] {
            let (key, value) = line.split_once('=').unwrap();
            assert_eq!(needed(key, value, "a@b.service"), None, "{line}");
        }
    }

    #[test]
    fn settings_that_systemd_refuses_beside_each_other_refuse_the_unit() {
        use ServiceType::{Dbus, Oneshot, Simple};
        let refused = |lines: &[&str], kind| {
            let mut pairs = Pairs::default();
            for line in lines {
                let (key, value) = line.split_once('=').unwrap();
                pairs.assign(key, value, "a.service");
            }
            pairs.refused(kind).is_some()
        };
        assert!(refused(&["BusName=foo"], Dbus));
        assert!(refused(&["BusName=org.%Z"], Dbus));
        assert!(!refused(&["BusName=org.example.A"], Dbus));
        assert!(!refused(&["BusName=org.example.%p"], Dbus));
        assert!(!refused(&["BusName=org.example.A", "BusName="], Dbus));
        assert!(refused(&["ExitType=cgroup"], Oneshot));
        assert!(refused(&["ExitType=cgroup", "ExitType="], Oneshot));
        assert!(!refused(&["ExitType=cgroup", "ExitType=main"], Oneshot));
        assert!(!refused(&["ExitType=cgroup"], Simple));
        assert!(refused(&["PAMName=login", "KillMode=none"], Simple));
        assert!(refused(&["PAMName=login", "KillMode=process"], Simple));
        assert!(!refused(&["PAMName=login", "KillMode=mixed"], Simple));
        let reset = ["PAMName=login", "KillMode=none", "KillMode="];
        assert!(!refused(&reset, Simple));
        assert!(!refused(&["PAMName=%Z", "KillMode=process"], Simple));
    }
}
