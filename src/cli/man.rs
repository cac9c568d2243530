//! The man pages: clap's own sections, and the tables that only the code knows for sure.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use clap::CommandFactory;
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, roman};

use super::{Cli, wait_online_flag};
use crate::exit::{EXEC_CONDITION_TABLE, Row, TABLE};
use crate::gate::reason::Reason;
use crate::sys::limits;

/// Writes upgrade-gate(1) to `out`, or, with a directory, every page into a file of its own there.
pub fn write(dir: Option<&Path>, out: &mut dyn Write) -> io::Result<()> {
    let Some(dir) = dir else {
        return out.write_all(&page(&main())?);
    };
    write_pages(dir, &main())
}

/// The page of a command, and those of its commands.
fn write_pages(dir: &Path, command: &clap::Command) -> io::Result<()> {
    write_page(dir, command)?;
    command
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
        .try_for_each(|command| write_pages(dir, command))
}

fn main() -> clap::Command {
    let mut command = Cli::command()
        .arg(wait_online_flag())
        .disable_help_subcommand(true);
    command.build();
    command
}

fn write_page(dir: &Path, command: &clap::Command) -> io::Result<()> {
    let path = dir.join(format!("{}.1", name(command)));
    fs::write(&path, page(command)?).map_err(|e| {
        io::Error::new(
            e.kind(),
            format!("cannot write {}: {}", path.display(), limits::refusal(&e)),
        )
    })
}

fn name(command: &clap::Command) -> &str {
    command
        .get_display_name()
        .unwrap_or_else(|| command.get_name())
}

fn page(command: &clap::Command) -> io::Result<Vec<u8>> {
    let man = Man::new(command.clone()).manual("upgrade-gate");
    let mut out = Vec::new();
    man.render_title(&mut out)?;
    man.render_name_section(&mut out)?;
    man.render_synopsis_section(&mut out)?;
    man.render_description_section(&mut out)?;
    let mut options = Vec::new();
    man.render_options_section(&mut options)?;
    out.extend(rows_apart(&options));
    if command.has_subcommands() {
        man.render_subcommands_section(&mut out)?;
    }
    own_sections(command).to_writer(&mut out)?;
    Ok(out)
}

/// Rows of a table, which have gaps, begin a line each: roff fills lines otherwise.
fn rows_apart(roff: &[u8]) -> Vec<u8> {
    let lines = roff.split_inclusive(|byte| *byte == b'\n');
    let is_row = |line: &[u8]| line.windows(3).any(|part| part == b"   ");
    let apart =
        lines.map(|line| [if is_row(line) { ".br\n" } else { "" }.as_bytes(), line].concat());
    apart.flatten().collect()
}

fn own_sections(command: &clap::Command) -> Roff {
    let mut roff = Roff::new();
    after_options(&mut roff, command);
    codes(&mut roff, "EXIT STATUS", TABLE);
    if command.get_name() == "upgrade-gate" {
        codes(
            &mut roff,
            "EXIT STATUS WITH --exec-condition",
            EXEC_CONDITION_TABLE,
        );
        reasons(&mut roff);
    } else {
        see_also(&mut roff);
    }
    roff
}

/// What help says after the options: examples, and what stands before them.
fn after_options(roff: &mut Roff, command: &clap::Command) {
    let text = command
        .get_after_long_help()
        .map(ToString::to_string)
        .unwrap_or_default();
    let (notes, examples) = text.split_once("Examples:\n").unwrap_or((&text, ""));
    section(roff, "NOTES", notes);
    section(roff, "EXAMPLES", examples);
}

fn section(roff: &mut Roff, heading: &str, text: &str) {
    if text.is_empty() {
        return;
    }
    roff.control("SH", [heading]).control("nf", []);
    for line in text.trim_end().lines() {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
}

fn codes(roff: &mut Roff, heading: &str, rows: &[Row]) {
    roff.control("SH", [heading]);
    for row in rows {
        let title = match row.name {
            "" => vec![bold(row.code)],
            name => vec![bold(row.code), roman(format!(" ({name})"))],
        };
        entry(roff, title, row.meaning);
    }
}

fn reasons(roff: &mut Roff) {
    roff.control("SH", ["REASONS"])
        .text([roman("Why a gate is held:")]);
    for reason in Reason::ALL {
        let mut title = vec![bold(reason.label())];
        if reason.is_soft() {
            title.push(roman(" (can be waived with --allow)"));
        }
        entry(roff, title, reason.meaning());
    }
}

fn entry(roff: &mut Roff, title: Vec<Inline>, text: &str) {
    roff.control("TP", []).text(title).text([roman(text)]);
}

fn see_also(roff: &mut Roff) {
    roff.control("SH", ["SEE ALSO"]).text([
        bold("upgrade-gate"),
        roman("(1), for what the reasons mean"),
    ]);
}
