//! The arguments: clap structs with plain values; man pages and completions come from here.

mod completions;
pub mod guard;
mod man;
mod texts;
mod values;
mod written;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand};

pub use self::completions::{Shell, write as write_completions};
pub use self::man::write as write_man;
use self::values::{mode_parser, parse_finite, parse_span, parse_waived};
use self::written::respelt;
pub use self::written::{asks_exec_condition, complaint};
use crate::gate::reason::Reason;
use crate::run::pre::Pre;
use crate::systemd::drop_in::GateMode;
use crate::systemd::read::scope::Scope;
use crate::text::span::Span;

/// Options that every command has come after its own.
const LAST: usize = 100;

/// Lets an unattended upgrade start only when it can succeed, and sees it through.
#[derive(Debug, Parser)]
#[command(name = "upgrade-gate", version, about, after_long_help = texts::MAIN)]
pub struct Cli {
    /// More output: every change of a hold's details; twice: every event, and libraries
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet", display_order = LAST)]
    pub verbose: u8,
    /// Print only warnings and errors
    #[arg(short, long, global = true, display_order = LAST)]
    pub quiet: bool,
    /// Look for files below this directory instead of /
    #[arg(long, global = true, value_name = "DIR", hide = true)]
    pub root: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands. Deferred: only the arguments of the one that is called are made.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum Command {
    /// Wait until the gate opens
    #[command(after_long_help = texts::WAIT_ONLINE)]
    WaitOnline(WaitOnline),
    /// Probe once and say whether the gate is open
    #[command(after_long_help = texts::CHECK)]
    Check(QuestionArgs),
    /// Wait, run a command, and run it again if a suspend or the network interrupted it
    #[command(after_long_help = texts::RUN)]
    Run(RunArgs),
    /// Show what every gate on the machine is waiting for, since when, and why
    #[command(after_long_help = texts::STATUS)]
    Status(Status),
    /// Check what the restart settings of services really do, and how to fix them
    #[command(after_long_help = texts::LINT)]
    Lint(Lint),
    /// Print the drop-in that gates a service, or write it
    #[command(after_long_help = texts::DROP_IN)]
    DropIn(DropIn),
    /// Keep upgrade-gate-online.target in sync with connectivity, and start units again that failed while offline
    #[command(after_long_help = texts::WATCH)]
    Watch(WatchArgs),
    /// Try a new system, keep it only if it is good, and return to the one before otherwise
    #[command(after_long_help = texts::GUARD)]
    Guard(guard::Guard),
    /// Show the effective configuration and where each value comes from
    #[command(after_long_help = texts::CONFIG)]
    Config(Config),
    /// Print completions for a shell
    #[command(after_long_help = texts::COMPLETIONS)]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the man page, or write one man page per command into DIR
    #[command(after_long_help = texts::MAN)]
    Man {
        /// An existing directory
        dir: Option<PathBuf>,
    },
}

impl Command {
    /// Whether its codes are those of `ExecCondition=`.
    pub fn is_exec_condition(&self) -> bool {
        match self {
            Self::WaitOnline(wait) => wait.question.exec_condition,
            Self::Check(question) => question.exec_condition,
            _ => false,
        }
    }
}

/// What one gate asks for, as the command line has it; it beats the files.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct GateArgs {
    /// The profile: its conditions, targets and run settings
    #[arg(short, long, value_name = "PROFILE")]
    pub profile: Option<String>,
    /// What must be reached; repeated: all of them
    #[arg(short, long = "target", value_name = "TARGET", long_help = texts::TARGET)]
    pub targets: Vec<String>,
    /// Give up after this long, in awake time; by default never, and `check` after 15s at most
    #[arg(long, value_name = "SPAN", value_parser = parse_span)]
    pub timeout: Option<Span>,
    /// The soft holds that are waived.
    #[arg(long, value_name = "REASON,…", help = texts::ALLOW, value_delimiter = ',', value_parser = parse_waived)]
    pub allow: Vec<Reason>,
    /// How long everything must hold after a change before the gate opens; ignored by `check`
    #[arg(long, value_name = "SPAN", value_parser = parse_span)]
    pub settle: Option<Span>,
    /// Print JSON lines for programs
    #[arg(long)]
    pub json: bool,
}

/// `wait-online`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct WaitOnline {
    /// What is asked.
    #[command(flatten)]
    pub question: QuestionArgs,
    /// Whether it stays once the gate is open.
    #[arg(long, help = texts::STAY, long_help = texts::STAY_LONG, conflicts_with = "exec_condition")]
    pub stay: bool,
}

