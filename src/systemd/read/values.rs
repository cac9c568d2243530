//! The values of settings: booleans, spans, exit statuses, specifiers. Pure.

use std::str::FromStr;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::SUFFIXES;
use crate::systemd::unit::{
    ExitStatuses, NotifyAccess, Restart, RestartMode, ServiceType, SystemdSpan,
};
use crate::text::span;

/// A boolean, as systemd.syntax(7) has it.
pub(super) fn boolean(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "1" | "yes" | "y" | "true" | "t" | "on" => Some(true),
        "0" | "no" | "n" | "false" | "f" | "off" => Some(false),
        _ => None,
    }
}

/// A time span.
pub(super) fn time_span(value: &str) -> Option<SystemdSpan> {
    value.parse().ok().map(span::Span::finite)
}

/// A time span where systemd reads 0 as `infinity`.
pub(super) fn timeout(value: &str) -> Option<SystemdSpan> {
    time_span(value).map(|length| length.filter(|length| *length > Duration::ZERO))
}

/// A number without a sign: decimal, or as C writes it; systemd adds `0b` and `0o`, but not after a plus.
pub(super) fn unsigned(value: &str) -> Option<u32> {
    let number = value.strip_prefix('+').unwrap_or(value);
    let (digits, radix) = match number.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&number[2..], 16),
        [b'0', b'o' | b'O', ..] if number == value => (&number[2..], 8),
        [b'0', b'b' | b'B', ..] if number == value => (&number[2..], 2),
        [b'0', _, ..] => (number, 8),
        _ => (number, 10),
    };
    let all = digits.chars().all(|digit| digit.is_digit(radix));
    u32::from_str_radix(digits, radix).ok().filter(|_| all)
}

/// Whether this is the name of a unit that can be started; specifiers that a name does not fill in may stand for anything.
pub(super) fn is_unit_name(name: &str) -> bool {
    let is_good = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    let (stem, suffix) = name.rsplit_once('.').unwrap_or_default();
    let known = SUFFIXES.iter().any(|known| known[1..] == *suffix);
    name.contains('%')
        || known
            && !stem.is_empty()
            && !stem.starts_with('@')
            && name.len() < 256
            && name.chars().all(is_good)
}

/// Whether `StandardOutput=` may have this value.
pub(super) fn is_output(value: &str) -> bool {
    let words = [
        "inherit",
        "null",
        "tty",
        "journal",
        "journal+console",
        "kmsg",
        "kmsg+console",
        "socket",
        "syslog",
        "syslog+console",
        "fd",
    ];
    let path = ["file:", "append:", "truncate:"]
        .iter()
        .find_map(|kind| value.strip_prefix(kind));
    words.contains(&value)
        || value.starts_with("fd:")
        || path.is_some_and(|path| path.starts_with(['/', '%']))
}

/// `Type=`.
pub(super) fn kind(value: &str) -> Option<ServiceType> {
    Some(match value {
        "simple" => ServiceType::Simple,
        "exec" => ServiceType::Exec,
        "forking" => ServiceType::Forking,
        "oneshot" => ServiceType::Oneshot,
        "dbus" => ServiceType::Dbus,
        "notify" => ServiceType::Notify,
        "notify-reload" => ServiceType::NotifyReload,
        "idle" => ServiceType::Idle,
        _ => return None,
    })
}

/// `NotifyAccess=`.
pub(super) fn notify_access(value: &str) -> Option<NotifyAccess> {
    use NotifyAccess::{All, Exec, Main, None};
    let all = [None, Main, Exec, All];
    all.into_iter().find(|access| access.name() == value)
}

/// `Restart=`.
pub(super) fn restart(value: &str) -> Option<Restart> {
    Some(match value {
        "no" => Restart::No,
        "always" => Restart::Always,
        "on-success" => Restart::OnSuccess,
        "on-failure" => Restart::OnFailure,
        "on-abnormal" => Restart::OnAbnormal,
        "on-abort" => Restart::OnAbort,
        "on-watchdog" => Restart::OnWatchdog,
        _ => return None,
    })
}

/// `RestartMode=`.
pub(super) fn restart_mode(value: &str) -> Option<RestartMode> {
    Some(match value {
        "normal" => RestartMode::Normal,
        "direct" => RestartMode::Direct,
        "debug" => RestartMode::Debug,
        _ => return None,
    })
}

/// Adds one word of an exit status list; false if it is none.
pub(super) fn add_exit_status(statuses: &mut ExitStatuses, word: &str) -> bool {
    if let Some(code) = exit_code(word) {
        statuses.codes.insert(code);
        return true;
    }
    let signal = signal(word);
    statuses.signals.extend(signal);
    signal.is_some()
}

