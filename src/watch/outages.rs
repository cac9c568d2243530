//! When the targets were not known to be reachable, as far back as anything failed that is still to be judged. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use crate::gate::time::Monotonic;

/// What a lost network makes fail fails at once, and is told of a moment later.
const MARGIN: Duration = Duration::from_secs(1);

/// More than anyone asks about: at each end of an outage all that failed in it is looked at.
const KEPT: usize = 64;

/// The outages, those that are over and the one that may be now.
#[derive(Debug)]
pub struct Outages {
    over: VecDeque<(Monotonic, Monotonic)>,
    since: Option<Monotonic>,
}

impl Outages {
    /// Nothing is proven, and nothing has been since `since`.
    pub fn new(since: Monotonic) -> Self {
        Self {
            over: VecDeque::new(),
            since: Some(since),
        }
    }

    /// The targets are proven to be reachable.
    pub fn proven(&mut self, now: Monotonic) {
        if let Some(since) = self.since.take() {
            self.over.push_back((since, now));
            while self.over.len() > KEPT {
                self.over.pop_front();
            }
        }
    }

    /// They are not, or not any more. While that is known already, nothing changes.
    pub fn lost(&mut self, now: Monotonic) {
        let began = Monotonic(now.0.saturating_sub(MARGIN));
        self.since.get_or_insert(began);
    }

    /// Whether any of the time from `from` to `to` lies in an outage.
    pub fn overlap(&self, from: Monotonic, to: Monotonic) -> bool {
        let of_now = self.since.is_some_and(|since| to >= since);
        let mut over = self.over.iter();
        of_now || over.any(|(began, ended)| from <= *ended && to >= *began)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Monotonic {
        Monotonic(Duration::from_secs(seconds))
    }

    fn outages() -> Outages {
        let mut outages = Outages::new(at(10));
        outages.proven(at(20));
        outages.lost(at(100));
        outages.lost(at(105));
        outages.proven(at(120));
        outages.proven(at(125));
        outages
    }

    #[test]
    fn a_time_is_in_an_outage_if_any_of_it_is() {
        let outages = outages();
        for (from, to, within) in [
            (0, 9, false),
            (0, 10, true),
            (12, 13, true),
            (20, 50, true),
            (21, 98, false),
            (30, 100, true),
            (110, 110, true),
            (119, 300, true),
            (121, 300, false),
            (0, 300, true),
        ] {
            assert_eq!(outages.overlap(at(from), at(to)), within, "{from} to {to}");
        }
    }

    #[test]
    fn what_fails_in_the_breath_before_a_loss_is_told_of_fails_of_it() {
        assert!(outages().overlap(at(99), at(99)));
    }

    #[test]
    fn an_outage_that_is_not_over_has_no_end() {
        let mut outages = outages();
        outages.lost(at(200));
        assert!(outages.overlap(at(500), at(500)));
        assert!(!outages.overlap(at(150), at(160)));
    }

    #[test]
    fn only_so_many_are_kept() {
        let mut outages = Outages::new(at(0));
        for n in 0..1000 {
            outages.proven(at(n * 10 + 5));
            outages.lost(at(n * 10 + 9));
        }
        assert_eq!(outages.over.len(), KEPT);
        assert!(!outages.overlap(at(1), at(1)));
    }
}
