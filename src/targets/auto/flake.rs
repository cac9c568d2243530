//! The spellings of a flake reference → where it is fetched from. Pure.

use std::path::PathBuf;

use reqwest::Url;

use super::place::{Place, tcp, url, web};
use super::ssh::Destination;
use crate::targets::Target;

/// Where a flake is, tried in Nix's order: an id of the registries, a URL, a path.
pub(super) fn place(written: &str) -> Place {
    let reference = written.split('#').next().unwrap_or_default();
    if let Some(place) = registry(reference) {
        return place;
    }
    match reference.split_once(':') {
        Some((scheme, rest)) if is_scheme(scheme) => by_scheme(scheme, rest, reference),
        _ => Place::Local,
    }
}

/// The folder a flake on this machine is in, for its lock file.
pub(super) fn folder(written: &str) -> Option<PathBuf> {
    let reference = written.split(['#', '?']).next().unwrap_or_default();
    let path = ["path:", "git+file:", "file:"]
        .iter()
        .find_map(|scheme| reference.strip_prefix(scheme))
        .unwrap_or(reference);
    let path = path.strip_prefix("//").unwrap_or(path);
    let dir = written
        .split('#')
        .next()
        .and_then(|reference| option(reference, "dir"));
    (place(written) == Place::Local).then(|| PathBuf::from(path).join(dir.unwrap_or_default()))
}

fn is_scheme(word: &str) -> bool {
    let mut bytes = word.bytes();
    bytes.next().is_some_and(|byte| byte.is_ascii_lowercase())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

fn by_scheme(scheme: &str, rest: &str, reference: &str) -> Place {
    let (application, transport) = scheme.split_once('+').unwrap_or(("", scheme));
    match (application, transport) {
        ("", "github") => github(rest, reference),
        ("", "gitlab") => forge(rest, reference, "gitlab.com"),
        ("", "sourcehut") => forge(rest, reference, "git.sr.ht"),
        ("", "flake") => {
            registry(rest).unwrap_or_else(|| Place::Unknown("it is not a valid flake ID".into()))
        }
        ("", "path") | ("" | "git" | "hg" | "tarball" | "file", "file") => Place::Local,
        ("" | "git", "git") => git_daemon(rest),
        ("git" | "hg", "ssh") => match Destination::of(&format!("ssh:{rest}")) {
            Some(destination) => Place::Ssh(destination),
            None => Place::Unknown("it names no host".into()),
        },
        ("" | "git" | "hg" | "tarball" | "file", "http" | "https") => {
            web(&format!("{transport}:{}", without_query(rest)))
        }
        _ => Place::Unknown(format!("Nix has no flake type {scheme}:")),
    }
}

/// `id[/ref][/rev]`, as Nix recognises it before anything else.
fn registry(reference: &str) -> Option<Place> {
    let (id, rest) = match reference.split_once('/') {
        Some((id, rest)) => (id, Some(rest)),
        None => (reference, None),
    };
    let mut bytes = id.bytes();
    let named = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    (named && rest.is_none_or(is_git_ref)).then(|| Place::Registry {
        id: id.to_owned(),
        reference: rest.map(str::to_owned),
    })
}

fn is_git_ref(word: &str) -> bool {
    let starts = word.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '@');
    starts
        && word
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_./@+-".contains(&byte))
}

/// Nix asks the API for the commit, unless the reference names it, and the site for the archive.
fn github(rest: &str, reference: &str) -> Place {
    match host(rest, reference, "github.com") {
        None => incomplete(),
        Some(host) if host == "github.com" => {
            // The one page of the API that does not count against its limit of requests.
            let api = (!pinned(rest, reference)).then_some("https://api.github.com/rate_limit");
            targets(api.into_iter().chain(["https://github.com/"]))
        }
        Some(host) => targets([format!("https://{host}/api/v3").as_str()]),
    }
}

fn forge(rest: &str, reference: &str, default: &str) -> Place {
    match host(rest, reference, default) {
        None => incomplete(),
        Some(host) => targets([format!("https://{host}/").as_str()]),
    }
}

fn incomplete() -> Place {
    Place::Unknown("it needs an OWNER/REPOSITORY".into())
}

fn targets<'a>(urls: impl IntoIterator<Item = &'a str>) -> Place {
    let parsed: Result<Vec<Target>, _> = urls.into_iter().map(str::parse).collect();
    parsed.map_or_else(|error| Place::Unknown(error.to_string()), Place::Targets)
}

fn segments(rest: &str) -> impl Iterator<Item = &str> {
    without_query(rest)
        .split('/')
        .filter(|segment| !segment.is_empty())
}

fn host(rest: &str, reference: &str, default: &str) -> Option<String> {
    let complete = segments(rest).nth(1).is_some();
    complete.then(|| option(reference, "host").unwrap_or_else(|| default.to_owned()))
}

fn pinned(rest: &str, reference: &str) -> bool {
    let mut segments = segments(rest).skip(2);
    let rev = segments.next().filter(|_| segments.next().is_none());
    let rev = rev.map(str::to_owned).or_else(|| option(reference, "rev"));
    rev.is_some_and(|rev| rev.len() == 40 && rev.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn git_daemon(rest: &str) -> Place {
    let url = url(&format!("git:{rest}"));
    match url
        .as_ref()
        .and_then(Url::host_str)
        .filter(|host| !host.is_empty())
    {
        Some(host) => {
            let port = url.as_ref().and_then(Url::port);
            Place::Weak(tcp(host, port.unwrap_or(9418)))
        }
        None => Place::Unknown("it names no host".into()),
    }
}

fn without_query(rest: &str) -> &str {
    rest.split('?').next().unwrap_or_default()
}

fn option(reference: &str, name: &str) -> Option<String> {
    let (_, query) = reference.split_once('?')?;
    // The host says nothing, it only makes the query one of a URL.
    let url = Url::parse(&format!("https://query/?{query}")).ok()?;
    let found = url.query_pairs().find(|(key, _)| key == name);
    found.map(|(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_folder_of_a_local_flake_is_found_in_every_spelling() {
        for (written, folder_) in [
            ("/etc/nixos#laptop", Some("/etc/nixos")),
            (".", Some(".")),
            ("path:/a/b?dir=c#x", Some("/a/b/c")),
            ("git+file:///a/b?ref=main", Some("/a/b")),
            ("github:a/b", None),
            ("nixpkgs", None),
        ] {
            let expected = folder_.map(PathBuf::from);
            assert_eq!(folder(written), expected, "{written}");
        }
    }

    proptest! {
        #[test]
        fn any_reference_is_read_without_a_panic(
            text in prop_oneof![".*", "(git\\+ssh|github|git|flake):[a-z0-9.:@\\[\\]?=&/%#-]*"],
        ) {
            let _ = (place(&text), folder(&text));
        }
    }
}