fn exit_code(word: &str) -> Option<u8> {
    let named = NAMES.iter().find(|(name, _)| *name == word);
    let number = || u8::try_from(unsigned(word)?).ok();
    named.map(|(_, code)| *code).or_else(number)
}

/// `SIGKILL`, `KILL`, `RTMIN+1`. The kernel's SIGRTMIN is 32, glibc's 34, and systemd asks glibc.
fn signal(word: &str) -> Option<u8> {
    const SIGRTMIN: u8 = 34;
    const SIGRTMAX: u8 = 64;
    let name = word.strip_prefix("SIG").unwrap_or(word);
    let number = match name {
        "RTMIN" => SIGRTMIN,
        "RTMAX" => SIGRTMAX,
        _ => {
            if let Some(above) = name.strip_prefix("RTMIN+") {
                SIGRTMIN.checked_add(above.parse().ok()?)?
            } else if let Some(below) = name.strip_prefix("RTMAX-") {
                SIGRTMAX.checked_sub(below.parse().ok()?)?
            } else {
                let signal = Signal::from_str(&format!("SIG{name}")).ok()?;
                return u8::try_from(signal as i32).ok();
            }
        }
    };
    (SIGRTMIN..=SIGRTMAX).contains(&number).then_some(number)
}

/// The exit codes that have a name (systemd.exec(5), "Process Exit Codes").
#[rustfmt::skip]
const NAMES: &[(&str, u8)] = &[
    ("SUCCESS", 0), ("FAILURE", 1), ("INVALIDARGUMENT", 2), ("NOTIMPLEMENTED", 3), ("NOPERMISSION", 4),
    ("NOTINSTALLED", 5), ("NOTCONFIGURED", 6), ("NOTRUNNING", 7), ("USAGE", 64), ("DATAERR", 65), ("NOINPUT", 66),
    ("NOUSER", 67), ("NOHOST", 68), ("UNAVAILABLE", 69), ("SOFTWARE", 70), ("OSERR", 71), ("OSFILE", 72),
    ("CANTCREAT", 73), ("IOERR", 74), ("TEMPFAIL", 75), ("PROTOCOL", 76), ("NOPERM", 77), ("CONFIG", 78),
    ("CHDIR", 200), ("NICE", 201), ("FDS", 202), ("EXEC", 203), ("MEMORY", 204), ("LIMITS", 205), ("OOM_ADJUST", 206),
    ("SIGNAL_MASK", 207), ("STDIN", 208), ("STDOUT", 209), ("CHROOT", 210), ("IOPRIO", 211), ("TIMERSLACK", 212),
    ("SECUREBITS", 213), ("SETSCHEDULER", 214), ("CPUAFFINITY", 215), ("GROUP", 216), ("USER", 217),
    ("CAPABILITIES", 218), ("CGROUP", 219), ("SETSID", 220), ("CONFIRM", 221), ("STDERR", 222), ("PAM", 224),
    ("NETWORK", 225), ("NAMESPACE", 226), ("NO_NEW_PRIVILEGES", 227), ("SECCOMP", 228), ("SELINUX_CONTEXT", 229),
    ("PERSONALITY", 230), ("APPARMOR", 231), ("ADDRESS_FAMILIES", 232), ("RUNTIME_DIRECTORY", 233), ("CHOWN", 235),
    ("SMACK_PROCESS_LABEL", 236), ("KEYRING", 237), ("STATE_DIRECTORY", 238), ("CACHE_DIRECTORY", 239),
    ("LOGS_DIRECTORY", 240), ("CONFIGURATION_DIRECTORY", 241), ("NUMA_POLICY", 242), ("CREDENTIALS", 243),
    ("BPF", 244), ("EXCEPTION", 255),
];

/// Whether systemd takes this for a user or a group (`valid_user_group_name()`): a number that is one, or a name. What a
/// specifier that is left stands for is not known here.
pub(super) fn is_user(name: &str) -> bool {
    const INVALID: [u32; 2] = [0xffff, u32::MAX];
    let is_number = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    if is_number(name) {
        let number = name.parse().ok().filter(|id| !INVALID.contains(id));
        return number.is_some_and(|id| id.to_string() == name);
    }
    let negative = name.strip_prefix('-').is_some_and(is_number);
    let odd = |c: char| c.is_control() || matches!(c, ':' | '/');
    name.contains('%') || !matches!(name, "" | "." | "..") && !negative && !name.contains(odd)
}

