//! Which sources of targets the commands that are run have. Pure.

use std::collections::BTreeSet;

use super::Source;
use crate::commandline;

/// The sources of all commands of a command line whose programs are known, each once.
pub(super) fn sources(commands: &[Vec<String>]) -> BTreeSet<Source> {
    let programs = commands.iter().filter_map(|words| words.first());
    programs
        .filter_map(|word| source(commandline::program(word)))
        .collect()
}

fn source(program: &str) -> Option<Source> {
    Some(match program {
        "nixos-rebuild" | "nixos-rebuild-ng" => Source::Nixos,
        "nix" | "nix-build" | "nix-env" | "nix-shell" | "nix-store" | "nh" => Source::Nix,
        "home-manager" | "nix-channel" => Source::Home,
        "apt"
        | "apt-get"
        | "aptitude"
        | "apt.systemd.daily"
        | "nala"
        | "unattended-upgrade"
        | "unattended-upgrades" => Source::Apt,
        "fwupdmgr" | "fwupdtool" => Source::Fwupd,
        "flatpak" => Source::Flatpak,
        "dnf" | "dnf5" | "dnf-3" | "dnf-automatic" | "microdnf" | "yum" => Source::Dnf,
        "zypper" => Source::Zypper,
        "pacman" | "checkupdates" => Source::Pacman,
        "rpm-ostree" | "ostree" | "bootc" => Source::Ostree,
        "snap" => Source::Snap,
        "podman" => Source::Podman,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_programs_that_are_run_say_what_is_needed() {
        let of = |words: &[&str]| {
            let found = sources(&commandline::commands(words));
            found.into_iter().collect::<Vec<_>>()
        };
        assert_eq!(of(&["/usr/bin/apt-get", "update"]), [Source::Apt]);
        let script = "systemctl stop x; nice flatpak update && apt-get update";
        assert_eq!(of(&["sh", "-c", script]), [Source::Apt, Source::Flatpak]);
        assert!(of(&["/usr/local/bin/my-upgrade"]).is_empty());
        assert!(of(&["echo", "apt-get"]).is_empty());
    }
}
