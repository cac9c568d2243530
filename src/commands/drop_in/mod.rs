//! `drop-in`: the drop-in that gates a service, printed, written, or removed.
//!
//! It is made from the unit's files, and not from what systemd has loaded: they are what systemd reads with it.

mod file;
mod names;
mod program;
mod script;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use self::file::{DropInFile, Unwritable};
use super::prepare::Refusal;
use super::printed;
use crate::cli::DropIn;
use crate::exit::Exit;
use crate::sys::files::below;
use crate::systemd::drop_in;
use crate::systemd::drop_in::{DropInRefusal, DropInSpec, DropIns, GateMode};
use crate::systemd::read::files::{ParsedUnit, UnitFiles};
use crate::systemd::read::scope::{Scope, UnitPaths};
use crate::systemd::unit::{Load, Unit};
use crate::systemd::version::Version;

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

/// Where the unit is looked for, and its drop-ins are.
struct DropInPlace {
    files: UnitFiles,
    /// Where `UNIT.d` is.
    own: PathBuf,
    scope: Scope,
    /// The unit's own name.
    unit: String,
    file: DropInFile,
}

impl DropInPlace {
    fn of(args: &DropIn, root: &Path) -> Result<Self, Refusal> {
        let wanted = names::unit(&args.unit)?;
        let scope = args.scope.scope();
        let paths = unit_paths(args, root)?;
        let own = paths.own.clone();
        let own = own.ok_or_else(|| {
            unavailable(&"cannot tell where your units are: set $HOME or $XDG_CONFIG_HOME")
        })?;
        let files = UnitFiles::in_paths(root, paths);
        let unit = files.unit(&wanted).unit.name;
        let file = DropInFile::of(&files, scope, &own, &unit);
        Ok(Self {
            files,
            own,
            scope,
            unit,
            file,
        })
    }

    /// The file of a companion's drop-in.
    fn of_companion(&self, name: &str) -> DropInFile {
        DropInFile::of_companion(&self.files, self.scope, &self.own, name, &self.unit)
    }

    /// That of the companion which the unit has required so far, if it is ours.
    fn earlier_companion(&self) -> Option<DropInFile> {
        let file = self.of_companion(&self.file.companion()?);
        file.is_ours().ok()?.then_some(file)
    }
}

/// Those of the scope, unless the command line names others.
fn unit_paths(args: &DropIn, root: &Path) -> Result<UnitPaths, Refusal> {
    let absolute = |dir: &PathBuf| std::path::absolute(dir).map_err(|why| unavailable(&why));
    let mut paths = UnitPaths::of(args.scope.scope());
    if let Some(dir) = &args.units {
        let own = paths.own;
        let dir = absolute(dir)?;
        if !below(root, &dir).is_dir() {
            let dir = dir.display();
            let why = format!("no directory {dir}; --units expects one with unit files");
            return Err(Refusal::new(Exit::Usage, &why));
        }
        paths = UnitPaths::only(&dir);
        paths.own = own;
    }
    if let Some(dir) = &args.output {
        paths.own = Some(absolute(dir)?);
    }
    Ok(paths)
}

fn make(args: &DropIn, root: &Path, out: &mut impl Write) -> Result<io::Result<()>, Refusal> {
    let mut place = DropInPlace::of(args, root)?;
    // Ours is about to be replaced, so that the unit is looked at as if it were not there.
    if place.file.is_ours().map_err(|why| unavailable(&why))? {
        place.files = place.files.without(place.file.path());
    }
    let read = place.files.unit(&place.unit);
    let made = made(args, root, &place.files, &read)?;
    warn(&read, &made, &place.files, version(args, &place.files));
    if !args.write && args.output.is_none() {
        return Ok(print(&made, &place, out));
    }
    let written = write(&made, &place).map_err(|why| unavailable(&why))?;
    warn_of_later(&read.unit, &place.file);
    if let Some(why) = &made.why {
        tracing::info!("mode companion, and not run: {why}");
    }
    Ok(said(out, "wrote", &written, reload(args, root)))
}

fn print(made: &DropIns, place: &DropInPlace, out: &mut impl Write) -> io::Result<()> {
    out.write_all(made.own.as_bytes())?;
    if let Some((name, text)) = &made.companion {
        let file = place.of_companion(name);
        writeln!(out, "\n# {}", file.path().display())?;
        out.write_all(text.as_bytes())?;
    }
    Ok(())
}

/// Writes both; the paths of what was written.
fn write(made: &DropIns, place: &DropInPlace) -> Result<Vec<PathBuf>, Unwritable> {
    let earlier = place.earlier_companion();
    let mut written = Vec::new();
    if let Some((name, text)) = &made.companion {
        let file = place.of_companion(name);
        file.write(text)?;
        written.push(file.shown().to_owned());
    }
    place.file.write(&made.own)?;
    if let Some(earlier) = earlier.filter(|file| !written.iter().any(|path| path == file.shown())) {
        earlier.remove()?;
    }
    written.insert(0, place.file.shown().to_owned());
    Ok(written)
}

