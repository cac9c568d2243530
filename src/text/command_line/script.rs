//! A shell script, taken apart into its simple commands. Pure; no shell, but enough of one to know what is run.

use std::str::Chars;

/// The simple commands of a script, their quotes removed and their redirections left out; those of a command
/// substitution come before the command it is part of. The text of a here-document is taken for commands.
pub(super) fn split(text: &str) -> Vec<Vec<String>> {
    let mut reader = ScriptReader {
        rest: text.chars(),
        commands: Vec::new(),
        words: Vec::new(),
        word: None,
        is_file: false,
    };
    while let Some(c) = reader.rest.next() {
        reader.take(c);
    }
    reader.end_command();
    reader.commands
}

/// The command without the words of the shell's own that stand before it, and without the variables set for it.
pub(super) fn without_keywords(words: &[String]) -> &[String] {
    let is_keyword = |word: &String| KEYWORDS.contains(&word.as_str()) || is_assignment(word);
    let start = words.iter().position(|word| !is_keyword(word));
    match &words[start.unwrap_or(words.len())..] {
        [word, ..] if HEADS.contains(&word.as_str()) => &[],
        rest => rest,
    }
}

/// `NAME=VALUE`.
pub(super) fn is_assignment(word: &str) -> bool {
    let name = word
        .split_once('=')
        .map(|(name, _)| name.trim_end_matches('+'));
    name.is_some_and(|name| {
        !name.is_empty()
            && !name.starts_with(|first: char| first.is_ascii_digit())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    })
}

/// A command may follow these.
const KEYWORDS: &[&str] = &[
    "if", "then", "else", "elif", "fi", "while", "until", "do", "done", "esac", "{", "}", "!",
    "coproc",
];
/// No command follows these.
const HEADS: &[&str] = &["for", "case", "select", "function"];

struct ScriptReader<'a> {
    rest: Chars<'a>,
    commands: Vec<Vec<String>>,
    words: Vec<String>,
    word: Option<String>,
    /// The next word is the file of a redirection.
    is_file: bool,
}

impl ScriptReader<'_> {
    fn take(&mut self, c: char) {
        match c {
            '\'' => self.quoted(),
            '"' => self.in_double_quotes(),
            '\\' => self.escaped(),
            '$' => self.dollar(),
            '`' => self.backquoted(),
            '#' if self.word.is_none() => self.comment(),
            '<' | '>' => self.redirection(),
            ' ' | '\t' => self.end_word(),
            ';' | '&' | '|' | '\n' | '(' | ')' => self.end_command(),
            c => self.push(c),
        }
    }

    fn push(&mut self, c: char) {
        self.word.get_or_insert_default().push(c);
    }

    fn push_all(&mut self, text: &str) {
        self.word.get_or_insert_default().push_str(text);
    }

    fn end_word(&mut self) {
        if let Some(word) = self.word.take()
            && !std::mem::take(&mut self.is_file)
        {
            self.words.push(word);
        }
    }

    fn end_command(&mut self) {
        self.end_word();
        self.is_file = false;
        let words = std::mem::take(&mut self.words);
        if !words.is_empty() {
            self.commands.push(words);
        }
    }

    fn peek(&self) -> Option<char> {
        self.rest.clone().next()
    }

    /// The text up to `end`, which is passed over; all of it, if `end` never comes.
    fn until(&mut self, end: char) -> String {
        self.rest.by_ref().take_while(|c| *c != end).collect()
    }

    fn quoted(&mut self) {
        let text = self.until('\'');
        self.push_all(&text);
    }

    fn in_double_quotes(&mut self) {
        self.push_all("");
        while let Some(c) = self.rest.next() {
            match c {
                '"' => return,
                '\\' if self.peek().is_some_and(|c| "\"\\$`\n".contains(c)) => self.escaped(),
                '$' => self.dollar(),
                '`' => self.backquoted(),
                c => self.push(c),
            }
        }
    }

    fn escaped(&mut self) {
        // An escaped end of line counts for nothing.
        if let Some(c) = self.rest.next().filter(|c| *c != '\n') {
            self.push(c);
        }
    }

    fn dollar(&mut self) {
        self.push('$');
        match self.peek() {
            Some('(') => {
                let inside = self.balanced('(', ')');
                // Arithmetic runs nothing.
                if !inside.starts_with('(') {
                    self.commands.extend(split(&inside));
                }
                self.push_all(&format!("({inside})"));
            }
            Some('{') => {
                let inside = self.balanced('{', '}');
                self.push_all(&format!("{{{inside}}}"));
            }
            _ => {}
        }
    }

    /// What stands between a bracket, which is next, and the one that closes it.
    fn balanced(&mut self, open: char, close: char) -> String {
        let mut depth = 0_usize;
        let mut inside = String::new();
        for c in self.rest.by_ref() {
            depth += usize::from(c == open);
            depth -= usize::from(c == close);
            if depth == 0 {
                break;
            }
            inside.push(c);
        }
        // The bracket itself.
        inside.drain(..open.len_utf8().min(inside.len()));
        inside
    }

    fn backquoted(&mut self) {
        let inside = self.until('`');
        self.commands.extend(split(&inside));
        self.push_all(&format!("`{inside}`"));
    }

    fn comment(&mut self) {
        self.until('\n');
        self.end_command();
    }

    fn redirection(&mut self) {
        // The number of a file descriptor belongs to it.
        let is_number = |word: &mut String| word.bytes().all(|byte| byte.is_ascii_digit());
        if self.word.take_if(is_number).is_none() {
            self.end_word();
        }
        while self.peek().is_some_and(|c| "<>&|-".contains(c)) {
            self.rest.next();
        }
        // <(COMMAND) runs it.
        self.is_file = self.peek() != Some('(');
    }
}
