//! The commands: what each one does with its arguments.

mod check;
pub mod config;
mod drop_in;
mod guard;
pub mod lint;
mod prepare;
mod run;
pub mod status;
mod wait_online;
mod watch;

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::ExitCode;

use self::prepare::{CommonOptions, Refusal};
use crate::cli::{self, Cli, Command};
use crate::exit::Exit;
use crate::probe;
use crate::report::journal::{self, Log};
use crate::report::output::{self, STDERR};
use crate::run::signals::{self, IgnoredSignals};
use crate::run::{child, die};
use crate::sys::dirs::Dirs;
use crate::sys::limits;
use crate::text::secret;

/// Carries out a whole command line, the program's own name first.
///
/// Everything that re-executes `/proc/self/exe` comes back here, in whatever program this library is linked into.
pub fn main(argv: &[OsString]) -> ExitCode {
    let mut own = argv.iter().skip(1).cloned();
    let hidden = match own.next().as_deref().and_then(OsStr::to_str) {
        Some(probe::SUBCOMMAND) => Some(probe::child::main()),
        Some(child::SUBCOMMAND) => child::main(own),
        _ => Some(carry_out(argv)),
    };
    hidden.unwrap_or_else(|| {
        journal::start(0, false);
        tracing::error!("invalid arguments of an internal command; see upgrade-gate --help");
        output::flush();
        Exit::Usage.code().into()
    })
}

fn carry_out(argv: &[OsString]) -> ExitCode {
    say_panics();
    signals::outlive_file_size(IgnoredSignals::read());
    let (exit, exec_condition) = match cli::parse(argv) {
        Ok(cli) => {
            let exec_condition = cli.command.is_exec_condition();
            (call(cli), exec_condition)
        }
        Err(error) => match (refuse(&error, argv), cli::asks_exec_condition(argv)) {
            // Help is not a verdict either.
            (_, true) => (Exit::Usage, true),
            refused => refused,
        },
    };
    output::flush();
    match exit {
        exit if exec_condition => exit.with_exec_condition().into(),
        Exit::Signal(number) => die::of_signal(number),
        exit => exit.code().into(),
    }
}

/// A panic is a fault of ours and is said like any other, also where standard error is /dev/null.
fn say_panics() {
    std::panic::set_hook(Box::new(|panic| {
        // It may happen before logging is set up.
        journal::start(0, false);
        tracing::error!("internal error in upgrade-gate, please report it: {panic}");
        output::flush();
    }));
}

fn call(cli: Cli) -> Exit {
    let asked_root = cli.root;
    let setting = CommonOptions {
        root: asked_root.clone().unwrap_or_else(|| PathBuf::from("/")),
        log: journal::start(cli.verbose, cli.quiet),
        quiet: cli.quiet,
    };
    match cli.command {
        Command::WaitOnline(args) => wait(Box::pin(wait_online::wait_online(&args, &setting))),
        Command::Check(question) => wait(Box::pin(check::check(&question, &setting))),
        Command::Run(command) => wait(Box::pin(run::run(command, &setting))),
        Command::Lint(args) => wait(Box::pin(lint::lint(&args, asked_root.as_deref()))),
        Command::Guard(args) => wait(Box::pin(guard::guard(args, &setting))),
        Command::Watch(args) => wait(Box::pin(watch::watch(&args, &setting))),
        Command::Status(args) => status(&args, &setting.root),
        Command::Config(args) => config::config(&args, &setting.root, &mut io::stdout().lock()),
        Command::DropIn(args) => drop_in::drop_in(&args, &setting.root, &mut io::stdout().lock()),
        Command::Completions { shell } => {
            printed(&cli::write_completions(shell, &mut io::stdout()))
        }
        Command::Man { dir } => printed(&cli::write_man(dir.as_deref(), &mut io::stdout())),
    }
}

fn status(args: &cli::Status, root: &Path) -> Exit {
    let dirs = Dirs::of_process(root);
    printed(&status::status(args, root, &dirs, &mut io::stdout().lock()))
}

/// Says why the arguments are refused, and returns what to exit with; help goes to standard output.
fn refuse(error: &clap::Error, argv: &[OsString]) -> Exit {
    let text = cli::complaint(error, argv);
    if !error.use_stderr() {
        return printed(&io::stdout().write_all(text.as_bytes()));
    }
    match journal::start(0, false) {
        Log::Journal => tracing::error!("{}", text.trim_start_matches("error: ").trim_end()),
        // Without a reader there is nobody to tell.
        Log::Stderr => drop(STDERR.say(text)),
    }
    Exit::Usage
}

/// Runs a command that waits for the world, on this one thread. Boxed, so that there is one runtime in the program and
/// not one for each command.
fn wait(command: Pin<Box<dyn Future<Output = Result<Exit, Refusal>> + '_>>) -> Exit {
    // Without them tokio panics.
    let runtime = limits::spare_descriptors(8).and_then(|()| {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
    });
    let done = match runtime {
        Ok(runtime) => runtime.block_on(command),
        Err(error) => Err(Refusal::new(
            Exit::Fault,
            &format!("cannot wait for the network: {}", limits::refusal(&error)),
        )),
    };
    done.unwrap_or_else(|refusal| {
        tracing::error!("{refusal}");
        refusal.exit
    })
}

/// A reader who has seen enough (`| head`) is not a fault.
fn printed(result: &io::Result<()>) -> Exit {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            tracing::error!("{}", secret::text(&error.to_string()));
            Exit::Fault
        }
        _ => Exit::Ok,
    }
}
