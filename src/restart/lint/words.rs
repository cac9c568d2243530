//! What the command lines of a unit are about: the words in them, and the calls of upgrade-gate among these. Pure.

use std::time::Duration;

use crate::config::span::Span;
use crate::restart::policy::Phase;
use crate::restart::unit::{Exec, Service};

/// A call of upgrade-gate within a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Call {
    /// In which setting.
    pub(super) phase: Phase,
    /// Which command.
    pub(super) command: Command,
    /// `--timeout`, if it is finite.
    pub(super) timeout: Option<Duration>,
    /// `--exec-condition`.
    pub(super) exec_condition: bool,
    /// The command line begins with `-`.
    pub(super) ignored: bool,
}

/// The commands that gate something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    WaitOnline,
    Check,
    Run,
}

impl Call {
    /// Whether it waits for the network, for ever.
    pub(super) fn waits(self) -> bool {
        self.command != Command::Check && self.timeout.is_none()
    }

    /// How it is written, for people.
    pub(super) const fn name(self) -> &'static str {
        match self.command {
            Command::WaitOnline => "upgrade-gate wait-online",
            Command::Check => "upgrade-gate check",
            Command::Run => "upgrade-gate run",
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
pub(super) fn lines(service: &Service) -> impl Iterator<Item = (Phase, &Exec)> {
    let conditions = service
        .exec_condition
        .iter()
        .map(|exec| (Phase::Condition, exec));
    let before = service
        .exec_start_pre
        .iter()
        .map(|exec| (Phase::StartPre, exec));
    let start = service.exec_start.iter().map(|exec| (Phase::Start, exec));
    conditions.chain(before).chain(start)
}

/// The words of a command line; a script given to a shell is taken apart at blanks, brackets and `;`.
pub(super) fn words(exec: &Exec) -> Vec<&str> {
    let is_script = exec.prefixes.via_shell || exec.argv.iter().any(|word| word == "-c");
    let mut words = vec![exec.path.as_str()];
    for word in exec.argv.iter().skip(1) {
        if is_script {
            let parts = word.split_inclusive(is_gap).flat_map(apart);
            words.extend(parts.filter(|part| !part.is_empty()));
        } else {
            words.push(word);
        }
    }
    words
}

/// A word of a script, and the semicolon that ends it.
fn apart(part: &str) -> [&str; 2] {
    let word = part.trim_end_matches(is_gap);
    let semicolon = if part.ends_with(';') { ";" } else { "" };
    [word, semicolon]
}

fn is_gap(c: char) -> bool {
    c.is_whitespace() || matches!(c, ';' | '(' | ')' | '\'' | '"' | '`')
}

/// The name of the program in a word that is a path.
pub(super) fn program(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

/// The words that follow this program in the command line, if it is called there.
pub(super) fn arguments<'w, 'e>(words: &'w [&'e str], name: &str) -> Option<&'w [&'e str]> {
    let at = words.iter().position(|word| program(word) == name)?;
    Some(&words[at + 1..])
}

/// The calls of upgrade-gate.
pub(super) fn calls(service: &Service) -> Vec<Call> {
    lines(service)
        .filter_map(|(phase, exec)| call(phase, exec))
        .collect()
}

/// Whether this command line calls a command of upgrade-gate that gates.
pub(super) fn is_gate(exec: &Exec) -> bool {
    call(Phase::Start, exec).is_some()
}

fn call(phase: Phase, exec: &Exec) -> Option<Call> {
    let words = words(exec);
    let words = arguments(&words, "upgrade-gate")?;
    let end = words.iter().position(|word| is_end(word));
    let own = &words[..end.unwrap_or(words.len())];
    let command = own.iter().find_map(|word| match *word {
        "wait-online" | "--wait-online" => Some(Command::WaitOnline),
        "check" => Some(Command::Check),
        "run" => Some(Command::Run),
        _ => None,
    })?;
    Some(Call {
        phase,
        command,
        timeout: option(own, "--timeout").and_then(finite),
        exec_condition: own.contains(&"--exec-condition"),
        ignored: exec.prefixes.ignore_failure,
    })
}

/// Where the command of `run` begins, or the next command of a script.
fn is_end(word: &str) -> bool {
    matches!(word, "--" | ";" | "&&" | "||" | "|")
}

fn option<'w>(words: &[&'w str], name: &str) -> Option<&'w str> {
    let at = words.iter().position(|word| word.starts_with(name))?;
    match words[at].strip_prefix(name)?.strip_prefix('=') {
        Some(value) => Some(value),
        None => words.get(at + 1).copied(),
    }
}

/// What is no span is refused by upgrade-gate itself, and no gate at all.
fn finite(text: &str) -> Option<Duration> {
    text.parse().map_or(Some(Duration::ZERO), Span::finite)
}

