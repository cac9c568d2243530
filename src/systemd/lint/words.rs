//! What the command lines of a unit are about: the words in them, and the calls of upgrade-gate among these. Pure.

use std::time::Duration;

pub(super) use crate::systemd::gated::{GateCommand, is_gated as is_gate};
use crate::systemd::gated::{NAME, argv, called};
use crate::systemd::restart::ExecPhase;
use crate::systemd::unit::{Exec, Service};
use crate::text::command_line;
pub(super) use crate::text::command_line::program;
use crate::text::span::Span;

/// A call of upgrade-gate within a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Call {
    /// In which setting.
    pub(super) phase: ExecPhase,
    /// Which command.
    pub(super) command: GateCommand,
    /// `--timeout`, if it is finite.
    pub(super) timeout: Option<Duration>,
    /// `--exec-condition`.
    pub(super) exec_condition: bool,
    /// The command line begins with `-`.
    pub(super) ignored: bool,
    /// It is not the process that systemd starts, but a child of that.
    pub(super) is_child: bool,
}

impl Call {
    /// Whether it waits for the network, indefinitely.
    pub(super) fn waits(self) -> bool {
        self.command != GateCommand::Check && self.timeout.is_none()
    }

    /// Whether it may wait longer than this.
    pub(super) fn outlasts(self, limit: Duration) -> bool {
        self.command != GateCommand::Check && self.timeout.is_none_or(|timeout| timeout > limit)
    }

    /// How it is written, for people.
    pub(super) const fn name(self) -> &'static str {
        match self.command {
            GateCommand::WaitOnline => "upgrade-gate wait-online",
            GateCommand::Check => "upgrade-gate check",
            GateCommand::Run => "upgrade-gate run",
        }
    }

    /// The codes other than 0 that it may exit with.
    pub(super) fn codes(self) -> &'static [u8] {
        match (self.exec_condition, self.waits()) {
            (true, _) => &[1, 255],
            (false, true) => &[64, 69, 70, 78],
            (false, false) => &[64, 69, 70, 75, 78],
        }
    }
}

/// The command lines of a start, each with its phase.
pub(super) fn lines(service: &Service) -> impl Iterator<Item = (ExecPhase, &Exec)> {
    let conditions = service
        .exec_condition
        .iter()
        .map(|exec| (ExecPhase::Condition, exec));
    let before = service
        .exec_start_pre
        .iter()
        .map(|exec| (ExecPhase::StartPre, exec));
    let start = service
        .exec_start
        .iter()
        .map(|exec| (ExecPhase::Start, exec));
    conditions.chain(before).chain(start)
}

/// The simple commands of a command line, each as its words: wrappers and scripts are looked through, and so is
/// `upgrade-gate run -- COMMAND`, which is followed by the command.
pub(super) fn commands(exec: &Exec) -> Vec<Vec<String>> {
    let mut all = command_line::commands(&argv(exec));
    let run = all.iter().filter(|words| program(&words[0]) == NAME);
    let inner = run.filter_map(|words| words.split(|word| word == "--").nth(1));
    let inner: Vec<_> = inner.flat_map(command_line::commands).collect();
    all.extend(inner);
    all
}

/// All that is executed, in one line: to look for the loops of scripts in it.
pub(super) fn text(exec: &Exec) -> String {
    argv(exec).join(" ")
}

/// The words that follow this program in the command line, if it is called there.
pub(super) fn arguments<'w>(commands: &'w [Vec<String>], name: &str) -> Option<&'w [String]> {
    let called = commands.iter().find(|words| program(&words[0]) == name)?;
    Some(&called[1..])
}

/// The calls of upgrade-gate.
pub(super) fn calls(service: &Service) -> Vec<Call> {
    lines(service)
        .filter_map(|(phase, exec)| call(phase, exec))
        .collect()
}

fn call(phase: ExecPhase, exec: &Exec) -> Option<Call> {
    let commands = commands(exec);
    let (command, own) = commands.iter().find_map(|words| called(words))?;
    Some(Call {
        phase,
        command,
        timeout: option(own, "--timeout").and_then(finite),
        exec_condition: own.iter().any(|word| word == "--exec-condition"),
        ignored: exec.prefixes.ignore_failure,
        is_child: is_child(exec),
    })
}

/// Programs that stay, as its parent, until the command behind them has ended.
const STAY: &[&str] = &[
    "chronic",
    "doas",
    "dumb-init",
    "flock",
    "run0",
    "runuser",
    "script",
    "sudo",
    "systemd-inhibit",
    "systemd-run",
    "time",
    "timeout",
    "tini",
    "unshare",
];

/// Whether the gate in this command line is not the process that systemd starts, but a child of it.
fn is_child(exec: &Exec) -> bool {
    let argv = argv(exec);
    let is_gate = |word: &String| program(word) == NAME;
    match argv.iter().position(is_gate) {
        Some(at) => argv[..at].iter().any(|word| STAY.contains(&program(word))),
        // In a script: a shell is replaced by its only command.
        None => command_line::commands(&argv).len() > 1 && !is_exec_d(&argv.join(" ")),
    }
}

