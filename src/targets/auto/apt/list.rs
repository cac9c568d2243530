//! sources.list(5): lines and stanzas → archives and suites. Pure.

/// One archive and suite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AptSource {
    pub(super) uri: String,
    pub(super) suite: String,
}

/// What a file says: its sources, or the number of a line or stanza that apt refuses.
pub(super) type AptSourceList = Vec<Result<AptSource, usize>>;

/// `deb [option=value …] URI SUITE [COMPONENT…]`
pub(super) fn one_line(text: &str, arch: &str) -> AptSourceList {
    let lines = text.lines().zip(1..);
    let told = lines.map(|(line, number)| (without_comment(line).trim(), number));
    let told = told.filter(|(line, _)| !line.is_empty());
    told.map(|(line, number)| source(line, arch).ok_or(number))
        .collect()
}

/// A `#` among the options is none.
fn without_comment(line: &str) -> &str {
    let mut depth = 0_i32;
    let end = line.find(|c| {
        depth += i32::from(c == '[') - i32::from(c == ']');
        c == '#' && depth <= 0
    });
    &line[..end.unwrap_or(line.len())]
}

fn source(line: &str, arch: &str) -> Option<AptSource> {
    let (kind, rest) = line.split_once([' ', '\t', '\x0b'])?;
    if !is_type(kind) {
        return None;
    }
    let rest = rest.trim_start();
    let rest = match rest.strip_prefix('[') {
        Some(options) => after_options(options)?,
        None => rest,
    };
    let (uri, rest) = super::word(rest)?;
    let (suite, rest) = super::word(rest)?;
    let has_component = !rest.is_empty();
    archive(&uri, &suite, has_component, arch)
}

/// `name=value …]`; the bracket may follow the last value at once.
fn after_options(mut rest: &str) -> Option<&str> {
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix(']') {
            return Some(after);
        }
        let (option, after) = rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len()));
        let told = option.strip_suffix(']');
        let (name, value) = told.unwrap_or(option).split_once('=')?;
        if name.is_empty() || value.is_empty() {
            return None;
        }
        if told.is_some() {
            return Some(after);
        }
        rest = after;
    }
}

fn is_type(word: &str) -> bool {
    word == "deb" || word == "deb-src"
}

/// A suite that ends with a slash is a folder and has no component, all others have one.
fn archive(uri: &str, suite: &str, has_component: bool, arch: &str) -> Option<AptSource> {
    let is_folder = suite.ends_with('/');
    (uri.contains(':') && is_folder != has_component).then(|| AptSource {
        uri: uri.replace("$(ARCH)", arch),
        suite: suite.replace("$(ARCH)", arch),
    })
}

/// Stanzas of `Field: value`, continued by lines that begin with a blank. A stanza is numbered by its first line.
pub(super) fn deb822(text: &str, arch: &str) -> AptSourceList {
    let mut stanzas = vec![(1, Vec::new())];
    for (line, number) in text.lines().zip(1..) {
        let stanza = stanzas.last_mut();
        if line.trim_end_matches('\r').is_empty() {
            stanzas.push((number + 1, Vec::new()));
        } else if let Some((_, lines)) = stanza.filter(|_| !line.starts_with('#')) {
            lines.push(line);
        }
    }
    let told = stanzas.iter().filter(|(_, lines)| !lines.is_empty());
    told.flat_map(|(number, lines)| stanza(lines, arch, *number))
        .collect()
}

fn stanza(lines: &[&str], arch: &str, number: usize) -> AptSourceList {
    let words = |name| field(lines, name);
    if words("Enabled").first().is_some_and(|word| is_no(word)) {
        return Vec::new();
    }
    let (types, suites) = (words("Types"), words("Suites"));
    let has_component = !words("Components").is_empty();
    let refused = types.is_empty() || suites.is_empty() || !types.iter().all(|word| is_type(word));
    let uris = words("URIs");
    if refused || uris.is_empty() {
        return vec![Err(number)];
    }
    let pairs = uris
        .iter()
        .flat_map(|uri| suites.iter().map(move |suite| (uri, suite)));
    let source = |(uri, suite): (&&str, &&str)| archive(uri, suite, has_component, arch);
    pairs.map(|pair| source(pair).ok_or(number)).collect()
}

/// What apt takes for no; a word it does not know is yes.
fn is_no(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    let digits = word.strip_prefix("0x").unwrap_or(&word);
    let zero = !digits.is_empty() && digits.bytes().all(|byte| byte == b'0');
    zero || ["no", "false", "without", "off", "disable"].contains(&word.as_str())
}

/// The words of a field; of several with one name, the last counts.
fn field<'a>(lines: &[&'a str], name: &str) -> Vec<&'a str> {
    let mut words = Vec::new();
    let mut inside = false;
    for line in lines {
        if line.starts_with([' ', '\t']) {
            words.extend(line.split_whitespace().filter(|_| inside));
        } else if let Some((field, value)) = line.split_once(':') {
            inside = field.trim_end().eq_ignore_ascii_case(name);
            if inside {
                words = value.split_whitespace().collect();
            }
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(found: AptSourceList) -> Vec<String> {
        let shown = found.into_iter().map(|one| match one {
            Ok(AptSource { uri, suite }) => format!("{uri} {suite}"),
            Err(number) => format!("refused {number}"),
        });
        shown.collect()
    }

    #[test]
    fn a_line_is_read_with_its_options_and_refused_as_apt_refuses_it() {
        for (line, expected) in [
            (
                "deb http://a/debian bookworm main # x",
                "http://a/debian bookworm",
            ),
            (
                "deb [ arch=amd64,arm64 signed-by=/x#y ] https://a s c",
                "https://a s",
            ),
            ("deb-src http://a s c", "http://a s"),
            ("deb cdrom:[Debian 12 (x)]/ s c", "cdrom:[Debian 12 (x)]/ s"),
            ("deb \"http://a/b c\" s c", "http://a/b c s"),
            ("deb http://a/$(ARCH) ./$(ARCH)/", "http://a/arm64 ./arm64/"),
            ("deb http://a/ s", "refused 1"),
            ("deb http://a/ / main", "refused 1"),
            ("deb a s c", "refused 1"),
            ("rpm http://a s c", "refused 1"),
            ("debian http://a s c", "refused 1"),
            ("# deb http://a s c", ""),
        ] {
            assert_eq!(shown(one_line(line, "arm64")).join(""), expected, "{line}");
        }
    }

    #[test]
    fn stanzas_are_read_with_continued_fields_and_without_the_disabled_ones() {
        let text = "# c\ntypes: deb deb-src\nURIs: http://a\n# x\n https://b\nSuites: s t\nComponents: c\n\n\n\
                    Types: deb\nEnabled: Disable\nURIs: http://c\nSuites: s\n\n\
                    Types: deb\nEnabled: maybe\nURIs: http://d\nSuites: /\n\nTypes: deb\nURIs: http://e\nSuites: s\n";
        let expected = [
            "http://a s",
            "http://a t",
            "https://b s",
            "https://b t",
            "http://d /",
            "refused 20",
        ];
        assert_eq!(shown(deb822(text, "arm64")), expected);
    }

    #[test]
    fn apt_knows_many_words_for_no() {
        for word in ["no", "FALSE", "Off", "without", "disable", "0", "00", "0x0"] {
            assert!(is_no(word), "{word}");
        }
        for word in ["yes", "1", "enable", "maybe", ""] {
            assert!(!is_no(word), "{word}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "(?s)(deb |Types: deb\nURIs: )?.*") {
            let _ = (one_line(&text, "x"), deb822(&text, "x"));
        }
    }
}
