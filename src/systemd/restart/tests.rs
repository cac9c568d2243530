use super::*;
use crate::systemd::tests::sample;

const NEW: Version = Version(257);

fn service(kind: ServiceType, restart: Restart) -> Service {
    Service {
        kind,
        restart,
        ..sample::service()
    }
}

fn restarts(service: &Service, exit: ProcessExit) -> bool {
    next(service, ExecPhase::Start, exit) == AfterAttempt::Restart
}

#[test]
fn restart_is_asked_for_as_the_table_of_the_man_page_says() {
    use Restart::{Always, No, OnAbnormal, OnAbort, OnFailure, OnSuccess, OnWatchdog};
    // clean exit code, unclean exit code, timeout
    let exits = [
        ProcessExit::Code(0),
        ProcessExit::Code(1),
        ProcessExit::Timeout,
    ];
    let table = [
        (No, [false; 3]),
        (Always, [true; 3]),
        (OnSuccess, [true, false, false]),
        (OnFailure, [false, true, true]),
        (OnAbnormal, [false, false, true]),
        (OnAbort, [false; 3]),
        (OnWatchdog, [false; 3]),
    ];
    for (restart, expected) in table {
        let service = service(ServiceType::Simple, restart);
        assert_eq!(
            exits.map(|exit| restarts(&service, exit)),
            expected,
            "{restart:?}"
        );
    }
}

#[test]
fn a_success_exit_status_is_no_failure_and_lets_the_gates_failure_go_on() {
    let service = Service {
        success: sample::codes(&[75]),
        ..service(ServiceType::Oneshot, Restart::OnFailure)
    };
    let success = ServiceResult::Success;
    let exit = ProcessExit::Code(75);
    assert_eq!(
        next(&service, ExecPhase::Start, exit),
        AfterAttempt::Stop(Why::Setting(success))
    );
    assert_eq!(
        next(&service, ExecPhase::StartPre, exit),
        AfterAttempt::GoesOn
    );
    assert_eq!(
        next(&service, ExecPhase::Condition, exit),
        AfterAttempt::GoesOn
    );
}

#[test]
fn a_dash_in_front_of_every_command_makes_its_failure_a_success() {
    let mut service = service(ServiceType::Oneshot, Restart::OnFailure);
    let mut ignored = sample::exec("/usr/bin/gate");
    ignored.prefixes.ignore_failure = true;
    service.exec_start_pre = vec![ignored.clone()];
    assert_eq!(
        next(&service, ExecPhase::StartPre, ProcessExit::Code(1)),
        AfterAttempt::GoesOn
    );
    service.exec_start_pre = vec![ignored, sample::exec("/usr/bin/check")];
    assert_eq!(
        next(&service, ExecPhase::StartPre, ProcessExit::Code(1)),
        AfterAttempt::Restart
    );
}

#[test]
fn a_condition_skips_with_1_to_254_and_fails_with_255_or_a_timeout() {
    let service = service(ServiceType::Simple, Restart::Always);
    for code in [1, 75, 254] {
        let exit = ProcessExit::Code(code);
        assert_eq!(
            result(&service, ExecPhase::Condition, exit),
            ServiceResult::ExecCondition
        );
        assert_eq!(
            next(&service, ExecPhase::Condition, exit),
            AfterAttempt::Stop(Why::Skipped)
        );
    }
    for exit in [ProcessExit::Code(255), ProcessExit::Timeout] {
        assert_eq!(
            next(&service, ExecPhase::Condition, exit),
            AfterAttempt::Restart,
            "{exit:?}"
        );
    }
}

#[test]
fn the_lists_hold_for_the_main_process_and_not_for_start_pre() {
    let prevented = Service {
        prevent: sample::codes(&[75]),
        ..service(ServiceType::Oneshot, Restart::OnFailure)
    };
    let exit = ProcessExit::Code(75);
    assert_eq!(
        next(&prevented, ExecPhase::Start, exit),
        AfterAttempt::Stop(Why::Prevented)
    );
    assert_eq!(
        next(&prevented, ExecPhase::StartPre, exit),
        AfterAttempt::Restart
    );
    let forced = Service {
        force: sample::codes(&[75]),
        ..service(ServiceType::Exec, Restart::No)
    };
    assert_eq!(next(&forced, ExecPhase::Start, exit), AfterAttempt::Restart);
    assert_ne!(
        next(&forced, ExecPhase::StartPre, exit),
        AfterAttempt::Restart
    );
}

#[test]
fn a_forking_service_has_no_main_process_yet_when_its_start_fails() {
    let service = Service {
        prevent: sample::codes(&[1]),
        ..service(ServiceType::Forking, Restart::OnFailure)
    };
    assert!(restarts(&service, ProcessExit::Code(1)));
}

#[test]
fn preventing_comes_before_forcing_and_a_timeout_kills_with_sigterm() {
    let mut service = Service {
        force: sample::signals(&[15]),
        ..service(ServiceType::Exec, Restart::No)
    };
    assert!(restarts(&service, ProcessExit::Timeout));
    service.prevent = sample::signals(&[15]);
    assert_eq!(
        next(&service, ExecPhase::Start, ProcessExit::Timeout),
        AfterAttempt::Stop(Why::Prevented)
    );
}

#[test]
fn a_notify_service_that_ends_before_it_is_ready_breaks_the_protocol() {
    for kind in [ServiceType::Notify, ServiceType::NotifyReload] {
        let service = service(kind, Restart::OnFailure);
        assert_eq!(
            result(&service, ExecPhase::Start, ProcessExit::Code(0)),
            ServiceResult::Protocol
        );
        assert!(restarts(&service, ProcessExit::Code(0)));
    }
}

#[test]
fn on_failure_is_started_at_each_attempt_since_254_unless_the_mode_is_direct() {
    let mut service = service(ServiceType::Oneshot, Restart::OnFailure);
    let fires = |service: &Service, version, next| {
        starts_on_failure(service, Version(version), ServiceResult::ExitCode, next)
    };
    let stop = AfterAttempt::Stop(Why::Setting(ServiceResult::ExitCode));
    assert!(!fires(&service, 253, AfterAttempt::Restart));
    assert!(fires(&service, 253, stop));
    assert!(fires(&service, 254, AfterAttempt::Restart));
    service.restart_mode = RestartMode::Debug;
    assert!(fires(&service, 257, AfterAttempt::Restart));
    service.restart_mode = RestartMode::Direct;
    assert!(!fires(&service, 254, AfterAttempt::Restart));
    assert!(fires(&service, 254, stop));
}

#[test]
fn what_is_no_failure_starts_no_on_failure() {
    let service = service(ServiceType::Simple, Restart::Always);
    for result in [ServiceResult::Success, ServiceResult::ExecCondition] {
        assert!(!starts_on_failure(
            &service,
            NEW,
            result,
            AfterAttempt::Restart
        ));
        assert!(!starts_on_failure(
            &service,
            NEW,
            result,
            AfterAttempt::Stop(Why::Skipped)
        ));
    }
}
