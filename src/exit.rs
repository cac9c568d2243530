//! The exit codes: an interface, because units decide by them.

use crate::gate::verdict::Verdict;

/// What the program ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Open; the command succeeded; what was asked for was printed.
    Ok,
    /// `lint`: something is to be fixed.
    Findings,
    /// Wrong arguments. Not 2, which fwupd-refresh calls a success.
    Usage,
    /// Nothing to decide from, or a service needed is not there.
    Unavailable,
    /// A fault in upgrade-gate itself.
    Fault,
    /// Held at the deadline, or interrupted too often.
    NotNow,
    /// The configuration is wrong.
    Config,
    /// The upgrade was rolled back.
    RolledBack,
    /// The rollback failed too.
    RollbackFailed,
    /// `run`: the code of the command.
    Command(u8),
    /// `run`: this signal ended the command, and is to end upgrade-gate too.
    Signal(i32),
}

/// One line of the table of codes, as the man page and the reference have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The code, or in words which codes.
    pub code: &'static str,
    /// The name in sysexits.h, if it has one.
    pub name: &'static str,
    /// What it means.
    pub meaning: &'static str,
}

/// What the codes mean, in the order of the codes.
pub const TABLE: &[Row] = &[
    row("0", "EX_OK", "open; the command succeeded"),
    row("1", "", "lint: there are findings"),
    row("64", "EX_USAGE", "wrong arguments"),
    row(
        "69",
        "EX_UNAVAILABLE",
        "no target to decide from, or a required service is not available",
    ),
    row("70", "EX_SOFTWARE", "internal error in upgrade-gate"),
    row(
        "75",
        "EX_TEMPFAIL",
        "not now: held at the deadline, or interrupted too often",
    ),
    row(
        "78",
        "EX_CONFIG",
        "the configuration is wrong; the message names file, line and key",
    ),
    row("80", "", "the upgrade was rolled back"),
    row("81", "", "the rollback of the upgrade failed"),
    row(
        "other",
        "",
        "run: the command's own code; if signal N killed it, upgrade-gate dies of N itself",
    ),
];

/// What the codes mean with `--exec-condition`.
pub const EXEC_CONDITION_TABLE: &[Row] = &[
    row("0", "", "open: the unit runs"),
    row("1", "", "not now: the unit is skipped, without a failure"),
    row(
        "255",
        "",
        "anything else: the unit fails, so that it is noticed",
    ),
];

const fn row(code: &'static str, name: &'static str, meaning: &'static str) -> Row {
    Row {
        code,
        name,
        meaning,
    }
}

impl Exit {
    /// The code for the shell and systemd. For a signal it is the shell's 128 + N, for whoever cannot die of it.
    pub fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Findings => 1,
            Self::Usage => 64,
            Self::Unavailable => 69,
            Self::Fault => 70,
            Self::NotNow => 75,
            Self::Config => 78,
            Self::RolledBack => 80,
            Self::RollbackFailed => 81,
            Self::Command(code) => code,
            Self::Signal(number) => u8::try_from(number).map_or(255, |n| n.saturating_add(128)),
        }
    }

    /// Whether nothing was decided, or done: its reason is an error, which is always said.
    pub fn is_fault(self) -> bool {
        matches!(
            self,
            Self::Usage | Self::Unavailable | Self::Fault | Self::Config
        )
    }

    /// The code for `ExecCondition=`, where 1 to 254 skip the unit in silence and 255 fails it (systemd.service(5)).
    pub fn with_exec_condition(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::NotNow => 1,
            _ => 255,
        }
    }
}

impl From<&Verdict> for Exit {
    fn from(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Open(_) => Self::Ok,
            Verdict::Held(_) => Self::NotNow,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_our_own_is_in_the_table() {
        let ours = [
            Exit::Ok,
            Exit::Findings,
            Exit::Usage,
            Exit::Unavailable,
            Exit::Fault,
            Exit::NotNow,
            Exit::Config,
            Exit::RolledBack,
            Exit::RollbackFailed,
        ];
        let listed: Vec<_> = TABLE.iter().map(|row| row.code.to_owned()).collect();
        let mut codes: Vec<_> = ours.iter().map(|e| e.code().to_string()).collect();
        codes.push("other".to_owned());
        assert_eq!(listed, codes);
    }

    #[test]
    fn only_open_and_not_now_are_quiet_answers_to_exec_condition() {
        assert_eq!(Exit::Ok.with_exec_condition(), 0);
        assert_eq!(Exit::NotNow.with_exec_condition(), 1);
        for other in [
            Exit::Findings,
            Exit::Usage,
            Exit::Unavailable,
            Exit::Fault,
            Exit::Config,
            Exit::Command(1),
            Exit::Signal(15),
        ] {
            assert_eq!(other.with_exec_condition(), 255, "{other:?}");
        }
    }

    #[test]
    fn a_signal_is_told_as_the_shell_tells_it() {
        assert_eq!(Exit::Signal(15).code(), 143);
        assert_eq!(Exit::Signal(-1).code(), 255);
        assert_eq!(Exit::Signal(4000).code(), 255);
    }
}
