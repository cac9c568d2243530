//! The settings that concern us, and what else is written where they are meant: keys that systemd does not know. Pure.

use crate::systemd::exec_line;
use crate::systemd::exec_line::Parsed;
use crate::systemd::unit::Exec;
use crate::systemd::version::Version;
use strsim::osa_distance as distance;

/// What may stand in a section.
struct Section {
    name: &'static str,
    /// What is read here.
    ours: &'static [&'static str],
    /// What systemd knows besides, and looks like one of ours.
    others: &'static [&'static str],
}

const SECTIONS: &[Section] = &[
    Section {
        name: "Unit",
        ours: &[
            "After",
            "Before",
            "BindsTo",
            "JobRunningTimeoutSec",
            "JobTimeoutSec",
            "OnFailure",
            "OnSuccess",
            "Requires",
            "Requisite",
            "StartLimitBurst",
            "StartLimitInterval",
            "StartLimitIntervalSec",
            "SuccessAction",
            "Wants",
        ],
        others: &["BindTo", "JobTimeoutAction", "StartLimitAction"],
    },
    Section {
        name: "Service",
        ours: &[
            "BusName",
            "DynamicUser",
            "Environment",
            "EnvironmentFile",
            "ExecCondition",
            "ExecStart",
            "ExecStartPost",
            "ExecStartPre",
            "ExecStop",
            "ExecStopPost",
            "IPAddressDeny",
            "NetworkNamespacePath",
            "NotifyAccess",
            "PassEnvironment",
            "PrivateNetwork",
            "ProtectSystem",
            "RemainAfterExit",
            "Restart",
            "RestartForceExitStatus",
            "RestartMaxDelaySec",
            "RestartMode",
            "RestartPreventExitStatus",
            "RestartSec",
            "RestartSteps",
            "RestrictAddressFamilies",
            "RootDirectory",
            "RootImage",
            "RuntimeDirectory",
            "RuntimeMaxSec",
            "Sockets",
            "StandardOutput",
            // Where they were until systemd 229, and are still read.
            "StartLimitBurst",
            "StartLimitInterval",
            "StateDirectory",
            "SuccessExitStatus",
            "TimeoutSec",
            "TimeoutStartSec",
            "Type",
            "User",
            "WatchdogSec",
        ],
        others: &[
            "RestartKillSignal",
            "StartLimitAction",
            "TimeoutStartFailureMode",
        ],
    },
    Section {
        name: "Timer",
        ours: &[
            "OnActiveSec",
            "OnBootSec",
            "OnCalendar",
            "OnStartupSec",
            "OnUnitActiveSec",
            "OnUnitInactiveSec",
            "Persistent",
            "RandomizedDelaySec",
            "Unit",
            "WakeSystem",
        ],
        others: &[],
    },
    Section {
        name: "Install",
        ours: &["RequiredBy", "UpheldBy", "WantedBy"],
        others: &[],
    },
];

/// What a key begins with that is meant for the restarts or the timer, whatever comes after.
const FAMILIES: &[&str] = &[
    "OnCalendar",
    "RandomizedDelay",
    "Restart",
    "StartLimit",
    "SuccessExit",
    "TimeoutStart",
];

/// Why systemd ignores all of a section in a unit of this name; nothing if it does not.
pub(super) fn unknown_section(unit: &str, section: &str) -> Option<String> {
    let (_, suffix) = unit.rsplit_once('.').unwrap_or_default();
    let own = match suffix {
        "service" => "Service",
        "timer" => "Timer",
        _ => return None,
    };
    let known = ["Unit", "Install", own].contains(&section) || section.starts_with("X-");
    (!known).then(|| {
        let meant = SECTIONS.iter().map(|known| known.name);
        let mut meant = meant.filter(|known| distance(known, section) <= 2);
        let hint = meant.next().map(|name| format!("; did you mean [{name}]?"));
        format!(
            "unknown section [{section}], ignoring{}",
            hint.unwrap_or_default()
        )
    })
}

/// Why systemd ignores this key in this section, if it is meant for a setting that concerns us.
pub(super) fn unknown_key(section: &str, key: &str) -> Option<String> {
    let own = SECTIONS.iter().find(|known| known.name == section)?;
    if key.starts_with("X-") || own.ours.contains(&key) || own.others.contains(&key) {
        return None;
    }
    let unknown = format!("unknown key {key:?} in section [{section}], ignoring");
    let hint = if let Some(place) = SECTIONS.iter().find(|other| other.ours.contains(&key)) {
        format!("; it belongs in section [{}]", place.name)
    } else if let Some((place, meant)) = meant(section, key) {
        format!("; did you mean {meant}= in section [{place}]?")
    } else if FAMILIES.iter().any(|family| key.starts_with(family)) {
        String::new()
    } else {
        return None;
    };
    Some(unknown + &hint)
}

