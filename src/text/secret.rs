//! URLs and sentences that others wrote, without the logins and tokens in them. Pure.
//!
//! Every text that may quote a URL goes through here before anybody reads it. Logins that a parser would refuse or misread are
//! hidden as well, so too much is hidden rather than too little: what is returned is for people, not for programs.

/// What stands in place of a secret.
const HIDDEN: char = '…';

/// A URL, or what was meant to be one, without what stands before an `@` in the host's place, and without the values of a query
/// that may be secret.
pub fn url(written: &str) -> String {
    if let Some((name, _)) = written
        .split_once('=')
        .filter(|(name, _)| is_setting_of_secrets(name) || is_host(name))
    {
        return format!("{name}={HIDDEN}");
    }
    if let Some((head, rest)) = authority_of(written) {
        return match cut_off_login(rest) {
            Some(user) => format!("{head}{user}:{HIDDEN}"),
            None => format!("{head}{}", query_hidden(after_login(rest), is_web(head))),
        };
    }
    match written.rsplit_once('@') {
        // me:secret@host, and what a parser makes a URL of all the same: https:me:secret@host
        Some((login, host)) if !is_name(login) => {
            format!("{HIDDEN}@{}", without_secret_values(host))
        }
        _ => without_secret_values(written),
    }
}

/// `https://`, also behind `nix-cache:`. What follows a `#` there is no attribute of a flake.
fn is_web(head: &str) -> bool {
    let scheme = head.trim_end_matches('/').trim_end_matches(':');
    let is = |name: &str| scheme == name || scheme.ends_with(&format!(":{name}"));
    is("http") || is("https")
}

/// A text that may quote URLs, each shown as [`url`] shows it. A login with blanks or quotes in it is found where it is written
/// `USER:PASSWORD`; whoever knows what is quoted shows that first.
pub fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c| !is_gap(c)) {
        let (gap, from) = rest.split_at(start);
        let (word, after) = from.split_at(end_of_word(from));
        out.push_str(gap);
        let url_of_word = word.trim_end_matches(PUNCTUATION);
        out.push_str(&url(url_of_word));
        out.push_str(&word[url_of_word.len()..]);
        rest = after;
    }
    out + rest
}

/// What ends a word of a sentence, and is no part of a URL in it.
const PUNCTUATION: [char; 5] = [':', ',', '.', ';', ')'];

/// Whether a URL has an `@` behind its host that may be the end of a login: its host is not certain.
pub fn is_ambiguous(url: &str) -> bool {
    authority_of(url).is_some_and(|(_, rest)| may_go_on(rest))
}

/// Whether a login may go on behind what looks like the host: `me:p/w@host`.
fn may_go_on(rest: &str) -> bool {
    let (authority, path) = rest.split_at(end_of_authority(rest));
    let Some((before, _)) = path.rsplit_once('@') else {
        return false;
    };
    let is_host = authority.starts_with('[') || !authority.contains(':');
    // https://host.example/pkg@1, https://host/@scope
    let is_path = authority.contains('.') || before.ends_with('/');
    authority.contains('@') || before.contains(':') || !(is_host && is_path)
}

fn is_gap(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'' | '`')
}

/// Where a word ends: behind the last `@` of the line, if it begins a login with a blank or a quote in it.
fn end_of_word(text: &str) -> usize {
    let word_at = |from: usize| {
        text[from..]
            .find(is_gap)
            .map_or(text.len(), |length| from + length)
    };
    let end = word_at(0);
    let line = text.find('\n').unwrap_or(text.len());
    match text[..line].rfind('@') {
        Some(at) if at > end && begins_login(&text[..end]) => word_at(at),
        _ => end,
    }
}

/// `https://me:pass`: what follows the colon is not a port.
fn begins_login(word: &str) -> bool {
    authority_of(word).is_some_and(|(_, rest)| cut_off_login(rest).is_some())
}

/// The user of a login whose end is missing, as where a `#` in it was taken for a comment.
fn cut_off_login(rest: &str) -> Option<&str> {
    let authority = &rest[..end_of_authority(rest)];
    let (user, port) = authority.rsplit_once(':').filter(|_| !rest.contains('@'))?;
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit()) && !port.is_empty();
    // What our own messages write for a host and a port.
    let is_host = authority.starts_with('[') || authority.starts_with("HOST");
    (!is_port && !is_host).then_some(user)
}

/// What may be shown before an `@`: `git@host`, `upgrade-gate@x.service`, a path.
fn is_name(login: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || "-_./".contains(c);
    let is_path = login.starts_with('/') && !login.contains([':', '%']);
    is_path || login.chars().all(|c| plain(c) || c == HIDDEN)
}

/// What comes up to and with `//`, and what follows. Two slashes within a path are something else.
fn authority_of(word: &str) -> Option<(&str, &str)> {
    let at = word.find("//")?;
    let in_path = word[..at].ends_with(|c: char| c.is_alphanumeric() || "._-".contains(c));
    (!in_path).then(|| word.split_at(at + 2))
}

