//! The `[Timer]` section, as systemd.timer(5) has it. Pure.

use std::time::Duration;

use super::SUFFIXES;
use super::calendar;
use super::values::{boolean, specifiers, time_span};
use crate::systemd::unit::{SystemdSpan, Timer};

/// What the assignments so far make of a timer.
#[derive(Debug)]
pub(super) struct TimerSettings {
    name: String,
    calendar: bool,
    persistent: bool,
    randomized_delay: SystemdSpan,
    wake_system: bool,
    /// `Unit=`.
    triggers: Option<String>,
}

impl TimerSettings {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            calendar: false,
            persistent: false,
            randomized_delay: Some(Duration::ZERO),
            wake_system: false,
            triggers: None,
        }
    }

    /// Follows one more assignment; false if systemd cannot read its value.
    pub(super) fn assign(&mut self, key: &str, value: &str) -> bool {
        let read = match key {
            // Empty, each of them resets the times of all.
            "OnCalendar" | "OnActiveSec" | "OnBootSec" | "OnStartupSec" | "OnUnitActiveSec"
            | "OnUnitInactiveSec"
                if value.is_empty() =>
            {
                self.calendar = false;
                return true;
            }
            "OnCalendar" => {
                calendar::is_valid(&specifiers(value, &self.name)).then(|| self.calendar = true)
            }
            "OnActiveSec" | "OnBootSec" | "OnStartupSec" | "OnUnitActiveSec"
            | "OnUnitInactiveSec" => time_span(&specifiers(value, &self.name)).map(|_| ()),
            "Persistent" => boolean(value).map(|on| self.persistent = on),
            "RandomizedDelaySec" => time_span(value).map(|delay| self.randomized_delay = delay),
            "WakeSystem" => boolean(value).map(|on| self.wake_system = on),
            "Unit" => self.assign_unit(specifiers(value, &self.name)),
            _ => Some(()),
        };
        read.is_some()
    }

    /// The first one counts: a timer starts one unit, and not itself.
    fn assign_unit(&mut self, unit: String) -> Option<()> {
        let is_unit = SUFFIXES.iter().any(|suffix| unit.ends_with(suffix)) && unit != self.name;
        if self.triggers.is_some() || !is_unit {
            return None;
        }
        self.triggers = Some(unit);
        Some(())
    }

    /// The unit it starts, its own service by default.
    pub(super) fn starts(&self) -> String {
        let own = || format!("{}.service", self.name.trim_end_matches(".timer"));
        self.triggers.clone().unwrap_or_else(own)
    }

    /// The timer.
    pub(super) fn timer(&self) -> Timer {
        Timer {
            name: self.name.clone(),
            calendar: self.calendar,
            persistent: self.persistent,
            randomized_delay: self.randomized_delay,
            wake_system: self.wake_system,
            ignored: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timer(lines: &[(&str, &str)]) -> (TimerSettings, Vec<usize>) {
        let mut timer = TimerSettings::new("a@b.timer");
        let read: Vec<_> = lines
            .iter()
            .map(|(key, value)| timer.assign(key, value))
            .collect();
        let unread = read.iter().enumerate().filter(|(_, read)| !**read);
        let unread = unread.map(|(index, _)| index).collect();
        (timer, unread)
    }

    #[test]
    fn an_empty_time_of_whatever_kind_resets_them_all() {
        for key in ["OnCalendar", "OnBootSec", "OnUnitActiveSec"] {
            let (timer, unread) = timer(&[("OnCalendar", "daily"), (key, "")]);
            assert!(!timer.timer().calendar && unread.is_empty(), "{key}");
        }
        let (timer, _) = timer(&[
            ("OnCalendar", ""),
            ("OnCalendar", "daily"),
            ("OnBootSec", "1h"),
        ]);
        assert!(timer.timer().calendar);
    }

    #[test]
    fn what_cannot_be_read_changes_nothing() {
        let (timer, unread) = timer(&[
            ("Persistent", "true"),
            ("RandomizedDelaySec", "1h"),
            ("OnCalendar", "dayly"),
            ("Persistent", "tru"),
            ("Persistent", ""),
            ("RandomizedDelaySec", ""),
            ("OnBootSec", "soon"),
        ]);
        assert_eq!(unread, [2, 3, 4, 5, 6]);
        let timer = timer.timer();
        assert!(timer.persistent && !timer.calendar);
        assert_eq!(timer.randomized_delay, Some(Duration::from_secs(3600)));
    }

    #[test]
    fn the_first_unit_is_the_one_that_is_started() {
        let (plain, _) = timer(&[]);
        assert_eq!(plain.starts(), "a@b.service");
        let (timer, unread) = timer(&[
            ("Unit", ""),
            ("Unit", "foo"),
            ("Unit", "%i.target"),
            ("Unit", "c.service"),
        ]);
        assert_eq!(timer.starts(), "b.target");
        assert_eq!(unread, [0, 1, 3]);
    }
}
