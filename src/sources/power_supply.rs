//! The power supply as sysfs has it, for machines where neither UPower nor logind speaks for it.
//!
//! The rules for mains are those of systemd's `ConditionACPower=`.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::gate::event::{Power, Report};
use crate::sys::files;
use crate::sys::limits;

/// An attribute of sysfs is a page at most.
const LONGEST: u64 = 64 * 1024;

/// Reads `/sys/class/power_supply` under `root`. No battery, and no such directory, mean mains.
///
/// The percentage is the mean of all batteries of the system, weighted by what each can hold: the one
/// number by which a small full battery beside a large empty one is not taken for half a charge.
pub fn read(root: &Path) -> Report<Power> {
    match supplies(&root.join("sys/class/power_supply")) {
        Ok(supplies) => Report::Known(judge(&supplies)),
        Err(text) => Report::Unknown(text),
    }
}

/// What matters of one power supply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Supply {
    /// Anything that is not a battery.
    Line { online: bool },
    /// A battery of the machine itself that is in its place.
    Battery {
        discharging: bool,
        percentage: Option<u8>,
        /// `energy_full` in µWh or `charge_full` in µAh: whichever it is, all batteries of a machine say the same.
        full: Option<u64>,
    },
}

fn judge(supplies: &[Supply]) -> Power {
    let online = supplies.contains(&Supply::Line { online: true });
    let discharging = |supply: &Supply| {
        matches!(
            supply,
            Supply::Battery {
                discharging: true,
                ..
            }
        )
    };
    Power {
        on_battery: !online && supplies.iter().any(discharging),
        percentage: percentage(supplies),
    }
}

fn percentage(supplies: &[Supply]) -> Option<u8> {
    let batteries: Vec<_> = supplies.iter().filter_map(charge).collect();
    let weigh = batteries.iter().all(|(_, full)| full.is_some());
    let mut sum = 0;
    let mut weights = 0;
    for (percentage, full) in batteries {
        let weight = full.filter(|_| weigh).map_or(1, u128::from);
        sum += weight * u128::from(percentage);
        weights += weight;
    }
    u8::try_from(sum.checked_div(weights)?).ok()
}

fn charge(supply: &Supply) -> Option<(u8, Option<u64>)> {
    match *supply {
        Supply::Battery {
            percentage, full, ..
        } => Some((percentage?, full.filter(|full| *full > 0))),
        Supply::Line { .. } => None,
    }
}

fn supplies(folder: &Path) -> Result<Vec<Supply>, String> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            let why = limits::refusal(&error);
            return Err(format!("cannot read {}: {why}", folder.display()));
        }
    };
    entries
        .flatten()
        .filter_map(|entry| supply(&entry.path()).transpose())
        .collect()
}

// One without a type is just being taken away.
fn supply(device: &Path) -> Result<Option<Supply>, String> {
    match attribute(device, "type").as_deref() {
        None => Ok(None),
        Some("Battery") => battery(device),
        Some("USB") if gives_power(device) => Ok(None),
        Some(_) => line(device),
    }
}

// There are several kinds of online: 1 and 2 (fixed, programmable).
fn line(device: &Path) -> Result<Option<Supply>, String> {
    let online: Option<u64> = number(device, "online")?;
    Ok(online.map(|online| Supply::Line { online: online > 0 }))
}

/// A mouse's or a phone's battery has the scope Device, and feeds not the machine.
fn battery(device: &Path) -> Result<Option<Supply>, String> {
    let foreign = attribute(device, "scope").as_deref() == Some("Device");
    if foreign || attribute(device, "present").as_deref() == Some("0") {
        return Ok(None);
    }
    let percentage = number(device, "capacity")?;
    if percentage.is_some_and(|percentage: u8| percentage > 100) {
        return Err(nonsense(device, "capacity"));
    }
    let status = attribute(device, "status");
    let full = number(device, "energy_full")?;
    Ok(Some(Supply::Battery {
        discharging: status.is_none_or(|status| status == "Discharging"),
        percentage,
        full: full.map_or_else(|| number(device, "charge_full"), |full| Ok(Some(full)))?,
    }))
}

/// Whether all USB-C ports of the supply's controller feed others (sysfs-class-typec, `power_role`).
fn gives_power(device: &Path) -> bool {
    let ports = fs::read_dir(device.join("device/typec"));
    let roles: Vec<_> = ports
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|port| attribute(&port.path(), "power_role"))
        .collect();
    let any = |role: &str| roles.iter().any(|text| text.contains(role));
    any("[source]") && !any("[sink]")
}

fn number<T: std::str::FromStr>(device: &Path, name: &str) -> Result<Option<T>, String> {
    attribute(device, name)
        .map(|text| text.parse().map_err(|_| nonsense(device, name)))
        .transpose()
}

fn nonsense(device: &Path, name: &str) -> String {
    let text = attribute(device, name).unwrap_or_default();
    format!("invalid value of {}/{name}: {text:?}", device.display())
}

