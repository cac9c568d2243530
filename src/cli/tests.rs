//! What is accepted and what is refused, without starting a process.

use super::*;

fn argv(line: &str) -> Vec<OsString> {
    std::iter::once("upgrade-gate")
        .chain(line.split_whitespace())
        .map(OsString::from)
        .collect()
}

fn parsed(line: &str) -> Cli {
    parse(&argv(line)).unwrap_or_else(|e| panic!("{line}: {e}"))
}

fn refused(line: &str) -> String {
    parse(&argv(line)).expect_err(line).to_string()
}

#[test]
fn the_definition_is_consistent() {
    command().debug_assert();
}

#[test]
fn both_spellings_of_wait_online_are_the_same() {
    let options = "--profile p --target tcp://h:1 --target auto --timeout 10min --settle 0 \
                   --allow metered,recent --json --exec-condition -v";
    let Command::WaitOnline(word) = parsed(&format!("wait-online {options}")).command else {
        panic!("not wait-online");
    };
    for flag in [
        format!("--wait-online {options}"),
        format!("{options} --wait-online"),
    ] {
        let Command::WaitOnline(question) = parsed(&flag).command else {
            panic!("not wait-online: {flag}");
        };
        assert_eq!(question, word, "{flag}");
    }
    assert_eq!(word.question.gate.targets, ["tcp://h:1", "auto"]);
    assert_eq!(word.question.gate.allow, [Reason::Metered, Reason::Recent]);
}

#[test]
fn both_spellings_of_wait_online_fail_alike() {
    for wrong in ["--nonsense", "--timeout", "surplus", "--allow dns", "-qv"] {
        let word = refused(&format!("wait-online {wrong}"));
        assert_eq!(refused(&format!("--wait-online {wrong}")), word, "{wrong}");
    }
}

#[test]
fn to_stay_is_no_answer_to_exec_condition_and_nothing_for_check_or_run() {
    for wrong in [
        "wait-online --stay --exec-condition",
        "check --stay",
        "run --stay -- true",
    ] {
        assert!(refused(wrong).contains("--stay"), "{wrong}");
    }
    let Command::WaitOnline(args) = parsed("--wait-online --stay --json").command else {
        panic!("not wait-online");
    };
    assert!(args.stay && args.question.gate.json);
}

#[test]
fn a_wrapped_command_keeps_its_own_wait_online() {
    let Command::Run(run) = parsed("run -- nm --wait-online -v").command else {
        panic!("not run");
    };
    assert_eq!(run.command, ["nm", "--wait-online", "-v"]);
}

#[test]
fn a_hold_that_cannot_be_waived_is_answered_with_those_that_can() {
    for label in ["dns", "nonsense", ""] {
        let text = refused(&format!("check --allow=metered,{label}"));
        assert!(
            text.contains("metered, on_battery, battery_low, recent"),
            "{text}"
        );
    }
}

#[test]
fn an_empty_span_is_refused() {
    let refusal = refused("wait-online --timeout=");
    assert!(
        refusal.contains("--timeout") && refusal.contains("invalid time span"),
        "{refusal}"
    );
}

#[test]
fn run_wants_a_command_after_two_dashes() {
    refused("run");
    refused("run --");
    refused("run true");
}

#[test]
fn a_login_shells_name_is_no_option() {
    let Command::Run(run) = parsed("run --argv0 -bash -- /bin/bash").command else {
        panic!("not run");
    };
    assert_eq!(run.argv0, Some("-bash".into()));
}

#[test]
fn exec_condition_is_seen_in_arguments_that_do_not_parse() {
    let cases = [
        ("check --exec-condition --nonsense", true),
        ("check --exec-conditon", true),
        ("--exec-condition", true),
        ("check --nonsense", false),
        ("run -- true --exec-condition", false),
        ("run --exec-start-pre=/bin/a --nonsense -- true", false),
    ];
    for (line, asked) in cases {
        assert_eq!(asks_exec_condition(&argv(line)), asked, "{line}");
    }
}

#[test]
fn no_arguments_at_all_are_refused_not_run() {
    assert!(parse(&argv("")).is_err());
    assert!(parse(&[]).is_err());
    assert!(parse(&[OsString::from("--wait-online")]).is_err());
}

#[test]
fn the_man_page_has_every_reason_and_every_code() {
    let mut out = Vec::new();
    write_man(None, &mut out).expect("a page");
    let page = String::from_utf8(out).expect("text");
    let page = page.replace("\\*(Aq", "'").replace('\\', "");
    for reason in Reason::ALL {
        assert!(page.contains(reason.label()), "{reason}");
    }
    for row in crate::exit::TABLE {
        assert!(page.contains(row.meaning), "{}", row.code);
    }
}

#[test]
fn what_clap_quotes_is_quoted_without_secrets() {
    for argument in [
        "https://me:secret@host/",
        "--timeout=https://me:secret@host",
        "--timeout=https://se cret:sec'ret@host",
        "--sexy=me:secret@host",
        "me:secret@host",
    ] {
        let argv = ["upgrade-gate", "check", argument].map(OsString::from);
        let error = parse(&argv).unwrap_err();
        let said = complaint(&error, &argv);
        assert!(
            !said.contains("secret") && !said.contains("sec'ret"),
            "{said}"
        );
        assert!(said.contains("host") || said.contains("--sexy"), "{said}");
    }
}

#[test]
fn a_man_page_keeps_what_stands_before_the_examples_apart_from_them() {
    let dir = tempfile::tempdir().unwrap();
    write_man(Some(dir.path()), &mut Vec::new()).unwrap();
    let page = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    let drop_in = page("upgrade-gate-drop-in.1");
    let (notes, examples) = drop_in.split_once(".SH EXAMPLES").unwrap();
    assert!(notes.contains(".SH NOTES\n.nf\nModes:"), "{notes}");
    assert!(!examples.contains("Modes:"), "{examples}");
    assert!(!page("upgrade-gate-guard-denied.1").contains(".SH EXAMPLES"));
}
