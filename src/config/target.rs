//! What must be reached, as it is written: `nix-cache:https://…`, `ssh://…`, `{ any = [ … ] }`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One thing the upgrade needs to reach, and how it is told that it was.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Target {
    /// `nix-cache:URL`: `GET URL/nix-cache-info` begins with `StoreDir:`.
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
pub enum Entry {
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

/// A text that is no target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no target; write nix-cache:https://…, https://…, http://…, ssh://… or tcp://…")]
pub struct ParseError(String);

impl FromStr for Target {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let refused = || ParseError(text.to_owned());
        let url = text.to_owned();
        if let Some(url) = text.strip_prefix("nix-cache:") {
            return Ok(Self::NixCache {
                url: url.to_owned(),
            });
        }
        let (scheme, rest) = text.split_once("://").ok_or_else(refused)?;
        match scheme {
            "https" => Ok(Self::Https { url }),
            "http" => Ok(Self::Http { url, expect: None }),
            "ssh" => Ok(Self::Ssh {
                host: rest.to_owned(),
                port: 22,
            }),
            "tcp" => {
                let (host, port) = rest.rsplit_once(':').ok_or_else(refused)?;
                let (host, port) = (host.to_owned(), port.parse().map_err(|_| refused())?);
                Ok(Self::Tcp { host, port })
            }
            _ => Err(refused()),
        }
    }
}

impl fmt::Display for Target {
    /// As it is written in a configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NixCache { url } => write!(f, "nix-cache:{url}"),
            Self::Https { url } | Self::Http { url, .. } => f.write_str(url),
            Self::Ssh { host, port } => write!(f, "ssh://{}:{port}", bracketed(host)),
            Self::Tcp { host, port } => write!(f, "tcp://{}:{port}", bracketed(host)),
        }
    }
}

fn bracketed(host: &str) -> String {
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}
