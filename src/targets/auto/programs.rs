//! Which sources of targets the commands that are run have. Pure.

use std::collections::BTreeSet;

use super::TargetSource;
use crate::text::command_line;

/// The sources of all commands of a command line whose programs are known, each once.
pub(super) fn sources(commands: &[impl AsRef<[String]>]) -> BTreeSet<TargetSource> {
    let programs = commands.iter().filter_map(|words| words.as_ref().first());
    programs
        .filter_map(|word| source(command_line::program(word)))
        .collect()
}

/// Whether the program of this command is known.
pub(super) fn is_known(words: &[String]) -> bool {
    !sources(&[words]).is_empty()
}

fn source(program: &str) -> Option<TargetSource> {
    Some(match program {
        "nixos-rebuild" | "nixos-rebuild-ng" => TargetSource::Nixos,
        "nix" | "nix-build" | "nix-env" | "nix-shell" | "nix-store" | "nh" => TargetSource::Nix,
        "home-manager" | "nix-channel" => TargetSource::Home,
        "apt"
        | "apt-get"
        | "aptitude"
        | "apt.systemd.daily"
        | "nala"
        | "unattended-upgrade"
        | "unattended-upgrades" => TargetSource::Apt,
        "fwupdmgr" | "fwupdtool" => TargetSource::Fwupd,
        "flatpak" => TargetSource::Flatpak,
        "dnf" | "dnf5" | "dnf-3" | "dnf-automatic" | "microdnf" | "yum" => TargetSource::Dnf,
        "zypper" => TargetSource::Zypper,
        "pacman" | "checkupdates" => TargetSource::Pacman,
        "rpm-ostree" | "ostree" | "bootc" => TargetSource::Ostree,
        "snap" => TargetSource::Snap,
        "podman" => TargetSource::Podman,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::path::Path;

    use super::*;
    use crate::targets::auto::tests::{CACHE, derived, groups, machine};
    use crate::targets::auto::{Env, MachineView, derive};

    #[test]
    fn the_programs_that_are_run_say_what_is_needed() {
        let of = |words: &[&str]| {
            let found = sources(&command_line::commands(words));
            found.into_iter().collect::<Vec<_>>()
        };
        assert_eq!(of(&["/usr/bin/apt-get", "update"]), [TargetSource::Apt]);
        let script = "systemctl stop x; nice flatpak update && apt-get update";
        assert_eq!(
            of(&["sh", "-c", script]),
            [TargetSource::Apt, TargetSource::Flatpak]
        );
        assert!(of(&["/usr/local/bin/my-upgrade"]).is_empty());
        assert!(of(&["echo", "apt-get"]).is_empty());
    }

    #[test]
    fn what_the_command_runs_decides_before_the_profile_and_what_else_is_here() {
        let files = [
            ("/etc/nix/nix.conf", ""),
            ("/etc/apt/sources.list", "deb https://deb.example s main\n"),
            (
                "/etc/fwupd/remotes.d/x.conf",
                "[fwupd Remote]\nEnabled=true\nMetadataURI=https://fw.example/x\n",
            ),
            (
                "/var/lib/flatpak/repo/config",
                "[remote \"hub\"]\nurl=https://hub.example/repo/\n",
            ),
            (
                "/etc/yum.repos.d/x.repo",
                "[x]\nbaseurl=https://rpm.example/\n",
            ),
            (
                "/etc/pacman.conf",
                "[core]\nInclude = /etc/pacman.d/mirrorlist\n",
            ),
            (
                "/etc/pacman.d/mirrorlist",
                "Server = https://arch.example/$repo\n",
            ),
            (
                "/etc/other.conf",
                "[core]\nServer = https://other.example/$repo\n",
            ),
            (
                "/ostree/deploy/x/deploy/0.origin",
                "[origin]\ncontainer-image-reference=ostree-unverified-registry:quay.example/x:1\n",
            ),
            (
                "/home/me/.nix-channels",
                "https://channel.example/home hm\n",
            ),
        ];
        let env = Env {
            home: Some("/home/me".into()),
            ..Env::default()
        };
        let of = |line: &str| groups(&derived(&files, &env, "my-upgrade", None, line)).join(" ");
        let apt = "https://deb.example/dists/s/InRelease";
        for (line, expected) in [
            ("apt-get update", apt),
            ("sudo -n apt-get update", apt),
            ("timeout 1h sh -c apt-get", apt),
            ("fwupdmgr refresh", "https://fw.example/x"),
            ("flatpak update -y", "https://hub.example/repo/"),
            ("dnf5 upgrade", "https://rpm.example/"),
            ("pacman -Syu", "https://arch.example/"),
            (
                "pacman --config=/etc/other.conf -Syu",
                "https://other.example/",
            ),
            (
                "pacman -Syu --config /etc/other.conf",
                "https://other.example/",
            ),
            ("bootc upgrade", "https://quay.example/v2/"),
            ("snap refresh", "https://api.snapcraft.io/"),
            ("podman auto-update", ""),
            ("nix profile upgrade --all", CACHE),
            (
                "nix run nixpkgs#hello",
                "nix-cache:https://cache.nixos.org https://channels.nixos.org/flake-registry.json",
            ),
            ("nix develop ./here -c nixpkgs#x", CACHE),
            (
                "nh os switch github:a/b/0123456789012345678901234567890123456789",
                "nix-cache:https://cache.nixos.org https://github.com/",
            ),
            (
                "home-manager switch",
                "nix-cache:https://cache.nixos.org https://channel.example/home",
            ),
            ("nixos-rebuild switch", CACHE),
            ("/usr/local/bin/anything", CACHE),
        ] {
            assert_eq!(of(line), expected, "{line}");
        }
        let found = derived(&files, &env, "apt-daily", None, "podman auto-update");
        assert!(found.notes[0].contains("podman"), "{:?}", found.notes);
    }

    #[test]
    fn every_command_of_a_script_has_its_say() {
        let files = [
            ("/etc/apt/sources.list", "deb https://deb.example s main\n"),
            (
                "/var/lib/flatpak/repo/config",
                "[remote \"hub\"]\nurl=https://hub.example/repo/\n",
            ),
        ];
        let root = machine(&files);
        let command = ["bash", "-ec", "apt-get update; flatpak update"].map(OsString::from);
        let world = MachineView {
            root: root.path(),
            cwd: Path::new("/"),
            env: &Env::default(),
            ssh: &|_| Err(String::new()),
        };
        let found = derive("x", None, &command, &world);
        assert_eq!(
            groups(&found),
            [
                "https://deb.example/dists/s/InRelease",
                "https://hub.example/repo/"
            ]
        );
    }
}
