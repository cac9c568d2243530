//! The experiment: without a verdict on the candidate, is there one on the baseline?

use super::{AfterTurn, Move, TRIES};
use crate::guard::facts::{Effect, GuardFacts, Health, Order};
use crate::guard::state::{Cause, Transaction, TransactionPhase};

/// What is good with the baseline was the candidate's fault; what is not, for as long, is an outage. A reboot or a person in
/// between leaves it open.
pub(super) fn comparing(t: &Transaction, facts: &GuardFacts) -> Move {
    let ends = |cause| Move::To(TransactionPhase::Undone, Some(cause));
    let asked = facts.order == Some(Order::Rollback);
    match facts.health {
        _ if !t.is_baseline(facts.current.as_ref()) => {
            Move::To(TransactionPhase::TakenOver, Some(Cause::OtherSystem))
        }
        _ if asked || facts.boot_id != t.boot_id => ends(Cause::NoVerdict),
        Health::Good => ends(Cause::Unhealthy),
        _ if facts.now_usec >= t.deadline_usec => ends(Cause::Outage),
        _ if facts.deadline_set => Move::Stay(AfterTurn::Wait(t.deadline_usec)),
        _ if t.tries < TRIES => Move::Do(vec![Effect::SetDeadline]),
        _ => ends(Cause::NoVerdict),
    }
}
