//! Completions for shells.

use std::io;

use clap::ValueEnum;

use super::command;

/// The shells that completions are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, reason = "they would be in the help")]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// Writes the completions for `shell`.
pub fn write(shell: Shell, out: &mut dyn io::Write) -> io::Result<()> {
    let shell = match shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(
        shell,
        &mut without_hidden(&command()),
        "upgrade-gate",
        &mut script,
    );
    out.write_all(&script)
}

/// `clap_complete` offers hidden arguments too.
fn without_hidden(command: &clap::Command) -> clap::Command {
    clap::Command::new("upgrade-gate")
        .args(command.get_arguments().filter(|arg| !arg.is_hide_set()))
        .subcommands(command.get_subcommands())
        .version(env!("CARGO_PKG_VERSION"))
}
