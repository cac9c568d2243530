//! What is made of the properties that systemd tells, and of those that it does not.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::systemd::tests::sample;
use crate::systemd::unit::{Restart, RestartMode};

fn told<'v, const N: usize>(values: [(&'v str, Variant<'v>); N]) -> GetAllReply<'v> {
    GetAllReply(HashMap::from(values))
}

/// What every loaded service tells, but for these.
fn loaded<'v, const N: usize>(values: [(&'v str, Variant<'v>); N]) -> GetAllReply<'v> {
    let mut all = told([
        ("Id", "u.service".into()),
        ("LoadState", "loaded".into()),
        ("Type", "oneshot".into()),
        ("Restart", "no".into()),
    ]);
    all.0.extend(values);
    all
}

fn service(told: &GetAllReply<'_>) -> Service {
    unit(told).unwrap().service.unwrap()
}

fn with<'v>(name: &'v str, value: impl Into<Variant<'v>>) -> Service {
    service(&loaded([(name, value.into())]))
}

#[test]
fn what_an_old_systemd_does_not_tell_has_its_default() {
    let service = service(&loaded([]));
    let expected = Service {
        restart: Restart::No,
        exec_start: Vec::new(),
        standard_output: String::new(),
        ..sample::service()
    };
    assert_eq!(service, expected);
}

#[test]
fn the_largest_number_is_infinity() {
    assert_eq!(with("RestartUSec", u64::MAX).restart_delay, None);
    let delay = with("RestartUSec", 20_000_000_u64).restart_delay;
    assert_eq!(delay, Some(Duration::from_secs(20)));
}

#[test]
fn exit_codes_and_signals_are_two_lists() {
    let statuses = with("SuccessExitStatus", (vec![2, 75], vec![9])).success;
    assert_eq!(statuses.codes, BTreeSet::from([2, 75]));
    assert_eq!(statuses.signals, BTreeSet::from([9]));
}

type Line<F> = (
    &'static str,
    Vec<&'static str>,
    F,
    u64,
    u64,
    u64,
    u64,
    u32,
    i32,
    i32,
);

fn line<F>(flags: F) -> Vec<Line<F>> {
    vec![("/bin/a", vec!["a", "b c"], flags, 0, 0, 0, 0, 0, 0, 0)]
}

#[test]
fn the_flags_of_a_command_are_its_prefixes() {
    for (flags, prefix, privileges) in [
        (vec!["ignore-failure", "privileged"], true, Privileges::Full),
        (vec!["no-setuid"], false, Privileges::NoSetuid),
        (
            vec!["ambient", "of-a-later-day"],
            false,
            Privileges::Ambient,
        ),
    ] {
        let exec = &with("ExecStartEx", line(flags)).exec_start[0];
        assert_eq!(exec.prefixes.ignore_failure, prefix);
        assert_eq!(exec.prefixes.privileges, privileges);
        assert_eq!(exec.path, "/bin/a");
        assert_eq!(exec.argv, ["a", "b c"]);
    }
}

#[test]
fn without_flags_a_command_says_whether_its_failure_counts() {
    let exec = &with("ExecStart", line(true)).exec_start[0];
    assert!(exec.prefixes.ignore_failure);
}

#[test]
fn a_word_that_is_not_known_is_named_and_never_guessed() {
    for (kind, restart) in [("rocket", "no"), ("simple", "on-tuesdays"), ("simple", "")] {
        let odd = loaded([("Type", kind.into()), ("Restart", restart.into())]);
        let error = unit(&odd).unwrap_err().to_string();
        assert!(error.contains("u.service"), "{error}");
    }
    assert_eq!(
        with("RestartMode", "sideways").restart_mode,
        RestartMode::Normal
    );
}

#[test]
fn a_unit_that_could_not_be_loaded_says_why() {
    let error = Variant::from(("org.freedesktop.systemd1.BadUnitSetting", "bad\nsetting"));
    let bad = loaded([("LoadState", "bad-setting".into()), ("LoadError", error)]);
    let refused = Load::Refused("bad setting".to_owned());
    assert_eq!(unit(&bad).unwrap().load, refused);
    for (state, load) in [("not-found", Load::NotFound), ("masked", Load::Masked)] {
        let missing = unit(&told([("LoadState", state.into())])).unwrap();
        assert_eq!((missing.load, missing.service), (load, None));
    }
}

#[test]
fn a_timer_has_what_its_lists_and_settings_say() {
    let calendar = vec![("OnCalendar", "*-*-* 06:00:00", 0_u64)];
    let own = told([
        ("TimersCalendar", calendar.into()),
        ("Persistent", true.into()),
        ("RandomizedDelayUSec", 3_600_000_000_u64.into()),
    ]);
    let timer = timer("u.timer", &own);
    assert!(timer.calendar && timer.persistent);
    assert_eq!(timer.randomized_delay, Some(Duration::from_secs(3600)));
}

proptest! {
    #[test]
    fn properties_of_the_wrong_type_are_as_if_they_were_missing(number: u64, word in ".{0,8}") {
        let names = ["LoadState", "After", "StartLimitBurst", "LoadError", "Type", "Restart", "ExecStartEx",
            "SuccessExitStatus", "RestartUSec", "NotifyAccess", "TimersCalendar"];
        for value in [Variant::from(number), word.as_str().into(), vec![word.as_str()].into(), (number, word.as_str()).into()] {
            let odd = names.map(|name| (name, value.try_clone().unwrap()));
            let _ = unit(&loaded(odd.clone()));
            let odd = told(odd);
            let _ = unit(&odd);
            let _ = timer("t", &odd);
        }
    }
}
