//! `upgrade-gate config`: the effective configuration, where each value comes from, and what is wrong with it.

use std::io::{self, Write};
use std::path::Path;

use serde_json::json;

use super::{prepare, printed};
use crate::cli::Config;
use crate::config::effective::Setting;
use crate::config::places::Places;
use crate::config::problem::{Errors, dotted};
use crate::config::profile::Profile;
use crate::config::{self, Chosen, Loaded, Overrides};
use crate::exit::Exit;
use crate::text::line::one_line;

/// Shows the profile in effect, or says all that is wrong with the configuration.
pub(super) fn config(args: &Config, root: &Path, out: &mut impl Write) -> Exit {
    let loaded = match config::load(&Places::below(root)) {
        Ok(loaded) => loaded,
        Err(errors) => return refuse(&errors, args.json, out),
    };
    match loaded.profile(args.profile.as_deref(), &Overrides::default()) {
        Ok(chosen) => {
            let auto = resolved(&chosen.profile, root);
            printed(&show(&loaded, &chosen, &auto, args.json, out))
        }
        Err(error) => {
            tracing::error!("{error}");
            Exit::Usage
        }
    }
}

/// What `auto` resolves to, a line each: the groups, all of which must be reached, and the notes.
fn resolved(profile: &Profile, root: &Path) -> Vec<String> {
    let derived = prepare::derive(profile, &[], root);
    let groups = derived.groups.iter().map(|group| {
        let targets: Vec<String> = group.iter().map(ToString::to_string).collect();
        targets.join(" or ")
    });
    let warnings = derived
        .warnings
        .iter()
        .map(|warning| format!("warning: {warning}"));
    groups
        .chain(derived.notes.iter().cloned())
        .chain(warnings)
        .collect()
}

/// Shows one profile in effect.
///
/// `auto` is what the entry `auto` resolves to and what could not be derived, one line each.
pub fn show(
    loaded: &Loaded,
    chosen: &Chosen,
    auto: &[String],
    json: bool,
    out: &mut impl Write,
) -> io::Result<()> {
    if json {
        write_json(loaded, chosen, auto, out)?;
    } else {
        write_toml(loaded, chosen, auto, out)?;
    }
    Ok(())
}

/// Says everything that is wrong; programs find it on standard output, too.
fn refuse(errors: &Errors, json: bool, out: &mut impl Write) -> Exit {
    for warning in &errors.warnings {
        tracing::warn!("{warning}");
    }
    for error in &errors.errors {
        tracing::error!("{error}");
    }
    let written = if json {
        writeln!(out, "{}", json!(errors))
    } else {
        Ok(())
    };
    match printed(&written) {
        Exit::Ok => Exit::Config,
        fault => fault,
    }
}

fn warnings(loaded: &Loaded, chosen: &Chosen) -> impl Iterator<Item = String> {
    let of_files = loaded.warnings.iter().map(ToString::to_string);
    of_files.chain(chosen.warning.clone())
}

/// TOML that can be pasted into a file; everything else is in comments.
fn write_toml(
    loaded: &Loaded,
    chosen: &Chosen,
    auto: &[String],
    out: &mut impl Write,
) -> io::Result<()> {
    for file in &loaded.files {
        writeln!(out, "# read {}", one_line(&file.to_string_lossy()))?;
    }
    for replaced in &loaded.replaced {
        writeln!(out, "# {}", one_line(&replaced.to_string()))?;
    }
    if loaded.files.is_empty() {
        writeln!(out, "# no configuration file")?;
    }
    for warning in warnings(loaded, chosen) {
        writeln!(out, "# warning: {}", one_line(&warning))?;
    }
    writeln!(out, "\n[{}]", dotted(&["profile", &chosen.profile.name]))?;
    write_settings(&chosen.settings, out)?;
    for (index, line) in auto.iter().enumerate() {
        let gap = if index == 0 { "\n" } else { "" };
        writeln!(out, "{gap}# auto: {}", one_line(line))?;
    }
    let guard = dotted(&["profile", &chosen.profile.name, "guard"]);
    writeln!(out, "\n[{guard}]")?;
    write_settings(&chosen.guard, out)?;
    writeln!(out, "\n[watch]")?;
    write_settings(&loaded.watch().1, out)
}

/// Longer values push their comment to the right, instead of everyone's.
const WIDEST: usize = 32;

fn write_settings(settings: &[Setting], out: &mut impl Write) -> io::Result<()> {
    let values: Vec<String> = settings
        .iter()
        .map(|setting| setting.value.to_string())
        .collect();
    let key_width = settings
        .iter()
        .map(|setting| setting.key.len())
        .max()
        .unwrap_or(0);
    let lengths = values.iter().map(|value| value.chars().count());
    let width = lengths
        .filter(|length| *length <= WIDEST)
        .max()
        .unwrap_or(0);
    for (Setting { key, origin, .. }, value) in settings.iter().zip(&values) {
        writeln!(out, "{key:key_width$} = {value:width$}  # {origin}")?;
    }
    Ok(())
}

fn write_json(
    loaded: &Loaded,
    chosen: &Chosen,
    auto: &[String],
    out: &mut impl Write,
) -> io::Result<()> {
    let answer = json!({
        "profile": chosen.profile.name,
        "files": loaded.files.iter().map(|file| file.to_string_lossy()).collect::<Vec<_>>(),
        "replaced": loaded.replaced,
        "warnings": warnings(loaded, chosen).collect::<Vec<_>>(),
        "settings": chosen.settings,
        "guard": chosen.guard,
        "auto": auto,
        "watch": loaded.watch().1,
    });
    writeln!(out, "{answer}")
}
