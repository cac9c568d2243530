//! systemd's command lines (systemd.service(5), "Command lines"): read into [`Exec`]s, and written back.
//!
//! Pure. What is written is read by systemd, and by [`parse`], as the same command.

mod specifiers;

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

/// Whether the words of a command still have specifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Specifiers {
    /// They were read from a file: `%i` stands for something, and `%%` for a percent sign.
    Written,
    /// systemd has resolved them: `%` is a percent sign.
    Resolved,
}

/// What separates words.
const BLANK: [char; 4] = [' ', '\t', '\n', '\r'];
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

/// The words of a value that is not a command, as of `Environment=`; up to what cannot be read.
pub fn words(value: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = value;
    while let Ok(Some((found, after))) = word(rest, &mut Vec::new()) {
        words.push(found);
        rest = after;
    }
    words
}

/// Whether this stands in a value as a word of its own, without quotes.
pub fn has_unquoted(value: &str, sought: &str) -> bool {
    let mut rest = value.trim_start_matches(BLANK);
    while let Ok(Some((_, after))) = word(rest, &mut Vec::new()) {
        let written = &rest[..rest.len() - after.len()];
        if written.trim_end_matches(BLANK) == sought {
            return true;
        }
        rest = after.trim_start_matches(BLANK);
    }
    false
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

/// One word, its quotes and escapes resolved, and what follows it; nothing at the end.
///
/// systemd reads a word with an unknown escape once more, and then keeps all unknown ones as they are.
fn word<'a>(
    text: &'a str,
    warnings: &mut Vec<String>,
) -> Result<Option<(String, &'a str)>, String> {
    let text = text.trim_start_matches(BLANK);
    if text.is_empty() {
        return Ok(None);
    }
    let mut unknown = false;
    let (bytes, rest) =
        unquoted(text, &mut unknown).ok_or_else(|| format!("a quote is not closed: {text}"))?;
    let word =
        String::from_utf8(bytes).map_err(|_| format!("escapes are not valid UTF-8: {text}"))?;
    if unknown {
        warnings.push(format!("unknown escapes are kept as they are: {word}"));
    }
    Ok(Some((word, rest)))
}

/// The bytes of the first word, and what follows it; nothing if a quote is not closed.
fn unquoted<'a>(text: &'a str, unknown: &mut bool) -> Option<(Vec<u8>, &'a str)> {
    let mut bytes = Vec::new();
    let mut quote = None;
    let mut rest = text;
    while let Some((c, after)) = split_first(rest) {
        rest = after;
        match (quote, c) {
            (_, '\\') => rest = unescaped(after, &mut bytes, unknown),
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, c) if BLANK.contains(&c) => return Some((bytes, after)),
            _ => push(&mut bytes, c),
        }
    }
    quote.is_none().then_some((bytes, rest))
}

/// Appends what the escape stands for, or itself if it is unknown; what follows it.
fn unescaped<'a>(text: &'a str, bytes: &mut Vec<u8>, unknown: &mut bool) -> &'a str {
    if let Some((meant, after)) = escape(text) {
        bytes.extend(meant);
        return after;
    }
    *unknown = true;
    bytes.push(b'\\');
    let Some((c, after)) = split_first(text) else {
        return text;
    };
    push(bytes, c);
    after
}

/// What the escape that begins after a backslash stands for, and what follows it; NUL is none.
fn escape(text: &str) -> Option<(Vec<u8>, &str)> {
    let (c, after) = split_first(text)?;
    let byte = match c {
        'a' => b'\x07',
        'b' => b'\x08',
        'f' => b'\x0c',
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => b'\x0b',
        's' => b' ',
        '\\' | '"' | '\'' => c as u8,
        'x' => return digits(after, 2, 16).and_then(|(code, after)| eight_bits(code, after)),
        '0'..='7' => return digits(text, 3, 8).and_then(|(code, after)| eight_bits(code, after)),
        'u' => return digits(after, 4, 16).and_then(|(code, after)| unicode(code, after)),
        'U' => return digits(after, 8, 16).and_then(|(code, after)| unicode(code, after)),
        _ => return None,
    };
    Some((vec![byte], after))
}

fn digits(text: &str, count: usize, radix: u32) -> Option<(u32, &str)> {
    let (digits, after) = text.split_at_checked(count)?;
    let all = digits.chars().all(|digit| digit.is_digit(radix));
    let code = u32::from_str_radix(digits, radix).ok().filter(|_| all)?;
    (code != 0).then_some((code, after))
}

fn eight_bits(code: u32, after: &str) -> Option<(Vec<u8>, &str)> {
    Some((vec![u8::try_from(code).ok()?], after))
}

fn unicode(code: u32, after: &str) -> Option<(Vec<u8>, &str)> {
    Some((char::from_u32(code)?.to_string().into_bytes(), after))
}

fn split_first(text: &str) -> Option<(char, &str)> {
    let first = text.chars().next()?;
    Some((first, &text[first.len_utf8()..]))
}

fn push(bytes: &mut Vec<u8>, c: char) {
    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

/// Writes the command as the value of an `Exec…=` setting.
///
/// `$` is left alone: it is what systemd substitutes at every start. NUL cannot be written, nor be in a command.
pub fn print(exec: &Exec, specifiers: Specifiers) -> String {
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
    let quoted = words.iter().map(|word| quote(word, specifiers));
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
pub fn quote(word: &str, specifiers: Specifiers) -> String {
    let word = match specifiers {
        Specifiers::Written => word.to_owned(),
        Specifiers::Resolved => word.replace('%', "%%"),
    };
    let special = |c: char| c.is_ascii_control() || matches!(c, ' ' | '\'' | '"' | '\\');
    if word.is_empty() || word == ";" || word.contains(special) {
        let inner: String = word.chars().map(escaped).collect();
        return format!("\"{inner}\"");
    }
    word
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

#[cfg(test)]
mod tests;