/// The setting of which this is a misspelling: the nearest, of its own section if there is one.
fn meant(section: &str, key: &str) -> Option<(&'static str, &'static str)> {
    let all = SECTIONS
        .iter()
        .flat_map(|section| section.ours.iter().map(|ours| (section.name, *ours)));
    let near = all.filter_map(|(place, ours)| {
        let elsewhere = place != section;
        let errors = errors(ours, key)?;
        // What is short resembles much.
        (!elsewhere || ours.len() >= LONG).then_some((errors, elsewhere, place, ours))
    });
    let (_, _, place, ours) = near.min()?;
    Some((place, ours))
}

const LONG: usize = 6;

/// How many letters are wrong, if that is few enough for so long a word: a missing `Sec` and another case are none.
fn errors(ours: &str, key: &str) -> Option<usize> {
    if ours.eq_ignore_ascii_case(key) || ours.strip_suffix("Sec") == Some(key) {
        return Some(0);
    }
    let errors = distance(ours, key);
    (errors <= (ours.len() / 3).min(2)).then_some(errors)
}

/// The first systemd that knows this setting, or this value of it, if there was one before that is still about.
pub(super) fn since(key: &str, value: &str) -> Option<Version> {
    let first = match (key, value) {
        ("RestartMode", "debug") => 257,
        ("RestartMode" | "RestartSteps" | "RestartMaxDelaySec", _) => 254,
        ("Type", "notify-reload") => 253,
        _ => return None,
    };
    Some(Version(first))
}

/// Whether a key of `[Unit]` takes a list of units.
pub(super) fn is_dependency(key: &str) -> bool {
    matches!(
        key,
        "Requires" | "Requisite" | "BindsTo" | "Wants" | "After" | "OnFailure" | "OnSuccess"
    )
}

/// What systemd says of a value, or the part of it, that it cannot read.
pub(super) fn not_parsed(key: &str, value: &str) -> String {
    let comment = value
        .split_whitespace()
        .any(|word| word.starts_with(['#', ';']));
    let hint = if comment {
        "; a comment needs a line of its own"
    } else {
        ""
    };
    format!("failed to parse {key}= value {value:?}, ignoring{hint}")
}

/// The first systemd that reads these commands as they are meant, and what an earlier one does.
pub(super) fn command_since(key: &str, parsed: &Parsed) -> Option<(String, Version)> {
    let since = Version(258);
    let mut commands = parsed.commands.iter();
    let via_shell = commands.any(|command| command.prefixes.via_shell);
    let why =
        || format!("{key}=: the prefix | is known from {since} on; before, it is part of the path");
    via_shell.then(|| (why(), since))
}

/// Why a command line, or a part of it, is left out, or is another than the one that is meant.
pub(super) fn misread_command(key: &str, value: &str, parsed: &Parsed) -> Vec<String> {
    let left_out = parsed.commands.is_empty() && parsed.refused.is_none();
    let ignoring = if left_out { ", ignoring" } else { "" };
    let warnings = parsed.warnings.iter();
    let warnings = warnings.map(|warning| format!("{key}=: {warning}{ignoring}"));
    let comment = parsed.commands.iter().find_map(comment);
    // In quotes it is meant to be an argument.
    let comment = comment.filter(|_| exec_line::has_unquoted(value, "#"));
    let comment = comment.map(|comment| {
        format!("{key}= passes {comment:?} to the program as arguments; a comment needs a line of its own")
    });
    warnings.chain(comment).collect()
}

