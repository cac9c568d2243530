//! Through which proxy apt asks a host (apt-transport-http(1)). Pure.

use reqwest::Url;

use super::settings::AptSettings;
use crate::targets::Via;
use crate::text::secret;

/// What apt sets `Acquire::tor::Proxy` to, unless it is set.
const TOR: &str = "socks5h://apt-transport-tor@127.0.0.1:9050";

/// How apt asks this host by this method, if not as the environment says.
///
/// # Errors
/// A sentence why that cannot be told.
pub(super) fn via(settings: &AptSettings, method: &str, host: &str) -> Result<Option<Via>, String> {
    let find = |postfix: &str| {
        let names = methods(method);
        let of_host = names
            .iter()
            .map(|name| format!("acquire::{name}::{host}::{postfix}"));
        let plain = names
            .iter()
            .map(|name| format!("acquire::{name}::{postfix}"));
        of_host.chain(plain).find_map(|name| get(settings, &name))
    };
    if let Some(proxy) = find(&format!("proxy::{host}")) {
        return read(proxy).map(Some);
    }
    let detects = ["proxy-auto-detect", "proxyautodetect"]
        .iter()
        .find_map(|name| settings.get(&format!("acquire::{method}::{name}")));
    if let Some(program) = detects {
        return Err(format!(
            "Proxy-Auto-Detect: only the program {program} knows its proxy, and it is not run"
        ));
    }
    find("proxy").map(read).transpose()
}

fn get<'a>(settings: &'a AptSettings, name: &str) -> Option<&'a str> {
    let default = (name == "acquire::tor::proxy").then_some(TOR);
    settings.get(name).or(default)
}

/// The names that a method goes by, its own first.
fn methods(method: &str) -> Vec<&str> {
    let mut names = vec![method];
    if let Some((outer, inner)) = method.split_once('+') {
        names.extend([outer, inner]);
    }
    if !names.contains(&"http") && names.contains(&"https") {
        names.push("http");
    }
    names
}

/// A proxy without a host (`DIRECT`, `false`) is none.
fn read(proxy: &str) -> Result<Via, String> {
    if !proxy.contains(':') {
        return Ok(Via::Direct);
    }
    let refused = || Err(format!("apt refuses the proxy {}", secret::url(proxy)));
    let Some((scheme, rest)) = proxy.split_once("://") else {
        return refused();
    };
    let port = match scheme {
        "http" => 80,
        "https" => 443,
        "socks5h" => 1080,
        _ => return refused(),
    };
    // Under a scheme that the crate does not know it keeps every port that is written.
    match Url::parse(&format!("proxy://{rest}")) {
        Ok(url) if secret::is_ambiguous(proxy) || !url.has_host() => refused(),
        Ok(mut url) => {
            let port = url.port().unwrap_or(port);
            let _ = url.set_port(Some(port));
            Ok(Via::Proxy(url.as_str().replacen("proxy", scheme, 1)))
        }
        Err(_) => refused(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::auto::apt::settings;

    fn asked(text: &str, method: &str, host: &str) -> String {
        let found = via(&settings::of(text), method, host);
        match found {
            Ok(None) => "environment".to_owned(),
            Ok(Some(Via::Direct)) => "direct".to_owned(),
            Ok(Some(Via::Proxy(url))) => url,
            Err(why) => why,
        }
    }

    #[test]
    fn the_proxy_of_a_host_comes_first_and_http_serves_https() {
        let text = "Acquire::http::Proxy \"http://p\"; Acquire::http::Proxy::a \"DIRECT\";
                    Acquire::https::Proxy \"socks5h://me:secret@s\"; Acquire::http::b::Proxy \"https://t\";";
        assert_eq!(asked(text, "http", "x"), "http://p:80");
        assert_eq!(asked(text, "http", "a"), "direct");
        assert_eq!(asked(text, "https", "a"), "direct");
        assert_eq!(asked(text, "https", "x"), "socks5h://me:secret@s:1080");
        assert_eq!(asked(text, "https", "b"), "https://t:443");
        let text = "Acquire::http::Proxy \"http://p:3128/\";";
        assert_eq!(asked(text, "https", "x"), "http://p:3128/");
        assert_eq!(asked("", "https", "x"), "environment");
        assert_eq!(
            asked("Acquire::http::Proxy \"false\";", "http", "x"),
            "direct"
        );
    }

    #[test]
    fn tor_has_a_proxy_of_its_own() {
        assert_eq!(asked("", "tor+https", "x"), TOR);
        let text = "Acquire::tor::Proxy \"socks5h://t:1\"; Acquire::http::Proxy \"http://p:1\";";
        assert_eq!(asked(text, "tor+http", "x"), "socks5h://t:1");
        let text = "Acquire::http::Proxy \"http://p:1\"; Acquire::https::Proxy \"http://p:1\";
                    Acquire::http::Proxy::a \"http://q:1\"; Acquire::tor+https::Proxy \"DIRECT\";";
        assert_eq!(asked(text, "tor+http", "x"), TOR);
        assert_eq!(asked(text, "tor+http", "a"), "http://q:1");
        assert_eq!(asked(text, "tor+https", "x"), "direct");
    }

    #[test]
    fn what_cannot_be_told_is_said_without_secrets() {
        let text = "Acquire::http::Proxy-Auto-Detect \"/usr/bin/detect\"; Acquire::http::Proxy::a \"DIRECT\";";
        assert!(asked(text, "http", "x").contains("/usr/bin/detect"));
        assert_eq!(asked(text, "http", "a"), "direct");
        for proxy in [
            "socks4://me:secret@p",
            "me:secret@p:1",
            "http://me:p@s/secret@p",
            "p:3128",
        ] {
            let said = asked(&format!("Acquire::http::Proxy \"{proxy}\";"), "http", "x");
            assert!(said.starts_with("apt refuses"), "{said}");
            assert!(!said.contains("secret"), "{said}");
        }
    }
}
