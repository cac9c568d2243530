//! Drop-ins and refusals, by table.

mod choice;
mod companion;

use std::time::Duration;

use super::*;
use crate::systemd::surroundings::Families;
use crate::systemd::tests::sample;
use crate::systemd::unit::{Load, NotifyAccess, Restart, ServiceType};

/// What a drop-in is made from, to be changed by a test.
struct Case {
    unit: Unit,
    surroundings: Surroundings,
    mode: GateMode,
    profile: &'static str,
}

impl Case {
    fn new(mode: GateMode) -> Self {
        let mut unit = sample::unit();
        let service = unit.service.as_mut().unwrap();
        service.restart = Restart::No;
        Self {
            unit,
            surroundings: Surroundings::default(),
            mode,
            profile: "upgrade",
        }
    }

    fn service(&mut self) -> &mut Service {
        self.unit.service.as_mut().unwrap()
    }

    fn starts(mut self, lines: &[&str]) -> Self {
        let parsed = lines
            .iter()
            .flat_map(|line| exec_line::parse(line).commands);
        self.service().exec_start = parsed.collect();
        self
    }

    fn spec(&self) -> DropInSpec<'_> {
        DropInSpec {
            unit: &self.unit,
            surroundings: &self.surroundings,
            scope: Scope::System,
            mode: self.mode,
            profile: self.profile,
            program: "/usr/bin/upgrade-gate",
            gated_script: None,
        }
    }

    fn before(mut self, lines: &[&str]) -> Self {
        let parsed = lines
            .iter()
            .flat_map(|line| exec_line::parse(line).commands);
        self.service().exec_start_pre = parsed.collect();
        self
    }

    fn result(&self) -> Result<String, DropInRefusal> {
        in_mode(&self.spec()).map(|made| made.own)
    }

    /// What is chosen if no mode is asked for.
    fn chosen(&self) -> DropIns {
        chosen(&self.spec()).unwrap()
    }

    /// The settings, without the section and what is said above.
    fn settings(&self) -> Vec<String> {
        let text = self.result().unwrap();
        assert!(text.starts_with(MARKER), "{text}");
        let lines = text.lines().filter(|line| !line.starts_with(['#', '[']));
        lines.map(str::to_owned).collect()
    }

    fn refused(&self) -> String {
        self.result().expect_err("refused").to_string()
    }
}

#[test]
fn a_oneshot_with_one_command_becomes_exec() {
    let case = Case::new(GateMode::Run).starts(&["/usr/bin/upgrade --all"]);
    assert_eq!(
        case.settings(),
        [
            "Type=exec",
            "TimeoutStartSec=infinity",
            "ExecStart=",
            "ExecStart=/usr/bin/upgrade-gate run --profile upgrade -- /usr/bin/upgrade --all",
            "SuccessExitStatus=75",
            "NotifyAccess=main",
        ]
    );
}

#[test]
fn nothing_follows_a_command_that_may_be_told_not_now() {
    let several = Case::new(GateMode::Run).starts(&["/bin/a", "/bin/b"]);
    let mut followed = Case::new(GateMode::Run);
    followed.surroundings.start_post = true;
    for (case, why) in [(several, "several commands"), (followed, "ExecStartPost=")] {
        let refused = case.refused();
        assert!(refused.contains(why), "{refused}");
        assert!(refused.contains("--mode companion"), "{refused}");
        assert_eq!(case.chosen().mode, GateMode::Companion);
    }
}

#[test]
fn prefixes_variables_specifiers_and_another_argv0_are_kept() {
    for (line, wrapped) in [
        (
            "-!/bin/a",
            "-!/usr/bin/upgrade-gate run --profile p$$%i -- /bin/a",
        ),
        (
            "+/bin/a %i $X ${Y}",
            "+/usr/bin/upgrade-gate run --profile p$$%i -- /bin/a %i $X ${Y}",
        ),
        (
            ":/bin/a$b $X",
            ":/usr/bin/upgrade-gate run --profile p$%i -- /bin/a$b $X",
        ),
        (
            "/bin/a$b $$",
            "/usr/bin/upgrade-gate run --profile p$$%i -- /bin/a$$b $$",
        ),
        (
            "@/bin/a named -x",
            "/usr/bin/upgrade-gate run --profile p$$%i --argv0=named -- /bin/a -x",
        ),
        (
            "/bin/a 'b c' ;",
            "/usr/bin/upgrade-gate run --profile p$$%i -- /bin/a \"b c\"",
        ),
    ] {
        let mut case = Case::new(GateMode::Run).starts(&[line]);
        case.profile = "p$%i";
        let wrapped = format!("ExecStart={wrapped}");
        assert!(
            case.settings().contains(&wrapped),
            "{line}: {:?}",
            case.settings()
        );
    }
}