/// A comment behind a command line; behind a script it is `$0` and what follows, which nobody reads.
fn comment(exec: &Exec) -> Option<String> {
    let at = exec.argv.iter().position(|word| word == "#")?;
    let is_script = exec.argv[..at].iter().any(|word| word.contains(' '));
    (at > 0 && !is_script).then(|| exec.argv[at..].join(" "))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_misspelt_or_misplaced_key_is_answered_with_what_is_meant() {
        for (section, key, hint) in [
            (
                "Service",
                "StartLimitIntervalSec",
                "belongs in section [Unit]",
            ),
            ("Unit", "Restart", "belongs in section [Service]"),
            ("Unit", "WantedBy", "belongs in section [Install]"),
            ("Service", "Restrt", "did you mean Restart="),
            ("Service", "restartSec", "did you mean RestartSec="),
            ("Service", "TimeoutStart", "did you mean TimeoutStartSec="),
            ("Timer", "OnCalender", "did you mean OnCalendar="),
            ("Timer", "Persistant", "did you mean Persistent="),
            ("Service", "RestartDelaySec", "\"RestartDelaySec\""),
            // The nearest of those that resemble it.
            ("Service", "RestartSe", "did you mean RestartSec="),
            (
                "Service",
                "StartLimitBrust",
                "did you mean StartLimitBurst= in section [Service]",
            ),
            (
                "Unit",
                "StartLimitBrust",
                "did you mean StartLimitBurst= in section [Unit]",
            ),
            ("Unit", "Afetr", "did you mean After="),
            ("Unit", "Aftr", "did you mean After="),
            ("Unit", "Afer", "did you mean After="),
            ("Unit", "Wnts", "did you mean Wants="),
            ("Service", "Typ", "did you mean Type="),
            ("Service", "Usr", "did you mean User="),
            ("Timer", "Untit", "did you mean Unit="),
        ] {
            let why = unknown_key(section, key).unwrap();
            assert!(why.contains(hint), "{why}");
        }
    }

    #[test]
    fn what_has_nothing_to_do_with_us_is_passed_over() {
        for (section, key) in [
            ("Service", "X-Restart"),
            ("Service", "Nice"),
            ("Unit", "Descripton"),
            // Two letters of four are another word, and so is one of another section.
            ("Service", "Tpe2"),
            ("Unit", "Usr"),
            ("Service", "Unite"),
            ("Install", "Also2"),
            ("X-Own", "Restrt"),
            ("Service", "StartLimitInterval"),
        ] {
            assert_eq!(unknown_key(section, key), None, "{key}");
        }
        assert_eq!(unknown_section("a.service", "X-Own"), None);
        assert_eq!(unknown_section("a.target", "Foo"), None);
        let why = unknown_section("a.service", "service").unwrap();
        assert!(why.contains("[Service]"), "{why}");
        assert!(unknown_section("a.service", "Timer").is_some());
    }

    #[test]
    fn a_comment_behind_a_value_is_named_as_one() {
        let said = not_parsed("Restart", "on-failure  # try again");
        assert!(said.contains("a comment needs a line of its own"), "{said}");
        let said = not_parsed("Restart", "never");
        assert_eq!(said, "failed to parse Restart= value \"never\", ignoring");
    }

    #[test]
    fn a_comment_behind_a_command_line_is_handed_to_the_program_unless_that_is_a_script() {
        let misread = |line| misread_command("ExecStart", line, &exec_line::parse(line));
        let said = misread("/bin/a b # every day");
        assert!(said[0].contains("\"# every day\""), "{said:?}");
        for line in [
            "/bin/a b",
            "/bin/a #b",
            "/bin/sh -c 'a b' # every day",
            "/bin/a \"b # c\"",
            "/bin/grep -v '#' /etc/list",
            "/bin/cut -d \"#\" -f 1 'a # b'",
        ] {
            assert_eq!(misread(line), [""; 0], "{line}");
        }
        assert_eq!((misread("-").len(), misread("\"/bin/a").len()), (1, 1));
    }

    #[test]
    fn what_systemd_warns_of_in_a_command_that_it_runs_is_said() {
        let misread = |line| misread_command("ExecStart", line, &exec_line::parse(line));
        let said = misread(r"/bin/grep \d # digits");
        assert!(
            said[0].contains(r"unknown escapes are kept as they are: \d"),
            "{said:?}"
        );
        assert!(said.len() == 2 && said[1].contains("digits"), "{said:?}");
        let said = misread("/bin/a ; -bin/b");
        assert!(said.len() == 1 && said[0].contains("bin/b"), "{said:?}");
    }

    #[test]
    fn a_shell_is_a_prefix_for_a_systemd_that_knows_it() {
        let since = |line| command_since("ExecStart", &exec_line::parse(line));
        for line in ["|/bin/a", "-|a b", "/bin/a ; @|"] {
            let (why, version) = since(line).unwrap();
            assert!(
                why.contains("the prefix |") && version == Version(258),
                "{why}"
            );
        }
        assert_eq!(since("/bin/a | b"), None);
    }

    #[test]
    #[ignore = "needs systemd"]
    fn what_systemd_knows_is_never_called_unknown() {
        let output = Command::new("/lib/systemd/systemd")
            .arg("--dump-configuration-items")
            .output()
            .unwrap();
        let mut section = String::new();
        let mut count = 0;
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            if let Some(name) = line.strip_prefix('[') {
                name.trim_end_matches(']').clone_into(&mut section);
            } else if let Some((key, _)) = line.split_once('=') {
                assert_eq!(unknown_key(&section, key), None, "[{section}] {key}");
                count += 1;
            }
        }
        assert!(count > 300, "{count}");
    }
}
