//! A unit as systemd has loaded it: only what the rules and the drop-ins look at.
//!
//! Spans are `None` for `infinity`. The names are those of systemd.unit(5), systemd.service(5) and systemd.timer(5).

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::version::Version;

/// A time span; `None` is `infinity`.
pub type SystemdSpan = Option<Duration>;

/// A unit, its service part if it is one, and the timers that start it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// `fwupd-refresh.service`.
    pub name: String,
    /// `LoadState`, and why if it could not be loaded.
    pub load: Load,
    /// `FragmentPath`: the file it comes from, if any.
    pub fragment: Option<PathBuf>,
    /// `DropInPaths`, in the order in which later ones win.
    pub drop_ins: Vec<PathBuf>,
    /// `Transient`: made by a program (`systemd-run`), it disappears when it ends.
    pub transient: bool,
    /// `StartLimitIntervalSec=` and `StartLimitBurst=`, the manager's defaults filled in.
    pub start_limit: StartLimit,
    /// `JobTimeoutSec=`.
    pub job_timeout: SystemdSpan,
    /// `JobRunningTimeoutSec=`, which is `JobTimeoutSec=` unless it is written.
    pub job_running_timeout: SystemdSpan,
    /// `Requires=`, `Requisite=` and `BindsTo=`.
    pub requires: Vec<String>,
    /// `Wants=`.
    pub wants: Vec<String>,
    /// `After=`.
    pub after: Vec<String>,
    /// `WantedBy=` and `RequiredBy=` of whoever wants it: `multi-user.target`, …
    pub wanted_by: Vec<String>,
    /// `OnFailure=`.
    pub on_failure: Vec<String>,
    /// `OnSuccess=`.
    pub on_success: Vec<String>,
    /// What the file says and systemd does not read, as `X-StopOnRemoval=`: NixOS's switch-to-configuration does.
    pub nixos: Switch,
    /// The `[Service]` part.
    pub service: Option<Service>,
    /// The timers that start it, or itself.
    pub timers: Vec<Timer>,
    /// What systemd leaves out of its files.
    pub ignored: Vec<IgnoredLine>,
}

/// A line of a unit's files, or what is wrong in it, that systemd leaves out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IgnoredLine {
    /// The file.
    pub file: String,
    /// The number of the line, from 1; of a continued one the last.
    pub line: usize,
    /// Why.
    pub why: String,
    /// The systemd that knows it; none if none does.
    pub since: Option<Version>,
}

impl IgnoredLine {
    /// Whether this systemd leaves it out.
    pub fn by(&self, version: Version) -> bool {
        self.since.is_none_or(|since| version < since)
    }
}

impl fmt::Display for IgnoredLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.why)
    }
}

/// Whether this is a target of the boot, which stays active from then on.
pub fn is_of_boot(target: &str) -> bool {
    matches!(
        target,
        "multi-user.target"
            | "graphical.target"
            | "default.target"
            | "basic.target"
            | "sysinit.target"
            | "network-online.target"
            | "local-fs.target"
    )
}

/// `LoadState`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Load {
    /// `loaded`.
    Loaded,
    /// `not-found`: no file has it.
    NotFound,
    /// `masked`.
    Masked,
    /// `bad-setting` or `error`: systemd refuses it, for this reason.
    Refused(String),
    /// One of its files cannot be read, so that nothing can be said of it.
    Unreadable(String),
}

/// The start rate limit; it is off if either is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartLimit {
    /// `StartLimitIntervalSec=`.
    pub interval: SystemdSpan,
    /// `StartLimitBurst=`.
    pub burst: u32,
}

impl StartLimit {
    /// `DefaultStartLimitIntervalSec=` and `DefaultStartLimitBurst=` as they are without a file.
    pub const DEFAULT: Self = Self {
        interval: Some(Duration::from_secs(10)),
        burst: 5,
    };
}

/// What NixOS's switch-to-configuration does with a unit that has changed or is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Switch {
    /// `X-RestartIfChanged=`, true unless written.
    pub restart_if_changed: bool,
    /// `X-StopOnRemoval=`, true unless written.
    pub stop_on_removal: bool,
}

impl Default for Switch {
    fn default() -> Self {
        Self {
            restart_if_changed: true,
            stop_on_removal: true,
        }
    }
}

