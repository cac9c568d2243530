//! A script among the commands: what it runs says what is needed, as NixOS's `nixos-upgrade-start` runs nixos-rebuild.

use std::path::Path;

use super::programs;
use super::world::MachineView;
use crate::text::command_line::{self, Run};

/// No script that people or NixOS write is longer.
const LONGEST: u64 = 1 << 18;

/// The commands of a shell's script whose programs are known, in place of the script; any other command is itself.
pub(super) fn opened(run: Run, world: &MachineView<'_>) -> Vec<Run> {
    let inner = inner(&run, world).unwrap_or_default();
    if inner.is_empty() { vec![run] } else { inner }
}

fn inner(run: &Run, world: &MachineView<'_>) -> Option<Vec<Run>> {
    let (path, arguments) = run.words.split_first()?;
    // Any other word is looked up in $PATH, and what is known is no script of somebody's.
    if !path.contains('/') || programs::is_known(&run.words) {
        return None;
    }
    let text = world.read_up_to(Path::new(path), LONGEST)?;
    if !is_for_a_shell(text.lines().next()?) {
        return None;
    }
    let shell = ["sh", "-c", &text, path].map(str::to_owned);
    let shell: Vec<_> = shell.into_iter().chain(arguments.iter().cloned()).collect();
    let mut inner = command_line::runs(&shell);
    inner.retain(|inner| programs::is_known(&inner.words));
    for inner in &mut inner {
        inner.variables.splice(..0, run.variables.iter().cloned());
    }
    Some(inner)
}

/// Whether the interpreter would run the file's commands: `#!/bin/sh -e`, `#!/usr/bin/env bash`.
fn is_for_a_shell(first_line: &str) -> bool {
    let Some(interpreter) = first_line.strip_prefix("#!") else {
        return false;
    };
    let words: Vec<_> = interpreter.split_whitespace().chain(["FILE"]).collect();
    words.len() > 1 && command_line::commands(&words) == [["FILE"]]
}

#[cfg(test)]
mod tests {
    use super::super::tests::{CACHE, derived, groups};
    use super::super::{Derived, Env};

    const UPGRADE: &str = "/nix/store/x-unit-script/bin/nixos-upgrade-start";

    fn by_script(script: &str) -> Derived {
        derived(
            &[(UPGRADE, script)],
            &Env::default(),
            "nixos-upgrade",
            None,
            UPGRADE,
        )
    }

    #[test]
    fn what_nixos_has_the_upgrade_run_says_what_it_needs() {
        let script = "#!/nix/store/b/bin/bash\nset -e\n\
            /nix/store/r/bin/nixos-rebuild boot --option substituters \"https://a https://b\" --flake git+https://git.example/config --upgrade\n\
            booted=\"$(/bin/readlink /run/booted-system/{initrd,kernel})\"\n\
            if [ \"${booted}\" = \"${built}\" ]; then\n  /nix/store/r/bin/nixos-rebuild switch --flake git+https://git.example/config\n\
            else\n  grep -F word file | /bin/shutdown -r +1\nfi\n";
        let found = by_script(script);
        assert_eq!(
            groups(&found),
            [
                "nix-cache:https://a | nix-cache:https://b",
                "https://git.example/config"
            ]
        );
        assert_eq!(found.warnings, [""; 0]);
    }

    #[test]
    fn the_arguments_of_a_script_are_those_of_its_commands() {
        let script = "#!/usr/bin/env bash\nexec nixos-rebuild switch \"$@\"\n";
        let line = format!("{UPGRADE} --flake git+https://git.example/config");
        let files = [(UPGRADE, script)];
        let found = derived(&files, &Env::default(), "nixos-upgrade", None, &line);
        assert_eq!(groups(&found), [CACHE, "https://git.example/config"]);
    }

    #[test]
    fn variables_that_a_script_sets_or_is_given_count_for_its_commands() {
        let set = "#!/bin/sh\nexport NIX_CONFIG='substituters = https://a'\nnixos-rebuild switch\n";
        let given = "#!/bin/sh\nnixos-rebuild switch\n";
        let unknown = "#!/bin/sh\nexport NIX_CONFIG=$config\nnixos-rebuild switch\n";
        for (script, before, cache) in [
            (set, "", "nix-cache:https://a"),
            (
                set,
                "env NIX_CONFIG=substituters\t=\thttps://b ",
                "nix-cache:https://a",
            ),
            (
                given,
                "env NIX_CONFIG=substituters\t=\thttps://b ",
                "nix-cache:https://b",
            ),
            (
                unknown,
                "env NIX_CONFIG=substituters\t=\thttps://b ",
                "nix-cache:https://b",
            ),
        ] {
            let line = format!("{before}{UPGRADE}");
            let files = [(UPGRADE, script)];
            let found = derived(
                &files,
                &Env::default(),
                "nixos-upgrade",
                Some("github:a/b"),
                &line,
            );
            assert_eq!(groups(&found)[0], cache, "{line}: {script}");
        }
    }

    #[test]
    fn what_is_no_script_of_a_shell_is_not_opened() {
        for text in [
            "#!/usr/bin/python3\nnixos-rebuild --flake github:a/b\n",
            "nixos-rebuild --flake github:a/b\n",
            "\u{7f}ELF\nnixos-rebuild --flake github:a/b\n",
            "#!\nnixos-rebuild --flake github:a/b\n",
            "",
        ] {
            assert_eq!(groups(&by_script(text)), [CACHE], "{text}");
        }
    }

    #[test]
    fn a_script_of_programs_that_are_not_known_is_itself() {
        let found = by_script("#!/bin/sh\nmy-upgrade --flake github:a/b\n");
        assert_eq!(groups(&found), [CACHE]);
    }
}
