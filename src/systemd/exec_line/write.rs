//! Commands, written as systemd reads them. Pure.

use super::LOGIN_SHELL;
use crate::systemd::unit::{Exec, Prefixes, Privileges};

/// Writes the command as the value of an `Exec…=` setting.
///
/// `$` is left alone: it is what systemd substitutes at every start. NUL cannot be written, nor be in a command.
pub fn print(exec: &Exec) -> String {
    let mut words = Vec::new();
    let mut first = prefixes(exec.prefixes);
    let mut argv = exec.argv.iter();
    let argv0 = argv.next().map_or("", String::as_str);
    if exec.prefixes.via_shell {
        if argv0 == LOGIN_SHELL {
            first.push('@');
        }
        first.extend(argv.next().map(String::as_str));
        words.push(first);
    } else if argv0 == exec.path && !exec.path.starts_with('@') {
        words.push(first + &exec.path);
    } else {
        words.extend([format!("{first}@{}", exec.path), argv0.to_owned()]);
    }
    words.extend(argv.cloned());
    let quoted = words.iter().map(|word| quote(word));
    quoted.collect::<Vec<_>>().join(" ")
}

fn prefixes(prefixes: Prefixes) -> String {
    let privileges = match prefixes.privileges {
        Privileges::Unit => "",
        Privileges::Full => "+",
        Privileges::NoSetuid => "!",
        Privileges::Ambient => "!!",
    };
    let sign = |set: bool, sign: &'static str| if set { sign } else { "" };
    [
        sign(prefixes.ignore_failure, "-"),
        sign(prefixes.no_env_expand, ":"),
        privileges,
        sign(prefixes.via_shell, "|"),
    ]
    .concat()
}

/// A word as it must be written to be read as itself.
pub fn quote(word: &str) -> String {
    let special = |c: char| c.is_ascii_control() || matches!(c, ' ' | '\'' | '"' | '\\');
    if word.is_empty() || word == ";" || word.contains(special) {
        let inner: String = word.chars().map(escaped).collect();
        return format!("\"{inner}\"");
    }
    word.to_owned()
}

/// A character as it is written between double quotes.
fn escaped(c: char) -> String {
    match c {
        '\\' | '"' => format!("\\{c}"),
        '\n' => "\\n".to_owned(),
        '\t' => "\\t".to_owned(),
        c if c.is_ascii_control() => format!("\\x{:02x}", u32::from(c)),
        c => c.to_string(),
    }
}
