//! Arguments → one call → exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    upgrade_gate::commands::main(std::env::args_os().collect())
}
