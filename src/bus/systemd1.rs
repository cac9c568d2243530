//! systemd's manager (org.freedesktop.systemd1(5)).

use std::fmt::Write as _;

use zbus::{ObjectPath, OwnedObjectPath, Variant};

/// One line of `ListUnitsByPatterns`: name, description, load state, active state, sub state, followed unit, object, and the
/// job's id, type and object.
pub type ListedUnit = (
    String,
    String,
    String,
    String,
    String,
    String,
    OwnedObjectPath,
    u32,
    String,
    OwnedObjectPath,
);

/// The settings of a transient unit.
pub type UnitProperties<'a> = Vec<(&'a str, Variant<'a>)>;

/// `org.freedesktop.systemd1.Manager`.
#[zbus::proxy(
    interface = "org.freedesktop.systemd1.Manager",
    default_service = "org.freedesktop.systemd1",
    default_path = "/org/freedesktop/systemd1"
)]
pub trait Systemd1Manager {
    /// `257.8-1~deb13u2`. Never changes while systemd lives, and not cached: a re-executed systemd may be another.
    #[zbus(property(emits_changed_signal = "false"))]
    fn version(&self) -> zbus::Result<String>;

    /// When this systemd started, in microseconds of `CLOCK_MONOTONIC`; a re-executed one keeps it.
    #[zbus(property(emits_changed_signal = "false"))]
    fn userspace_timestamp_monotonic(&self) -> zbus::Result<u64>;

    /// `running`, `degraded`, `starting`, `maintenance` (in emergency or rescue mode), …, as `systemctl is-system-running` has it.
    #[zbus(property(emits_changed_signal = "false"))]
    fn system_state(&self) -> zbus::Result<String>;

    /// The object of a unit, which is loaded if it was not; a unit without a file is one too, as `not-found`.
    #[zbus(no_autostart)]
    fn load_unit(&self, name: &str) -> zbus::Result<OwnedObjectPath>;

    /// The units in memory, by state (any, if empty) and glob pattern of the name.
    #[zbus(no_autostart)]
    fn list_units_by_patterns(
        &self,
        states: &[&str],
        patterns: &[&str],
    ) -> zbus::Result<Vec<ListedUnit>>;

    /// The unit files: path and state (`enabled`, `static`, `masked`, …), by state and pattern.
    #[zbus(no_autostart)]
    fn list_unit_files_by_patterns(
        &self,
        states: &[&str],
        patterns: &[&str],
    ) -> zbus::Result<Vec<(String, String)>>;

    /// Queues a start job; the mode is `replace`, `fail`, ….
    #[zbus(no_autostart)]
    fn start_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;

    /// Queues a stop job.
    #[zbus(no_autostart)]
    fn stop_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;

    /// Makes a unit that has no file and starts it, with others that it needs.
    #[zbus(no_autostart)]
    fn start_transient_unit(
        &self,
        name: &str,
        mode: &str,
        settings: UnitProperties<'_>,
        others: Vec<(&str, UnitProperties<'_>)>,
    ) -> zbus::Result<OwnedObjectPath>;

    /// Makes a failed unit inactive, and forgets its starts.
    #[zbus(no_autostart)]
    fn reset_failed_unit(&self, name: &str) -> zbus::Result<()>;

    /// Asks for signals; without any subscriber systemd sends few.
    #[zbus(no_autostart)]
    fn subscribe(&self) -> zbus::Result<()>;

    /// A job has ended: its id, object, unit and result (`done`, `failed`, `canceled`, `dependency`, …).
    #[zbus(signal)]
    fn job_removed(
        &self,
        id: u32,
        job: OwnedObjectPath,
        unit: String,
        result: String,
    ) -> zbus::Result<()>;

    /// systemd begins (true) or has ended (false) a reload.
    #[zbus(signal)]
    fn reloading(&self, active: bool) -> zbus::Result<()>;
}

/// `org.freedesktop.systemd1.Unit`. Nothing of it is cached: units come and go.
#[zbus::proxy(
    interface = "org.freedesktop.systemd1.Unit",
    default_service = "org.freedesktop.systemd1"
)]
pub trait Systemd1Unit {
    /// `active`, `inactive`, `failed`, `activating`, `deactivating`, ….
    #[zbus(property(emits_changed_signal = "false"))]
    fn active_state(&self) -> zbus::Result<String>;

