//! What an ended attempt means. Pure: facts in, judgement out.

use std::fmt;

use nix::sys::signal::Signal;

/// How the command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandExit {
    /// It exited with this code.
    Exited(u8),
    /// This signal killed it.
    Killed(i32),
}

impl fmt::Display for CommandExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exited with {code}"),
            Self::Killed(number) => write!(f, "was killed by {}", signal(*number)),
        }
    }
}

/// `SIGTERM`; those for real time have a number only.
pub(super) fn signal(number: i32) -> String {
    let named = Signal::try_from(number).map(|signal| signal.to_string());
    named.unwrap_or_else(|_| format!("signal {number}"))
}

/// All that a judgement is made from.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "independent observations")]
pub struct AttemptFacts<'a> {
    /// How the command ended.
    pub ending: CommandExit,
    /// The profile's `final_exit_status`.
    pub final_exit_status: &'a [u8],
    /// Something in `final_if_changed` changed during the attempt.
    pub changed: bool,
    /// The machine slept during the attempt.
    pub slept: bool,
    /// The route was lost or changed during the attempt.
    pub route_lost: bool,
    /// What the probe after the attempt found; `None` if there was none, or it found nothing out.
    pub reachable_after: Option<bool>,
    /// `attempt_timeout` passed, and so we ended the command.
    pub timed_out: bool,
    /// The termination signal that we got while the command ran.
    pub stopped_by: Option<i32>,
}

/// What comes of the attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// The command did its work.
    Succeeded,
    /// The command has spoken, or has changed the machine: its ending is ours, and it is not run again.
    Final(CommandExit),
    /// It failed by itself: its ending is ours, and it is not run again blindly.
    Failed(CommandExit),
    /// It was kept from its work: back to the gate.
    Interrupted(Interruption),
    /// We got a termination signal: we die of it too.
    Stopped(i32),
}

/// By what an attempt was interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interruption {
    /// `attempt_timeout`.
    TimedOut,
    /// A suspend.
    Slept,
    /// The route was lost.
    RouteLost,
    /// A target cannot be reached right after.
    Unreachable,
}

impl fmt::Display for Interruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TimedOut => "it took longer than attempt_timeout",
            Self::Slept => "the machine was suspended",
            Self::RouteLost => "the route was lost",
            Self::Unreachable => "a target is unreachable right after it",
        })
    }
}

/// Judges an ended attempt; the first rule that fits wins.
///
/// 1. We got a termination signal: stopped, whatever the command made of it.
/// 2. Exit 0: succeeded. After `attempt_timeout` only if something changed, for some commands answer
///    our SIGTERM with a polite 0 and their work undone.
/// 3. A final exit status, or something in `final_if_changed` changed: final. The switch has happened, and
///    switching restarts NetworkManager, which must not look like an interruption.
/// 4. Timed out, slept, or lost the route; or exited while a target is out of reach: interrupted.
/// 5. Failed. An unknown reachability is not an excuse: nothing is repeated blindly.
pub fn judge(facts: &AttemptFacts<'_>) -> Judgement {
    if let Some(signal) = facts.stopped_by {
        return Judgement::Stopped(signal);
    }
    if facts.ending == CommandExit::Exited(0) && (facts.changed || !facts.timed_out) {
        return Judgement::Succeeded;
    }
    if facts.changed || is_final(facts) {
        return Judgement::Final(facts.ending);
    }
    interruption(facts).map_or(Judgement::Failed(facts.ending), Judgement::Interrupted)
}

/// Whether the judgement hangs on a probe that was not made: only then is it worth its traffic.
pub fn needs_probe(facts: &AttemptFacts<'_>) -> bool {
    let with = |reachable| {
        judge(&AttemptFacts {
            reachable_after: Some(reachable),
            ..*facts
        })
    };
    facts.reachable_after.is_none() && with(true) != with(false)
}

fn is_final(facts: &AttemptFacts<'_>) -> bool {
    matches!(facts.ending, CommandExit::Exited(code) if facts.final_exit_status.contains(&code))
}

