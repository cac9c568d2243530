//! Command lines, as systemd reads them.

use proptest::prelude::*;

use super::*;

fn one(line: &str) -> Exec {
    let parsed = parse(line);
    assert_eq!(parsed.refused, None, "{line}");
    assert_eq!(parsed.commands.len(), 1, "{line}");
    parsed.commands[0].clone()
}

fn argvs(line: &str) -> Vec<Vec<String>> {
    let parsed = parse(line);
    assert_eq!(parsed.refused, None, "{line}");
    parsed.commands.into_iter().map(|exec| exec.argv).collect()
}

#[test]
fn quotes_and_escapes_are_resolved_as_in_c() {
    for (line, argv) in [
        ("/bin/a b  c", vec!["/bin/a", "b", "c"]),
        ("/bin/a 'b c' \"d e\"", vec!["/bin/a", "b c", "d e"]),
        ("/bin/a b'c d'e", vec!["/bin/a", "bc de"]),
        ("/bin/a '' \"\"", vec!["/bin/a", "", ""]),
        (r#"/bin/a \x41\102\s"\"\n""#, vec!["/bin/a", "AB \"\n"]),
        (
            r"/bin/a \xc3\xbc \u00fc \U0001F600",
            vec!["/bin/a", "\u{fc}", "\u{fc}", "\u{1f600}"],
        ),
        (
            "/bin/a %i $HOME ${X} $$",
            vec!["/bin/a", "%i", "$HOME", "${X}", "$$"],
        ),
    ] {
        assert_eq!(argvs(line), [argv], "{line}");
    }
}

/// What `systemd --test` of 262 makes of this line.
#[test]
fn a_line_with_everything_is_read_as_systemd_reads_it() {
    let line = r#"@-/usr/bin/true named "a b" 'c"d' \x41 100%% $A ${A} $$ \; "" ü foo\ bar "a'b"c ; +/usr/bin/true 3"#;
    let first = [
        "named",
        "a b",
        "c\"d",
        "A",
        "100%%",
        "$A",
        "${A}",
        "$$",
        ";",
        "",
        "\u{fc}",
        r"foo\ bar",
        "a'bc",
    ];
    assert_eq!(argvs(line), [first.to_vec(), vec!["/usr/bin/true", "3"]]);
    assert_eq!(
        argvs(r"/usr/bin/true a\qb 'x\'y' end")[0][1..],
        [r"a\qb", "x'y", "end"]
    );
}

#[test]
fn a_lone_semicolon_separates_commands_and_an_escaped_or_quoted_one_does_not() {
    for (line, argvs_wanted) in [
        (
            "/bin/a ; /bin/b c",
            vec![vec!["/bin/a"], vec!["/bin/b", "c"]],
        ),
        ("; /bin/a ;", vec![vec!["/bin/a"]]),
        (r"/bin/a \; b", vec![vec!["/bin/a", ";", "b"]]),
        ("/bin/a ';' b; c", vec![vec!["/bin/a", ";", "b;", "c"]]),
    ] {
        assert_eq!(argvs(line), argvs_wanted, "{line}");
    }
}

#[test]
fn the_prefixes_are_read_in_any_order_and_each_once() {
    let exec = one("@-:!/bin/a b c");
    assert_eq!((exec.path.as_str(), exec.argv.len()), ("/bin/a", 2));
    assert!(exec.prefixes.ignore_failure && exec.prefixes.no_env_expand);
    assert_eq!(exec.prefixes.privileges, Privileges::NoSetuid);
    assert_eq!(one("!!/bin/a").prefixes.privileges, Privileges::Ambient);
    assert_eq!(one("+/bin/a").prefixes.privileges, Privileges::Full);
    assert_eq!(one("--a").path, "-a");
    assert_eq!(one("+!a").path, "!a");
    assert_eq!(one("\"-/bin/a b\"").path, "/bin/a b");
}

#[test]
fn the_users_shell_is_told_as_systemd_tells_it() {
    let exec = one("|echo hello");
    assert_eq!(exec.path, "/bin/sh");
    assert_eq!(exec.argv, ["sh", "echo", "hello"]);
    assert_eq!(one("|").argv, ["sh"]);
    assert_eq!(one("@|echo hello").argv, ["-sh", "echo", "hello"]);
}

#[test]
fn what_systemd_refuses_is_refused_and_behind_a_minus_only_left_out() {
    for line in [
        "@",
        "bin/a",
        "/bin/",
        "/bin/a 'b",
        "@/bin/a",
        "\"/bin/a\\n\"",
        "/bin/sh -c 'tar -cf /srv/$(date +%F).tar /home'",
        "/bin/%z/a",
        "/bin/a %%%0",
    ] {
        let parsed = parse(line);
        let lenient = parse(&format!("-{line}"));
        assert!(parsed.commands.is_empty(), "{line}");
        assert!(parsed.refused.is_some(), "{line}");
        assert_eq!(
            (lenient.commands.len(), lenient.refused),
            (0, None),
            "{line}"
        );
        assert_eq!(lenient.warnings.len(), 1, "{line}");
    }
}

#[test]
fn a_percent_sign_of_its_own_and_what_some_systemd_knows_are_no_unknown_specifiers() {
    assert_eq!(
        one("/bin/a %i %D %%F 5% %- %%").argv[1..],
        ["%i", "%D", "%%F", "5%", "%-", "%%"]
    );
}

#[test]
fn commands_before_a_bad_one_are_kept() {
    let parsed = parse("/bin/a ; -bin/b ; /bin/c");
    assert_eq!(parsed.commands.len(), 1);
    assert_eq!(parsed.warnings.len(), 1);
}

#[test]
fn nothing_resets_the_list_and_an_open_quote_at_the_start_is_left_out() {
    assert_eq!(parse("  "), Parsed::default());
    let parsed = parse("'/bin/a");
    assert_eq!((parsed.commands.len(), parsed.refused), (0, None));
}

#[test]
fn unknown_escapes_are_kept_with_a_warning() {
    let parsed = parse(r"/bin/a \d\ b \x00 c\");
    assert_eq!(parsed.commands[0].argv[1..], [r"\d\ b", r"\x00", r"c\"]);
    assert_eq!(parsed.warnings.len(), 3);
}

#[test]
fn the_prefixes_are_written_before_the_path() {
    for line in [
        "-:!!@/bin/a b c",
        "+/bin/a",
        "-|echo",
        "|@echo a",
        "@@a @a",
        ":a \"b c\" \";\"",
    ] {
        assert_eq!(print(&one(line)), line, "{line}");
    }
}

fn execs() -> impl Strategy<Value = Exec> {
    let word = "[^\0]{0,12}";
    let prefixes =
        (any::<bool>(), any::<bool>(), 0..4_usize).prop_map(|(minus, colon, of)| Prefixes {
            ignore_failure: minus,
            no_env_expand: colon,
            privileges: [
                Privileges::Unit,
                Privileges::Full,
                Privileges::NoSetuid,
                Privileges::Ambient,
            ][of],
            via_shell: false,
        });
    let argv = proptest::collection::vec(word, 1..5);
    (
        prefixes,
        "(/[^\0-\x1f\x7f]{0,8})?/[^\0-\x1f\x7f/]{1,8}",
        argv,
    )
        .prop_map(|(prefixes, path, argv): (_, String, Vec<String>)| Exec {
            prefixes,
            path: path.replace('%', "%%"),
            argv: argv.iter().map(|word| word.replace('%', "%%")).collect(),
        })
}

proptest! {
    #[test]
    fn what_is_printed_is_read_as_the_same_command(exec in execs()) {
        let line = print(&exec);
        prop_assert!(!line.contains('\n'), "{}", line);
        prop_assert!(!line.ends_with('\\'), "{}", line);
        let parsed = parse(&line);
        prop_assert_eq!(parsed.commands, vec![exec], "{}", line);
        prop_assert_eq!((parsed.warnings.len(), parsed.refused), (0, None));
    }

    #[test]
    fn what_was_read_from_any_line_can_be_printed_and_read_again(line in "([-@:+!|/a-c;'\"\\\\ x01%$]|[^\0\n]){0,40}") {
        for exec in parse(&line).commands {
            let printed = print(&exec);
            prop_assert_eq!(parse(&printed).commands, vec![exec], "{}", printed);
        }
    }

    #[test]
    fn no_text_is_too_odd_to_be_parsed(line in ".*") {
        let _ = parse(&line);
    }
}