fn remove(args: &DropIn, root: &Path, out: &mut impl Write) -> Result<io::Result<()>, Refusal> {
    let place = DropInPlace::of(args, root)?;
    let companion = place.earlier_companion();
    let files = std::iter::once(&place.file).chain(&companion);
    let mut removed = Vec::new();
    for file in files {
        file.remove().map_err(|why| unavailable(&why))?;
        removed.push(file.shown().to_owned());
    }
    Ok(said(out, "removed", &removed, reload(args, root)))
}

fn said(
    out: &mut impl Write,
    what: &str,
    paths: &[PathBuf],
    reload: Option<&str>,
) -> io::Result<()> {
    for path in paths {
        writeln!(out, "{what} {}", path.display())?;
    }
    reload.map_or(Ok(()), |reload| writeln!(out, "{reload}"))
}

/// How systemd comes to read it; nothing where the running one does not look.
fn reload(args: &DropIn, root: &Path) -> Option<&'static str> {
    is_running(args, root).then_some(match args.scope.scope() {
        Scope::System => "run \"systemctl daemon-reload\" to apply",
        Scope::User => "run \"systemctl --user daemon-reload\" to apply",
        Scope::Global => "run \"systemctl --user daemon-reload\" as each user to apply",
    })
}

fn made(
    args: &DropIn,
    root: &Path,
    files: &UnitFiles,
    read: &ParsedUnit,
) -> Result<DropIns, Refusal> {
    let scope = args.scope.scope();
    let program = match &args.program {
        Some(path) => path.clone(),
        None => program::path(root, scope).map_err(|why| unavailable(&why))?,
    };
    let service = read.unit.service.as_ref();
    let gated_script = service.and_then(|service| script::gated(files, service));
    let spec = DropInSpec {
        unit: &read.unit,
        surroundings: &read.surroundings,
        scope,
        mode: args.mode.unwrap_or(GateMode::Run),
        profile: &names::profile(args.profile.as_deref(), &read.unit.name)?,
        program: &program.to_string_lossy(),
        gated_script: gated_script.as_deref(),
    };
    let made = match args.mode {
        Some(_) => drop_in::in_mode(&spec),
        None => drop_in::chosen(&spec),
    };
    made.map_err(|why| match why {
        DropInRefusal::NotFound(_) if args.units.is_none() && is_running(args, root) => {
            let flag = scope.flag().map(|flag| format!(" {flag}"));
            let flag = flag.unwrap_or_default();
            unavailable(&format!(
                "{why}; to list them: systemctl{flag} list-unit-files"
            ))
        }
        why => unavailable(&why),
    })
}

/// Whether it is for this machine's systemd.
fn is_running(args: &DropIn, root: &Path) -> bool {
    args.output.is_none() && root == Path::new("/")
}

/// The systemd that reads the drop-in; a directory of units does not tell, and a NixOS system has a recent one.
fn version(args: &DropIn, files: &UnitFiles) -> Version {
    match args.units {
        Some(_) => Version::NEWEST,
        None => files.version().unwrap_or(Version::OLDEST),
    }
}

fn unavailable(why: &impl ToString) -> Refusal {
    Refusal::new(Exit::Unavailable, why)
}

/// What systemd leaves out of the unit, and whether there is a companion to require.
fn warn(read: &ParsedUnit, made: &DropIns, files: &UnitFiles, version: Version) {
    let ignored = read.unit.ignored.iter();
    let known = ignored.filter(|ignored| !ignored.by(version));
    let known: Vec<_> = known.map(ToString::to_string).collect();
    let warnings = read.warnings.iter();
    for warning in warnings.filter(|warning| !known.contains(warning)) {
        tracing::warn!("{warning}");
    }
    let companion = || files.unit("upgrade-gate@x.service").unit.load;
    if let Some(untold) = &made.untold {
        tracing::warn!("{untold}");
    }
    if made.mode == GateMode::Companion && companion() == Load::NotFound {
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn reload_after(options: &str, root: &str) -> Option<&'static str> {
        let words = format!("upgrade-gate drop-in u --write {options}");
        let Command::DropIn(args) = Cli::parse_from(words.split_whitespace()).command else {
            panic!("another command");
        };
        reload(&args, Path::new(root))
    }

    #[test]
    fn a_reload_is_asked_for_where_the_running_systemd_looks() {
        for (options, command) in [
            ("", "\"systemctl daemon-reload\" to"),
            ("--user", "\"systemctl --user daemon-reload\" to"),
            ("--global", "as each user"),
        ] {
            let told = reload_after(options, "/").unwrap();
            assert!(told.contains(command), "{told}");
            assert_eq!(reload_after(options, "/mnt"), None);
        }
        assert_eq!(reload_after("--output /out", "/"), None);
    }
}
