//! When one service is read, and what is made of its silence. Pure: no bus and no clock in here.

use std::time::Duration;

use super::backoff;
use super::properties::{Properties, PropertyQuery};
use crate::gate::backoff::Backoff;
use crate::gate::event::Report;
use crate::gate::time::Monotonic;

/// How long a service may take to answer.
pub(crate) const DEADLINE: Duration = Duration::from_secs(5);

/// The least time between two readings, however often the service says that it changed.
const MIN_INTERVAL: Duration = Duration::from_millis(50);

/// A signal of a service.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Signal {
    /// The object that sends it.
    pub(crate) path: &'static str,
    /// The signal's interface.
    pub(crate) interface: &'static str,
    /// The signal.
    pub(crate) member: &'static str,
    /// The first argument, if only one value of it matters.
    pub(crate) arg0: Option<&'static str>,
}

/// What is to be known of one service.
#[derive(Debug)]
pub(crate) struct BusService {
    /// What people call it.
    pub(crate) label: &'static str,
    /// Its well-known name.
    pub(crate) name: &'static str,
    /// The signals after which it is read again.
    pub(crate) signals: &'static [Signal],
    /// What is read.
    pub(crate) questions: &'static [PropertyQuery],
}

/// What is to be done now.
#[derive(Debug, PartialEq)]
pub(crate) enum FollowerStep {
    /// Nothing.
    Rest,
    /// Ask the service's questions, then say so with [`Follower::asked`].
    Ask,
    /// This has become known.
    Say(Report<Properties>),
}

/// Follows one service.
#[derive(Debug)]
pub(crate) struct Follower {
    pub(crate) service: &'static BusService,
    owner: Option<String>,
    due: Option<Monotonic>,
    asked: Option<Monotonic>,
    round: Option<Round>,
    backoff: Backoff,
}

/// The questions under way.
#[derive(Debug)]
struct Round {
    open: Vec<(u32, &'static PropertyQuery)>,
    found: Properties,
    error: Option<String>,
    deadline: Monotonic,
}

impl Follower {
    pub(crate) fn new(service: &'static BusService) -> Self {
        Self {
            service,
            owner: None,
            due: None,
            asked: None,
            round: None,
            backoff: backoff(),
        }
    }

    /// The unique name of the owner, if there is one.
    pub(crate) fn owner(&self) -> Option<&str> {
        self.owner.as_deref()
    }

    /// The name has this owner now. Whatever the last one was asked is void.
    pub(crate) fn is_owned_by(&mut self, owner: Option<String>, now: Monotonic) -> FollowerStep {
        *self = Self::new(self.service);
        self.owner = owner;
        if self.owner.is_none() {
            return FollowerStep::Say(Report::Absent);
        }
        self.due = Some(now);
        FollowerStep::Rest
    }

    /// The service says that something changed. A flood of that is one reading every [`MIN_INTERVAL`].
    pub(crate) fn changed(&mut self, now: Monotonic) {
        let earliest = self
            .asked
            .map_or(now, |asked| asked.after(MIN_INTERVAL).max(now));
        if self.owner.is_some() {
            self.due = Some(self.due.map_or(earliest, |due| due.min(earliest)));
        }
    }

    /// When [`Follower::step`] is to be called next, unless something happens before.
    pub(crate) fn wakes_at(&self) -> Option<Monotonic> {
        self.round
            .as_ref()
            .map_or(self.due, |round| Some(round.deadline))
    }

    /// What the time brings.
    pub(crate) fn step(&mut self, now: Monotonic) -> FollowerStep {
        match self.wakes_at() {
            Some(at) if at <= now && self.round.is_some() => {
                FollowerStep::Say(self.failed("does not answer", now))
            }
            Some(at) if at <= now => FollowerStep::Ask,
            _ => FollowerStep::Rest,
        }
    }

    /// The questions are on their way, as the messages of these serial numbers.
    pub(crate) fn asked(&mut self, serials: &[u32], now: Monotonic) {
        self.due = None;
        self.asked = Some(now);
        self.round = Some(Round {
            open: serials
                .iter()
                .copied()
                .zip(self.service.questions)
                .collect(),
            found: Properties::default(),
            error: None,
            deadline: now.after(DEADLINE),
        });
    }

    /// The question still open under this serial number.
    pub(crate) fn question(&self, serial: u32) -> Option<&'static PropertyQuery> {
        let open = &self.round.as_ref()?.open;
        open.iter().find(|(s, _)| *s == serial).map(|(_, q)| *q)
    }

    /// One question is answered. The last answer of a round makes a report.
    pub(crate) fn answered(
        &mut self,
        serial: u32,
        answer: Result<Properties, String>,
        now: Monotonic,
    ) -> FollowerStep {
        let Some(round) = &mut self.round else {
            return FollowerStep::Rest;
        };
        round.open.retain(|(s, _)| *s != serial);
        match answer {
            Ok(found) => round.found.extend(found),
            Err(error) => round.error = Some(error),
        }
        if !round.open.is_empty() {
            return FollowerStep::Rest;
        }
        self.complete(now)
    }

    fn complete(&mut self, now: Monotonic) -> FollowerStep {
        let Some(round) = self.round.take() else {
            return FollowerStep::Rest;
        };
        if !round.found.is_empty() {
            self.backoff.reset();
            return FollowerStep::Say(Report::Known(round.found));
        }
        let error = round.error.unwrap_or_else(|| "an empty reply".to_owned());
        FollowerStep::Say(self.failed(&format!("cannot be read, it answers: {error}"), now))
    }

