//! What must be reached, as it is written: `nix-cache:https://…`, `ssh://…`, `{ any = [ … ] }`.

pub mod auto;

use std::fmt;
use std::str::FromStr;

use reqwest::Url;
use serde::{Deserialize, Serialize};

use crate::text::secret;

/// One thing the upgrade needs to reach, and how it is told that it was.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Target {
    /// `nix-cache:URL`: `GET URL/nix-cache-info` has the line `StoreDir: /nix/store`.
    NixCache {
        /// The cache's URL, `http` or `https`, without `/nix-cache-info`.
        url: String,
    },
    /// `https://…`: any status below 500 over verified TLS, from the target itself.
    Https {
        /// The whole URL.
        url: String,
    },
    /// `http://…`: 204, or the body begins with `expect`.
    Http {
        /// The whole URL.
        url: String,
        /// What the body must begin with, if a 204 is not what it answers.
        expect: Option<String>,
    },
    /// `ssh://host[:port]`: the banner begins with `SSH-`.
    Ssh {
        /// Host name or address, IPv6 without brackets.
        host: String,
        /// The port, 22 if not written.
        port: u16,
    },
    /// `tcp://host:port`: the connection is accepted. Weak: portals accept too.
    Tcp {
        /// Host name or address, IPv6 without brackets.
        host: String,
        /// The port.
        port: u16,
    },
}

/// One entry of `targets`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetEntry {
    /// `"auto"`: derived from what the upgrade is.
    Auto,
    /// One target.
    One(Target),
    /// `{ any = […] }`: one of these is enough.
    Any(Vec<Target>),
}

/// What a probe is asked: every group must be reached, in each group one target is enough.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// The groups, none of them empty.
    pub groups: Vec<Vec<Target>>,
}

/// How a target is asked that is not asked as the environment says.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// Through no proxy.
    Direct,
    /// Through the proxy with this URL, whose login is sent but never shown.
    Proxy(String),
}

impl fmt::Debug for Via {
    /// Without the login.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Direct => f.write_str("Direct"),
            Self::Proxy(url) => f.debug_tuple("Proxy").field(&secret::url(url)).finish(),
        }
    }
}

impl Target {
    /// The origin of its URL, `https://host:port` as far as it is written, if it has one.
    pub fn origin(&self) -> Option<String> {
        match self {
            Self::NixCache { url } | Self::Https { url } | Self::Http { url, .. } => {
                Some(Url::parse(url).ok()?.origin().ascii_serialization())
            }
            Self::Ssh { .. } | Self::Tcp { .. } => None,
        }
    }
}

impl fmt::Display for Target {
    /// As it is written in a configuration, but for what is secret in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NixCache { url } => write!(f, "nix-cache:{}", secret::url(url)),
            Self::Https { url } | Self::Http { url, .. } => f.write_str(&secret::url(url)),
            Self::Ssh { host, port } => write!(f, "ssh://{}:{port}", bracketed(host)),
            Self::Tcp { host, port } => write!(f, "tcp://{}:{port}", bracketed(host)),
        }
    }
}

/// Why a string is not a target. The string is as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetParseError {
    /// None of the spellings.
    #[error(
        "invalid target {0:?}; write nix-cache:URL, https://…, http://…, ssh://HOST or tcp://HOST:PORT"
    )]
    NoTarget(String),
    /// The spelling is known, the URL is wrong.
    #[error("invalid target {written:?}: {why}")]
    Url {
        /// As it was written.
        written: String,
        /// What is wrong, and what to do.
        why: String,
    },
}

impl FromStr for Target {
    type Err = TargetParseError;

    fn from_str(written: &str) -> Result<Self, TargetParseError> {
        parse(written).map_err(|wrong| match wrong {
            Wrong::Spelling => TargetParseError::NoTarget(secret::url(written)),
            Wrong::Url(why) => TargetParseError::Url {
                written: secret::url(written),
                why,
            },
        })
    }
}

enum Wrong {
    Spelling,
    Url(String),
}

fn wrong<T>(why: &str) -> Result<T, Wrong> {
    Err(Wrong::Url(why.to_owned()))
}

fn parse(written: &str) -> Result<Target, Wrong> {
    let (scheme, _) = written.split_once(':').ok_or(Wrong::Spelling)?;
    match scheme.to_ascii_lowercase().as_str() {
        "nix-cache" => nix_cache(&written[scheme.len() + 1..]),
        "https" => Ok(Target::Https {
            url: web(written)?.into(),
        }),
        "http" => Ok(Target::Http {
            url: web(written)?.into(),
            expect: None,
        }),
        "ssh" => host_and_port(written).map(|(host, port)| Target::Ssh {
            host,
            port: port.unwrap_or(22),
        }),
        "tcp" => match host_and_port(written)? {
            (host, Some(port)) => Ok(Target::Tcp { host, port }),
            (_, None) => wrong("it has no port; write tcp://HOST:PORT"),
        },
        _ => Err(Wrong::Spelling),
    }
}

/// The query is dropped: in a substituter it holds Nix's own settings (`?priority=…`).
fn nix_cache(url: &str) -> Result<Target, Wrong> {
    let mut url = web(url)?;
    url.set_query(None);
    Ok(Target::NixCache {
        url: url.as_str().trim_end_matches('/').to_owned(),
    })
}