// A driver may refuse to read (ENODATA) what it has no answer for.
fn attribute(device: &Path, name: &str) -> Option<String> {
    let bytes = files::read(&device.join(name), LONGEST).ok()?;
    Some(String::from_utf8_lossy(&bytes).trim_ascii().to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAINS: &[(&str, &str)] = &[("type", "Mains"), ("online", "1")];
    const UNPLUGGED: &[(&str, &str)] = &[("type", "Mains"), ("online", "0")];
    const DRAINING: &[(&str, &str)] = &[
        ("type", "Battery"),
        ("scope", "System"),
        ("present", "1"),
        ("status", "Discharging"),
        ("capacity", "42"),
    ];

    // Each device is the attributes of one supply.
    fn told(devices: &[&[(&str, &str)]]) -> Report<Power> {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("sys/class/power_supply");
        for (number, attributes) in devices.iter().enumerate() {
            for (name, value) in *attributes {
                let path = folder.join(number.to_string()).join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, format!("{value}\n")).unwrap();
            }
        }
        read(root.path())
    }

    fn power(on_battery: bool, percentage: Option<u8>) -> Report<Power> {
        Report::Known(Power {
            on_battery,
            percentage,
        })
    }

    fn unknown(devices: &[&[(&str, &str)]], name: &str) {
        let report = told(devices);
        assert!(
            matches!(&report, Report::Unknown(text) if text.contains(name)),
            "{report:?}"
        );
    }

    #[test]
    fn no_battery_means_mains() {
        assert_eq!(told(&[]), power(false, None));
        assert_eq!(told(&[UNPLUGGED]), power(false, None));
    }

    #[test]
    fn a_draining_battery_without_mains_is_on_battery() {
        assert_eq!(told(&[DRAINING]), power(true, Some(42)));
        assert_eq!(told(&[UNPLUGGED, DRAINING]), power(true, Some(42)));
    }

    #[test]
    fn mains_online_outweighs_a_draining_battery() {
        assert_eq!(told(&[DRAINING, MAINS]), power(false, Some(42)));
    }

    #[test]
    fn a_programmable_usb_supply_is_online_too() {
        let usb: &[_] = &[("type", "USB"), ("online", "2")];
        assert_eq!(told(&[DRAINING, usb]), power(false, Some(42)));
    }

    #[test]
    fn a_usb_port_that_charges_a_phone_is_no_mains() {
        let port: &[_] = &[
            ("type", "USB"),
            ("online", "1"),
            ("device/typec/port0/power_role", "[source] sink"),
        ];
        assert_eq!(told(&[DRAINING, port]), power(true, Some(42)));
    }

    #[test]
    fn a_usb_port_that_is_fed_is_mains() {
        let port: &[_] = &[
            ("type", "USB"),
            ("online", "1"),
            ("device/typec/port0/power_role", "[source] sink"),
            ("device/typec/port1/power_role", "source [sink]"),
        ];
        assert_eq!(told(&[DRAINING, port]), power(false, Some(42)));
    }

    #[test]
    fn the_battery_of_a_mouse_is_not_the_machines() {
        let mouse: &[_] = &[
            ("type", "Battery"),
            ("scope", "Device"),
            ("status", "Discharging"),
            ("capacity", "3"),
        ];
        assert_eq!(told(&[mouse]), power(false, None));
    }

    #[test]
    fn an_empty_battery_bay_does_not_count() {
        let bay: &[_] = &[("type", "Battery"), ("present", "0"), ("capacity", "0")];
        assert_eq!(told(&[bay]), power(false, None));
    }

    #[test]
    fn a_full_or_charging_battery_is_not_on_battery() {
        for status in ["Full", "Charging", "Not charging", "Unknown"] {
            let battery: &[_] = &[("type", "Battery"), ("status", status)];
            assert_eq!(told(&[battery]), power(false, None), "{status}");
        }
    }

    #[test]
    fn a_battery_without_a_status_counts_as_draining() {
        assert_eq!(told(&[&[("type", "Battery")]]), power(true, None));
    }

    #[test]
    fn two_batteries_count_by_what_they_hold() {
        let small: &[_] = &[
            ("type", "Battery"),
            ("status", "Full"),
            ("capacity", "100"),
            ("energy_full", "20000000"),
        ];
        let large: &[_] = &[
            ("type", "Battery"),
            ("status", "Discharging"),
            ("capacity", "10"),
            ("energy_full", "70000000"),
        ];
        assert_eq!(told(&[small, large]), power(true, Some(30)));
    }

    #[test]
    fn batteries_that_do_not_say_what_they_hold_count_alike() {
        let full: &[_] = &[("type", "Battery"), ("status", "Full"), ("capacity", "100")];
        assert_eq!(told(&[full, DRAINING]), power(true, Some(71)));
    }

    #[test]
    fn nonsense_is_unknown() {
        unknown(&[&[("type", "Mains"), ("online", "banana")]], "online");
        for capacity in ["101", "300", "-1", "full"] {
            let battery: &[_] = &[("type", "Battery"), ("capacity", capacity)];
            unknown(&[battery], "capacity");
        }
    }

    #[test]
    fn a_supply_without_a_type_is_being_taken_away() {
        assert_eq!(told(&[&[("online", "banana")]]), power(false, None));
    }

    proptest! {
        #[test]
        fn any_batteries_have_a_percentage_between_them(
            charges in prop::collection::vec((0..=100_u8, prop::option::of(any::<u64>())), 1..5),
        ) {
            let supplies: Vec<_> = charges
                .iter()
                .map(|(percentage, full)| Supply::Battery {
                    discharging: true,
                    percentage: Some(*percentage),
                    full: *full,
                })
                .collect();
            let least = charges.iter().map(|(percentage, _)| *percentage).min();
            let most = charges.iter().map(|(percentage, _)| *percentage).max();
            let all = percentage(&supplies);
            prop_assert!(least <= all && all <= most);
        }
    }
}