    /// Even a refusal is asked about again: NetworkManager owns its name before its objects are there.
    fn failed<T>(&mut self, how: &str, now: Monotonic) -> Report<T> {
        self.round = None;
        let again = now.after(self.backoff.next());
        self.due = Some(self.due.map_or(again, |due| due.min(again)));
        Report::Unknown(format!("{} {how}", self.service.label))
    }
}

#[cfg(test)]
mod tests {
    use super::super::properties::Value;
    use super::*;

    static SERVICE: BusService = BusService {
        label: "the example",
        name: "org.example",
        signals: &[],
        questions: &[
            PropertyQuery {
                path: "/",
                interface: "org.example.One",
                names: &["A"],
            },
            PropertyQuery {
                path: "/",
                interface: "org.example.Two",
                names: &["B"],
            },
        ],
    };

    fn at(millis: u64) -> Monotonic {
        Monotonic(Duration::from_millis(millis))
    }

    fn owned() -> Follower {
        let mut follower = Follower::new(&SERVICE);
        follower.is_owned_by(Some(":1.7".into()), at(0));
        follower
    }

    fn asked_at(millis: u64) -> Follower {
        let mut follower = owned();
        follower.asked(&[1, 2], at(millis));
        follower
    }

    fn value(name: &'static str) -> Properties {
        Properties::from([(name, Value::Bool(true))])
    }

    #[test]
    fn a_service_that_appears_is_read_at_once() {
        assert_eq!(owned().step(at(0)), FollowerStep::Ask);
    }

    #[test]
    fn a_service_that_vanishes_is_absent_and_left_alone() {
        let mut follower = asked_at(0);
        assert_eq!(
            follower.is_owned_by(None, at(1)),
            FollowerStep::Say(Report::Absent)
        );
        follower.changed(at(2));
        assert_eq!(follower.wakes_at(), None);
        assert_eq!(
            follower.answered(1, Ok(value("A")), at(3)),
            FollowerStep::Rest
        );
    }

    #[test]
    fn all_answers_together_make_one_report() {
        let mut follower = asked_at(0);
        assert_eq!(
            follower.answered(2, Ok(value("B")), at(1)),
            FollowerStep::Rest
        );
        let known = Properties::from([("A", Value::Bool(true)), ("B", Value::Bool(true))]);
        let said = follower.answered(1, Ok(value("A")), at(2));
        assert_eq!(said, FollowerStep::Say(Report::Known(known)));
        assert_eq!(follower.wakes_at(), None);
    }

    #[test]
    fn one_refused_question_does_not_hide_the_other_answer() {
        let mut follower = asked_at(0);
        follower.answered(1, Err("org.example.No".into()), at(1));
        let said = follower.answered(2, Ok(value("B")), at(2));
        assert_eq!(said, FollowerStep::Say(Report::Known(value("B"))));
    }

    #[test]
    fn a_service_that_refuses_everything_is_unknown_and_asked_again_later() {
        let mut follower = asked_at(0);
        follower.answered(1, Err("org.example.No".into()), at(1));
        let FollowerStep::Say(Report::Unknown(text)) =
            follower.answered(2, Err("org.example.No".into()), at(2))
        else {
            panic!("not unknown");
        };
        assert_eq!(
            text,
            "the example cannot be read, it answers: org.example.No"
        );
        let again = follower.wakes_at().unwrap();
        assert!(at(502) <= again && again <= at(1002), "{again:?}");
    }

    #[test]
    fn a_service_that_hangs_is_unknown_after_five_seconds_and_asked_ever_more_rarely() {
        let mut follower = owned();
        let mut now = 0;
        for delay in [1000, 2000, 4000] {
            follower.asked(&[1, 2], at(now));
            assert_eq!(follower.step(at(now + 4999)), FollowerStep::Rest);
            now += 5000;
            let silent = Report::Unknown("the example does not answer".into());
            assert_eq!(follower.step(at(now)), FollowerStep::Say(silent));
            assert_eq!(follower.step(at(now + delay / 2 - 1)), FollowerStep::Rest);
            now += delay;
            assert_eq!(follower.step(at(now)), FollowerStep::Ask);
        }
    }

    #[test]
    fn an_answer_after_the_deadline_is_not_taken_for_one_of_the_next_round() {
        let mut follower = asked_at(0);
        follower.step(at(5000));
        follower.asked(&[3, 4], at(6000));
        assert_eq!(follower.question(1), None);
        assert_eq!(follower.question(4), Some(&SERVICE.questions[1]));
    }

    #[test]
    fn the_first_signal_is_followed_at_once_and_a_flood_every_fifty_milliseconds() {
        let mut follower = asked_at(0);
        follower.answered(1, Ok(value("A")), at(1));
        follower.answered(2, Ok(value("B")), at(1));
        follower.changed(at(200));
        assert_eq!(follower.step(at(200)), FollowerStep::Ask);
        follower.asked(&[3, 4], at(200));
        follower.answered(3, Ok(value("A")), at(201));
        follower.answered(4, Ok(value("B")), at(201));
        for millis in 202..249 {
            follower.changed(at(millis));
            assert_eq!(follower.step(at(millis)), FollowerStep::Rest);
        }
        assert_eq!(follower.wakes_at(), Some(at(250)));
    }

    #[test]
    fn a_signal_during_a_reading_is_followed_by_another() {
        let mut follower = asked_at(0);
        follower.changed(at(1));
        follower.answered(1, Ok(value("A")), at(2));
        follower.answered(2, Ok(value("B")), at(2));
        assert_eq!(follower.step(at(50)), FollowerStep::Ask);
    }
}