fn interruption(facts: &AttemptFacts<'_>) -> Option<Interruption> {
    // A signal from someone else (the kernel's out-of-memory killer, a person) is not the network's doing.
    let exited = matches!(facts.ending, CommandExit::Exited(_));
    match facts {
        AttemptFacts {
            timed_out: true, ..
        } => Some(Interruption::TimedOut),
        AttemptFacts { slept: true, .. } => Some(Interruption::Slept),
        AttemptFacts {
            route_lost: true, ..
        } => Some(Interruption::RouteLost),
        AttemptFacts {
            reachable_after: Some(false),
            ..
        } if exited => Some(Interruption::Unreachable),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use CommandExit::{Exited, Killed};
    use proptest::prelude::*;

    const CALM: AttemptFacts<'static> = AttemptFacts {
        ending: Exited(1),
        final_exit_status: &[4, 100],
        changed: false,
        slept: false,
        route_lost: false,
        reachable_after: Some(true),
        timed_out: false,
        stopped_by: None,
    };

    #[test]
    fn success_needs_no_excuse_and_no_probe() {
        let facts = AttemptFacts {
            ending: Exited(0),
            slept: true,
            route_lost: true,
            reachable_after: None,
            ..CALM
        };
        assert_eq!(judge(&facts), Judgement::Succeeded);
        assert!(!needs_probe(&facts));
    }

    #[test]
    fn a_failure_with_the_network_as_it_was_is_the_commands_own() {
        assert_eq!(judge(&CALM), Judgement::Failed(Exited(1)));
    }

    #[test]
    fn a_final_exit_status_stays_final_though_the_machine_slept() {
        let facts = AttemptFacts {
            ending: Exited(100),
            slept: true,
            ..CALM
        };
        assert_eq!(judge(&facts), Judgement::Final(Exited(100)));
    }

    #[test]
    fn a_switch_that_restarted_the_network_is_not_an_interruption() {
        let facts = AttemptFacts {
            changed: true,
            route_lost: true,
            reachable_after: None,
            ..CALM
        };
        assert_eq!(judge(&facts), Judgement::Final(Exited(1)));
        assert!(!needs_probe(&facts));
    }

    #[test]
    fn a_failure_after_a_suspend_or_a_lost_network_is_an_interruption() {
        let table = [
            (
                AttemptFacts {
                    slept: true,
                    ..CALM
                },
                Interruption::Slept,
            ),
            (
                AttemptFacts {
                    route_lost: true,
                    ..CALM
                },
                Interruption::RouteLost,
            ),
            (
                AttemptFacts {
                    reachable_after: Some(false),
                    ..CALM
                },
                Interruption::Unreachable,
            ),
            (
                AttemptFacts {
                    slept: true,
                    route_lost: true,
                    ..CALM
                },
                Interruption::Slept,
            ),
        ];
        for (facts, why) in table {
            assert_eq!(judge(&facts), Judgement::Interrupted(why), "{facts:?}");
        }
    }

    #[test]
    fn a_failure_is_probed_after_before_it_is_believed() {
        let unprobed = AttemptFacts {
            reachable_after: None,
            ..CALM
        };
        assert!(needs_probe(&unprobed));
        assert!(!needs_probe(&AttemptFacts {
            slept: true,
            ..unprobed
        }));
        assert!(!needs_probe(&CALM), "it was made already");
    }

    #[test]
    fn a_probe_that_found_nothing_out_excuses_nothing() {
        let facts = AttemptFacts {
            reachable_after: None,
            ..CALM
        };
        assert_eq!(judge(&facts), Judgement::Failed(Exited(1)));
    }

    #[test]
    fn a_foreign_signal_is_a_failure_unless_the_machine_slept_or_lost_its_route() {
        let killed = AttemptFacts {
            ending: Killed(9),
            reachable_after: Some(false),
            ..CALM
        };
        assert_eq!(judge(&killed), Judgement::Failed(Killed(9)));
        assert!(!needs_probe(&AttemptFacts {
            reachable_after: None,
            ..killed
        }));
        let slept = AttemptFacts {
            slept: true,
            ..killed
        };
        assert_eq!(judge(&slept), Judgement::Interrupted(Interruption::Slept));
    }

    #[test]
    fn an_attempt_that_timed_out_is_interrupted_however_politely_it_ended() {
        for ending in [Exited(0), Exited(1), Killed(15), Killed(9)] {
            let facts = AttemptFacts {
                ending,
                timed_out: true,
                ..CALM
            };
            assert_eq!(
                judge(&facts),
                Judgement::Interrupted(Interruption::TimedOut)
            );
        }
    }

    #[test]
    fn an_attempt_that_timed_out_after_the_switch_is_not_repeated() {
        let facts = AttemptFacts {
            ending: Killed(15),
            timed_out: true,
            changed: true,
            ..CALM
        };
        assert_eq!(judge(&facts), Judgement::Final(Killed(15)));
        let done = AttemptFacts {
            ending: Exited(0),
            ..facts
        };
        assert_eq!(judge(&done), Judgement::Succeeded);
    }

    #[test]
    fn being_told_to_stop_ends_it_whatever_else_happened() {
        for ending in [Exited(0), Exited(1), Exited(100), Killed(15)] {
            let facts = AttemptFacts {
                ending,
                slept: true,
                changed: true,
                timed_out: true,
                stopped_by: Some(15),
                ..CALM
            };
            assert_eq!(judge(&facts), Judgement::Stopped(15));
            assert!(!needs_probe(&AttemptFacts {
                reachable_after: None,
                ..facts
            }));
        }
    }

    prop_compose! {
        fn any_facts()(
            ending in prop_oneof![any::<u8>().prop_map(Exited), (1..65).prop_map(Killed)],
            flags: [bool; 4],
            reachable_after: Option<bool>,
            stopped_by in prop::option::of(1..65),
        ) -> AttemptFacts<'static> {
            let [changed, slept, route_lost, timed_out] = flags;
            AttemptFacts { ending, final_exit_status: &[4, 100], changed, slept, route_lost, reachable_after, timed_out, stopped_by }
        }
    }

    proptest! {
        #[test]
        fn only_an_attempt_without_effect_is_ever_repeated(facts in any_facts()) {
            if let Judgement::Interrupted(_) = judge(&facts) {
                prop_assert!(!facts.changed && facts.stopped_by.is_none());
                prop_assert!(facts.timed_out || facts.ending != Exited(0));
            }
        }

        #[test]
        fn a_probe_that_is_not_needed_changes_nothing(facts in any_facts(), reachable: Option<bool>) {
            let unprobed = AttemptFacts { reachable_after: None, ..facts };
            if !needs_probe(&unprobed) {
                let probed = AttemptFacts { reachable_after: reachable, ..facts };
                prop_assert_eq!(judge(&unprobed), judge(&probed));
            }
        }

        #[test]
        fn the_same_facts_give_the_same_judgement(facts in any_facts()) {
            prop_assert_eq!(judge(&facts), judge(&facts));
        }
    }
}
