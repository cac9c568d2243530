//! Where something is fetched from, before it becomes targets.

use reqwest::Url;

use super::ssh::Destination;
use crate::targets::{Target, Via};
use crate::text::secret;

/// Where a substituter or a flake is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// What to probe: for a flake all of it, for a substituter one of it.
    Targets(Vec<Target>),
    /// Nothing it answers proves that it is itself: only its port is probed.
    Weak(Target),
    /// To be asked of `ssh -G`.
    Ssh(Destination),
    /// On this machine: nothing to reach.
    Local,
    /// A name to look up in the flake registries.
    Registry {
        /// The flake's id.
        id: String,
        /// The branch, tag or commit, as an entry may be for one of them alone.
        reference: Option<String>,
    },
    /// Not understood; why.
    Unknown(String),
}

/// A page or file on the web: over https any answer proves the host, over http none does. A query, which may hold a
/// token, is not needed for that.
pub(super) fn web(written: &str) -> Place {
    let Some(mut url) = url(written) else {
        return invalid(written);
    };
    url.set_query(None);
    let port = url.port_or_known_default();
    match (url.scheme(), url.host_str(), port) {
        ("https", Some(_), _) => Place::Targets(vec![Target::Https { url: url.into() }]),
        ("http", Some(host), Some(port)) => Place::Weak(tcp(host, port)),
        _ => Place::Unknown("it is neither https:// nor http://".into()),
    }
}

/// What cannot be probed, and why.
pub(super) fn invalid(url: &str) -> Place {
    let why = if secret::is_ambiguous(url) {
        "its host is ambiguous: a login has / as %2F, ? as %3F and # as %23"
    } else {
        "invalid URL"
    };
    Place::Unknown(why.to_owned())
}

pub(super) fn tcp(host: &str, port: u16) -> Target {
    Target::Tcp {
        host: host.trim_matches(['[', ']']).to_owned(),
        port,
    }
}

/// Through the proxy that a configuration names, which may leave out the scheme.
pub(super) fn via(proxy: &str) -> Via {
    let scheme = if proxy.contains("://") { "" } else { "http://" };
    Via::Proxy(format!("{scheme}{proxy}"))
}

/// The port of a proxy.
pub(super) fn tcp_of(via: &Via) -> Option<Target> {
    let Via::Proxy(proxy) = via else {
        return None;
    };
    let url = url(proxy)?;
    Some(tcp(url.host_str()?, url.port_or_known_default()?))
}

/// The URL without login and fragment, which no probe sends; none if the login hides where the host is.
pub(super) fn url(written: &str) -> Option<Url> {
    let mut url = Url::parse(written)
        .ok()
        .filter(|_| !secret::is_ambiguous(written))?;
    url.set_fragment(None);
    // A URL that cannot have them is left as it is.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    Some(url)
}
