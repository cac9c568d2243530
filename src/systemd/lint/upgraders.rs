//! Which programs upgrade something over the network. Pure.

use super::words::{commands, program};
use crate::systemd::unit::Exec;

/// A program, and with which words it upgrades something: one of the phrases, each of which is words in a row or the letters
/// of a short option (`-Sy`), and the empty one no word but options; with any, if there are none.
type Upgrader = (&'static str, &'static [&'static str]);

const UPGRADERS: &[Upgrader] = &[
    // Nix.
    ("comin", &["run"]),
    ("colmena", &["apply", "upload-keys"]),
    ("cachix", &["deploy"]),
    ("darwin-rebuild", &["switch", "build", "check"]),
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
    (
        "nixos-rebuild",
        &[
            "switch",
            "boot",
            "test",
            "build",
            "dry-build",
            "dry-activate",
            "build-vm",
            "build-vm-with-bootloader",
            "build-image",
        ],
    ),
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
    (
        "transactional-update",
        &["", "up", "dup", "patch", "pkg", "migration"],
    ),
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

/// With which words such a program keeps to this machine all the same, or only says what it would do.
const KEEPS_HERE: &[Upgrader] = &[
    ("apt", APT),
    ("apt-get", APT),
    ("aptitude", APT),
    ("checkupdates", &["-n", "--nosync"]),
    ("conda", OFFLINE),
    ("darwin-rebuild", OFFLINE),
    ("dnf", CACHE_ONLY),
    ("dnf5", CACHE_ONLY),
    ("dnf-3", CACHE_ONLY),
    ("emerge", &["-p", "--pretend"]),
    ("flatpak", &["--no-pull"]),
    ("mamba", OFFLINE),
    ("microdnf", CACHE_ONLY),
    ("nh", OFFLINE),
    ("nix", OFFLINE),
    ("nixos-rebuild", OFFLINE),
    ("npm", OFFLINE),
    ("pip", &["--no-index"]),
    ("pip3", &["--no-index"]),
    ("rpm-ostree", &["-C", "--cache-only"]),
    ("snap", &["--hold", "--time", "--unhold"]),
    ("tdnf", CACHE_ONLY),
    ("topgrade", &["-n", "--dry-run"]),
    ("uv", OFFLINE),
    ("yum", CACHE_ONLY),
    ("zypper", &["--no-remote"]),
];

const APT: &[&str] = &[
    "-s",
    "--simulate",
    "--just-print",
    "--dry-run",
    "--recon",
    "--no-act",
    "--no-download",
    "--print-uris",
];
const CACHE_ONLY: &[&str] = &["-C", "--cacheonly"];
const OFFLINE: &[&str] = &["--offline", "--no-net"];

/// What may be followed by the path that it is fetched from.
const FROM_PATH: &[Upgrader] = &[
    ("fwupdmgr", &["refresh"]),
    ("git", &["pull", "fetch"]),
    ("mender", &["install"]),
];

/// Whether this command line is known to upgrade something over the network, or calls itself an upgrade.
pub(super) fn upgrades(exec: &Exec) -> bool {
    let commands = commands(exec);
    commands.iter().any(|words| is_upgrade(words))
        // Of pacman there are many wrappers, and all have its options.
        || commands.iter().any(|words| says(&words[1..], "-Syu"))
        || is_called_upgrade(program(&exec.path))
        || commands
            .iter()
            .any(|words| is_called_upgrade(program(&words[0])))
}

fn is_upgrade(words: &[String]) -> bool {
    let (name, rest) = (program(&words[0]), &words[1..]);
    let is_any =
        |phrases: &[&str]| phrases.is_empty() || phrases.iter().any(|phrase| says(rest, phrase));
    of(UPGRADERS, name).is_some_and(is_any)
        && !of(KEEPS_HERE, name).is_some_and(is_any)
        && !of(FROM_PATH, name)
            .is_some_and(|verbs| verbs.iter().any(|verb| is_from_path(rest, verb)))
}

fn of(table: &[Upgrader], name: &str) -> Option<&'static [&'static str]> {
    let (_, phrases) = table.iter().find(|(known, _)| *known == name)?;
    Some(phrases)
}

/// `pull /mnt/local`.
fn is_from_path(words: &[String], verb: &str) -> bool {
    let mut plain = words.iter().filter(|word| !word.starts_with('-'));
    let source = plain.find(|word| *word == verb).and_then(|_| plain.next());
    source.is_some_and(|source| source.starts_with(['/', '.', '~']) || source.starts_with("file:"))
}

/// Whether the words have the phrase among them; options that stand between do not matter.
pub(super) fn says(words: &[String], phrase: &str) -> bool {
    if phrase.starts_with("--") {
        let is_it = |word: &String| word.split('=').next() == Some(phrase);
        return words.iter().any(is_it);
    }
    if let Some(letters) = phrase.strip_prefix('-') {
        return words.iter().any(|word| has_letters(word, letters));
    }
    let plain: Vec<_> = words.iter().filter(|word| !word.starts_with('-')).collect();
    if phrase.is_empty() {
        return plain.is_empty();
    }
    let phrase: Vec<_> = phrase.split(' ').collect();
    plain
        .windows(phrase.len())
        .any(|window| window.iter().zip(&phrase).all(|(word, part)| word == part))
}

/// `-Syu` has the letters of `-Sy`.
fn has_letters(word: &str, letters: &str) -> bool {
    let own = word.strip_prefix('-').filter(|own| !own.starts_with('-'));
    // What has more than letters has a value: -oAPT::Get::Assume-Yes=1.
    let own = own.filter(|own| own.bytes().all(|byte| byte.is_ascii_alphabetic()));
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
    use crate::systemd::exec_line;

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
            "/usr/bin/apt-get -oAPT::Install-Suggests=0 upgrade",
            "/usr/bin/git -C /srv pull --rebase origin main",
            "/usr/bin/nixos-rebuild dry-build --flake /etc/nixos",
            "/usr/bin/nixos-rebuild switch --target-host build.example",
            "/usr/sbin/transactional-update cleanup dup reboot",
            "/usr/sbin/transactional-update",
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
            "/usr/bin/apt-get -qqs dist-upgrade",
            "/usr/bin/apt upgrade --no-download -y",
            "/usr/bin/dnf -C check-update",
            "/usr/bin/git -C /srv fetch file:///mnt/usb/mirror.git",
            "/usr/bin/git pull -q ../other main",
            "/usr/bin/nix flake update --offline --flake /etc/nixos",
            "/usr/bin/nixos-rebuild build --offline",
            "/usr/bin/nixos-rebuild list-generations --json",
            "/usr/bin/nixos-rebuild repl",
            "/usr/bin/fwupdmgr refresh /var/cache/lvfs.xml.gz",
            "/usr/sbin/transactional-update cleanup",
            "/usr/bin/snap refresh --hold=24h firefox",
        ] {
            assert!(!upgrades(&exec(line)), "{line}");
        }
    }
}