/// `exec upgrade-gate`.
fn is_exec_d(script: &str) -> bool {
    let words: Vec<_> = script.split_whitespace().collect();
    words
        .windows(2)
        .any(|pair| pair[0] == "exec" && program(pair[1]) == NAME)
}

fn option<'w>(words: &'w [String], name: &str) -> Option<&'w str> {
    let at = words.iter().position(|word| word.starts_with(name))?;
    match words[at].strip_prefix(name)?.strip_prefix('=') {
        Some(value) => Some(value),
        None => words.get(at + 1).map(String::as_str),
    }
}

/// What is not a span is refused by upgrade-gate itself, and no gate at all.
fn finite(text: &str) -> Option<Duration> {
    text.parse().map_or(Some(Duration::ZERO), Span::finite)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::systemd::tests::sample;

    fn exec(line: &str) -> Exec {
        let argv: Vec<String> = line.split(' ').map(str::to_owned).collect();
        Exec {
            path: argv[0].clone(),
            argv,
            ..Exec::default()
        }
    }

    fn script(text: &str) -> Exec {
        Exec {
            path: "/bin/sh".to_owned(),
            argv: ["sh", "-c", text].map(str::to_owned).into(),
            ..Exec::default()
        }
    }

    #[test]
    fn a_call_of_upgrade_gate_is_found_with_its_options() {
        let plain = |line| call(ExecPhase::StartPre, &exec(line));
        let found = plain("/usr/bin/upgrade-gate wait-online --timeout=10min").unwrap();
        assert_eq!(found.timeout, Some(Duration::from_secs(600)));
        let found = plain("/usr/bin/env A=b upgrade-gate --profile p --wait-online").unwrap();
        assert_eq!(
            (found.command, found.timeout),
            (GateCommand::WaitOnline, None)
        );
        let found = plain("upgrade-gate check --exec-condition").unwrap();
        assert!(found.exec_condition && found.command == GateCommand::Check);
        let found = plain("upgrade-gate wait-online --timeout infinity").unwrap();
        assert_eq!(found.timeout, None);
    }

    #[test]
    fn what_belongs_to_the_wrapped_command_is_not_the_gate_s() {
        let found = call(
            ExecPhase::Start,
            &exec("upgrade-gate run -- x --timeout 5 --exec-condition"),
        );
        let found = found.unwrap();
        assert_eq!(found.timeout, None);
        assert!(!found.exec_condition);
        assert_eq!(call(ExecPhase::Start, &exec("upgrade-gate status")), None);
        assert_eq!(call(ExecPhase::Start, &exec("/bin/echo run")), None);
    }

    #[test]
    fn a_call_is_found_behind_wrappers_and_in_scripts() {
        let shells = [
            &["/bin/sh", "-c"][..],
            &["/bin/bash", "-lc"],
            &["/bin/bash", "-euo", "pipefail", "-c"],
            &["/usr/bin/env", "A=b", "sh", "-ec"],
            &["/usr/bin/flock", "-w", "5", "/run/lock", "sh", "-c"],
            &[
                "/usr/bin/systemd-inhibit",
                "--what=sleep",
                "timeout",
                "1h",
                "sh",
                "-c",
            ],
        ];
        for shell in shells {
            let text = "upgrade-gate wait-online --timeout 5; exec nixos-rebuild $$X";
            let argv: Vec<_> = shell
                .iter()
                .chain(&[text])
                .map(|word| (*word).to_owned())
                .collect();
            let exec = Exec {
                path: argv[0].clone(),
                argv,
                ..Exec::default()
            };
            let found = call(ExecPhase::Start, &exec).unwrap();
            assert_eq!(found.timeout, Some(Duration::from_secs(5)), "{shell:?}");
            assert_eq!(
                arguments(&commands(&exec), "nixos-rebuild").unwrap(),
                ["$X"]
            );
        }
    }

    #[test]
    fn what_the_gate_runs_is_a_command_of_its_own() {
        let exec = exec("/usr/bin/upgrade-gate run --profile p -- nice apt-get update");
        assert_eq!(arguments(&commands(&exec), "apt-get").unwrap(), ["update"]);
        let mut shell = script("upgrade-gate check && nix flake update");
        shell.prefixes.via_shell = true;
        shell.argv = [
            "sh",
            "upgrade-gate",
            "check",
            "&&",
            "nix",
            "flake",
            "update",
        ]
        .map(str::to_owned)
        .into();
        assert!(call(ExecPhase::Start, &shell).is_some() && commands(&shell).len() == 2);
    }

    #[test]
    fn every_phase_of_a_start_is_looked_at() {
        let service = Service {
            exec_condition: vec![exec("upgrade-gate check")],
            exec_start_pre: vec![exec("/bin/true"), exec("upgrade-gate wait-online")],
            ..sample::service()
        };
        let phases: Vec<_> = calls(&service).iter().map(|call| call.phase).collect();
        assert_eq!(phases, [ExecPhase::Condition, ExecPhase::StartPre]);
    }

    proptest! {
        #[test]
        fn no_command_line_is_too_odd(words in proptest::collection::vec(".{0,12}", 0..5)) {
            let odd = Exec { path: words.first().cloned().unwrap_or_default(), argv: words, ..Exec::default() };
            let _ = call(ExecPhase::Start, &odd);
            let _ = text(&odd);
        }
    }
}