fn end_of_authority(rest: &str) -> usize {
    rest.find(['/', '\\', '?', '#']).unwrap_or(rest.len())
}

/// A login may have any character, slashes too: where the host cannot be told, only what follows the last `@` is shown.
fn after_login(rest: &str) -> &str {
    let shown = if may_go_on(rest) {
        rest
    } else {
        &rest[..end_of_authority(rest)]
    };
    shown.rfind('@').map_or(rest, |at| &rest[at + 1..])
}

/// What may be a query is one if it stands behind a place, or has a name and a value.
fn without_secret_values(text: &str) -> String {
    let at = text.find(['?', '#']);
    match at.map(|at| text.split_at(at)) {
        Some((head, query)) if head.contains([':', '/', '.']) || query.contains('=') => {
            query_hidden(text, false)
        }
        _ => text.to_owned(),
    }
}

/// `?name=value`: the names, and only the values that are known to be harmless. A list of the secret ones would never end.
fn query_hidden(text: &str, is_web: bool) -> String {
    let (head, mut rest) = text.split_at(text.find(SIGNS).unwrap_or(text.len()));
    let mut shown = head.to_owned();
    while let Some(sign) = rest.chars().next() {
        let after = &rest[1..];
        let (part, next) = after.split_at(after.find(SIGNS).unwrap_or(after.len()));
        shown.push(sign);
        shown.push_str(&shown_part(part, sign == '#' && !is_web));
        rest = next;
    }
    shown
}

/// What the parts of a query begin with.
const SIGNS: [char; 4] = ['?', '#', '&', ';'];

fn shown_part(part: &str, is_attribute: bool) -> String {
    // A bare value may end so, too: dG9rZW4=
    match part.trim_end_matches('=').split_once('=') {
        _ if part.is_empty() => String::new(),
        Some((name, value)) if HARMLESS.contains(&name) && is_plain(value) => part.to_owned(),
        Some((name, _)) if name.bytes().all(is_of_name) => format!("{name}={HIDDEN}"),
        None if is_attribute && is_plain(part) => part.to_owned(),
        _ => HIDDEN.to_string(),
    }
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-.".contains(&byte)
}

/// No login and no further name with a value, percent-encoded neither.
fn is_plain(value: &str) -> bool {
    let signs = ["@", "=", "%40", "%3D", "%3d", "%26"];
    !signs.iter().any(|sign| value.contains(sign))
}

/// Whether a name says that a secret follows: `access-tokens`, `--password`.
fn is_setting_of_secrets(name: &str) -> bool {
    let name = name.trim_end().to_ascii_lowercase();
    // The name of a setting, not a URL that has one.
    let plain = name.bytes().all(is_of_name);
    let words = ["token", "secret", "passw", "passphrase", "credential"];
    plain && words.iter().any(|word| name.contains(word))
}

/// `github.com=TOKEN`, as nix.conf's access-tokens has it.
fn is_host(name: &str) -> bool {
    let host = name.split('/').next().unwrap_or_default();
    let plain = host
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
    plain && host.trim_matches('.').contains('.')
}

