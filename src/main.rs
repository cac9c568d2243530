//! Arguments → one call → exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    let argv: Vec<_> = std::env::args_os().collect();
    upgrade_gate::commands::main(&argv)
}