#[test]
fn a_user_of_its_own_gets_directories_of_its_own() {
    let mut case = Case::new(GateMode::Run);
    case.service().user = "fwupd-refresh".to_owned();
    let settings = case.settings();
    assert!(settings.contains(&"RuntimeDirectory=upgrade-gate/upgrade".to_owned()));
    assert!(settings.contains(&"StateDirectory=upgrade-gate/upgrade".to_owned()));
    case.surroundings.runtime_directory = true;
    assert_eq!(case.settings(), settings, "never into the service's own");
    case.mode = GateMode::Pre;
    let settings = case.settings();
    assert!(
        !settings.iter().any(|line| line.contains("Directory=")),
        "its commands may expect one alone"
    );
    let text = case.result().unwrap();
    assert!(text.contains("\"systemctl status\" does."), "{text}");
}

#[test]
fn directories_of_templates_and_odd_names_are_named_by_systemd() {
    for name in ["bk@.service", "bk@my\\x2ddata.service"] {
        let mut case = Case::new(GateMode::Run);
        case.service().user = "bk".to_owned();
        case.unit.name = name.to_owned();
        let own = "StateDirectory=upgrade-gate/%N".to_owned();
        assert!(case.settings().contains(&own), "{name}");
    }
}

#[test]
fn a_user_s_unit_has_the_user_s_directories() {
    let mut case = Case::new(GateMode::Run);
    case.surroundings.read_only = true;
    let spec = DropInSpec {
        scope: Scope::User,
        ..case.spec()
    };
    let made = in_mode(&spec).unwrap().own;
    assert!(made.contains("\nReadWritePaths=-%t/upgrade-gate -%h/.local/state/upgrade-gate\n"));
    assert!(!made.contains("/var/lib"), "{made}");
}

#[test]
fn a_sandbox_is_opened_only_as_far_as_needed() {
    let mut case = Case::new(GateMode::Run);
    case.surroundings.families.assign("AF_UNIX AF_INET");
    case.surroundings.read_only = true;
    let settings = case.settings();
    assert!(settings.contains(&"RestrictAddressFamilies=AF_NETLINK AF_INET6".to_owned()));
    assert!(
        settings.contains(&"ReadWritePaths=-/run/upgrade-gate -/var/lib/upgrade-gate".to_owned())
    );
    case.surroundings.families = Families::Any;
    case.surroundings.read_only = false;
    assert_eq!(case.settings().len(), 6);
}

#[test]
fn settings_that_would_fight_the_gate_are_answered() {
    let mut case = Case::new(GateMode::Run);
    case.service().runtime_max = Some(std::time::Duration::from_secs(60));
    case.service().force = sample::codes(&[1, 75]);
    let settings = case.settings();
    for line in ["RuntimeMaxSec=infinity", "RestartPreventExitStatus=75"] {
        assert!(settings.contains(&line.to_owned()), "{line}: {settings:?}");
    }
}

#[test]
fn in_mode_pre_the_gate_is_the_first_of_all() {
    let mut case = Case::new(GateMode::Pre);
    case.service().exec_start_pre = exec_line::parse("-/bin/a %i").commands;
    assert_eq!(
        case.settings(),
        [
            "NotifyAccess=exec",
            "ExecStartPre=",
            "ExecStartPre=/usr/bin/upgrade-gate wait-online --profile upgrade",
            "ExecStartPre=-/bin/a %i",
        ]
    );
    case.service().notify_access = NotifyAccess::Main;
    assert_eq!(case.settings()[0], "NotifyAccess=exec");
    case.service().notify_access = NotifyAccess::All;
    assert_eq!(case.settings()[0], "NotifyAccess=all");
    case.service().exec_condition = vec![sample::exec("/bin/c")];
    assert!(case.refused().contains("ExecCondition="));
}