/// What `wait-online` and `check` ask.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct QuestionArgs {
    /// What is asked for.
    #[command(flatten)]
    pub gate: GateArgs,
    /// Whether 1 and 255 are exited with in place of other codes.
    #[arg(long, help = texts::EXEC_CONDITION)]
    pub exec_condition: bool,
}

/// `run`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct RunArgs {
    /// What is asked for.
    #[command(flatten)]
    pub gate: GateArgs,
    /// The name the command sees as its `argv[0]`, in place of its path
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    pub argv0: Option<OsString>,
    /// A command line, as systemd reads it, to run before COMMAND in each attempt; repeatable
    #[arg(long, value_name = "COMMANDLINE", long_help = texts::EXEC_START_PRE, allow_hyphen_values = true)]
    pub exec_start_pre: Vec<Pre>,
    /// The command and its arguments, after `--`
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// `watch`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchArgs {
    /// Print JSON lines for programs
    #[arg(long)]
    pub json: bool,
}

/// `status`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Print one line of JSON
    #[arg(long)]
    pub json: bool,
    /// Print again at every change, until interrupted
    #[arg(short, long)]
    pub follow: bool,
}

/// `drop-in`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct DropIn {
    /// The service; `.service` can be omitted
    pub unit: String,
    /// How to gate it; default: run for a command that ends, else companion
    #[arg(long, value_parser = mode_parser())]
    pub mode: Option<GateMode>,
    /// The profile; by default it is named after the service, or after the template
    #[arg(short, long, value_name = "PROFILE")]
    pub profile: Option<String>,
    /// Write it below /etc/systemd/system; with --user, below ~/.config/systemd/user
    #[arg(long, conflicts_with = "remove")]
    pub write: bool,
    /// Remove what --write wrote
    #[arg(long)]
    pub remove: bool,
    /// Read the unit files in DIR, and no others
    #[arg(long, value_name = "DIR")]
    pub units: Option<PathBuf>,
    /// Write it below DIR
    #[arg(long, value_name = "DIR", conflicts_with = "remove")]
    pub output: Option<PathBuf>,
    /// The path of upgrade-gate in the drop-in
    #[arg(long, value_name = "PATH")]
    pub program: Option<PathBuf>,
    /// Whose service it is.
    #[command(flatten)]
    pub scope: ScopeArgs,
}

/// Whose units are meant; the system's by default.
#[derive(Args, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScopeArgs {
    /// Units of your own user manager, not of the system
    #[arg(long)]
    pub user: bool,
    /// Units of every user's manager, not of the system
    #[arg(long, conflicts_with = "user")]
    pub global: bool,
}

impl ScopeArgs {
    /// The scope they ask for.
    pub fn scope(self) -> Scope {
        match (self.user, self.global) {
            (true, _) => Scope::User,
            (false, true) => Scope::Global,
            (false, false) => Scope::System,
        }
    }
}

/// `lint`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct Lint {
    /// The services to check, `.service` can be omitted; or unit files, such as `./my.service`
    #[arg(value_name = "UNIT")]
    pub units: Vec<String>,
    /// Check every service that is loaded or has a unit file
    #[arg(long, conflicts_with = "units")]
    pub all: bool,
    /// Whose services they are.
    #[command(flatten)]
    pub scope: ScopeArgs,
    /// Length of the simulated outage
    #[arg(long, value_name = "SPAN", default_value = "30min", value_parser = parse_finite)]
    pub outage: Duration,
    /// How long an attempt takes to fail without a network
    #[arg(long, value_name = "SPAN", default_value = "5s", value_parser = parse_finite)]
    pub attempt: Duration,
    /// Print one line of JSON
    #[arg(long)]
    pub json: bool,
}

/// `config`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The profile to show
    #[arg(short, long, value_name = "PROFILE")]
    pub profile: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Parses the whole command line, the program's own name first.
///
/// # Errors
/// Everything that is not a command to carry out: wrong arguments, but also `--help` and `--version`.
pub fn parse(argv: &[OsString]) -> Result<Cli, clap::Error> {
    let matches = command().try_get_matches_from(respelt(argv))?;
    Cli::from_arg_matches(&matches)
}

fn command() -> clap::Command {
    Cli::command()
        .arg(wait_online_flag())
        .after_long_help(texts::main_with_exit_codes())
}

/// For help and completions only: [`respelt`] has replaced it before clap looks.
fn wait_online_flag() -> clap::Arg {
    clap::Arg::new("wait-online-flag")
        .long("wait-online")
        .action(ArgAction::SetTrue)
        .help("The same as the command wait-online, with the same options")
}

#[cfg(test)]
mod tests;
