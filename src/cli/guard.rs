//! The arguments of `guard`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::texts;
use super::values::{parse_finite, parse_unit};
use crate::config::guard::{Activation, CommandSettings, GuardSettings, OnDoubt, must_have};

/// `guard`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    /// What to do.
    #[command(subcommand)]
    pub command: GuardCommand,
}

impl Guard {
    /// `guard try`, as a profile has it.
    pub fn of_settings(settings: &GuardSettings) -> Self {
        let by_path = settings.commands == CommandSettings::default();
        let command = GuardCommand::Try(Try {
            candidate: by_path.then(|| settings.system.clone()),
            profile: None,
            commands: Box::new(settings.commands.clone()),
            mode: match settings.activation {
                Activation::Live => How::Live,
                Activation::Reboot => How::Reboot,
                Activation::Auto => How::Auto,
            },
            on_staged: settings.on_staged.clone(),
            watched: TrialArgs {
                within: settings.within,
                confirm: settings.confirm,
                settle_after: settings.settle_after,
                on_doubt: settings.on_doubt,
                checks: settings.checks.clone(),
                check_timeout: settings.check_timeout,
                ignore_units: settings.ignore_units.clone(),
                must_have: settings.must_have.clone(),
                one_way: settings.one_way.clone(),
                notify: settings.notify.clone(),
                no_reboot: !settings.reboot,
                allow: Vec::new(),
            },
        });
        Self { command }
    }
}

/// The commands of `guard`.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum GuardCommand {
    /// Activate a system, watch it, and make it the boot default only if it is kept
    #[command(after_long_help = texts::GUARD)]
    Try(Try),
    /// Record the baseline and set the deadline for an activation by another tool
    Arm(Arm),
    /// Compare the running candidate with the baseline now
    Verify,
    /// Keep the candidate: make it the boot default
    Confirm(Confirm),
    /// Return to the baseline now
    Rollback,
    /// Watch the candidate for this long from now
    Extend {
        /// How long
        #[arg(value_parser = parse_finite)]
        span: Duration,
    },
    /// Show what is under way, and what boots if the power fails now
    Status {
        /// Print one line of JSON
        #[arg(long)]
        json: bool,
    },
    /// Take back an `arm` before anything was activated
    Disarm,
    /// List the systems that are not tried again
    Denied,
    /// Let a system be tried again
    Allow {
        /// Its store path
        system: PathBuf,
    },
    /// Forget a transaction that cannot be finished; the old state is kept beside the new one
    Reset,
    /// Do what is due: for the units, at boot and at the deadline
    Act,
    /// Try the running system itself, and let the deadline undo it
    Drill {
        /// How long until the deadline
        #[arg(long, value_name = "SPAN", default_value = "1min", value_parser = parse_finite)]
        within: Duration,
    },
}

/// How a candidate is watched.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct TrialArgs {
    /// How long the candidate is watched, in awake time; the activation may take as long
    #[arg(long, value_name = "SPAN", default_value = "10min", value_parser = parse_finite)]
    pub within: Duration,
    /// Undo it unless `guard confirm` keeps it in time
    #[arg(long)]
    pub confirm: bool,
    /// How long the candidate must be worse before it is undone; 5s at most for a unit that has failed and is not restarted
    #[arg(long, value_name = "SPAN", default_value = "30s", value_parser = parse_finite)]
    pub settle_after: Duration,
    /// What is done if there is no verdict at the end
    #[arg(long, value_name = "WHAT", default_value = "undo")]
    pub on_doubt: OnDoubt,
    /// A command that must succeed; repeated: all of them. Exit 75 means no verdict yet
    #[arg(long = "check", value_name = "COMMAND")]
    pub checks: Vec<String>,
    /// How long each of these commands may take
    #[arg(long, value_name = "SPAN", default_value = "1min", value_parser = parse_finite)]
    pub check_timeout: Duration,
    /// A unit that does not count, or a pattern; repeatable
    #[arg(long = "ignore-unit", value_name = "UNIT", value_parser = parse_unit)]
    pub ignore_units: Vec<String>,
    /// A unit that must be started at boot if it is now; repeatable
    #[arg(long, value_name = "UNIT", default_values_t = must_have(), value_parser = parse_unit)]
    pub must_have: Vec<String>,
    /// A package whose data cannot go back to another major version; repeatable
    #[arg(long, value_name = "PACKAGE")]
    pub one_way: Vec<String>,
    /// A command that is started if it is undone or refused, if the undo fails, or if its reboot does not come
    #[arg(long, value_name = "COMMAND")]
    pub notify: Option<String>,
    /// Never reboot to undo it
    #[arg(long)]
    pub no_reboot: bool,
    /// Waive these refusals
    #[arg(long, value_name = "REASON,…", value_delimiter = ',')]
    pub allow: Vec<Waived>,
}

/// `guard try`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct Try {
    /// The system: a store path, or a link to one such as ./result
    #[arg(required_unless_present = "profile")]
    pub candidate: Option<PathBuf>,
    /// What `run` does with this profile after its command: its system, or its commands, and its settings
    #[arg(long, value_name = "NAME", conflicts_with_all = ["candidate", "mode", "within", "confirm", "settle_after", "on_doubt", "checks", "check_timeout", "ignore_units", "must_have", "one_way", "notify", "no_reboot", "on_staged"])]
    pub profile: Option<String>,
    /// How a system other than NixOS is tried.
    #[arg(skip)]
    pub commands: Box<CommandSettings>,
    /// How it is activated
    #[arg(long, default_value = "live")]
    pub mode: How,
    /// A command that is started when the next boot is to try it, and may reboot
    #[arg(long, value_name = "COMMAND")]
    pub on_staged: Option<String>,
    /// How it is watched.
    #[command(flatten)]
    pub watched: TrialArgs,
}

/// `guard arm`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct Arm {
    /// The system that will be activated; by default whichever is
    #[arg(long, value_name = "SYSTEM")]
    pub candidate: Option<PathBuf>,
    /// How it is watched.
    #[command(flatten)]
    pub watched: TrialArgs,
}

/// `guard confirm`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct Confirm {
    /// The token that `try` or `arm` printed
    pub token: Option<String>,
    /// From a session that is older than the try, which does not prove that the machine can be reached
    #[arg(long)]
    pub here: bool,
}

/// How a candidate is activated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum How {
    /// `switch-to-configuration test`.
    Live,
    /// The next boot tries it, once.
    Reboot,
    /// Live, or by the next boot if its checks refuse the switch, or if it has another kernel.
    Auto,
}

/// What a try is refused for unless it is waived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Waived {
    /// It was undone before.
    Denied,
    /// It lacks what is needed to get back.
    Bare,
    /// Its own checks refuse the switch.
    Checks,
    /// The boot partition has no room for it.
    NoSpace,
    /// The last three systems were undone.
    Paused,
    /// Its NixOS is older than the one that runs.
    Older,
    /// Data cannot go back.
    OneWay,
}