#[test]
fn the_wait_is_no_part_of_a_job_timeout_where_that_can_be_had_and_is_said_where_not() {
    let limited = |mode| {
        let mut case = Case::new(mode);
        case.unit.job_timeout = Some(Duration::from_secs(300));
        case.unit.job_running_timeout = Some(Duration::from_secs(60));
        case
    };
    let text = limited(GateMode::Pre).result().unwrap();
    assert!(text.contains("# JobTimeoutSec= still cancels"), "{text}");
    let settings = limited(GateMode::Companion).settings();
    let expected = ["JobTimeoutSec=infinity", "JobRunningTimeoutSec=1min"];
    assert_eq!(settings[2..], expected);
    let unlimited = Case::new(GateMode::Pre).result().unwrap();
    assert!(!unlimited.contains("JobTimeoutSec"), "{unlimited}");
}

#[test]
fn in_mode_condition_the_gate_is_asked_before_other_conditions() {
    let mut case = Case::new(GateMode::Condition);
    assert_eq!(
        case.settings(),
        ["ExecCondition=/usr/bin/upgrade-gate check --exec-condition --profile upgrade"]
    );
    assert!(
        case.result()
            .unwrap()
            .contains("upgrade-gate-online.target"),
        "nothing else starts it again"
    );
    case.service().exec_condition = vec![sample::exec("/bin/c")];
    assert_eq!(
        case.settings(),
        [
            "ExecCondition=",
            "ExecCondition=/usr/bin/upgrade-gate check --exec-condition --profile upgrade",
            "ExecCondition=/bin/c"
        ]
    );
}

#[test]
fn a_gate_whose_refusal_counts_as_success_is_no_gate() {
    let mut case = Case::new(GateMode::Pre);
    case.service().success = sample::codes(&[75]);
    assert!(case.refused().contains("lists 75"));
    case.mode = GateMode::Condition;
    case.result().unwrap();
    case.service().success = sample::codes(&[1]);
    assert!(case.refused().contains("lists 1"));
}

#[test]
fn units_that_cannot_be_gated_at_all_are_refused_in_every_mode() {
    type Spoil = fn(&mut Unit);
    let table: [(Spoil, &str); 8] = [
        (|unit| unit.load = Load::NotFound, "no unit file"),
        (|unit| unit.load = Load::Masked, "unmask"),
        (
            |unit| unit.load = Load::Refused("no ExecStart=".into()),
            "no ExecStart=",
        ),
        (|unit| unit.transient = true, "transient"),
        (|unit| unit.service = None, "not a service unit"),
        (
            |unit| unit.requires = vec!["upgrade-gate@x.service".into()],
            "upgrade-gate@x.service",
        ),
        (
            |unit| {
                let gated = exec_line::parse("/x/upgrade-gate run -- a").commands;
                unit.service.as_mut().unwrap().exec_start = gated;
            },
            "ExecStart=",
        ),
        (
            |unit| {
                let gated = exec_line::parse("/bin/sh -c 'upgrade-gate check'").commands;
                unit.service.as_mut().unwrap().exec_condition = gated;
            },
            "ExecCondition=",
        ),
    ];
    for (spoil, words) in table {
        for mode in [
            GateMode::Run,
            GateMode::Pre,
            GateMode::Condition,
            GateMode::Companion,
        ] {
            let mut case = Case::new(mode);
            spoil(&mut case.unit);
            let sentence = case.refused();
            assert!(sentence.contains(words), "{mode:?}: {sentence}");
        }
    }
}

#[test]
fn the_users_shell_and_a_profile_no_unit_is_named_after_are_refused() {
    let case = Case::new(GateMode::Run).starts(&["|echo"]);
    assert!(case.refused().contains("the prefix |"));
    let mut case = Case::new(GateMode::Companion);
    case.profile = "a b";
    assert!(case.refused().contains("rename the profile"));
}

#[test]
fn whatever_the_profile_is_called_no_line_is_added() {
    let mut case = Case::new(GateMode::Run);
    case.profile = "a\n[Service]\nExecStart=/bin/evil";
    let text = case.result().unwrap();
    assert!(
        !text
            .lines()
            .any(|line| line.starts_with("ExecStart=/bin/evil")),
        "{text}"
    );
    assert_eq!(text.matches("\n[Service]\n").count(), 1);
}

#[test]
fn a_profile_that_begins_like_an_option_is_not_taken_for_one() {
    let mut case = Case::new(GateMode::Run);
    case.profile = "-a";
    let starts = "ExecStart=/usr/bin/upgrade-gate run --profile=-a -- /usr/bin/upgrade";
    assert!(case.settings().contains(&starts.to_owned()));
}
