//! Where JSON lines go, and that those which nobody read in time are counted in JSON as well.

use super::json::Event;
use super::output::{Output, STDERR, STDOUT};
use super::{Kind, Setup};
use crate::sys::clock;

/// `run` leaves standard output to the command.
pub(super) fn output(kind: Kind) -> &'static Output {
    match kind {
        Kind::Run => &STDERR,
        Kind::WaitOnline | Kind::Check | Kind::Watch => &STDOUT,
    }
}

/// From now on an event says how many lines are lost.
pub(super) fn count_lost(setup: &Setup) {
    let profile = setup.profile.clone();
    output(setup.kind).set_notice(move |lines| {
        let line = Event::Lost { lines }.line(&profile, clock::wall());
        format!("{line}\n").into_bytes()
    });
}