/// What says where and how: the parameters of Nix's stores and flakes, and of lists of mirrors.
const HARMLESS: &[&str] = &[
    "addressing-style",
    "arch",
    "compression",
    "country",
    "dir",
    "endpoint",
    "host",
    "lastModified",
    "narHash",
    "priority",
    "profile",
    "ref",
    "region",
    "remote-program",
    "remote-store",
    "repo",
    "rev",
    "revCount",
    "scheme",
    "shallow",
    "submodules",
    "trusted",
    "want-mass-query",
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_url_is_shown_without_its_login() {
        for (written, expected) in [
            ("https://host/x", "https://host/x"),
            ("https://me@host", "https://host"),
            ("https://me:secret@host:8080/x", "https://host:8080/x"),
            ("https://me:sec@ret@host/x", "https://host/x"),
            ("https://me:sec/ret@host/x", "https://host/x"),
            ("https://me:sec@re/t@host", "https://host"),
            ("https://me:1/2@host", "https://host"),
            ("https://me:sec?re#t@host", "https://host"),
            ("https://m/e:secret@host/x", "https://host/x"),
            ("https://m.e/e:secret@host/x", "https://host/x"),
            ("https://me:se cr\"et@host/x", "https://host/x"),
            ("https://se cr\"et@host/x", "https://host/x"),
            ("https://secret/x@host", "https://host"),
            ("https://me:secret@host:99999", "https://host:99999"),
            ("https:///me:secret@host", "https://host"),
            ("https:me:secret@host", "…@host"),
            ("https:/me:secret@host", "…@host"),
            ("//me:secret@host/x", "//host/x"),
            ("me:secret@host:x", "…@host:x"),
            ("git@host:x", "git@host:x"),
            ("Sec1ret@host", "…@host"),
            ("https://me:secret", "https://me:…"),
            ("https://[::1]:8080/x", "https://[::1]:8080/x"),
            ("tcp://HOST:PORT", "tcp://HOST:PORT"),
            ("nix-cache:https://me:secret@host", "nix-cache:https://host"),
            ("mirror+https://me:%73ecret@host/x", "mirror+https://host/x"),
            ("https://me:secret@[::1]/x", "https://[::1]/x"),
            ("https://a.example/@scope/x", "https://a.example/@scope/x"),
            (
                "/tmp//etc/systemd/getty@tty1.service",
                "/tmp//etc/systemd/getty@tty1.service",
            ),
        ] {
            assert_eq!(url(written), expected, "{written}");
        }
    }

    #[test]
    fn only_harmless_values_of_a_query_are_shown() {
        for (written, expected) in [
            (
                "https://host/x?access_token=secret",
                "https://host/x?access_token=…",
            ),
            (
                "https://host/x?a=1&sig=secret&b=2",
                "https://host/x?a=…&sig=…&b=…",
            ),
            ("https://host/x?secret", "https://host/x?…"),
            (
                "https://host/x?token=abc#access_token=secret",
                "https://host/x?token=…#access_token=…",
            ),
            ("https://host/x?k=1", "https://host/x?k=…"),
            ("https://host/x?%74oken=z", "https://host/x?…"),
            ("https://host/x?c2VjcmV0==", "https://host/x?…"),
            ("https://host/x#z", "https://host/x#…"),
            ("https://host/x;session=z", "https://host/x;session=…"),
            ("nix-cache:s3://b?opaque=z", "nix-cache:s3://b?opaque=…"),
            ("s3://b.c?endpoint=https://me:z@m", "s3://m"),
            ("b?endpoint=me%3Az%40m", "b?endpoint=…"),
            ("https://host/x?ref=a%26k%3Dz", "https://host/x?ref=…"),
            ("b?opaque=z", "b?opaque=…"),
            (
                "git+https://host/x?narHash=sha256-a%2Bb=&rev=1#me",
                "git+https://host/x?narHash=sha256-a%2Bb=&rev=1#me",
            ),
            (
                "https://host/?priority=10000",
                "https://host/?priority=10000",
            ),
            (
                "s3://b?endpoint=minio:9000&scheme=http",
                "s3://b?endpoint=minio:9000&scheme=http",
            ),
            (
                "github:me/x?dir=sub/dir#laptop",
                "github:me/x?dir=sub/dir#laptop",
            ),
            ("access-tokens=github.com=secret", "access-tokens=…"),
            ("github.com/me=secret", "github.com/me=…"),
            ("access-tokens = github.com=secret", "access-tokens =…"),
            ("--password=secret", "--password=…"),
            ("did you mean this?", "did you mean this?"),
        ] {
            assert_eq!(url(written), expected, "{written}");
        }
    }

    #[test]
    fn a_sentence_keeps_all_but_the_secrets() {
        let written = "error: '--target=https://me:secret@a/' and \"tcp://HOST:PORT\"\n  (https://b/?key=secret), me@c";
        let expected =
            "error: '--target=https://a/' and \"tcp://HOST:PORT\"\n  (https://b/?key=…), me@c";
        assert_eq!(text(written), expected);
    }

    #[test]
    fn a_host_is_uncertain_if_the_login_may_go_on_behind_it() {
        assert!(is_ambiguous("https://me:p@ss/w@host"));
        assert!(is_ambiguous("https://m/e:pw@host/x"));
        assert!(is_ambiguous("https://m.e/x:pw@host/x"));
        assert!(!is_ambiguous("https://me:p@ss@host/x"));
        assert!(is_ambiguous("https://me:8/@host"));
        assert!(!is_ambiguous("https://host/@x"));
        assert!(!is_ambiguous("https://a.example/pkg@1"));
    }

    proptest! {
        #[test]
        fn any_text_is_shown_without_a_panic(any in prop_oneof!["(?s).*", "[a:/@?#=&\"' .%…]{0,24}"]) {
            let _ = text(&any);
        }

        #[test]
        fn no_password_survives(password in ".{0,6}QZQ.{0,6}", scheme in "(https?:|git\\+ssh:|)//") {
            let shown = url(&format!("{scheme}me:{password}@host.example/x"));
            prop_assert!(!shown.contains("QZQ"), "{}", shown);
        }

        #[test]
        fn no_password_survives_in_a_sentence(password in "[!#-&(-_a-~]{0,6}QZQ[!#-&(-_a-~]{0,6}") {
            let shown = text(&format!("warning: \"https://me:{password}@host.example/x\" is odd"));
            prop_assert!(!shown.contains("QZQ"), "{}", shown);
        }
    }
}