/// Programs that upgrade something over the network, and the words with which they do; any, if there are none.
const UPGRADES: &[(&str, &[&str])] = &[
    ("nixos-rebuild", &[]),
    ("nix-channel", &["--update"]),
    ("fwupdmgr", &["refresh", "update", "upgrade", "get-updates"]),
    ("apt-get", &["update", "upgrade", "dist-upgrade"]),
    ("apt", &["update", "upgrade", "full-upgrade"]),
    ("apt.systemd.daily", &[]),
    ("unattended-upgrade", &[]),
    ("unattended-upgrades", &[]),
    ("dnf", &["upgrade", "update", "makecache"]),
    ("dnf-automatic", &[]),
    ("yum", &["update", "upgrade"]),
    ("zypper", &["up", "update", "dup", "patch", "refresh"]),
    ("rpm-ostree", &["upgrade", "update", "rebase"]),
    ("bootc", &["upgrade", "update", "switch"]),
    ("transactional-update", &[]),
    ("flatpak", &["update", "upgrade"]),
    ("snap", &["refresh"]),
    ("home-manager", &["switch"]),
    ("cachix", &["deploy"]),
    ("comin", &["run"]),
    ("uupd", &[]),
    ("ublue-update", &[]),
    ("topgrade", &[]),
];

/// Whether this command line is known to upgrade something over the network, or calls itself an upgrade.
pub(super) fn upgrades(exec: &Exec) -> bool {
    let words = words(exec);
    let known = UPGRADES.iter().any(|(name, with)| {
        arguments(&words, name)
            .is_some_and(|rest| with.is_empty() || rest.iter().any(|word| with.contains(word)))
    });
    known || is_called_upgrade(program(&exec.path))
}

/// Whether a name has the word `upgrade` in it: `my-upgrade.service`.
pub(super) fn is_called_upgrade(name: &str) -> bool {
    let mut words = name.split(|c: char| !c.is_ascii_alphanumeric());
    words.any(|word| matches!(word, "upgrade" | "upgrades" | "autoupgrade"))
}

/// Whether this command line waits for a network in a way of its own, well or not.
pub(super) fn waits_otherwise(exec: &Exec) -> bool {
    let words = words(exec);
    let by_itself = [
        "systemd-networkd-wait-online",
        "connmand-wait-online",
        "ping",
        "curl",
        "getent",
    ];
    let apt = arguments(&words, "apt-helper").is_some_and(|rest| rest.contains(&"wait-online"));
    apt || by_itself
        .iter()
        .any(|name| arguments(&words, name).is_some())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::restart::sample;

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
        let plain = |line| call(Phase::StartPre, &exec(line));
        let found = plain("/usr/bin/upgrade-gate wait-online --timeout=10min").unwrap();
        assert_eq!(found.timeout, Some(Duration::from_secs(600)));
        let found = plain("/usr/bin/env A=b upgrade-gate --profile p --wait-online").unwrap();
        assert_eq!((found.command, found.timeout), (Command::WaitOnline, None));
        let found = plain("upgrade-gate check --exec-condition").unwrap();
        assert!(found.exec_condition && found.command == Command::Check);
        let found = plain("upgrade-gate wait-online --timeout infinity").unwrap();
        assert_eq!(found.timeout, None);
    }

    #[test]
    fn what_belongs_to_the_wrapped_command_is_not_the_gate_s() {
        let found = call(
            Phase::Start,
            &exec("upgrade-gate run -- x --timeout 5 --exec-condition"),
        );
        let found = found.unwrap();
        assert_eq!(found.timeout, None);
        assert!(!found.exec_condition);
        assert_eq!(call(Phase::Start, &exec("upgrade-gate status")), None);
        assert_eq!(call(Phase::Start, &exec("/bin/echo run")), None);
    }

    #[test]
    fn a_script_is_looked_into() {
        let text = "upgrade-gate wait-online --timeout 5; check && nixos-rebuild switch";
        let found = call(Phase::Start, &script(text)).unwrap();
        assert_eq!(found.timeout, Some(Duration::from_secs(5)));
        assert!(upgrades(&script(text)));
        assert!(waits_otherwise(&script(
            "until ping -c1 example.org; do sleep 1; done"
        )));
    }

    #[test]
    fn an_upgrade_is_known_by_what_it_does() {
        for line in [
            "/usr/bin/fwupdmgr refresh",
            "/usr/lib/apt/apt.systemd.daily update",
            "/usr/bin/env nixos-rebuild boot",
            "/usr/local/bin/my-upgrade",
            "/nix/store/x-unit-script-nixos-upgrade-start/bin/nixos-upgrade-start",
        ] {
            assert!(upgrades(&exec(line)), "{line}");
        }
        for line in [
            "/usr/bin/apt-get autoclean",
            "/usr/bin/fwupdmgr get-devices",
            "/lib/systemd/systemd-update-utmp reboot",
            "/usr/bin/certbot -q renew",
        ] {
            assert!(!upgrades(&exec(line)), "{line}");
        }
    }

    #[test]
    fn every_phase_of_a_start_is_looked_at() {
        let service = Service {
            exec_condition: vec![exec("upgrade-gate check")],
            exec_start_pre: vec![exec("/bin/true"), exec("upgrade-gate wait-online")],
            ..sample::service()
        };
        let phases: Vec<_> = calls(&service).iter().map(|call| call.phase).collect();
        assert_eq!(phases, [Phase::Condition, Phase::StartPre]);
    }

    proptest! {
        #[test]
        fn no_command_line_is_too_odd(words in proptest::collection::vec(".{0,12}", 0..5)) {
            let odd = Exec { path: words.first().cloned().unwrap_or_default(), argv: words, ..Exec::default() };
            let _ = call(Phase::Start, &odd);
            let _ = upgrades(&odd) || waits_otherwise(&odd);
        }
    }
}