/// The `[Service]` part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// `Type=`.
    pub kind: ServiceType,
    /// `ExecCondition=`.
    pub exec_condition: Vec<Exec>,
    /// `ExecStartPre=`.
    pub exec_start_pre: Vec<Exec>,
    /// `ExecStart=`.
    pub exec_start: Vec<Exec>,
    /// `Restart=`.
    pub restart: Restart,
    /// `RestartSec=`.
    pub restart_delay: SystemdSpan,
    /// `RestartSteps=`.
    pub restart_steps: u32,
    /// `RestartMaxDelaySec=`.
    pub restart_max_delay: SystemdSpan,
    /// `RestartMode=`.
    pub restart_mode: RestartMode,
    /// `SuccessExitStatus=`, beyond 0 and SIGHUP, SIGINT, SIGTERM, SIGPIPE.
    pub success: ExitStatuses,
    /// `RestartPreventExitStatus=`.
    pub prevent: ExitStatuses,
    /// `RestartForceExitStatus=`.
    pub force: ExitStatuses,
    /// `TimeoutStartSec=`, its default for the type filled in.
    pub timeout_start: SystemdSpan,
    /// `RuntimeMaxSec=`.
    pub runtime_max: SystemdSpan,
    /// `NotifyAccess=`, its default for the type filled in.
    pub notify_access: NotifyAccess,
    /// `RemainAfterExit=`.
    pub remain_after_exit: bool,
    /// `User=`, or that of `DynamicUser=`; empty for root.
    pub user: String,
    /// `DynamicUser=`.
    pub dynamic_user: bool,
    /// `StandardOutput=`, as systemd names it.
    pub standard_output: String,
}

/// `Type=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceType {
    /// `simple`.
    Simple,
    /// `exec`.
    Exec,
    /// `forking`.
    Forking,
    /// `oneshot`.
    Oneshot,
    /// `dbus`.
    Dbus,
    /// `notify`.
    Notify,
    /// `notify-reload`.
    NotifyReload,
    /// `idle`.
    Idle,
}

/// `Restart=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// `no`.
    No,
    /// `always`.
    Always,
    /// `on-success`.
    OnSuccess,
    /// `on-failure`.
    OnFailure,
    /// `on-abnormal`.
    OnAbnormal,
    /// `on-abort`.
    OnAbort,
    /// `on-watchdog`.
    OnWatchdog,
}

/// `RestartMode=`: whether a unit passes through `failed` between two attempts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RestartMode {
    /// `normal`: it does, and `OnFailure=` is started each time.
    #[default]
    Normal,
    /// `direct`: it does not.
    Direct,
    /// `debug`: as `normal`, with debug logging in the attempts after.
    Debug,
}

/// `NotifyAccess=`: whose messages systemd accepts; each accepts those that the one before it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum NotifyAccess {
    /// `none`: nobody's.
    #[default]
    None,
    /// `main`: the main process's.
    Main,
    /// `exec`: those of every process that systemd itself starts, as of `ExecStartPre=`.
    Exec,
    /// `all`: those of their children, too.
    All,
}

impl NotifyAccess {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Main => "main",
            Self::Exec => "exec",
            Self::All => "all",
        }
    }
}

/// A list of exit codes and signals, as in `SuccessExitStatus=75 SIGKILL`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExitStatuses {
    /// Exit codes.
    pub codes: BTreeSet<u8>,
    /// Signals, by number.
    pub signals: BTreeSet<u8>,
}

/// One command line of an `Exec…=` setting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exec {
    /// What stands in front of it.
    pub prefixes: Prefixes,
    /// The program that is executed, as written: a path, or a name to be found.
    pub path: String,
    /// Its arguments, `argv[0]` first (which differs from `path` only with `@`). Quotes and escapes are resolved;
    /// `$NAME` and, from a file, specifiers (`%i`) are not.
    pub argv: Vec<String>,
}

/// The special prefixes of a command line (systemd.service(5), "Command lines"), but `@`, which `argv` shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prefixes {
    /// `-`: a failure counts as success.
    pub ignore_failure: bool,
    /// `:`: environment variables are not substituted.
    pub no_env_expand: bool,
    /// `+`, `!`, `!!`.
    pub privileges: Privileges,
    /// `|`: the shell of the user is what is executed (systemd ≥ 258).
    pub via_shell: bool,
}

impl Prefixes {
    /// Whether the command is one that any process can run as systemd would, but for `-`.
    pub fn is_plain(self) -> bool {
        self.privileges == Privileges::Unit && !self.via_shell
    }
}

/// With which privileges a command line runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Privileges {
    /// The unit's.
    #[default]
    Unit,
    /// `+`: all of them, whatever the unit's sandbox.
    Full,
    /// `!`: `User=` and `Group=` are only told, not applied.
    NoSetuid,
    /// `!!`: as `!` where ambient capabilities are not supported.
    Ambient,
}

/// A timer unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timer {
    /// `fwupd-refresh.timer`.
    pub name: String,
    /// It has `OnCalendar=`, which elapses during a sleep and starts the unit on resume.
    pub calendar: bool,
    /// `Persistent=`.
    pub persistent: bool,
    /// `RandomizedDelaySec=`.
    pub randomized_delay: SystemdSpan,
    /// `WakeSystem=`.
    pub wake_system: bool,
    /// What systemd leaves out of its files.
    pub ignored: Vec<IgnoredLine>,
}
