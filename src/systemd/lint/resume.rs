//! Rules about what starts on resume, and what is believed to hold it back.

use super::Diagnosis;
use super::case::{Case, asks_startup, exact};
use crate::systemd::unit::Timer;

/// UG003: the reason why there is upgrade-gate.
pub(super) fn before_the_network(case: &Case<'_>) -> Option<Diagnosis> {
    let timer = timer_of_the_resume(case)?;
    let believed = match (case.relies_on_online_target(), case.assumed.of_user) {
        (false, _) => "",
        (true, true) => {
            " network-online.target, which it is ordered after, is a unit of the system manager: a user manager does not have it, and waits for nothing."
        }
        (true, false) => {
            " network-online.target, which it is ordered after, was reached once, at boot, and stays active: so nothing waits for it on resume."
        }
    };
    let woken = if timer.wake_system {
        format!(
            "{} wakes the machine (WakeSystem=) and starts it immediately on resume",
            timer.name
        )
    } else {
        format!(
            "When {} elapses during suspend, systemd starts it immediately on resume",
            timer.name
        )
    };
    Some(case.wants_gate(format!(
        "{woken}; Wi-Fi needs about 5s more, a captive portal minutes.{believed}"
    )))
}

/// UG004: it asks for something else than the network.
pub(super) fn nm_online(case: &Case<'_>) -> Option<Diagnosis> {
    let options = case.nm_online().filter(|_| !case.is_gated())?;
    let what = if asks_startup(&options) {
        "nm-online -s asks whether NetworkManager has finished starting up, once, at boot: from then on it exits with 0 immediately, whatever the state of the network (nm-online(1)). On resume it waits for 0s."
    } else {
        "nm-online reports online as soon as any connection is up (NetworkManager's state 50): docker0, a virtual bridge or a VPN, which stay up across a suspend. With one of these it waits for 0s on resume; without, for at most 30s by default. It also reports online behind a captive portal."
    };
    Some(case.wants_gate(what.to_owned()))
}

/// UG005: it is about a machine that was off.
pub(super) fn persistent(case: &Case<'_>) -> Option<Diagnosis> {
    let timer = timer_of_the_resume(case).filter(|timer| !timer.persistent)?;
    Some(Diagnosis {
        lines: vec![
            format!("# {}", timer.name),
            "[Timer]".to_owned(),
            "Persistent=true".to_owned(),
        ],
        ..case.wants_gate(format!(
            "Persistent=false in {}, which is the default, applies only to times at which the timer was not running: the machine was off. What elapses during suspend is run once on resume, whatever Persistent= says (systemd.timer(5)). With Persistent=false an upgrade missed while the machine was off is not run at all.",
            timer.name
        ))
    })
}

/// UG006: it is added to the time that has passed during the sleep.
pub(super) fn randomized_delay(case: &Case<'_>) -> Option<Diagnosis> {
    let timer = timer_of_the_resume(case)?;
    let delay = timer.randomized_delay.filter(|delay| !delay.is_zero())?;
    Some(case.wants_gate(format!(
            "RandomizedDelaySec={} in {} is added to the time in OnCalendar=. If both have passed during suspend, no delay is left, and it is started immediately on resume (systemd#43350), on all machines that resume at the same time.",
            exact(Some(delay)),
            timer.name,
        )))
}

/// The timer that starts a unit on resume which needs the network and waits for it in no way.
fn timer_of_the_resume<'a>(case: &Case<'a>) -> Option<&'a Timer> {
    let exposed = case.needs_network() && !case.is_gated() && !case.waits_otherwise();
    case.calendar_timers().next().filter(|_| exposed)
}