fn web(written: &str) -> Result<Url, Wrong> {
    let mut url = url(written)?;
    if !matches!(url.scheme(), "http" | "https") {
        return wrong("the URL must begin with https:// or http://");
    }
    url.set_fragment(None);
    Ok(url)
}

fn host_and_port(written: &str) -> Result<(String, Option<u16>), Wrong> {
    let url = url(written)?;
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return wrong("leave out what follows the host and port");
    }
    // The crate knows nothing of these schemes and leaves the host as it is: IDN and odd
    // spellings of addresses become what the resolver wants only in a web URL.
    let host = url.host_str().unwrap_or_default();
    let plain = self::url(&format!("http://{host}/"))?;
    let host = plain.host_str().unwrap_or_default();
    Ok((
        host.trim_matches(['[', ']']).to_owned(),
        usable(url.port())?,
    ))
}

fn usable(port: Option<u16>) -> Result<Option<u16>, Wrong> {
    match port {
        Some(0) => wrong("port 0 cannot be reached"),
        port => Ok(port),
    }
}

/// A login is accepted and dropped: a refusal proves the network as well, and the banner of ssh comes before any login.
fn url(written: &str) -> Result<Url, Wrong> {
    if secret::is_ambiguous(written) {
        return wrong(
            "its login has a /, ? or #; write %2F, %3F or %23, or leave the login out (in a path, write @ as %40)",
        );
    }
    let mut url = Url::parse(written).map_err(|error| Wrong::Url(error.to_string()))?;
    if url.host_str().unwrap_or_default().is_empty() {
        return wrong("it has no host");
    }
    // A URL that cannot have a login is left as it is.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    usable(url.port())?;
    Ok(url)
}

fn bracketed(host: &str) -> String {
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(written: &str) -> String {
        match written.parse::<Target>() {
            Ok(target) => target.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn every_spelling_is_read_and_shown_as_it_would_be_written() {
        for (written, expected) in [
            (
                "nix-cache:https://cache.nixos.org",
                "nix-cache:https://cache.nixos.org",
            ),
            (
                "nix-cache:https://c.example/a/?priority=10#x",
                "nix-cache:https://c.example/a",
            ),
            (
                "nix-cache:http://[fe80::1]:8080/",
                "nix-cache:http://[fe80::1]:8080",
            ),
            ("https://host", "https://host/"),
            ("HTTPS://Host/Path?q=1#f", "https://host/Path?q=…"),
            ("https://müller.example/", "https://xn--mller-kva.example/"),
            ("http://host:8080/x", "http://host:8080/x"),
            ("ssh://git@host", "ssh://host:22"),
            ("ssh://me:secret@host", "ssh://host:22"),
            ("https://me:secret@host/", "https://host/"),
            ("nix-cache:https://me@host", "nix-cache:https://host"),
            (
                "https://host/?access_token=secret",
                "https://host/?access_token=…",
            ),
            ("ssh://host:2222/", "ssh://host:2222"),
            ("ssh://[2001:db8::1]", "ssh://[2001:db8::1]:22"),
            ("ssh://müller.example", "ssh://xn--mller-kva.example:22"),
            ("tcp://host:80", "tcp://host:80"),
            ("tcp://[::1]:443", "tcp://[::1]:443"),
            ("tcp://192.0.2.1:1", "tcp://192.0.2.1:1"),
        ] {
            assert_eq!(shown(written), expected, "{written}");
        }
    }

    #[test]
    fn an_invalid_target_is_refused_with_what_to_write() {
        for (written, part) in [
            ("ftp://x", "invalid target \"ftp://x\"; write nix-cache:URL"),
            ("auto", "write nix-cache:URL"),
            ("", "write nix-cache:URL"),
            ("cache.nixos.org", "write nix-cache:URL"),
            ("nix-cache:ftp://x", "must begin with https://"),
            ("nix-cache:", "relative URL"),
            ("https://", "empty host"),
            ("https://a b/", "invalid"),
            ("https://me:se/c@ret@host/", "\"https://host/\""),
            ("https://me:p@s/secret@host/", "its login has a /"),
            ("me:secret@host", "invalid target \"…@host\""),
            ("ssh://", "no host"),
            ("ssh://host/path", "leave out what follows"),
            ("ssh://[fe80::1%eth0]", "invalid"),
            ("tcp://host", "no port"),
            ("tcp://host:0", "port 0"),
            ("tcp://host:65536", "invalid port"),
            ("https://host:0/", "port 0"),
        ] {
            assert!(written.parse::<Target>().is_err(), "{written} is no target");
            assert!(!shown(written).contains("secret"), "{}", shown(written));
            assert!(
                shown(written).contains(part),
                "{written}: {}",
                shown(written)
            );
        }
    }

    proptest! {
        #[test]
        fn any_string_is_read_or_refused_without_a_panic(written in ".*") {
            let _ = written.parse::<Target>();
        }

        #[test]
        fn what_is_shown_reads_as_the_same_target(
            scheme in prop_oneof!["nix-cache:https", "nix-cache:http", "https", "http", "ssh", "tcp"],
            rest in "(me:x@)?[a-z0-9\\[\\]:.ü/%-]{1,20}",
        ) {
            if let Ok(target) = format!("{scheme}://{rest}").parse::<Target>() {
                prop_assert_eq!(target.to_string().parse::<Target>(), Ok(target));
            }
        }
    }
}
