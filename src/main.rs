//! Arguments → one call → exit code.

use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use upgrade_gate::cli::{self, Cli, Command};
use upgrade_gate::commands::status;
use upgrade_gate::exit::Exit;

fn main() -> ExitCode {
    let argv: Vec<OsString> = env::args_os().collect();
    match cli::parse(&argv) {
        Ok(arguments) => called(&arguments).code().into(),
        Err(error) => cli::refuse(&error, &argv).into(),
    }
}

fn called(cli: &Cli) -> Exit {
    let mut out = io::stdout().lock();
    match &cli.command {
        Command::Status(args) => {
            let xdg = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
            let dirs = status::gates_dirs(cli.root.as_deref(), xdg);
            printed(&status::status(args, &dirs, &mut out))
        }
        Command::Completions { shell } => printed(&cli::write_completions(*shell, &mut out)),
        Command::Man { dir } => printed(&cli::write_man(dir.as_deref(), &mut out)),
        _ => fault("not wired"),
    }
}

/// A reader who has seen enough (`| head`) is no fault.
fn printed(result: &io::Result<()>) -> Exit {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => fault(&error.to_string()),
        _ => Exit::Ok,
    }
}

fn fault(text: &str) -> Exit {
    // A closed standard error leaves nobody to tell.
    let _ = writeln!(io::stderr(), "upgrade-gate: {text}");
    Exit::Fault
}
