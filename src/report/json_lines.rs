//! Where JSON lines go, and that those which nobody read in time are counted in JSON as well.

use super::json::JsonEvent;
use super::output::{Output, STDERR, STDOUT};
use super::{CommandKind, ReporterSetup};
use crate::sys::clock;

/// `run` leaves standard output to the command.
pub(super) fn output(kind: CommandKind) -> &'static Output {
    match kind {
        CommandKind::Run => &STDERR,
        CommandKind::WaitOnline | CommandKind::Check | CommandKind::Watch => &STDOUT,
    }
}

/// From now on an event says how many lines are lost.
pub(super) fn count_lost(setup: &ReporterSetup) {
    let profile = setup.profile.clone();
    output(setup.kind).set_notice(move |lines| {
        let line = JsonEvent::Lost { lines }.line(&profile, clock::wall());
        format!("{line}\n").into_bytes()
    });
}
