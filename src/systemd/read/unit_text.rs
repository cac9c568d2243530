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
    /// The headers of its sections, and their lines.
    pub(super) sections: Vec<(usize, String)>,
    /// Lines that are left out: their numbers, and what is wrong with them.
    pub(super) ignored: Vec<(usize, String)>,
    /// The line at which systemd stops reading the file, and why.
    pub(super) broken: Option<(usize, String)>,
}

/// Reads a unit file, as far as systemd does.
pub(super) fn parse(bytes: &[u8]) -> Text {
    let text = String::from_utf8_lossy(bytes);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut parsed = Text::default();
    let mut section = None;
    let mut joined = String::new();
    let mut last = 0;
    for (index, line) in lines(text).enumerate() {
        if line.len() >= LONGEST {
            parsed.broken = Some((index + 1, "the line is too long".to_owned()));
            return parsed;
        }
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
        if parsed.broken.is_some() {
            return parsed;
        }
    }
    parsed.line(joined.trim_matches(BLANK), last, &mut section);
    parsed
}

const BLANK: [char; 4] = [' ', '\t', '\n', '\r'];

/// systemd's `LONG_LINE_MAX`, in bytes.
const LONGEST: usize = 1 << 20;

/// A line ends at a newline, a carriage return, both in either order, or a zero byte (systemd's `read_line()`).
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text).filter(|text| !text.is_empty());
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(at) = text.find(['\n', '\r', '\0']) else {
            rest = None;
            return Some(text);
        };
        let ending = match text.as_bytes()[at..] {
            [b'\r', b'\n', ..] | [b'\n', b'\r', ..] => 2,
            _ => 1,
        };
        rest = Some(&text[at + ending..]).filter(|rest| !rest.is_empty());
        Some(&text[..at])
    })
}

/// Whether the last character is a backslash that no other one escapes.
fn ends_escaped(line: &str) -> bool {
    let backslashes = line.len() - line.trim_end_matches('\\').len();
    backslashes % 2 == 1
}

impl Text {
    fn line(&mut self, line: &str, number: usize, section: &mut Option<String>) {
        if line.is_empty() {
            return;
        }
        if line.contains(char::REPLACEMENT_CHARACTER) {
            self.broken = Some((number, format!("the line is not UTF-8: {line}")));
        } else if line.starts_with('[') {
            *section = self.section(line, number);
        } else {
            let assignment = assignment(line, number, section.as_deref());
            match assignment {
                Ok(assignment) => self.assignments.push(assignment),
                Err(why) => self
                    .ignored
                    .push((number, format!("{why}, ignoring: {line}"))),
            }
        }
    }

    fn section(&mut self, line: &str, number: usize) -> Option<String> {
        let name = line[1..].strip_suffix(']');
        let good = name.filter(|name| !name.contains(['\\', '\'', '"']));
        if good.is_none() {
            self.broken = Some((number, format!("invalid section header {line:?}")));
        }
        let name = good?.to_owned();
        self.sections.push((number, name.clone()));
        Some(name)
    }
}

fn assignment(
    line: &str,
    number: usize,
    section: Option<&str>,
) -> Result<Assignment, &'static str> {
    let section = section.ok_or("assignment outside of a section")?;
    let (key, value) = line.split_once('=').ok_or("missing \"=\"")?;
    let key = key.trim_end_matches(BLANK);
    if key.is_empty() {
        return Err("missing key name before \"=\"");
    }
    Ok(Assignment {
        section: section.to_owned(),
        key: key.to_owned(),
        value: value.trim_start_matches(BLANK).to_owned(),
        line: number,
    })
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
    fn a_line_ends_where_it_ends_for_systemd() {
        let text = "[S]\nA=1\0x\nFoo=1\rBar=2\n\rBaz=3\r\n\nQux=1\n";
        let parsed = parse(text.as_bytes());
        let at: Vec<_> = parsed
            .assignments
            .iter()
            .map(|a| (&*a.key, a.line))
            .collect();
        let expected = [("A", 2), ("Foo", 4), ("Bar", 5), ("Baz", 6), ("Qux", 8)];
        assert_eq!((at, parsed.ignored[0].0), (expected.to_vec(), 3));
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
        let parsed = parse(b"A=1\n[Unit]\nB\nC = 2 = 3 \n=D\n");
        assert_eq!(parsed.assignments.len(), 1);
        assert_eq!(parsed.assignments[0].value, "2 = 3");
        assert_eq!(parsed.assignments[0].line, 4);
        let lines: Vec<_> = parsed.ignored.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [1, 3, 5]);
    }

    #[test]
    fn a_broken_section_header_or_line_ends_the_file() {
        for bad in ["[Unit", "[Unit] # x", "[Un\\it]", "D=\u{fffd}"] {
            let parsed = parse(format!("[Unit]\nA=1\n{bad}\nB=1\n").as_bytes());
            assert_eq!(parsed.assignments.len(), 1, "{bad}");
            assert_eq!(parsed.broken.map(|(line, _)| line), Some(3), "{bad}");
        }
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
