//! A script among the commands: what it runs says what is needed, as NixOS's `nixos-upgrade-start` runs nixos-rebuild.

use std::path::Path;

use super::programs;
use super::world::MachineView;
use crate::text::command_line;

/// No script that people or NixOS write is longer.
const LONGEST: u64 = 1 << 18;

/// The commands of a shell's script whose programs are known, in place of the script; any other command is itself.
pub(super) fn opened(words: Vec<String>, world: &MachineView<'_>) -> Vec<Vec<String>> {
    let inner = inner(&words, world).unwrap_or_default();
    if inner.is_empty() { vec![words] } else { inner }
}

fn inner(words: &[String], world: &MachineView<'_>) -> Option<Vec<Vec<String>>> {
    let (path, arguments) = words.split_first()?;
    // Any other word is looked up in $PATH, and what is known is no script of somebody's.
    if !path.contains('/') || programs::is_known(words) {
        return None;
    }
    let text = world.read_up_to(Path::new(path), LONGEST)?;
    if !is_for_a_shell(text.lines().next()?) {
        return None;
    }
    let shell = ["sh", "-c", &text, path].map(str::to_owned);
    let shell: Vec<_> = shell.into_iter().chain(arguments.iter().cloned()).collect();
    let mut inner = command_line::commands(&shell);
    inner.retain(|words| programs::is_known(words));
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
