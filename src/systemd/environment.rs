//! What a unit's commands find in their environment, as far as it changes what a gate asks, and whom.

use super::exec_line;
use crate::targets::auto::VARIABLES;

/// `Environment=` and its like, specifiers unresolved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// `Environment=`: names and values; of two with one name the later one counts.
    set: Vec<(String, String)>,
    /// `EnvironmentFile=`: paths, those that may be missing with their `-`.
    files: Vec<String>,
    /// `PassEnvironment=`.
    passed: Vec<String>,
}

/// Whom a gate trusts. What it reads besides is [`VARIABLES`], and proxies.
const TRUSTED: &[&str] = &["NIX_SSL_CERT_FILE", "SSL_CERT_FILE"];

impl Environment {
    /// Follows one more assignment, as systemd does; none if it is of another setting, and false if systemd ignores it or
    /// what is [not assigned](not_assigned).
    pub fn assign(&mut self, key: &str, value: &str) -> Option<bool> {
        match key {
            "Environment" if value.is_empty() => self.set.clear(),
            "EnvironmentFile" if value.is_empty() => self.files.clear(),
            "PassEnvironment" if value.is_empty() => self.passed.clear(),
            "Environment" => {
                let (words, _) = exec_line::strict_words(value);
                self.set.extend(words.iter().filter_map(|word| pair(word)));
            }
            "EnvironmentFile" if is_absolute(value) => self.files.push(value.to_owned()),
            "EnvironmentFile" => return Some(false),
            "PassEnvironment" => self.passed.extend(exec_line::words(value)),
            _ => return None,
        }
        Some(true)
    }

    /// The settings that give another unit's gate the same to read, but for secrets.
    pub fn of_gate(&self) -> OfGate {
        let read = self.set.iter().filter(|(name, _)| is_read(name));
        let (secret, open): (Vec<_>, Vec<_>) = read.partition(|(_, value)| has_password(value));
        let mut settings: Vec<_> = open
            .into_iter()
            .map(|(name, value)| ("Environment", format!("{name}={value}")))
            .collect();
        let passed = self.passed.iter().filter(|name| is_read(name));
        settings.extend(passed.map(|name| ("PassEnvironment", name.clone())));
        settings.extend(
            self.files
                .iter()
                .map(|path| ("EnvironmentFile", path.clone())),
        );
        OfGate {
            settings,
            secret: secret.into_iter().map(|(name, _)| name.clone()).collect(),
        }
    }
}

/// What of `Environment=` systemd ignores: words that are no assignment, and all from the first on that cannot be read.
pub fn not_assigned(value: &str) -> String {
    let (words, left) = exec_line::strict_words(value);
    let bad = words.iter().filter(|word| pair(word).is_none());
    let all = bad.map(String::as_str).chain([left]);
    all.filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// `NAME=VALUE`, as environ(7) and systemd have it.
fn pair(word: &str) -> Option<(String, String)> {
    let (name, value) = word.split_once('=')?;
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_text = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
    let is_valid = starts && name.chars().all(is_name) && value.chars().all(is_text);
    is_valid.then(|| (name.to_owned(), value.to_owned()))
}

/// A specifier may be a path.
fn is_absolute(path: &str) -> bool {
    let path = path.strip_prefix('-').unwrap_or(path);
    path.starts_with(['/', '%'])
}

/// What of an environment concerns a gate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OfGate {
    /// Settings and their values, unquoted.
    pub settings: Vec<(&'static str, String)>,
    /// The variables whose values have a password in them.
    pub secret: Vec<String>,
}

fn is_read(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let proxies = ["http_proxy", "https_proxy", "all_proxy", "no_proxy"];
    proxies.contains(&lower.as_str()) || VARIABLES.contains(&name) || TRUSTED.contains(&name)
}

/// `http://user:password@proxy`, or a line of nix.conf with `access-tokens`.
fn has_password(value: &str) -> bool {
    let userinfo = |part: &str| {
        let authority = part.split('/').next().unwrap_or_default();
        authority.contains('@')
    };
    value.split("://").skip(1).any(userinfo)
        || value.contains("access-tokens")
        || (!value.contains("://") && value.contains('@') && value.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[(&str, &str)]) -> OfGate {
        let mut environment = Environment::default();
        for (key, value) in lines {
            assert_eq!(environment.assign(key, value), Some(true), "{key}");
        }
        environment.of_gate()
    }

    #[test]
    fn only_what_a_gate_reads_is_taken_over() {
        let taken = of(&[
            ("Environment", "A=b \"https_proxy=http://p:1\" NO_PROXY=x,y"),
            ("Environment", "'NIX_CONFIG=a = b'"),
            ("PassEnvironment", "LANG all_proxy"),
            ("EnvironmentFile", "-/etc/default/proxy"),
        ]);
        assert_eq!(
            taken.settings,
            [
                ("Environment", "https_proxy=http://p:1".to_owned()),
                ("Environment", "NO_PROXY=x,y".to_owned()),
                ("Environment", "NIX_CONFIG=a = b".to_owned()),
                ("PassEnvironment", "all_proxy".to_owned()),
                ("EnvironmentFile", "-/etc/default/proxy".to_owned()),
            ]
        );
        assert!(taken.secret.is_empty());
    }

    #[test]
    fn a_password_is_named_and_not_copied() {
        let taken = of(&[(
            "Environment",
            "http_proxy=http://me:pw@p:1 https_proxy=me:pw@p:1 \"NIX_CONFIG=access-tokens = github.com=x\" all_proxy=socks5h://p:2",
        )]);
        assert_eq!(taken.secret, ["http_proxy", "https_proxy", "NIX_CONFIG"]);
        assert_eq!(
            taken.settings,
            [("Environment", "all_proxy=socks5h://p:2".to_owned())]
        );
    }

    #[test]
    fn what_systemd_ignores_is_not_taken_over_and_said() {
        let mut environment = Environment::default();
        let value = "http_proxy=a 9=b \"NO_PROXY=c\\x01\" https_proxy=d\\q all_proxy=e";
        environment.assign("Environment", value);
        assert_eq!(environment.assign("EnvironmentFile", "proxy"), Some(false));
        assert_eq!(environment.assign("EnvironmentFile", "-%h/x"), Some(true));
        assert_eq!(environment.assign("Nice", "5"), None);
        let expected = [
            ("Environment", "http_proxy=a".to_owned()),
            ("EnvironmentFile", "-%h/x".to_owned()),
        ];
        assert_eq!(environment.of_gate().settings, expected);
        let ignored = "9=b NO_PROXY=c\u{1} https_proxy=d\\q all_proxy=e";
        assert_eq!(not_assigned(value), ignored);
        assert_eq!(not_assigned("A=b 'C=d e'"), "");
    }

    #[test]
    fn an_empty_assignment_resets_its_own_list() {
        let taken = of(&[
            ("Environment", "http_proxy=http://p:1"),
            ("EnvironmentFile", "/a"),
            ("Environment", ""),
        ]);
        assert_eq!(taken.settings, [("EnvironmentFile", "/a".to_owned())]);
    }
}
