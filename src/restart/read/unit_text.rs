//! The text of a unit file, split into assignments (systemd.syntax(7)). Pure.

/// One `Key=value` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Assignment {
    /// The section's name, without brackets.
    pub(super) section: String,
    /// What stands before the first `=`.
    pub(super) key: String,
    /// What stands after it, continued lines joined, trimmed.
    pub(super) value: String,
    /// The number of its last line, from 1.
    pub(super) line: usize,
}

/// What a text says, and which of its lines systemd leaves out.
#[derive(Debug, Default)]
pub(super) struct Text {
    pub(super) assignments: Vec<Assignment>,
    /// `3: no "=" …`: the line's number and what is wrong with it.
    pub(super) warnings: Vec<String>,
}

/// Reads a unit file. Bytes that are not UTF-8 spoil their line only.
pub(super) fn parse(bytes: &[u8]) -> Text {
    let text = String::from_utf8_lossy(bytes);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut parsed = Text::default();
    let mut section = None;
    let mut joined = String::new();
    let mut last = 0;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start_matches(BLANK).starts_with(['#', ';']) {
            continue;
        }
        last = index + 1;
        joined.push_str(line);
        if ends_escaped(&joined) {
            joined.pop();
            joined.push(' ');
            continue;
        }
        parsed.line(joined.trim_matches(BLANK), last, &mut section);
        joined.clear();
    }
    parsed.line(joined.trim_matches(BLANK), last, &mut section);
    parsed
}

const BLANK: [char; 4] = [' ', '\t', '\n', '\r'];

/// Whether the last character is a backslash that no other one escapes.
fn ends_escaped(line: &str) -> bool {
    let backslashes = line.len() - line.trim_end_matches('\\').len();
    backslashes % 2 == 1
}

impl Text {
    fn line(&mut self, line: &str, number: usize, section: &mut Option<String>) {
        let problem = if line.is_empty() {
            return;
        } else if line.contains(char::REPLACEMENT_CHARACTER) {
            "it is not UTF-8"
        } else if let Some(name) = line.strip_prefix('[') {
            if let Some(name) = name.strip_suffix(']') {
                *section = Some(name.to_owned());
                return;
            }
            "the section's name is not closed"
        } else {
            match (&section, line.split_once('=')) {
                (Some(section), Some((key, value))) => {
                    self.assignments.push(Assignment {
                        section: section.clone(),
                        key: key.trim_end_matches(BLANK).to_owned(),
                        value: value.trim_start_matches(BLANK).to_owned(),
                        line: number,
                    });
                    return;
                }
                (None, _) => "it is outside of any section",
                (_, None) => "it has no \"=\"",
            }
        };
        self.warnings
            .push(format!("{number}: ignored, as {problem}: {line}"));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values(text: &str) -> Vec<(String, String)> {
        let assignments = parse(text.as_bytes()).assignments;
        assignments
            .into_iter()
            .map(|found| (found.key, found.value))
            .collect()
    }

    #[test]
    fn lines_are_continued_and_comments_in_between_are_left_out() {
        let text = "[Service]\nExecStart=/bin/a \\\n  b \\\n# no\n ; no\n  c\nA=\\\\\nB=1\\";
        let expected = [("ExecStart", "/bin/a    b    c"), ("A", "\\\\"), ("B", "1")];
        let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let found = values(text);
        assert_eq!(found, expected);
    }

    #[test]
    fn what_systemd_leaves_out_is_left_out_with_its_line() {
        let parsed = parse(b"A=1\n[Unit\n[Unit]\nB\nC = 2 = 3 \nD=\xff\n");
        assert_eq!(parsed.assignments.len(), 1);
        assert_eq!(parsed.assignments[0].value, "2 = 3");
        assert_eq!(parsed.assignments[0].line, 5);
        let lines: Vec<_> = parsed.warnings.iter().map(|text| &text[..2]).collect();
        assert_eq!(lines, ["1:", "2:", "4:", "6:"]);
    }

    #[test]
    fn windows_line_ends_and_a_byte_order_mark_are_no_part_of_it() {
        let text = "\u{feff}[Unit]\r\nAfter=a\r\n";
        assert_eq!(values(text), [("After".to_owned(), "a".to_owned())]);
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_odd(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }

        #[test]
        fn no_text_is_too_odd(text in "([\\[\\]=\\\\\n #;a-c]|.){0,60}") {
            let _ = parse(text.as_bytes());
        }
    }
}
