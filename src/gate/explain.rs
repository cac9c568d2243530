//! Why the targets cannot be reached, in the light of what the sources say. It changes no verdict (R3, R8).

use super::event::{Connectivity, Failure, LinkState, NetworkManager, Report};
use super::reason::Reason;
use super::verdict::Hold;
use super::world::World;

/// `NM_STATE_CONNECTING` (nm-dbus-interface.h).
const CONNECTING: u32 = 40;
/// `NM_STATE_ASLEEP`, renamed `NM_STATE_DISABLED` in 1.56: asleep, or switched off.
const DISABLED: u32 = 10;

/// networkd's `OperationalState` while a link has carrier and waits for its address (networkctl(1)).
const CONFIGURING: [&str; 3] = ["carrier", "degraded", "degraded-carrier"];

/// The hold after that failure, or before any probe has ended; `None` if nothing is known against it.
pub(super) fn explain(failure: Option<&Failure>, world: &World) -> Option<Hold> {
    let manager = known(world.network_manager.as_ref());
    let no_route = failure.is_some_and(|f| f.reason == Reason::NoRoute);
    let about_the_way =
        no_route || failure.is_none_or(|f| matches!(f.reason, Reason::Dns | Reason::Unreachable));
    let cause = connecting(world, manager).filter(|_| about_the_way);
    if let Some(cause) = cause.filter(|_| failure.is_some() || !world.has_route()) {
        return Some(hold(Reason::Connecting, cause));
    }
    // The probe may see it before the kernel's notice of the addresses it found.
    if no_route || (about_the_way && !world.has_route()) {
        return Some(without_route(failure, world, manager));
    }
    failure.map(|failure| failed(failure, manager))
}

/// Who is setting up a connection, if it is known. networkd's word counts only while there is no route: its state is
/// that of its best link, and another link may be the one that is used.
fn connecting(world: &World, manager: Option<&NetworkManager>) -> Option<String> {
    if manager.is_some_and(|nm| nm.state == CONNECTING) {
        return Some("NetworkManager is setting up a connection".into());
    }
    let state = &known(world.networkd.as_ref())?.operational_state;
    let configures = CONFIGURING.contains(&state.as_str()) && !world.has_route();
    configures.then(|| {
        format!("systemd-networkd is configuring the network (OperationalState is \"{state}\")")
    })
}

fn without_route(
    failure: Option<&Failure>,
    world: &World,
    manager: Option<&NetworkManager>,
) -> Hold {
    let link_state = world.routes.as_ref().map(|routes| routes.link_state);
    if link_state == Some(LinkState::Addressed) {
        return hold(Reason::NoRoute, unrouted(failure));
    }
    let what = match link_state {
        Some(LinkState::NoAddress) => "a link is up, but has no address",
        _ => "no link is up",
    };
    let switched_off = manager.is_some_and(|nm| nm.state == DISABLED);
    let why = if switched_off {
        "; NetworkManager is asleep or switched off"
    } else {
        ""
    };
    hold(Reason::NoNetwork, format!("{what}{why}"))
}

fn unrouted(failure: Option<&Failure>) -> String {
    match failure {
        Some(failure) if failure.reason == Reason::NoRoute => {
            format!("{}: {}", failure.target, failure.detail)
        }
        Some(failure) => format!("no route to {}", failure.target),
        None => "no route to anywhere".to_owned(),
    }
}

fn failed(failure: &Failure, manager: Option<&NetworkManager>) -> Hold {
    let seen = manager.filter(|nm| nm.checks).map(|nm| nm.connectivity);
    let detail = format!("{}: {}", failure.target, failure.detail);
    if failure.may_be_portal && seen == Some(Connectivity::Portal) {
        return hold(
            Reason::Portal,
            format!("{detail}; NetworkManager sees a captive portal"),
        );
    }
    let guesses = manager.is_some_and(|nm| !nm.checks && nm.connectivity == Connectivity::Full);
    let note = if guesses {
        "; NetworkManager's \"full\" is a guess, its check is off"
    } else {
        ""
    };
    hold(failure.reason, format!("{detail}{note}"))
}

fn known<T>(report: Option<&Report<T>>) -> Option<&T> {
    match report {
        Some(Report::Known(value)) => Some(value),
        _ => None,
    }
}

fn hold(reason: Reason, detail: String) -> Hold {
    Hold {
        reason,
        detail,
        look_again: None,
    }
}
