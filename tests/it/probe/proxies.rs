//! Proxies, and what goes around them.

use super::*;
use crate::support::http::{Heads, closed, listener};
use crate::support::proxy;

#[test]
fn through_an_http_proxy_the_name_goes_unresolved_and_the_route_is_the_proxys() {
    let cache_server = answering(Reply::ok(CACHE));
    let forwarding = proxy::http(cache_server.address());
    let probe = Probe::of(cache("http://cache.invalid"));
    let answer = probe.env("http_proxy", http_url(&forwarding)).run();
    assert!(
        matches!(answer.verdict, ProbeResult::Reached(_)),
        "{answer:?}"
    );
    assert_eq!(answer.addresses, [forwarding.address().ip()]);
    let head = &forwarding.heads()[0];
    assert!(
        head.starts_with("GET http://cache.invalid/nix-cache-info "),
        "{head}"
    );
}

#[test]
fn https_is_tunnelled_and_verified_end_to_end() {
    let ca = Ca::new();
    let folder = tempfile::tempdir().unwrap();
    let server = https(ca.issue("cache.invalid", Validity::Now), |_| {
        Reply::ok(CACHE)
    });
    let tunnel = proxy::http(server.address());
    let credentials = format!("me:secret@{}", tunnel.address());
    let probe = Probe::of(cache("https://cache.invalid")).trusting(&ca, &folder);
    probe.env("https_proxy", credentials).reached();
    let head = tunnel.heads()[0].to_lowercase();
    assert!(head.starts_with("connect cache.invalid:443 "), "{head}");
    assert!(
        head.contains("proxy-authorization: basic bwu6c2vjcmv0"),
        "{head}"
    );
    let other = Probe::of(cache("https://other.invalid")).trusting(&ca, &folder);
    let failed = other.env("https_proxy", http_url(&tunnel)).fails("tls");
    assert!(!failed.may_be_portal, "{failed:?}");
}

#[test]
fn a_socks_proxy_is_told_the_name_if_it_is_to_resolve_it() {
    let server = answering(Reply::ok(CACHE));
    let socks = proxy::socks5(server.address());
    let all_proxy = format!("socks5h://{}", socks.address());
    let probe = Probe::of(cache("http://cache.invalid"));
    probe.env("ALL_PROXY", all_proxy).reached();
    assert_eq!(socks.heads(), ["cache.invalid"]);
    let here = format!("socks5://{}", socks.address());
    Probe::of(cache("http://cache.invalid"))
        .env("all_proxy", here.clone())
        .fails("dns");
    Probe::of(cache("http://127.0.0.1:1"))
        .env("all_proxy", here.clone())
        .reached();
    assert_eq!(socks.heads()[1], "[127, 0, 0, 1]");
}

#[test]
fn a_proxy_that_refuses_is_the_reason() {
    for status in [
        "403 Forbidden",
        "407 Proxy Authentication Required",
        "502 Bad Gateway",
    ] {
        let refusing = answering(Reply::status(status, ""));
        let probe = Probe::of(cache("https://cache.invalid"));
        let failed = probe.env("https_proxy", http_url(&refusing)).fails("proxy");
        assert!(!failed.may_be_portal, "{failed:?}");
    }
    for status in [
        "407 Proxy Authentication Required",
        "503 Service Unavailable",
    ] {
        let refusing = answering(Reply::status(status, ""));
        let probe = Probe::of(cache("http://cache.invalid"));
        probe.env("http_proxy", http_url(&refusing)).fails("proxy");
    }
    let nobody = closed();
    for proxy in [format!("http://{nobody}"), format!("socks5h://{nobody}")] {
        let probe = Probe::of(cache("https://cache.invalid"));
        let failed = probe.env("all_proxy", proxy).fails("proxy");
        assert!(failed.detail.contains(&nobody.to_string()), "{failed:?}");
    }
    let refusal = Reply::raw([5, 0, 5, 2, 0, 1, 0, 0, 0, 0, 0, 0]).and(Reply::hang());
    let socks = Server::speaking_first(refusal);
    let probe = Probe::of(cache("http://cache.invalid"));
    let socks_url = format!("socks5h://{}", socks.address());
    probe.env("all_proxy", socks_url).fails("proxy");
    let probe = Probe::of(cache("http://cache.invalid"));
    let failed = probe.env("http_proxy", "gopher://x").fails("proxy");
    assert!(failed.detail.contains("http_proxy"), "{failed:?}");
}

#[test]
fn no_proxy_goes_directly_and_ssh_and_tcp_always_do() {
    let server = answering(Reply::ok(CACHE));
    let nobody = format!("http://{}", closed());
    let direct = Probe::of(cache(http_url(&server)));
    let direct = direct.env("http_proxy", nobody.clone());
    direct.env("no_proxy", "example.org,127.0.0.0/8").reached();
    let accepting = Server::serve(listener("127.0.0.1:0"), Heads::default(), drop);
    let probe = Probe::of(tcp(accepting.port()));
    probe.env("all_proxy", nobody).reached();
}
