//! Arguments → one call → exit code.

use std::ffi::OsStr;
use std::process::ExitCode;

use upgrade_gate::run::{child, die};

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    match args.next().as_deref().and_then(OsStr::to_str) {
        Some(child::SUBCOMMAND) => child::main(args),
        Some(die::SUBCOMMAND) => die::main(args),
        _ => ExitCode::from(64),
    }
}
