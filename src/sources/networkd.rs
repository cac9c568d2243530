//! systemd-networkd, for explanations only (org.freedesktop.network1(5)).

use super::bus::follower::{Service, Signal};
use super::bus::properties::{Properties, Question};
use crate::gate::event::Networkd;

const PATH: &str = "/org/freedesktop/network1";
const MANAGER: &str = "org.freedesktop.network1.Manager";

pub(super) static SERVICE: Service = Service {
    label: "systemd-networkd",
    name: "org.freedesktop.network1",
    signals: &[Signal {
        path: PATH,
        interface: "org.freedesktop.DBus.Properties",
        member: "PropertiesChanged",
        arg0: Some(MANAGER),
    }],
    questions: &[Question {
        path: PATH,
        interface: MANAGER,
        names: &["OnlineState", "OperationalState"],
    }],
};

/// What it says of itself; empty where it does not (`OnlineState` came with systemd 249).
pub(super) fn state(found: &Properties) -> Networkd {
    let text = |name| found.text(name).unwrap_or_default().to_owned();
    Networkd {
        online_state: text("OnlineState"),
        operational_state: text("OperationalState"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::bus::properties::Value;
    use super::*;

    #[test]
    fn an_older_networkd_without_online_state_is_still_read() {
        let found = Properties::from([("OperationalState", Value::Text("routable".into()))]);
        let networkd = Networkd {
            online_state: String::new(),
            operational_state: "routable".into(),
        };
        assert_eq!(state(&found), networkd);
    }
}
