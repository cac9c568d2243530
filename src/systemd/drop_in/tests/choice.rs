//! Which units are run, and which are left to the companion.

use super::*;

#[test]
fn a_start_timeout_that_was_written_stays_as_it_is() {
    let mut case = Case::new(GateMode::Run);
    case.service().timeout_start = Some(std::time::Duration::from_secs(60));
    let settings = case.settings();
    let timeout = settings.iter().find(|line| line.starts_with("Timeout"));
    assert_eq!(timeout, None);
}

#[test]
fn preparations_move_behind_the_gate() {
    let case = Case::new(GateMode::Run)
        .starts(&["/bin/a"])
        .before(&["-/bin/mkdir -p '/x y' 5%%", ":@/bin/b name %n"]);
    let settings = case.settings();
    let start = "ExecStart=/usr/bin/upgrade-gate run --profile upgrade \
                 \"--exec-start-pre=-/bin/mkdir -p \\\"/x y\\\" 5%%\" \
                 \"--exec-start-pre=@/bin/b name %n\" -- /bin/a";
    assert_eq!(settings[2..5], ["ExecStartPre=", "ExecStart=", start]);
}

#[test]
fn preparations_that_systemd_alone_can_do_are_left_to_the_companion() {
    for (pre, start, words) in [
        ("+/bin/b", "/bin/a", "prefix"),
        ("!!/bin/b", "/bin/a", "prefix"),
        ("|b", "/bin/a", "prefix"),
        ("/bin/b $X", "/bin/a", "variable"),
        (":/bin/b $X", "/bin/a", "variable"),
        ("/bin/b", "-/bin/a", "prefix"),
        ("/bin/b", "!/bin/a", "prefix"),
    ] {
        let case = Case::new(GateMode::Run).starts(&[start]).before(&[pre]);
        let refused = case.refused();
        assert!(
            refused.contains(words) && refused.contains("--mode companion"),
            "{pre}: {refused}"
        );
        let made = case.chosen();
        assert_eq!(made.mode, GateMode::Companion, "{pre}");
        assert!(
            made.own.contains("\n# Not mode run: ExecStartPre= "),
            "{pre}"
        );
    }
    let mut case = Case::new(GateMode::Run).before(&["/bin/b"]);
    case.service().success = sample::codes(&[2]);
    assert!(case.refused().contains("SuccessExitStatus="));
}

#[test]
fn what_a_name_with_escapes_fills_in_does_not_move() {
    for (name, moves) in [
        ("bk@data.service", true),
        ("bk@my\\x2ddata.service", false),
        ("bk@.service", false),
    ] {
        let mut case = Case::new(GateMode::Run).before(&["/bin/b %i"]);
        case.unit.name = name.to_owned();
        assert_eq!(case.result().is_ok(), moves, "{name}");
    }
}

#[test]
fn what_would_lie_about_not_now_or_run_without_the_command_is_left_to_the_companion() {
    type Change = fn(&mut Case);
    let table: [(Change, &str); 9] = [
        (
            |case| case.unit.on_success = vec!["a.service".to_owned()],
            "OnSuccess=",
        ),
        (
            |case| case.surroundings.success_action = true,
            "SuccessAction=",
        ),
        (
            |case| case.service().remain_after_exit = true,
            "RemainAfterExit=",
        ),
        (|case| case.surroundings.stop = true, "ExecStop="),
        (|case| case.surroundings.stop_post = true, "ExecStopPost="),
        (|case| case.surroundings.before = true, "Before="),
        (|case| case.surroundings.watchdog = true, "WatchdogSec="),
        (|case| case.surroundings.socket = true, "socket-activated"),
        (
            |case| case.service().exec_condition = vec![sample::exec("/bin/c")],
            "ExecCondition=",
        ),
    ];
    for (change, words) in table {
        let mut case = Case::new(GateMode::Run);
        change(&mut case);
        assert!(case.refused().contains(words), "{}", case.refused());
        let made = case.chosen();
        assert_eq!(made.mode, GateMode::Companion, "{words}");
        assert!(made.own.contains(words), "{}", made.own);
    }
}

#[test]
fn after_a_command_of_another_type_nothing_may_be_run_before_it_ends() {
    let mut case = Case::new(GateMode::Run);
    case.service().kind = ServiceType::Exec;
    case.surroundings.start_post = true;
    assert!(case.refused().contains("ExecStartPost="));
    case.surroundings.start_post = false;
    case.surroundings.before = true;
    case.result().expect("it was never waited for");
}

#[test]
fn what_a_target_starts_and_no_timer_is_taken_for_a_daemon() {
    let mut case = Case::new(GateMode::Run);
    case.unit.timers.clear();
    case.service().kind = ServiceType::Simple;
    case.unit.wanted_by = vec!["multi-user.target".to_owned()];
    let made = case.chosen();
    assert_eq!(made.mode, GateMode::Companion);
    assert!(made.own.contains("multi-user.target starts it"));
    let honoured = case.result().unwrap();
    assert!(honoured.contains("attempt_timeout"), "{honoured}");
    case.unit.wanted_by = vec!["upgrade-gate-online.target".to_owned()];
    assert_eq!(
        case.chosen().mode,
        GateMode::Run,
        "it starts commands that end"
    );
    case.unit.wanted_by = vec!["multi-user.target".to_owned()];
    case.service().kind = ServiceType::Oneshot;
    assert_eq!(case.chosen().mode, GateMode::Run, "a oneshot ends");
}

#[test]
fn a_daemon_cannot_be_run_and_is_told_of_the_companion() {
    for kind in [
        ServiceType::Notify,
        ServiceType::NotifyReload,
        ServiceType::Forking,
        ServiceType::Dbus,
    ] {
        let mut case = Case::new(GateMode::Run);
        case.service().kind = kind;
        assert!(case.refused().contains("--mode companion"), "{kind:?}");
        case.mode = GateMode::Companion;
        assert_eq!(
            case.settings(),
            [
                "Requires=upgrade-gate@upgrade.service",
                "After=upgrade-gate@upgrade.service"
            ]
        );
    }
    let mut case = Case::new(GateMode::Run);
    case.service().kind = ServiceType::Simple;
    case.service().restart = Restart::Always;
    assert!(case.refused().contains("Restart=always"));
}

#[test]
fn a_gate_in_a_script_is_not_doubled() {
    let case = Case::new(GateMode::Run);
    let spec = DropInSpec {
        gated_script: Some("/usr/local/bin/up"),
        ..case.spec()
    };
    let refused = chosen(&spec).unwrap_err().to_string();
    assert!(
        refused.contains("already gated, by /usr/local/bin/up"),
        "{refused}"
    );
}

#[test]
fn a_command_line_that_names_the_units_directories_is_left_as_it_is() {
    let mut case = Case::new(GateMode::Run).starts(&["/bin/a --state ${STATE_DIRECTORY}"]);
    case.result().expect("root's has nothing added to it");
    case.service().user = "a".to_owned();
    assert!(case.refused().contains("$STATE_DIRECTORY"));
}

#[test]
fn that_instances_share_a_profile_is_said_unless_they_do_not() {
    let mut case = Case::new(GateMode::Run);
    case.unit.name = "bk@.service".to_owned();
    assert!(case.result().unwrap().contains("# All instances share"));
    case.profile = "%p-%i";
    assert!(!case.result().unwrap().contains("# All instances share"));
}