/// Whether systemd takes this for a name on the bus (`sd_bus_service_name_is_valid()`).
pub(super) fn is_bus_name(name: &str) -> bool {
    name.contains('%') || zbus::names::BusName::try_from(name).is_ok()
}

/// Resolves the specifiers that a unit's name fills in; others stay as they are.
pub(super) fn specifiers(text: &str, unit: &str) -> String {
    let (stem, _) = unit.rsplit_once('.').unwrap_or((unit, ""));
    let (prefix, instance) = stem.split_once('@').unwrap_or((stem, ""));
    let last = prefix.rsplit_once('-').map_or(prefix, |(_, last)| last);
    let mut resolved = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let specifier = if c == '%' { chars.next() } else { None };
        match specifier {
            None => resolved.push(c),
            Some('%') => resolved.push('%'),
            Some('i' | 'I') => resolved.push_str(instance),
            Some('n') => resolved.push_str(unit),
            Some('N') => resolved.push_str(stem),
            Some('p' | 'P') => resolved.push_str(prefix),
            Some('j' | 'J') => resolved.push_str(last),
            Some(other) => resolved.extend(['%', other]),
        }
    }
    resolved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_have_many_spellings() {
        assert_eq!(boolean("YES"), Some(true));
        assert_eq!(boolean("off"), Some(false));
        assert_eq!(boolean("perhaps"), None);
    }

    #[test]
    fn a_timeout_of_zero_is_none_at_all() {
        assert_eq!(timeout("0"), Some(None));
        assert_eq!(timeout("infinity"), Some(None));
        assert_eq!(timeout("2min"), Some(Some(Duration::from_secs(120))));
        assert_eq!(timeout("soon"), None);
    }

    #[test]
    fn numbers_are_read_as_c_has_them() {
        for (text, number) in [
            ("5", Some(5)),
            ("+5", Some(5)),
            ("010", Some(8)),
            ("0x10", Some(16)),
            ("+0X1f", Some(31)),
            ("0b101", Some(5)),
            ("0o17", Some(15)),
            ("0", Some(0)),
        ] {
            assert_eq!(unsigned(text), number, "{text}");
        }
        for text in [
            "", "-1", "5.0", "5 # x", "++5", "08", "0x", "0b2", "+0b1", "0é",
        ] {
            assert_eq!(unsigned(text), None, "{text}");
        }
    }

    #[test]
    fn a_unit_name_has_a_known_suffix_and_no_odd_letters() {
        for name in [
            "a.service",
            "a@b.timer",
            "-.mount",
            "a-%H.service",
            "a\\x2db.mount",
        ] {
            assert!(is_unit_name(name), "{name}");
        }
        for name in [
            "#",
            "comment",
            "a",
            "a.b",
            ".service",
            "@.service",
            "a.service,b.service",
            "\"a.service\"",
        ] {
            assert!(!is_unit_name(name), "{name}");
        }
    }

    #[test]
    fn exit_statuses_are_codes_and_signals_by_name_and_number() {
        let mut statuses = ExitStatuses::default();
        for word in [
            "TEMPFAIL", "2", "0x4b", "0113", "101", "SIGKILL", "TERM", "RTMIN+1",
        ] {
            assert!(add_exit_status(&mut statuses, word), "{word}");
        }
        assert!(statuses.codes.into_iter().eq([2, 75, 101]));
        assert!(statuses.signals.into_iter().eq([9, 15, 35]));
    }

    #[test]
    fn what_is_neither_is_refused() {
        let mut statuses = ExitStatuses::default();
        for word in [
            "256",
            "-1",
            "tempfail",
            "SIGNOTHING",
            "RTMIN+31",
            "RTMAX-99",
            "",
        ] {
            assert!(!add_exit_status(&mut statuses, word), "{word}");
        }
        assert_eq!(statuses, ExitStatuses::default());
    }

    #[test]
    fn users_and_groups_are_those_of_systemd() {
        for good in ["0", "1000", "a.b", "a b", "-a", "ünï", "%u"] {
            assert!(is_user(good), "{good}");
        }
        for bad in [
            "",
            "back:up",
            "-1",
            "65535",
            "4294967295",
            "007",
            "a/b",
            ".",
            "..",
        ] {
            assert!(!is_user(bad), "{bad}");
        }
    }

    #[test]
    fn the_name_fills_in_the_specifiers() {
        let resolved = |text| specifiers(text, "a-b@c.service");
        assert_eq!(resolved("x@%i.service"), "x@c.service");
        assert_eq!(resolved("%n %N %p %j"), "a-b@c.service a-b@c a-b b");
        assert_eq!(resolved("%% %h %"), "% %h %");
    }
}
