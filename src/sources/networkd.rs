//! systemd-networkd, for explanations and hints (org.freedesktop.network1(5)).

use crate::bus::follower::{BusService, Signal};
use crate::bus::properties::{Properties, PropertyQuery};
use crate::gate::event::Networkd;

const PATH: &str = "/org/freedesktop/network1";
const MANAGER: &str = "org.freedesktop.network1.Manager";

pub(super) static SERVICE: BusService = BusService {
    label: "systemd-networkd",
    name: "org.freedesktop.network1",
    signals: &[Signal {
        path: PATH,
        interface: "org.freedesktop.DBus.Properties",
        member: "PropertiesChanged",
        arg0: Some(MANAGER),
    }],
    questions: &[PropertyQuery {
        path: PATH,
        interface: MANAGER,
        names: &["OperationalState"],
    }],
};

/// What it says of itself.
pub(super) fn state(found: &Properties) -> Networkd {
    Networkd {
        operational_state: found
            .text("OperationalState")
            .unwrap_or_default()
            .to_owned(),
    }
}
