use proptest::prelude::*;

use super::*;
use crate::systemd::simulate::{Outage, simulate};
use crate::systemd::tests::sample;
use crate::systemd::unit::{Restart, Unit};
use crate::systemd::version::Version;

const S: Duration = Duration::from_secs(1);

fn drawn(unit: &Unit, outage: &Outage) -> String {
    draw(&simulate(unit, Version(257), outage), 80)
}

/// What is expected, without the margin that it has here.
fn without_margin(text: &str) -> String {
    let lines = text.lines();
    let lines = lines.filter_map(|line| line.trim_start().strip_prefix('|'));
    lines.collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn shows(unit: &Unit, outage: &Outage, expected: &str) {
    let drawn = drawn(unit, outage);
    assert_eq!(drawn, without_margin(expected), "\n{drawn}");
}

#[test]
fn a_limit_that_never_bites_shows_as_a_row_of_starts() {
    let outage = Outage::new(S * 1800, S * 5);
    shows(
        &sample::limited(100, 5, S * 20),
        &outage,
        r"
    |outage   #################################################################------
    |starts   xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxo
    |         0                                                           30min
    |x         0  fails after 5s
    |x       25s  fails after 5s
    |        ...  69 more, every 25s
    |x 29min 35s  fails after 5s
    |o     30min  succeeds: start 73 is the first after the outage
    ",
    );
}

#[test]
fn a_limit_that_bites_shows_where() {
    let outage = Outage::new(S * 1800, S * 10);
    shows(
        &sample::limited(600, 3, S * 60),
        &outage,
        r"
    |outage   #################################################################------
    |starts   x x  x !
    |         0                                                           30min
    |x        0  fails after 10s
    |x 1min 10s  fails after 10s
    |x 2min 20s  fails after 10s
    |! 3min 30s  refused after 3 starts: the start limit; no restart follows
    ",
    );
}

#[test]
fn what_happens_long_after_the_outage_still_has_its_place() {
    let outage = Outage::new(S * 10, S);
    shows(
        &sample::limited(0, 0, S * 3600),
        &outage,
        r"
    |outage   #----------------------------------------------------------------------
    |starts   x                                                                o
    |         0 10s
    |x     0  fails after 1s
    |o 1h 1s  succeeds: start 2 is the first after the outage
    ",
    );
}

#[test]
fn an_attempt_that_hangs_is_drawn_to_the_end() {
    let mut outage = Outage::new(S * 60, S);
    outage.attempt.length = None;
    shows(
        &sample::unit(),
        &outage,
        r"
    |outage   #################################################################------
    |starts   >>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>
    |         0                                                            1min
    |> 0  hangs: no timeout ends it
    ",
    );
}

#[test]
fn a_long_story_loses_its_middle() {
    let mut unit = sample::limited(0, 0, S);
    if let Some(service) = &mut unit.service {
        service.restart_steps = 20;
        service.restart_max_delay = Some(S * 1000);
    }
    shows(
        &unit,
        &Outage::new(S * 7200, S),
        r"
    |outage   ###############################################################--------
    |starts   xxxx x x  x    x     x        x        x        x        x       o
    |         0                                                            2h
    |x            0  fails after 1s
    |x           2s  fails after 1s
    |x       4.412s  fails after 1s
    |x       7.407s  fails after 1s
    |x      11.226s  fails after 1s
    |x      16.207s  fails after 1s
    |           ...  13 more
    |x    28min 52s  fails after 1s
    |x    40min 41s  fails after 1s
    |x    57min 22s  fails after 1s
    |           ...  2 more, every 16min 41s
    |x 1h 47min 25s  fails after 1s
    |o   2h 4min 6s  succeeds: start 26 is the first after the outage
    ",
    );
}

#[test]
fn a_unit_that_is_not_restarted_says_why() {
    let mut unit = sample::unit();
    if let Some(service) = &mut unit.service {
        service.restart = Restart::No;
    }
    shows(
        &unit,
        &Outage::new(S * 60, S * 3),
        r"
    |outage   #################################################################------
    |starts   x
    |         0                                                            1min
    |x  0  fails after 3s
    |  3s  no restart: Restart= asks for none after exit-code
    ",
    );
}

proptest! {
    #[test]
    fn any_story_fits_and_nothing_panics(
        (interval, burst, delay) in (0..u64::MAX / 2, 0..9u32, 0..u64::MAX / 2),
        (length, attempt) in (0..u64::MAX / 2, 0..u64::MAX / 2),
        width in 0..300usize,
    ) {
        let unit = sample::limited(interval, burst, Duration::from_micros(delay));
        let outage = Outage::new(Duration::from_micros(length), Duration::from_micros(attempt));
        let text = draw(&simulate(&unit, Version(262), &outage), width);
        prop_assert!(text.is_ascii());
        prop_assert!(text.lines().take(3).all(|line| line.len() <= width.clamp(60, 160)));
        prop_assert!(text.lines().count() <= 3 + 2 * HALF_STORY + 1);
    }
}
