//! UPower: whether the machine runs on battery, and how full that is. That it is absent is normal.

use crate::bus::follower::{BusService, Signal};
use crate::bus::properties::{Properties, PropertyQuery};
use crate::gate::event::{Power, Report};

const PATH: &str = "/org/freedesktop/UPower";
const MANAGER: &str = "org.freedesktop.UPower";
const DISPLAY_DEVICE: &str = "/org/freedesktop/UPower/devices/DisplayDevice";
const DEVICE: &str = "org.freedesktop.UPower.Device";

pub(super) static SERVICE: BusService = BusService {
    label: "UPower",
    name: "org.freedesktop.UPower",
    signals: &[changed(PATH, MANAGER), changed(DISPLAY_DEVICE, DEVICE)],
    questions: &[
        PropertyQuery {
            path: PATH,
            interface: MANAGER,
            names: &["OnBattery"],
        },
        PropertyQuery {
            path: DISPLAY_DEVICE,
            interface: DEVICE,
            names: &["IsPresent", "Type", "Percentage"],
        },
    ],
};

const fn changed(path: &'static str, interface: &'static str) -> Signal {
    Signal {
        path,
        interface: "org.freedesktop.DBus.Properties",
        member: "PropertiesChanged",
        arg0: Some(interface),
    }
}

/// `UP_DEVICE_KIND_BATTERY`.
const BATTERY: u32 = 2;
/// `UP_DEVICE_KIND_UPS`.
const UPS: u32 = 3;

/// What it says of the power. The charge is that of the device which desktops show, if it is there.
pub(super) fn power(found: &Properties) -> Report<Power> {
    let Some(on_battery) = found.bool("OnBattery") else {
        return Report::Unknown(
            "UPower does not report whether the machine runs on battery".into(),
        );
    };
    let is_battery = found.bool("IsPresent") == Some(true)
        && matches!(found.number("Type"), Some(BATTERY | UPS));
    let percentage = found.real("Percentage").filter(|_| is_battery);
    Report::Known(Power {
        on_battery,
        percentage: percentage.and_then(percent),
    })
}

/// Whole percent, rounded down, so that "at least 40" never means 39.6; none for nonsense.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "0..=100 by then"
)]
fn percent(percentage: f64) -> Option<u8> {
    (0.0..=100.0)
        .contains(&percentage)
        .then_some(percentage as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::properties::Value;

    fn found(present: bool, kind: u32, percentage: f64) -> Properties {
        Properties::from([
            ("OnBattery", Value::Bool(true)),
            ("IsPresent", Value::Bool(present)),
            ("Type", Value::Number(kind)),
            ("Percentage", Value::Real(percentage)),
        ])
    }

    #[test]
    fn the_charge_is_rounded_down() {
        let power = power(&found(true, BATTERY, 39.6));
        assert_eq!(
            power,
            Report::Known(Power {
                on_battery: true,
                percentage: Some(39)
            })
        );
    }

    #[test]
    fn only_a_battery_that_is_there_has_a_charge_within_bounds() {
        for found in [
            found(false, BATTERY, 50.0),
            found(true, 1, 50.0),
            found(true, BATTERY, f64::NAN),
            found(true, BATTERY, -1.0),
            found(true, BATTERY, 1e9),
        ] {
            let power = power(&found);
            assert_eq!(
                power,
                Report::Known(Power {
                    on_battery: true,
                    percentage: None
                })
            );
        }
    }

    #[test]
    fn a_upower_that_does_not_say_is_unknown() {
        let found = Properties::from([("Percentage", Value::Real(50.0))]);
        assert!(matches!(power(&found), Report::Unknown(_)));
    }
}
