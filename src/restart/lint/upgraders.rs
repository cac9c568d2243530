//! Which programs upgrade something over the network. Pure.

use super::words::{commands, program};
use crate::restart::unit::Exec;

/// A program, and with which words it upgrades something: one of the phrases, each of which is words in a row or the letters
/// of a short option (`-Sy`); with any, if there are none.
type Upgrader = (&'static str, &'static [&'static str]);

const UPGRADERS: &[Upgrader] = &[
    // Nix.
    ("comin", &["run"]),
    ("colmena", &["apply", "upload-keys"]),
    ("cachix", &["deploy"]),
    ("darwin-rebuild", &[]),
    (
        "guix",
        &[
            "pull",
            "upgrade",
            "system reconfigure",
            "home reconfigure",
            "deploy",
        ],
    ),
    ("home-manager", &["switch"]),
    (
        "nh",
        &[
            "os switch",
            "os boot",
            "os test",
            "os build",
            "home switch",
            "home build",
            "darwin switch",
        ],
    ),
    (
        "nix",
        &[
            "flake update",
            "flake lock",
            "profile upgrade",
            "upgrade-nix",
        ],
    ),
    ("nix-channel", &["--update"]),
    ("nix-env", &["-u", "--upgrade"]),
    ("nixos-rebuild", &[]),
    ("system-manager", &["switch"]),
    // Debian.
    (
        "apt",
        &["update", "upgrade", "full-upgrade", "dist-upgrade"],
    ),
    ("apt-file", &["update"]),
    (
        "apt-get",
        &["update", "upgrade", "dist-upgrade", "full-upgrade"],
    ),
    ("apt.systemd.daily", &[]),
    ("apticron", &[]),
    (
        "aptitude",
        &[
            "update",
            "upgrade",
            "safe-upgrade",
            "full-upgrade",
            "dist-upgrade",
        ],
    ),
    ("cron-apt", &[]),
    ("do-release-upgrade", &[]),
    ("mintupdate-automation", &["upgrade"]),
    ("unattended-upgrade", &[]),
    ("unattended-upgrades", &[]),
    // Fedora, SUSE and their like.
    ("dnf", DNF),
    ("dnf5", DNF),
    ("dnf-3", DNF),
    ("dnf-automatic", &[]),
    ("microdnf", DNF),
    ("tdnf", DNF),
    ("urpmi.update", &[]),
    ("yum", DNF),
    (
        "zypper",
        &[
            "up",
            "update",
            "dup",
            "dist-upgrade",
            "patch",
            "refresh",
            "ref",
        ],
    ),
    // Others.
    ("apk", &["update", "upgrade"]),
    ("checkupdates", &[]),
    ("emaint", &["sync"]),
    ("emerge", &["--sync", "-u", "--update"]),
    ("eopkg", &["up", "upgrade", "ur", "update-repo"]),
    ("opkg", &["update", "upgrade"]),
    ("pacman", &["-Sy", "-Su"]),
    ("paru", &["-Sy", "-Su"]),
    ("slackpkg", &["update", "upgrade-all"]),
    ("swupd", &["update"]),
    ("xbps-install", &["-S", "-u", "--sync", "--update"]),
    ("yay", &["-Sy", "-Su"]),
    ("eix-sync", &[]),
    ("pamac", &["checkupdates", "update", "upgrade"]),
    ("yum-cron", &[]),
    // Whole images.
    ("bootc", &["upgrade", "update", "switch"]),
    ("mender", &["check-update", "install"]),
    ("ostree", &["pull", "admin upgrade"]),
    ("rpm-ostree", &["upgrade", "update", "rebase"]),
    ("swupdate", &["-d", "--download"]),
    ("systemd-sysupdate", &["update"]),
    ("transactional-update", &[]),
    ("ujust", &["update"]),
    ("uupd", &[]),
    ("ublue-update", &[]),
    ("updatectl", &["update"]),
    // Firmware, applications, containers.
    ("fwupdtool", &["refresh", "update", "upgrade"]),
    ("brew", &["update", "upgrade"]),
    ("distrobox", &["upgrade"]),
    ("distrobox-upgrade", &[]),
    ("docker", PULL),
    ("docker-compose", &["pull"]),
    ("flatpak", &["update", "upgrade"]),
    ("fwupdmgr", &["refresh", "update", "upgrade", "get-updates"]),
    (
        "pkcon",
        &[
            "refresh",
            "update",
            "upgrade",
            "get-updates",
            "offline-get-prepared",
        ],
    ),
    ("podman", PULL),
    ("podman-compose", &["pull"]),
    ("snap", &["refresh"]),
    ("topgrade", &[]),
    // Languages.
    ("cargo", &["install-update"]),
    ("gem", &["update"]),
    ("npm", &["update", "upgrade"]),
    ("pipx", &["upgrade", "upgrade-all"]),
    ("rustup", &["update", "self update"]),
    ("uv", &["tool upgrade", "self update"]),
    ("pip", &["-U", "--upgrade"]),
    ("pip3", &["-U", "--upgrade"]),
    ("composer", &["global update", "self-update"]),
    ("conda", &["update", "upgrade"]),
    ("mamba", &["update", "upgrade"]),
    ("tlmgr", &["update"]),
    // Data that is out of date the next day, and configuration that is kept in a repository.
    ("freshclam", &[]),
    ("geoipupdate", &[]),
    ("git", &["pull", "fetch"]),
    ("greenbone-feed-sync", &[]),
    ("pihole", &["-g", "-up", "updatePihole", "updateGravity"]),
    ("pkgfile", &["-u", "--update"]),
    ("reflector", &[]),
    ("rkhunter", &["--update"]),
    ("sa-update", &[]),
    ("suricata-update", &[]),
];

const DNF: &[&str] = &[
    "automatic",
    "check-update",
    "check-upgrade",
    "distro-sync",
    "makecache",
    "offline-upgrade",
    "system-upgrade",
    "up",
    "update",
    "update-minimal",
    "upgrade",
    "upgrade-minimal",
];
const PULL: &[&str] = &["auto-update", "compose pull", "image pull", "pull"];

/// Whether this command line is known to upgrade something over the network, or calls itself an upgrade.
pub(super) fn upgrades(exec: &Exec) -> bool {
    let commands = commands(exec);
    let mut known = commands.iter().filter_map(|words| {
        let name = program(&words[0]);
        let (_, phrases) = UPGRADERS.iter().find(|(known, _)| *known == name)?;
        Some(phrases.is_empty() || phrases.iter().any(|phrase| says(&words[1..], phrase)))
    });
    known.any(|upgrades| upgrades)
        // Of pacman there are many wrappers, and all have its options.
        || commands.iter().any(|words| says(&words[1..], "-Syu"))
        || is_called_upgrade(program(&exec.path))
        || commands
            .iter()
            .any(|words| is_called_upgrade(program(&words[0])))
}

/// Whether the words have the phrase among them; options that stand between do not matter.
pub(super) fn says(words: &[String], phrase: &str) -> bool {
    if phrase.starts_with("--") {
        return words.iter().any(|word| word == phrase);
    }
    if let Some(letters) = phrase.strip_prefix('-') {
        return words.iter().any(|word| has_letters(word, letters));
    }
    let phrase: Vec<_> = phrase.split(' ').collect();
    let plain: Vec<_> = words.iter().filter(|word| !word.starts_with('-')).collect();
    plain
        .windows(phrase.len())
        .any(|window| window.iter().zip(&phrase).all(|(word, part)| word == part))
}

/// `-Syu` has the letters of `-Sy`.
fn has_letters(word: &str, letters: &str) -> bool {
    let own = word.strip_prefix('-').filter(|own| !own.starts_with('-'));
    own.is_some_and(|own| letters.chars().all(|letter| own.contains(letter)))
}

/// Whether a name has the word `upgrade` in it: `my-upgrade.service`.
pub(super) fn is_called_upgrade(name: &str) -> bool {
    let mut words = name.split(|c: char| !c.is_ascii_alphanumeric());
    words.any(|word| matches!(word, "upgrade" | "upgrades" | "autoupgrade"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::restart::exec_line;

    fn exec(line: &str) -> Exec {
        exec_line::parse(line).commands.remove(0)
    }

    #[test]
    fn an_upgrade_is_known_by_what_it_does() {
        for line in [
            "/usr/bin/fwupdmgr refresh",
            "/usr/lib/apt/apt.systemd.daily update",
            "/usr/bin/env nixos-rebuild boot",
            "/usr/local/bin/my-upgrade",
            "/nix/store/x-unit-script-nixos-upgrade-start/bin/nixos-upgrade-start",
            "/bin/bash -lc 'apt-get update && apt-get -y upgrade'",
            "/usr/bin/upgrade-gate run -- /usr/bin/pacman --noconfirm -Syu",
            "/usr/bin/nix --extra-experimental-features flakes flake update",
            "/usr/bin/nh os --ask switch",
            "/usr/bin/docker compose -f a.yml pull",
            "/usr/bin/apk --no-cache upgrade",
            "/usr/bin/zypper --non-interactive dup",
            "/bin/sh -c 'cd /etc/nixos; git pull --ff-only'",
            "/usr/bin/trizen -Syyu --noconfirm",
            "/opt/venv/bin/pip install -U yt-dlp",
        ] {
            assert!(upgrades(&exec(line)), "{line}");
        }
    }

    #[test]
    fn the_same_program_does_other_things_too() {
        for line in [
            "/usr/bin/apt-get autoclean",
            "/usr/bin/fwupdmgr get-devices",
            "/lib/systemd/systemd-update-utmp reboot",
            "/usr/bin/certbot -q renew",
            "/usr/bin/nh clean all",
            "/usr/bin/nix store gc",
            "/usr/bin/pacman -Sc",
            "/usr/bin/podman system prune",
            "/usr/bin/docker compose up",
            "/usr/bin/git gc",
            "/usr/bin/flatpak uninstall --unused",
            "/bin/echo apt-get update",
        ] {
            assert!(!upgrades(&exec(line)), "{line}");
        }
    }
}
