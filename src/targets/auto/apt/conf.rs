//! apt.conf as apt reads it: text → what it sets, clears and includes. Pure.

/// One thing that a file says. Names are in lower case: apt does not tell them apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AptLine {
    Set(String, String),
    /// `#clear NAME`: it and all below it.
    Clear(String),
    /// `#include "FILE"`, or a folder.
    Include(String),
}

/// What a file says, up to the first line that apt refuses, whose number is returned as well.
pub(super) fn parse(text: &str) -> (Vec<AptLine>, Option<usize>) {
    let mut reader = AptReader::default();
    for (line, number) in text.lines().zip(1..) {
        let line = reader.without_comments(line);
        if reader.line(&line).is_none() {
            return (reader.lines, Some(number));
        }
    }
    let unfinished = !reader.statement.is_empty();
    (reader.lines, unfinished.then(|| text.lines().count()))
}

#[derive(Default)]
struct AptReader {
    lines: Vec<AptLine>,
    in_comment: bool,
    /// The names of the blocks around, each with those around it.
    blocks: Vec<String>,
    /// The beginning of a statement.
    statement: String,
}

impl AptReader {
    /// `//`, `#` and `/* … */` begin comments outside of quotes; `#clear` and `#include` are none.
    fn without_comments(&mut self, line: &str) -> String {
        let mut out = String::new();
        let mut rest = line.trim();
        let mut quoted = false;
        while let Some(c) = rest.chars().next() {
            if self.in_comment {
                let Some((_, after)) = rest.split_once("*/") else {
                    break;
                };
                self.in_comment = false;
                rest = after;
                continue;
            }
            quoted ^= c == '"';
            if !quoted && is_comment(rest) {
                break;
            }
            if !quoted && rest.starts_with("/*") {
                self.in_comment = true;
                rest = &rest[2..];
                continue;
            }
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
        out
    }

    /// Takes a line: a statement ends with `;`, a block begins with `{` and ends with `}`.
    fn line(&mut self, line: &str) -> Option<()> {
        let mut quoted = false;
        let mut from = 0;
        for (at, c) in line.char_indices() {
            quoted ^= c == '"';
            if !quoted && matches!(c, '{' | ';' | '}') {
                self.append(&line[from..at]);
                from = at + 1;
                self.ended_by(c)?;
            }
        }
        self.append(&line[from..]);
        Some(())
    }

    fn append(&mut self, part: &str) {
        let part = part.trim();
        if !part.is_empty() && !self.statement.is_empty() {
            self.statement.push(' ');
        }
        self.statement.push_str(part);
    }

    fn ended_by(&mut self, sign: char) -> Option<()> {
        let statement = std::mem::take(&mut self.statement);
        if statement.is_empty() {
            if sign == '}' {
                self.blocks.pop();
            }
            return (sign != '{').then_some(());
        }
        let (name, value) = split(&statement)?;
        match (name.strip_prefix('#'), sign) {
            (Some("clear"), _) => self.lines.push(AptLine::Clear(lower(&value?))),
            (Some("include"), _) => self.lines.push(AptLine::Include(value?)),
            (Some("x-apt-configure-index"), _) => {}
            (Some(_), _) => return None,
            (None, '{') => self.begin(&name, value),
            // One word alone is a value of a list.
            (None, _) => self.set(
                if value.is_some() { &name } else { "" },
                value.as_deref().unwrap_or(&name),
            ),
        }
        if sign == '}' {
            self.blocks.pop();
        }
        Some(())
    }

    fn begin(&mut self, name: &str, value: Option<String>) {
        if let Some(value) = value {
            self.set(name, &value);
        }
        let block = self.below(name);
        self.blocks.push(block);
    }

    fn set(&mut self, name: &str, value: &str) {
        let name = self.below(name);
        self.lines.push(AptLine::Set(name, value.to_owned()));
    }

    fn below(&self, name: &str) -> String {
        match self.blocks.last() {
            Some(block) => format!("{block}::{}", lower(name)),
            None => lower(name),
        }
    }
}

fn lower(name: &str) -> String {
    name.to_ascii_lowercase()
}

fn is_comment(rest: &str) -> bool {
    let directive = ["#clear", "#include", "#x-apt-configure-index"];
    rest.starts_with("//")
        || (rest.starts_with('#') && !directive.iter().any(|word| rest.starts_with(word)))
}

/// `NAME "VALUE"`: the value is one word, or any number of quoted ones.
fn split(statement: &str) -> Option<(String, Option<String>)> {
    let (name, rest) = super::word(statement)?;
    if rest.is_empty() {
        return Some((name, None));
    }
    if let Some(value) = all_quoted(rest) {
        return Some((name, Some(value)));
    }
    let (value, rest) = super::word(rest)?;
    rest.is_empty().then_some((name, Some(value)))
}

fn all_quoted(text: &str) -> Option<String> {
    let mut value = String::new();
    for (index, part) in text.split('"').enumerate() {
        match index % 2 {
            0 if !part.trim().is_empty() => return None,
            0 if index > 0 && !part.is_empty() => value.push(' '),
            0 => {}
            _ => value.push_str(part),
        }
    }
    text.matches('"').count().is_multiple_of(2).then_some(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(text: &str) -> Vec<(String, String)> {
        let (lines, _) = parse(text);
        let set = lines.into_iter().filter_map(|line| match line {
            AptLine::Set(name, value) => Some((name, value)),
            _ => None,
        });
        set.collect()
    }

    #[test]
    fn a_setting_is_read_in_every_spelling() {
        for text in [
            "Acquire::http::Proxy \"http://p:1\";",
            "Acquire::HTTP::proxy \"http://p:1\";",
            "Acquire { http { Proxy \"http://p:1\"; }; };",
            "Acquire {\n  http::Proxy\n    \"http://p:1\"; // x\n}\n",
            "Acquire::http { Proxy \"http://p:1\" }",
            "/* Acquire::http::Proxy\n \"no\"; */ Acquire::http::Proxy \"http://p:1\"; # y",
            "Acquire::http::Proxy \"http:\" \"//p:1\";",
        ] {
            let found = set(text);
            let (name, value) = &found[0];
            assert_eq!(found.len(), 1, "{text}");
            assert_eq!(name, "acquire::http::proxy", "{text}");
            assert_eq!(value.replace(' ', ""), "http://p:1", "{text}");
        }
    }

    #[test]
    fn a_block_may_have_a_value_of_its_own() {
        let text = "Acquire::http::Proxy \"http://p:1\" { a.example DIRECT; };";
        let expected = [
            ("acquire::http::proxy", "http://p:1"),
            ("acquire::http::proxy::a.example", "DIRECT"),
        ];
        assert_eq!(
            set(text),
            expected.map(|(name, value)| (name.into(), value.into()))
        );
    }

    #[test]
    fn directives_are_read_and_what_apt_refuses_ends_the_file() {
        let (lines, refused) = parse("#clear A::b;\n#include \"/x\";\n# c\nA x y;\nB \"1\";");
        assert_eq!(
            lines,
            [AptLine::Clear("a::b".into()), AptLine::Include("/x".into())]
        );
        assert_eq!(refused, Some(4));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in prop_oneof!["(?s).*", "[a:{};\"#/* \n]{0,40}"]) {
            let _ = parse(&text);
        }
    }
}
