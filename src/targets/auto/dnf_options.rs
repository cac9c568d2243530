//! What dnf's options say of its repositories, dnf(8). Pure.

use super::{TargetSource, programs};
use crate::text::command_line::option;

/// The options of the command that decide which repositories are asked, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// `--repo ID`: no others.
    only: Vec<String>,
    /// `--enablerepo ID` and `--disablerepo ID`, in their order.
    switched: Vec<(String, bool)>,
    /// `--setopt [ID.]KEY=VALUE`; without an ID for all.
    set: Vec<Set>,
    /// `--config FILE`.
    pub(super) config: Option<String>,
    /// `--releasever VERSION`.
    pub(super) releasever: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Set {
    repository: Option<String>,
    key: String,
    value: String,
}

impl Options {
    /// Those of every dnf among the commands.
    pub(super) fn of(commands: &[Vec<String>]) -> Self {
        let mut options = Self::default();
        let is_dnf = |words: &&Vec<String>| {
            programs::sources(std::slice::from_ref(*words)).contains(&TargetSource::Dnf)
        };
        for words in commands.iter().filter(is_dnf) {
            options.read(words);
        }
        options
    }

    fn read(&mut self, words: &[String]) {
        let mut rest = words.iter().map(String::as_str);
        while let Some(word) = rest.next() {
            let (name, own) = option(word);
            if NAMES.contains(&name)
                && let Some(value) = own.or_else(|| rest.next())
            {
                self.take(name, value);
            }
        }
    }

    fn take(&mut self, name: &str, value: &str) {
        let names = || {
            value
                .split([',', ' '])
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
        };
        match name {
            "--repo" | "--repoid" => self.only.extend(names()),
            "--setopt" => self.set.extend(setting(value)),
            "-c" | "--config" => self.config = Some(value.to_owned()),
            "--releasever" => self.releasever = Some(value.to_owned()),
            switch => {
                let on = switch.starts_with("--enable");
                self.switched.extend(names().map(|name| (name, on)));
            }
        }
    }

    /// Whether a repository is enabled that is so in its file, or not.
    pub(super) fn enabled(&self, id: &str, in_file: bool) -> bool {
        let chosen = self.only.iter().any(|pattern| matches(pattern, id));
        let begin = if self.only.is_empty() {
            in_file
        } else {
            chosen
        };
        let switches = self.switched.iter();
        let mut switches = switches.filter(|(pattern, _)| matches(pattern, id));
        switches.next_back().map_or(begin, |(_, on)| *on)
    }

    /// What is set for this repository.
    pub(super) fn of_repository(&self, id: &str, key: &str) -> Option<&str> {
        self.last(key, |pattern| {
            pattern.is_some_and(|pattern| matches(pattern, id))
        })
    }

    /// What is set for all.
    pub(super) fn of_main(&self, key: &str) -> Option<&str> {
        self.last(key, |pattern| pattern.is_none_or(|name| name == "main"))
    }

    fn last(&self, key: &str, is_meant: impl Fn(Option<&str>) -> bool) -> Option<&str> {
        let mut set = self.set.iter().rev();
        let found = set.find(|set| set.key == key && is_meant(set.repository.as_deref()));
        found.map(|set| set.value.as_str())
    }
}

/// Those that have a value and are read here; dnf5 writes some with a hyphen.
const NAMES: [&str; 10] = [
    "--repo",
    "--repoid",
    "--enablerepo",
    "--enable-repo",
    "--disablerepo",
    "--disable-repo",
    "--setopt",
    "-c",
    "--config",
    "--releasever",
];

fn setting(text: &str) -> Option<Set> {
    let (name, value) = text.split_once('=')?;
    let (repository, key) = match name.rsplit_once('.') {
        Some((repository, key)) => (Some(repository.to_owned()), key),
        None => (None, name),
    };
    Some(Set {
        repository,
        key: key.to_owned(),
        value: value.to_owned(),
    })
}

/// Whether a pattern with `*` and `?` is that of a name.
fn matches(pattern: &str, name: &str) -> bool {
    let mut rest = pattern.chars();
    match rest.next() {
        None => name.is_empty(),
        Some('*') => {
            let mut tails = name.char_indices().map(|(at, _)| &name[at..]);
            tails.any(|tail| matches(rest.as_str(), tail)) || matches(rest.as_str(), "")
        }
        Some(one) => name.chars().next().is_some_and(|first| {
            (one == '?' || one == first) && matches(rest.as_str(), &name[first.len_utf8()..])
        }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(line: &str) -> Options {
        let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
        Options::of(&[words])
    }

    #[test]
    fn repositories_are_chosen_and_switched_in_order() {
        let is_on =
            |line: &str| ["base", "extra", "off"].map(|id| of(line).enabled(id, id != "off"));
        assert_eq!(is_on("dnf upgrade"), [true, true, false]);
        assert_eq!(is_on("dnf --repo=off upgrade"), [false, false, true]);
        assert_eq!(is_on("dnf upgrade --repoid ba*,off"), [true, false, true]);
        assert_eq!(is_on("yum --enablerepo=o?f update"), [true, true, true]);
        assert_eq!(
            is_on("dnf5 --disable-repo=* --enable-repo extra"),
            [false, true, false]
        );
        assert_eq!(is_on("reposync --repo=off"), [true, true, false]);
    }

    #[test]
    fn settings_are_for_all_or_for_the_repositories_that_are_named() {
        let options = of(
            "dnf --setopt=proxy=http://p:1 --setopt base.proxy=_none_ --setopt=ex*.proxy=http://q:1",
        );
        assert_eq!(options.of_main("proxy"), Some("http://p:1"));
        assert_eq!(options.of_repository("base", "proxy"), Some("_none_"));
        assert_eq!(options.of_repository("extra", "proxy"), Some("http://q:1"));
        assert_eq!(options.of_repository("other", "proxy"), None);
        assert_eq!(options.of_main("enabled"), None);
    }

    proptest! {
        #[test]
        fn no_words_make_it_panic(words in prop::collection::vec("(dnf|--repo=?|--setopt=|[a*?.=ü]{0,9})", 0..6)) {
            let options = Options::of(std::slice::from_ref(&words));
            for word in &words {
                let _ = options.enabled(word, true);
            }
        }
    }
}
