//! Whether a command line, or a script, waits for a gate of upgrade-gate itself.

use super::unit::Exec;
use crate::commandline::{commands, program};

/// The commands that gate something.
const GATING: &[&str] = &["run", "wait-online", "--wait-online", "check"];

/// Whether the command line calls one of them, behind another program or in a shell's script too.
pub fn is_gated(exec: &Exec) -> bool {
    run_by(exec).iter().any(|words| gates(words))
}

/// The programs that it runs, and the scripts that it has a shell run, as they are written.
pub fn programs(exec: &Exec) -> Vec<String> {
    let first = |words: Vec<String>| words.into_iter().next();
    run_by(exec).into_iter().filter_map(first).collect()
}

/// Whether a script of the shell calls one of them.
pub fn script_is_gated(script: &str) -> bool {
    let run = commands(&["sh", "-c", script]);
    run.iter().any(|words| gates(words))
}

fn run_by(exec: &Exec) -> Vec<Vec<String>> {
    let rest = exec.argv.iter().skip(1).map(String::as_str);
    if exec.prefixes.via_shell {
        let script: Vec<_> = rest.collect();
        return commands(&["sh", "-c", &script.join(" ")]);
    }
    let words: Vec<_> = std::iter::once(exec.path.as_str()).chain(rest).collect();
    commands(&words)
}

fn gates(words: &[String]) -> bool {
    let [first, rest @ ..] = words else {
        return false;
    };
    let mut own = rest.iter().take_while(|word| *word != "--");
    program(first) == "upgrade-gate" && own.any(|word| GATING.contains(&word.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::restart::exec_line;

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
