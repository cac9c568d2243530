//! NetworkManager, for explanations and as a hint (nm-dbus-interface.h); it never opens the gate.

use crate::bus::follower::{BusService, Signal};
use crate::bus::properties::{Properties, PropertyQuery};
use crate::gate::event::{Connectivity, NetworkManager};

const PATH: &str = "/org/freedesktop/NetworkManager";
const MANAGER: &str = "org.freedesktop.NetworkManager";

pub(super) static SERVICE: BusService = BusService {
    label: "NetworkManager",
    name: "org.freedesktop.NetworkManager",
    signals: &[
        Signal {
            path: PATH,
            interface: "org.freedesktop.DBus.Properties",
            member: "PropertiesChanged",
            arg0: Some(MANAGER),
        },
        Signal {
            path: PATH,
            interface: MANAGER,
            member: "StateChanged",
            arg0: None,
        },
    ],
    questions: &[PropertyQuery {
        path: PATH,
        interface: MANAGER,
        names: &[
            "State",
            "Connectivity",
            "ConnectivityCheckAvailable",
            "ConnectivityCheckEnabled",
            "Metered",
        ],
    }],
};

/// What it says of itself. An older NetworkManager lacks some of these; each then has its unknown value.
pub(super) fn state(found: &Properties) -> NetworkManager {
    let is = |name| found.bool(name) == Some(true);
    NetworkManager {
        state: found.number("State").unwrap_or(UNKNOWN),
        connectivity: connectivity(found.number("Connectivity")),
        checks: is("ConnectivityCheckAvailable") && is("ConnectivityCheckEnabled"),
        metered: matches!(found.number("Metered"), Some(YES | GUESS_YES)),
    }
}

/// `NM_STATE_UNKNOWN`.
const UNKNOWN: u32 = 0;
/// `NM_METERED_YES`.
const YES: u32 = 1;
/// `NM_METERED_GUESS_YES`, which the header says to treat like YES, and all others as not metered.
const GUESS_YES: u32 = 3;

fn connectivity(number: Option<u32>) -> Connectivity {
    match number {
        Some(1) => Connectivity::None,
        Some(2) => Connectivity::Portal,
        Some(3) => Connectivity::Limited,
        Some(4) => Connectivity::Full,
        _ => Connectivity::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::properties::Value;

    #[test]
    fn yes_and_a_guessed_yes_are_metered_and_nothing_else_is() {
        let metered = |n| state(&Properties::from([("Metered", Value::Number(n))])).metered;
        let found: Vec<_> = (0..7).map(metered).collect();
        assert_eq!(found, [false, true, false, true, false, false, false]);
    }

    #[test]
    fn a_check_counts_only_if_it_is_both_available_and_enabled() {
        for (available, enabled) in [(true, true), (true, false), (false, true)] {
            let found = Properties::from([
                ("ConnectivityCheckAvailable", Value::Bool(available)),
                ("ConnectivityCheckEnabled", Value::Bool(enabled)),
            ]);
            assert_eq!(state(&found).checks, available && enabled);
        }
    }

    #[test]
    fn what_is_missing_or_unheard_of_has_its_unknown_value() {
        let found = Properties::from([
            ("State", Value::Text("connected".into())),
            ("Connectivity", Value::Number(99)),
        ]);
        assert_eq!(state(&found), NetworkManager::default());
    }
}
