//! What a gate is: a call of upgrade-gate that gates something, in a command line or in a script. Pure.

use super::unit::Exec;
use crate::text::command_line::{commands, program};

/// What the program is called.
pub const NAME: &str = "upgrade-gate";

/// The commands that gate something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateCommand {
    /// Waits.
    WaitOnline,
    /// Answers at once.
    Check,
    /// Waits, and runs what follows.
    Run,
}

/// The command of upgrade-gate that these words call, and all words that are its own: what follows `--` is another program's.
pub fn called(words: &[String]) -> Option<(GateCommand, &[String])> {
    let [first, rest @ ..] = words else {
        return None;
    };
    let end = rest.iter().position(|word| word == "--");
    let own = &rest[..end.unwrap_or(rest.len())];
    let command = own.iter().find_map(|word| match word.as_str() {
        "wait-online" | "--wait-online" => Some(GateCommand::WaitOnline),
        "check" => Some(GateCommand::Check),
        "run" => Some(GateCommand::Run),
        _ => None,
    });
    (program(first) == NAME).then_some((command?, own))
}

/// Whether the command line has a gate, behind another program or in a shell's script too.
pub fn is_gated(exec: &Exec) -> bool {
    commands(&argv(exec))
        .iter()
        .any(|words| called(words).is_some())
}

/// The programs that it runs, and the scripts that it has a shell run, as they are written.
pub fn programs(exec: &Exec) -> Vec<String> {
    let first = |words: Vec<String>| words.into_iter().next();
    commands(&argv(exec))
        .into_iter()
        .filter_map(first)
        .collect()
}

/// Whether a script of the shell has a gate.
pub fn script_is_gated(script: &str) -> bool {
    let run = commands(&["sh", "-c", script]);
    run.iter().any(|words| called(words).is_some())
}

/// The words that are executed. `$$` is how systemd is told to leave a `$` alone.
pub fn argv(exec: &Exec) -> Vec<String> {
    let rest = exec.argv.iter().skip(1);
    let rest: Vec<_> = rest.map(|word| word.replace("$$", "$")).collect();
    if exec.prefixes.via_shell {
        ["sh".to_owned(), "-c".to_owned(), rest.join(" ")].into()
    } else {
        std::iter::once(exec.path.clone()).chain(rest).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::systemd::exec_line;

    #[test]
    fn a_call_is_found_behind_other_programs_and_in_a_shells_script() {
        for (line, gated) in [
            ("/usr/bin/upgrade-gate run -- /bin/a", true),
            ("-/opt/upgrade-gate -q wait-online --profile p", true),
            ("/usr/bin/env A=b upgrade-gate check", true),
            ("/bin/sh -c 'upgrade-gate wait-online && exec /bin/a'", true),
            ("|upgrade-gate wait-online && /bin/a", true),
            ("/usr/bin/upgrade-gate status", false),
            ("/usr/bin/upgrade-gate-report run", false),
            ("/usr/bin/upgrade-gate config -- run", false),
        ] {
            let exec = &exec_line::parse(line).commands[0];
            assert_eq!(is_gated(exec), gated, "{line}");
        }
    }

    #[test]
    fn the_programs_of_a_line_are_those_that_can_be_scripts() {
        let line = "/usr/bin/nice /bin/bash -e /usr/local/bin/up.sh now";
        let exec = &exec_line::parse(line).commands[0];
        assert_eq!(programs(exec), ["/usr/local/bin/up.sh"]);
    }

    #[test]
    fn what_a_script_only_mentions_is_no_call() {
        assert!(script_is_gated(
            "#!/bin/sh\nset -e\nexec \\\n  upgrade-gate \\\n  run -- dnf upgrade\n"
        ));
        assert!(!script_is_gated(
            "#!/bin/sh\n# upgrade-gate run -- would wait\necho upgrade-gate run\n"
        ));
    }
}
