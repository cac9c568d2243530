//! The commands: what each one does with its arguments.

pub mod config;
mod drop_in;
mod guard;
pub mod lint;
mod prepare;
mod question;
mod run;
pub mod status;
mod stay;
mod watch;

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::ExitCode;

use self::prepare::{Refusal, Setting};
use crate::cli::{self, Cli, Command};
use crate::dirs::Dirs;
use crate::exit::Exit;
use crate::probe;
use crate::report::journal;
use crate::run::{child, die};

/// Carries out a whole command line, the program's own name first.
///
/// Everything that re-executes `/proc/self/exe` comes back here, in whatever program this library is linked into.
pub fn main(argv: &[OsString]) -> ExitCode {
    let mut own = argv.iter().skip(1).cloned();
    match own.next().as_deref().and_then(OsStr::to_str) {
        Some(probe::SUBCOMMAND) => probe::child::main(),
        Some(child::SUBCOMMAND) => child::main(own),
        Some(die::SUBCOMMAND) => die::main(own),
        _ => carry_out(argv),
    }
}

fn carry_out(argv: &[OsString]) -> ExitCode {
    let cli = match cli::parse(argv) {
        Ok(cli) => cli,
        Err(error) => return cli::refuse(&error, argv).into(),
    };
    let exec_condition = match &cli.command {
        Command::WaitOnline(wait) => wait.question.exec_condition,
        Command::Check(question) => question.exec_condition,
        _ => false,
    };
    match call(cli) {
        exit if exec_condition => exit.with_exec_condition().into(),
        Exit::Signal(number) => die::of_signal(number),
        exit => exit.code().into(),
    }
}

fn call(cli: Cli) -> Exit {
    let asked_root = cli.root;
    let setting = Setting {
        root: asked_root.clone().unwrap_or_else(|| PathBuf::from("/")),
        log: journal::start(cli.verbose, cli.quiet),
        quiet: cli.quiet,
    };
    match cli.command {
        Command::WaitOnline(args) => wait(Box::pin(question::wait_online(&args, &setting))),
        Command::Check(question) => wait(Box::pin(question::check(&question, &setting))),
        Command::Run(command) => wait(Box::pin(run::run(command, &setting))),
        Command::Lint(args) => wait(Box::pin(lint::lint(&args, asked_root.as_deref()))),
        Command::Guard(args) => wait(Box::pin(guard::guard(args, &setting))),
        Command::Watch(args) => wait(Box::pin(watch::watch(&args, &setting))),
        immediate => answer(&immediate, &setting.root),
    }
}

/// Runs a command that waits for the world, on this one thread. Boxed, so that there is one runtime in the program and
/// not one for each command.
fn wait(command: Pin<Box<dyn Future<Output = Result<Exit, Refusal>> + '_>>) -> Exit {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(command),
        Err(error) => Err(Refusal::new(
            Exit::Fault,
            &format!("cannot wait for anything: {error}"),
        )),
    };
    done.unwrap_or_else(|refusal| {
        tracing::error!("{refusal}");
        refusal.exit
    })
}

fn answer(command: &Command, root: &Path) -> Exit {
    let mut out = io::stdout().lock();
    match command {
        Command::Status(args) => printed(&status::status(
            args,
            root,
            &Dirs::of_process(root),
            &mut out,
        )),
        Command::Config(args) => {
            config::config(args, root, &mut out).unwrap_or_else(|error| printed(&Err(error)))
        }
        Command::DropIn(args) => drop_in::drop_in(args, root, &mut out),
        Command::Completions { shell } => printed(&cli::write_completions(*shell, &mut out)),
        Command::Man { dir } => printed(&cli::write_man(dir.as_deref(), &mut out)),
        _ => Exit::Fault,
    }
}

/// A reader who has seen enough (`| head`) is no fault.
fn printed(result: &io::Result<()>) -> Exit {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            tracing::error!("{error}");
            Exit::Fault
        }
        _ => Exit::Ok,
    }
}
