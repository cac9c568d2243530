//! `drop-in`: the drop-in that gates a service, printed, written, or removed.
//!
//! It is made from the unit's files, and not from what systemd has loaded: they are what systemd reads with it.

mod file;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use self::file::DropInFile;
use super::prepare::Refusal;
use super::printed;
use crate::cli::DropIn;
use crate::exit::Exit;
use crate::restart::drop_in::{self, Mode, Wish};
use crate::restart::exec_line::Specifiers;
use crate::restart::read::files::{Files, Read};
use crate::restart::read::service_name;
use crate::restart::unit::{Load, Unit};
use crate::restart::version::Version;

/// Carries out the command.
pub(super) fn drop_in(args: &DropIn, root: &Path, out: &mut impl Write) -> Exit {
    let done = if args.remove {
        remove(args, root, out)
    } else {
        make(args, root, out)
    };
    match done {
        Ok(result) => printed(&result),
        Err(refusal) => {
            tracing::error!("{refusal}");
            refusal.exit
        }
    }
}

fn make(args: &DropIn, root: &Path, out: &mut impl Write) -> Result<io::Result<()>, Refusal> {
    let files = Files::below(root);
    let name = name(args)?;
    let file = DropInFile::of(&files, &files.unit(&name).unit.name);
    // Ours is about to be replaced, so that the unit is looked at as if it were not there.
    let ours = file.is_ours().map_err(|why| unavailable(&why))?;
    let files = if ours {
        files.without(file.path())
    } else {
        files
    };
    let read = files.unit(&name);
    let text = text(args, root, &files, &read).map_err(|why| unavailable(&why))?;
    warn(&read, args, &files);
    if !args.write {
        return Ok(out.write_all(text.as_bytes()));
    }
    file.write(&text).map_err(|why| unavailable(&why))?;
    warn_of_later(&read.unit, &file);
    Ok(said(out, "wrote", &file))
}

fn remove(args: &DropIn, root: &Path, out: &mut impl Write) -> Result<io::Result<()>, Refusal> {
    let files = Files::below(root);
    let name = name(args)?;
    let file = DropInFile::of(&files, &files.unit(&name).unit.name);
    file.remove().map_err(|why| unavailable(&why))?;
    Ok(said(out, "removed", &file))
}

fn said(out: &mut impl Write, what: &str, file: &DropInFile) -> io::Result<()> {
    writeln!(out, "{what} {}", file.path().display())?;
    writeln!(out, "systemd reads it anew at: systemctl daemon-reload")
}

fn text(
    args: &DropIn,
    root: &Path,
    files: &Files,
    read: &Read,
) -> Result<String, drop_in::Refusal> {
    let stem = read.unit.name.trim_end_matches(".service");
    drop_in::text(&Wish {
        unit: &read.unit,
        surroundings: &read.surroundings,
        specifiers: Specifiers::Written,
        version: files.version().unwrap_or(Version::OLDEST),
        mode: args.mode,
        profile: args.profile.as_deref().unwrap_or(stem),
        program: &program(root).to_string_lossy(),
    })
}

fn name(args: &DropIn) -> Result<String, Refusal> {
    let name = service_name(&args.unit);
    let name = name.map_err(|error| Refusal::new(Exit::Usage, &error))?;
    if name.contains('/') {
        let why = format!("{name} is no name of a unit: it has a slash");
        return Err(Refusal::new(Exit::Usage, &why));
    }
    Ok(name.into_owned())
}

fn unavailable(why: &impl ToString) -> Refusal {
    Refusal::new(Exit::Unavailable, why)
}

/// What systemd leaves out of the unit, and whether there is a companion to require.
fn warn(read: &Read, args: &DropIn, files: &Files) {
    for warning in &read.warnings {
        tracing::warn!("{warning}");
    }
    let companion = || files.unit("upgrade-gate@x.service").unit.load;
    if args.mode == Mode::Companion && companion() == Load::NotFound {
        tracing::warn!(
            "upgrade-gate@.service is not installed: without it {} cannot be started; it is among upgrade-gate's units",
            read.unit.name
        );
    }
}

/// Drop-ins are read in the order of their names.
fn warn_of_later(unit: &Unit, file: &DropInFile) {
    let later = unit.drop_ins.iter();
    for path in later.filter(|path| path.file_name() > file.path().file_name()) {
        tracing::warn!(
            "{} is read after {} and may undo it: see systemctl cat {}",
            path.display(),
            file.path().display(),
            unit.name
        );
    }
}

/// Where distributions have the program, by names that stay when it is replaced by a newer one.
const PLACES: &[&str] = &[
    "/usr/bin/upgrade-gate",
    "/run/current-system/sw/bin/upgrade-gate",
    "/usr/local/bin/upgrade-gate",
];

/// The path of this program, as a unit should have it; of another system's, the usual one.
fn program(root: &Path) -> PathBuf {
    let usual = PathBuf::from(PLACES[0]);
    if root != Path::new("/") {
        return usual;
    }
    let own = std::env::current_exe().and_then(|path| path.canonicalize());
    let Ok(own) = own else { return usual };
    let places = PLACES.iter().map(PathBuf::from);
    let mut same = places.filter(|place| place.canonicalize().is_ok_and(|path| path == own));
    same.next().unwrap_or(own)
}
