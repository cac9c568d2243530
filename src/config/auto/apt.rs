//! apt's mirrors: `sources.list` lines and deb822 `.sources` files.

use std::path::{Path, PathBuf};

use super::Derived;
use super::place::{Place, web};
use super::world::World;
use crate::config::target::Target;

/// How every signed index begins: an http mirror's proof.
const SIGNED: &str = "-----BEGIN PGP SIGNED MESSAGE-----";

/// One `any` of all mirrors: apt goes on without those it cannot reach, and a dead third-party
/// repository must not hold the gate for ever.
pub(super) fn derive(world: &World<'_>, derived: &mut Derived) {
    let folder = "/etc/apt/sources.list.d";
    let lines = world.list(folder, ".list");
    let lines = std::iter::once(Path::new("/etc/apt/sources.list").to_owned()).chain(lines);
    let read = |path: &PathBuf| world.read(path);
    let mut sources: Vec<Source> = lines
        .filter_map(|path| read(&path))
        .flat_map(|text| one_line(&text))
        .collect();
    let stanzas = world.list(folder, ".sources");
    sources.extend(
        stanzas
            .iter()
            .filter_map(read)
            .flat_map(|text| deb822(&text)),
    );
    let mut mirrors = Vec::new();
    for source in sources {
        match source.target() {
            Some(target) if !mirrors.contains(&target) => mirrors.push(target),
            Some(_) => {}
            None => derived
                .notes
                .push(format!("{}: apt's source is not probed", source.uri)),
        }
    }
    if !mirrors.is_empty() {
        let shown: Vec<String> = mirrors.iter().map(ToString::to_string).collect();
        derived
            .notes
            .push(format!("any of {}: apt's mirrors", shown.join(" ")));
        derived.groups.push(mirrors);
    }
}

/// One archive and suite.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Source {
    uri: String,
    suite: String,
}

impl Source {
    fn target(&self) -> Option<Target> {
        let (scheme, rest) = self.uri.split_once(':')?;
        if let Some(transport) = scheme
            .strip_prefix("mirror")
            .filter(|rest| !rest.starts_with("+file"))
        {
            let transport = transport.strip_prefix('+').unwrap_or("http");
            return match web(&format!("{transport}:{rest}")) {
                Place::Targets(targets) => targets.into_iter().next(),
                Place::Weak(target) => Some(target),
                _ => None,
            };
        }
        match self.index().parse().ok()? {
            Target::Http { url, .. } => Some(Target::Http {
                url,
                expect: Some(SIGNED.to_owned()),
            }),
            https @ Target::Https { .. } => Some(https),
            _ => None,
        }
    }

    /// A suite that ends with a slash is a folder of its own, below no `dists/`.
    fn index(&self) -> String {
        let base = self.uri.trim_end_matches('/');
        match self.suite.strip_suffix('/') {
            Some(folder) => format!("{base}/{}/InRelease", folder.trim_matches(['.', '/']))
                .replace("//InRelease", "/InRelease"),
            None => format!("{base}/dists/{}/InRelease", self.suite),
        }
    }
}

/// `deb [option=value …] URI SUITE [COMPONENT…]`
fn one_line(text: &str) -> Vec<Source> {
    text.lines().filter_map(line).collect()
}

fn line(line: &str) -> Option<Source> {
    let told = line.split('#').next()?.trim();
    let rest = told
        .strip_prefix("deb")
        .filter(|rest| rest.starts_with([' ', '\t', '[']))?
        .trim_start();
    let rest = match rest.strip_prefix('[') {
        Some(options) => options.split_once(']')?.1,
        None => rest,
    };
    let mut words = rest.split_whitespace();
    Some(Source {
        uri: words.next()?.to_owned(),
        suite: words.next()?.to_owned(),
    })
}

/// Stanzas of `Field: value`, continued by lines that begin with a blank.
fn deb822(text: &str) -> Vec<Source> {
    let mut stanzas = vec![Vec::new()];
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if line.trim().is_empty() {
            stanzas.push(Vec::new());
        } else if let Some(stanza) = stanzas.last_mut() {
            stanza.push(line);
        }
    }
    stanzas.iter().flat_map(|lines| stanza(lines)).collect()
}

fn stanza(lines: &[&str]) -> Vec<Source> {
    let words = |name| field(lines, name);
    let disabled = words("Enabled")
        .first()
        .is_some_and(|word| matches!(*word, "no" | "false" | "0"));
    if disabled || !words("Types").contains(&"deb") {
        return Vec::new();
    }
    let suites = words("Suites");
    let source = |uri: &str| {
        let suite = (*suites.first()?).to_owned();
        let uri = uri.to_owned();
        Some(Source { uri, suite })
    };
    words("URIs").into_iter().filter_map(source).collect()
}

fn field<'a>(lines: &[&'a str], name: &str) -> Vec<&'a str> {
    let mut words = Vec::new();
    let mut inside = false;
    for line in lines {
        if line.starts_with([' ', '\t']) {
            words.extend(line.split_whitespace().filter(|_| inside));
        } else if let Some((field, value)) = line.split_once(':') {
            inside = field.eq_ignore_ascii_case(name);
            words.extend(value.split_whitespace().filter(|_| inside));
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn probed(line: &str) -> Option<String> {
        one_line(line)
            .first()?
            .target()
            .map(|target| target.to_string())
    }

    #[test]
    fn each_kind_of_source_is_probed_where_its_index_is() {
        for (line, expected) in [
            (
                "deb http://a/debian bookworm main # x",
                Some("http://a/debian/dists/bookworm/InRelease"),
            ),
            (
                "deb [arch=amd64 signed-by=/x] https://a/b/ s c",
                Some("https://a/b/dists/s/InRelease"),
            ),
            ("deb https://a/flat ./", Some("https://a/flat/InRelease")),
            ("deb https://a/flat /", Some("https://a/flat/InRelease")),
            (
                "deb https://a/flat sub/",
                Some("https://a/flat/sub/InRelease"),
            ),
            ("deb mirror+https://a/list s", Some("https://a/list")),
            ("deb mirror://a/list s", Some("tcp://a:80")),
            ("deb cdrom:[Debian]/ s", None),
            ("deb file:/srv/x s", None),
            ("deb-src http://a s", None),
            ("# deb http://a s", None),
        ] {
            assert_eq!(probed(line).as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn stanzas_are_read_with_continued_fields_and_without_the_disabled_ones() {
        let text = "# c\nTypes: deb deb-src\nURIs: http://a\n https://b\nSuites: s s-updates\n\n\
                    Types: deb\nEnabled: no\nURIs: http://c\nSuites: s\n\nTypes: deb-src\nURIs: http://d\nSuites: s\n";
        let uris: Vec<_> = deb822(text).into_iter().map(|source| source.uri).collect();
        assert_eq!(uris, ["http://a", "https://b"]);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "(?s)(deb |Types: deb\nURIs: )?.*") {
            for source in one_line(&text).into_iter().chain(deb822(&text)) {
                let _ = source.target();
            }
        }
    }
}
