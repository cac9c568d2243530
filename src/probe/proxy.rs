//! Which proxy a URL takes, as libcurl reads the environment. Pure: the environment is a function.

use std::net::IpAddr;

use reqwest::Url;

use crate::targets::Via;
use crate::text::secret;

/// A proxy to take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Proxy {
    /// Its URL with an explicit scheme and, except where it is the scheme's own, port.
    pub(super) url: Url,
}

/// How a proxy is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// `CONNECT` for https, forwarding for http.
    Http,
    /// SOCKS 4 and 5, which are given an address.
    SocksResolvedHere,
    /// SOCKS 4a and 5 with the name ("5h").
    SocksResolvedThere,
}

impl Proxy {
    pub(super) fn protocol(&self) -> Protocol {
        match self.url.scheme() {
            "socks4" | "socks5" => Protocol::SocksResolvedHere,
            "socks4a" | "socks5h" => Protocol::SocksResolvedThere,
            _ => Protocol::Http,
        }
    }

    /// The host, IPv6 without brackets.
    pub(super) fn host(&self) -> &str {
        bare_host(&self.url)
    }

    /// The port that is connected to.
    pub(super) fn port(&self) -> u16 {
        self.url.port_or_known_default().unwrap_or(DEFAULT_PORT)
    }

    /// The proxy without its credentials.
    pub(super) fn shown(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        format!("{}://{host}:{}", self.url.scheme(), self.port())
    }
}

/// A URL's host, IPv6 without brackets.
pub(super) fn bare_host(url: &Url) -> &str {
    let host = url.host_str().unwrap_or_default();
    host.trim_start_matches('[').trim_end_matches(']')
}

/// libcurl's own default (`CURL_DEFAULT_PROXY_PORT`), for every kind but https.
const DEFAULT_PORT: u16 = 1080;

