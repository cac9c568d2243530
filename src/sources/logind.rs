//! systemd-logind: whether the machine is on its way down (org.freedesktop.login1(5)).

use crate::bus::follower::{BusService, Signal};
use crate::bus::properties::{Properties, PropertyQuery};
use crate::gate::event::{Event, Logind, Report};

const PATH: &str = "/org/freedesktop/login1";
const MANAGER: &str = "org.freedesktop.login1.Manager";

/// Each property is asked for by itself: logind computes others, and reads firmware variables for some.
pub(super) static SERVICE: BusService = BusService {
    label: "logind",
    name: "org.freedesktop.login1",
    signals: &[signal("PrepareForSleep"), signal("PrepareForShutdown")],
    questions: &[
        property(&["PreparingForSleep"]),
        property(&["PreparingForShutdown"]),
        property(&["OnExternalPower"]),
    ],
};

const fn signal(member: &'static str) -> Signal {
    Signal {
        path: PATH,
        interface: MANAGER,
        member,
        arg0: None,
    }
}

const fn property(names: &'static [&'static str]) -> PropertyQuery {
    PropertyQuery {
        path: PATH,
        interface: MANAGER,
        names,
    }
}

/// The event of the signal `member`; these say all there is, and no property change follows them.
pub(super) fn event(member: &str, begins: bool) -> Option<Event> {
    match member {
        "PrepareForSleep" => Some(Event::PrepareForSleep(begins)),
        "PrepareForShutdown" => Some(Event::PrepareForShutdown(begins)),
        _ => None,
    }
}

/// Whether the machine is on its way down; both properties are needed to know.
pub(super) fn preparing(found: &Properties) -> Report<Logind> {
    match (
        found.bool("PreparingForSleep"),
        found.bool("PreparingForShutdown"),
    ) {
        (Some(preparing_for_sleep), Some(preparing_for_shutdown)) => Report::Known(Logind {
            preparing_for_sleep,
            preparing_for_shutdown,
        }),
        _ => Report::Unknown(
            "logind does not report whether it is preparing for sleep or shutdown".to_owned(),
        ),
    }
}

/// Whether the machine runs on external power.
pub(super) fn external_power(found: &Properties) -> Report<bool> {
    found.bool("OnExternalPower").map_or_else(
        || Report::Unknown("logind does not report whether there is external power".to_owned()),
        Report::Known,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::properties::Value;

    #[test]
    fn both_properties_make_a_report() {
        let found = Properties::from([
            ("PreparingForSleep", Value::Bool(true)),
            ("PreparingForShutdown", Value::Bool(false)),
        ]);
        let asleep = Logind {
            preparing_for_sleep: true,
            preparing_for_shutdown: false,
        };
        assert_eq!(preparing(&found), Report::Known(asleep));
    }

    #[test]
    fn a_property_of_another_type_is_not_taken_for_false() {
        let found = Properties::from([
            ("PreparingForSleep", Value::Text("no".into())),
            ("PreparingForShutdown", Value::Bool(false)),
        ]);
        assert!(matches!(preparing(&found), Report::Unknown(_)));
        assert!(matches!(external_power(&found), Report::Unknown(_)));
    }
}