    /// When it left `inactive` or `failed` last, in microseconds of `CLOCK_MONOTONIC`; 0 for never, as in all of these.
    #[zbus(property(emits_changed_signal = "false"))]
    fn inactive_exit_timestamp_monotonic(&self) -> zbus::Result<u64>;

    /// When it became `active` last.
    #[zbus(property(emits_changed_signal = "false"))]
    fn active_enter_timestamp_monotonic(&self) -> zbus::Result<u64>;

    /// When it came to `inactive` or `failed` last, from anything else.
    #[zbus(property(emits_changed_signal = "false"))]
    fn inactive_enter_timestamp_monotonic(&self) -> zbus::Result<u64>;

    /// When its state was set last, be it to the same.
    #[zbus(property(emits_changed_signal = "false"))]
    fn state_change_timestamp_monotonic(&self) -> zbus::Result<u64>;
}

/// `org.freedesktop.systemd1.Service`.
#[zbus::proxy(
    interface = "org.freedesktop.systemd1.Service",
    default_service = "org.freedesktop.systemd1"
)]
pub trait Systemd1Service {
    /// How the main process ended: `CLD_EXITED` (1) or by a signal; 0 while it has not.
    #[zbus(property(emits_changed_signal = "false"))]
    fn exec_main_code(&self) -> zbus::Result<i32>;

    /// Its exit code, or the signal.
    #[zbus(property(emits_changed_signal = "false"))]
    fn exec_main_status(&self) -> zbus::Result<i32>;

    /// How often `Restart=` has started it again, since somebody else did.
    #[zbus(property(emits_changed_signal = "false"), name = "NRestarts")]
    fn n_restarts(&self) -> zbus::Result<u32>;
}

/// `org.freedesktop.systemd1.Timer`.
#[zbus::proxy(
    interface = "org.freedesktop.systemd1.Timer",
    default_service = "org.freedesktop.systemd1"
)]
pub trait Systemd1Timer {
    /// When it elapses next, in microseconds of `CLOCK_MONOTONIC`; `u64::MAX` for never.
    #[zbus(
        property(emits_changed_signal = "false"),
        name = "NextElapseUSecMonotonic"
    )]
    fn next_elapse_usec_monotonic(&self) -> zbus::Result<u64>;
}

/// The object of a unit (`sd_bus_path_encode(3)`); to call it loads the unit.
pub fn unit_path(name: &str) -> OwnedObjectPath {
    let mut path = "/org/freedesktop/systemd1/unit/".to_owned();
    for (index, byte) in name.bytes().enumerate() {
        if byte.is_ascii_alphabetic() || (index > 0 && byte.is_ascii_digit()) {
            path.push(char::from(byte));
        } else {
            // Writing to a string always succeeds.
            let _ = write!(path, "_{byte:02x}");
        }
    }
    if name.is_empty() {
        path.push('_');
    }
    ObjectPath::from_string_unchecked(path).into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_units_object_is_named_as_systemd_names_it() {
        for (name, path) in [
            ("nixos-upgrade.service", "nixos_2dupgrade_2eservice"),
            ("7zip@a.timer", "_37zip_40a_2etimer"),
            ("", "_"),
        ] {
            let path = format!("/org/freedesktop/systemd1/unit/{path}");
            assert_eq!(unit_path(name).as_str(), path);
        }
    }

    proptest! {
        #[test]
        fn any_name_has_an_object(name in ".{0,20}") {
            prop_assert!(ObjectPath::try_from(unit_path(&name).as_str()).is_ok());
        }
    }
}
