//! systemd's command lines (systemd.service(5), "Command lines"): read into [`Exec`]s, and written back.
//!
//! Pure. What is written is read by systemd, and by [`parse`], as the same command.

mod specifiers;
mod word;
mod write;

use self::word::{BLANK, word};
pub use self::word::{has_unquoted, strict_words, words};
pub use self::write::{print, quote};
use super::unit::{Exec, Prefixes, Privileges};

/// What a setting's value says; systemd goes on with what it could read of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    /// The commands, more than one if the line has a `;` of its own. None at all resets the list.
    pub commands: Vec<Exec>,
    /// What systemd warns of, and leaves out.
    pub warnings: Vec<String>,
    /// Why systemd refuses the whole unit.
    pub refused: Option<String>,
}

/// What systemd calls the shell of `|` over D-Bus; which shell it is depends on the user.
const SHELL: &str = "/bin/sh";
const LOGIN_SHELL: &str = "-sh";

/// Reads the value of an `Exec…=` setting whose lines are joined. Never fails: see [`Parsed`].
pub fn parse(value: &str) -> Parsed {
    let mut parsed = Parsed::default();
    let mut rest = value;
    while let Some(after) = command(rest, &mut parsed) {
        rest = after;
    }
    parsed
}

/// Reads one command; what follows its `;`, if there is one.
fn command<'a>(text: &'a str, parsed: &mut Parsed) -> Option<&'a str> {
    // Without a first word systemd does not even refuse the line.
    let (first, mut rest) = match word(text, &mut parsed.warnings) {
        Ok(found) => found?,
        Err(problem) => {
            parsed.warnings.push(problem);
            return None;
        }
    };
    if first == ";" {
        return Some(rest);
    }
    let head = Head::new(&first);
    let mut words = Vec::new();
    let mut more = false;
    let read = loop {
        match next(rest, &mut parsed.warnings) {
            Ok(Token::Word(word, after)) => {
                words.push(word);
                rest = after;
            }
            Ok(Token::Semicolon(after)) => {
                rest = after;
                more = true;
                break Ok(());
            }
            Ok(Token::End) => break Ok(()),
            Err(problem) => break Err(problem),
        }
    };
    let known = read.and_then(|()| specifiers::all_known(&first, &words));
    match known.and_then(|()| head.exec(words)) {
        Ok(exec) => parsed.commands.push(exec),
        Err(problem) if head.prefixes.ignore_failure => {
            parsed.warnings.push(problem);
            return None;
        }
        Err(problem) => {
            parsed.refused = Some(problem);
            return None;
        }
    }
    more.then_some(rest)
}

/// What follows within a command.
enum Token<'a> {
    Word(String, &'a str),
    Semicolon(&'a str),
    End,
}

/// A lone `;` ends the command, a lone `\;` is a word; in quotes it is nothing special.
fn next<'a>(text: &'a str, warnings: &mut Vec<String>) -> Result<Token<'a>, String> {
    let text = text.trim_start_matches(BLANK);
    if let Some(after) = lone(text, ";") {
        return Ok(Token::Semicolon(after));
    }
    if let Some(after) = lone(text, "\\;") {
        return Ok(Token::Word(";".to_owned(), after));
    }
    let found = word(text, warnings)?;
    Ok(found.map_or(Token::End, |(word, after)| Token::Word(word, after)))
}

/// What follows `token`, if it stands alone.
fn lone<'a>(text: &'a str, token: &str) -> Option<&'a str> {
    text.strip_prefix(token)
        .filter(|after| after.is_empty() || after.starts_with(BLANK))
}

/// The first word of a command, its prefixes split off.
struct Head<'a> {
    prefixes: Prefixes,
    own_argv0: bool,
    path: &'a str,
}

impl<'a> Head<'a> {
    /// Each prefix counts once: a second one of its kind begins the path.
    fn new(first: &'a str) -> Self {
        let mut head = Self {
            prefixes: Prefixes::default(),
            own_argv0: false,
            path: first,
        };
        while head.take_prefix() {}
        head
    }

    fn take_prefix(&mut self) -> bool {
        let Some(prefix) = self.path.chars().next() else {
            return false;
        };
        let prefixes = &mut self.prefixes;
        match prefix {
            '-' if !prefixes.ignore_failure => prefixes.ignore_failure = true,
            '@' if !self.own_argv0 => self.own_argv0 = true,
            ':' if !prefixes.no_env_expand => prefixes.no_env_expand = true,
            '|' if !prefixes.via_shell => prefixes.via_shell = true,
            '+' if prefixes.privileges == Privileges::Unit => {
                prefixes.privileges = Privileges::Full;
            }
            '!' if prefixes.privileges == Privileges::Unit => {
                prefixes.privileges = Privileges::NoSetuid;
            }
            '!' if prefixes.privileges == Privileges::NoSetuid => {
                prefixes.privileges = Privileges::Ambient;
            }
            _ => return false,
        }
        self.path = &self.path[1..];
        true
    }

    /// The command of these further words.
    fn exec(&self, mut words: Vec<String>) -> Result<Exec, String> {
        if self.prefixes.via_shell {
            return Ok(self.via_shell(words));
        }
        self.check_path()?;
        if !self.own_argv0 {
            words.insert(0, self.path.to_owned());
        }
        if words.is_empty() {
            return Err(format!("@{} is not followed by an argv[0]", self.path));
        }
        Ok(Exec {
            prefixes: self.prefixes,
            path: self.path.to_owned(),
            argv: words,
        })
    }

    /// As systemd tells it over D-Bus: a shell, and the words that are handed to it, if any.
    fn via_shell(&self, mut words: Vec<String>) -> Exec {
        if !self.path.is_empty() {
            words.insert(0, self.path.to_owned());
        }
        let shell = if self.own_argv0 { LOGIN_SHELL } else { "sh" };
        words.insert(0, shell.to_owned());
        Exec {
            prefixes: self.prefixes,
            path: SHELL.to_owned(),
            argv: words,
        }
    }

    /// What systemd asks of a path. What a specifier stands for is not known here.
    fn check_path(&self) -> Result<(), String> {
        let path = self.path;
        let relative = !path.starts_with('/') && path.contains('/');
        let problem = if path.is_empty() {
            "the command line is empty"
        } else if path.chars().any(|c| c < ' ' || c == '\x7f') {
            "the path has control characters"
        } else if path.ends_with('/') || path == "." || path == ".." {
            "the path is a directory"
        } else if relative && !path.contains('%') {
            "the path is neither absolute nor a name"
        } else {
            return Ok(());
        };
        Err(format!("{problem}: {path:?}"))
    }
}

#[cfg(test)]
mod tests;