/// Chooses the proxy for `url`; `Err` names a variable that is not understood.
///
/// `<scheme>_proxy`, then `all_proxy`, each in lower case first, then in upper; what is empty is not
/// set. `no_proxy` overrules both (curl's manual, "ENVIRONMENT").
pub(super) fn choose(
    url: &Url,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<Proxy>, String> {
    let either = |name: &str| {
        let upper = name.to_ascii_uppercase();
        set(env, name).or_else(|| set(env, &upper))
    };
    if either("no_proxy").is_some_and(|(_, list)| excludes(&list, bare_host(url))) {
        return Ok(None);
    }
    let found = either(&format!("{}_proxy", url.scheme())).or_else(|| either("all_proxy"));
    found
        .map(|(name, text)| parse(&text).ok_or_else(|| complaint(&name)))
        .transpose()
}

/// The proxy that a configuration gives for `url`, or none; `no_proxy` overrules that, too.
pub(super) fn given(
    url: &Url,
    via: &Via,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<Proxy>, String> {
    let Via::Proxy(text) = via else {
        return Ok(None);
    };
    let excluded = ["no_proxy", "NO_PROXY"]
        .iter()
        .find_map(|name| set(env, name));
    if excluded.is_some_and(|(_, list)| excludes(&list, bare_host(url))) {
        return Ok(None);
    }
    let proxy = parse(text).ok_or("invalid URL of the configured proxy; fix it");
    Ok(Some(proxy?))
}

fn set(env: &dyn Fn(&str) -> Option<String>, name: &str) -> Option<(String, String)> {
    let value = env(name).filter(|v| !v.is_empty())?;
    Some((name.to_owned(), value))
}

fn complaint(variable: &str) -> String {
    format!("invalid proxy URL in the environment variable {variable}; fix it")
}

fn parse(text: &str) -> Option<Proxy> {
    // DOMAIN\user: to curl it is a character, to `Url` the end of the host.
    let text = &text.replace('\\', "%5C");
    // Its host would be a part of its login.
    if secret::is_ambiguous(text) {
        return None;
    }
    let (scheme, rest) = text
        .trim()
        .split_once("://")
        .unwrap_or(("http", text.trim()));
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "socks" => "socks4".to_owned(),
        known @ ("http" | "https" | "socks4" | "socks4a" | "socks5" | "socks5h") => {
            known.to_owned()
        }
        _ => return None,
    };
    let mut url = Url::parse(&format!("{scheme}://{rest}")).ok()?;
    // `Url` forgets a port that is the scheme's own; under an unknown scheme it keeps every port.
    let written = Url::parse(&format!("proxy://{rest}")).ok()?.port();
    if written.is_none() && scheme != "https" {
        url.set_port(Some(DEFAULT_PORT)).ok()?;
    }
    url.host_str().filter(|h| !h.is_empty())?;
    Some(Proxy { url })
}

/// `no_proxy`: `*` alone, or names with all that is below them, addresses and networks.
fn excludes(list: &str, host: &str) -> bool {
    if list.trim() == "*" {
        return true;
    }
    let mut entries = list
        .split([',', ' ', '\t'])
        .map(str::trim)
        .filter(|entry| !entry.is_empty());
    match host.parse::<IpAddr>() {
        Ok(address) => entries.any(|entry| holds_address(entry, address)),
        Err(_) => entries.any(|entry| holds_name(entry, host)),
    }
}

fn holds_name(entry: &str, host: &str) -> bool {
    let entry = entry.trim_start_matches('.').trim_end_matches('.');
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let entry = entry.to_ascii_lowercase();
    !entry.is_empty()
        && host
            .strip_suffix(&entry)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn holds_address(entry: &str, address: IpAddr) -> bool {
    let (network, bits) = match entry.split_once('/') {
        Some((network, bits)) => (network, bits.parse::<u32>().ok()),
        None => (entry, Some(128)),
    };
    let network = network.trim_start_matches('[').trim_end_matches(']');
    match (network.parse(), address, bits) {
        (Ok(IpAddr::V4(network)), IpAddr::V4(address), Some(bits)) => {
            let differ = (u32::from(network) ^ u32::from(address)).leading_zeros();
            differ >= bits.min(32)
        }
        (Ok(IpAddr::V6(network)), IpAddr::V6(address), Some(bits)) => {
            let differ = (u128::from(network) ^ u128::from(address)).leading_zeros();
            differ >= bits.min(128)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chosen(url: &str, env: &[(&str, &str)]) -> Result<Option<String>, String> {
        let read = |name: &str| {
            let found = env.iter().find(|(n, _)| *n == name);
            found.map(|(_, v)| (*v).to_owned())
        };
        let url = Url::parse(url).unwrap();
        choose(&url, &read).map(|p| p.map(|p| p.shown()))
    }

    #[test]
    fn the_scheme_has_its_own_variable_and_all_proxy_serves_the_rest() {
        let env = [
            ("https_proxy", "http://s:1"),
            ("all_proxy", "socks5h://a:2"),
        ];
        let shown = |url| chosen(url, &env).unwrap().unwrap();
        assert_eq!(shown("https://x.org"), "http://s:1");
        assert_eq!(shown("http://x.org"), "socks5h://a:2");
        assert_eq!(chosen("https://x.org", &[]), Ok(None));
    }

    #[test]
    fn lower_case_comes_first_and_what_is_empty_is_not_set() {
        let both = [
            ("http_proxy", "http://low:1"),
            ("HTTP_PROXY", "http://up:1"),
        ];
        assert_eq!(chosen("http://x", &both), Ok(Some("http://low:1".into())));
        let empty = [("http_proxy", ""), ("HTTP_PROXY", "http://up:1")];
        assert_eq!(chosen("http://x", &empty), Ok(Some("http://up:1".into())));
    }

    #[test]
    fn a_proxy_may_lack_its_scheme_and_port() {
        let shown = |proxy| chosen("http://x", &[("http_proxy", proxy)]);
        assert_eq!(shown("p:3128"), Ok(Some("http://p:3128".into())));
        assert_eq!(shown("http://p"), Ok(Some("http://p:1080".into())));
        assert_eq!(shown("http://p:80/"), Ok(Some("http://p:80".into())));
        assert_eq!(shown("https://p"), Ok(Some("https://p:443".into())));
        assert_eq!(shown("socks5h://p"), Ok(Some("socks5h://p:1080".into())));
        assert_eq!(
            shown("socks://[::1]:9"),
            Ok(Some("socks4://[::1]:9".into()))
        );
    }

    #[test]
    fn a_login_may_name_a_windows_domain() {
        let proxy = parse("http://DOM\\me:pw@p:8").unwrap();
        assert_eq!(
            (proxy.url.username(), proxy.shown()),
            ("DOM%5Cme", "http://p:8".into())
        );
        assert!(parse("http://host\\me").is_none());
    }

    #[test]
    fn credentials_are_never_shown() {
        let shown = chosen("http://x", &[("http_proxy", "http://me:secret@p:8")]);
        assert_eq!(shown, Ok(Some("http://p:8".into())));
    }

    #[test]
    fn what_is_not_a_proxy_is_named_by_its_variable_without_its_value() {
        let error = chosen("http://x", &[("ALL_PROXY", "gopher://me:secret@p")]).unwrap_err();
        assert!(error.contains("ALL_PROXY"), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }

    #[test]
    fn a_proxy_that_is_given_is_taken_unless_no_proxy_excludes_the_host() {
        let url = Url::parse("http://x.org/").unwrap();
        let chosen = |via: Via, no_proxy: &str| {
            let env = |name: &str| match name {
                "no_proxy" => Some(no_proxy.to_owned()),
                "http_proxy" => Some("http://never:1".to_owned()),
                _ => None,
            };
            given(&url, &via, &env).map(|proxy| proxy.map(|proxy| proxy.shown()))
        };
        let proxy = |url: &str| Via::Proxy(url.to_owned());
        assert_eq!(
            chosen(proxy("http://me:secret@p:1"), ""),
            Ok(Some("http://p:1".into()))
        );
        assert_eq!(chosen(proxy("http://p:1"), "x.org"), Ok(None));
        assert_eq!(chosen(Via::Direct, ""), Ok(None));
        let error = chosen(proxy("gopher://me:secret@p"), "").unwrap_err();
        assert!(!error.contains("secret"), "{error}");
    }

    #[test]
    fn no_proxy_excludes_as_curl_does() {
        let table = [
            ("*", "x.org", true),
            ("example.org", "example.org", true),
            (".example.org", "cache.example.org", true),
            ("Example.ORG", "cache.example.org", true),
            ("example.org", "notexample.org", false),
            ("a.org, example.org", "example.org", true),
            ("a.org example.org", "example.org", true),
            ("192.0.2.0/24", "192.0.2.9", true),
            ("192.0.2.0/24", "192.0.3.9", false),
            ("192.0.2.9", "192.0.2.9", true),
            ("192.0.2.0", "192.0.2.9", false),
            ("2001:db8::/32", "2001:db8::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("0.0.0.0/0", "192.0.2.9", true),
            ("192.0.2.0/x", "192.0.2.9", false),
            ("0.0.0.0/0", "x.org", false),
            ("", "x.org", false),
        ];
        for (list, host, expected) in table {
            assert_eq!(excludes(list, host), expected, "{list} {host}");
        }
    }

    proptest! {
        #[test]
        fn no_value_of_a_variable_panics(text in ".*", host in ".*") {
            let _ = parse(&text);
            let _ = excludes(&text, &host);
        }
    }
}
