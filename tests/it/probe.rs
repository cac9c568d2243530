//! The probe child itself: the real binary against real servers on loopback.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::Duration;

use upgrade_gate::config::target::{Target, Wanted};
use upgrade_gate::probe::protocol::{Answer, Request, Verdict};

use crate::support::http::{Heads, Reply, Server, closed, listener};
use crate::support::tls::{Ca, Validity, https};
use crate::support::{proxy, tls};

const CACHE: &str = "StoreDir: /nix/store\nWantMassQuery: 1\n";

/// One run of the child.
#[derive(Default)]
struct Probe {
    groups: Vec<Vec<Target>>,
    env: BTreeMap<&'static str, String>,
    ssl_cert_file: Option<std::path::PathBuf>,
}

impl Probe {
    fn of(target: Target) -> Self {
        Self::all(vec![vec![target]])
    }

    fn all(groups: Vec<Vec<Target>>) -> Self {
        Self {
            groups,
            ..Self::default()
        }
    }

    fn env(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.env.insert(name, value.into());
        self
    }

    fn trusting(self, ca: &Ca, folder: &tempfile::TempDir) -> Self {
        let file = ca.write(folder.path());
        self.env("NIX_SSL_CERT_FILE", file.display().to_string())
    }

    fn run(self) -> Answer {
        let request = Request {
            wanted: Wanted {
                groups: self.groups,
            },
            ssl_cert_file: self.ssl_cert_file,
        };
        let request = serde_json::to_vec(&request).unwrap();
        serde_json::from_slice(&child(&request, &self.env)).unwrap()
    }

    fn reached(self) -> Vec<String> {
        match self.run().verdict {
            Verdict::Reached(targets) => targets,
            failed @ Verdict::Failed { .. } => panic!("{failed:?}"),
        }
    }

    #[track_caller]
    fn fails(self, expected: &str) -> Failed {
        match self.run().verdict {
            Verdict::Failed {
                reason,
                detail,
                may_be_portal,
                target,
            } => {
                assert_eq!(reason, expected, "{target}: {detail}");
                Failed {
                    detail,
                    may_be_portal,
                }
            }
            reached @ Verdict::Reached(_) => panic!("{reached:?}"),
        }
    }
}

#[derive(Debug)]
struct Failed {
    detail: String,
    may_be_portal: bool,
}

fn child(request: &[u8], env: &BTreeMap<&'static str, String>) -> Vec<u8> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_upgrade-gate"))
        .arg("__probe")
        .env_clear()
        .envs(env)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(request).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", output.status);
    output.stdout
}

fn cache(url: impl std::fmt::Display) -> Target {
    Target::NixCache {
        url: url.to_string(),
    }
}

fn secure(url: impl std::fmt::Display) -> Target {
    Target::Https {
        url: url.to_string(),
    }
}

fn plain(url: impl std::fmt::Display) -> Target {
    Target::Http {
        url: url.to_string(),
        expect: None,
    }
}

fn expecting(server: &Server, expect: &str) -> Target {
    Target::Http {
        url: http_url(server),
        expect: Some(expect.to_owned()),
    }
}

fn ssh(port: u16) -> Target {
    Target::Ssh {
        host: "127.0.0.1".to_owned(),
        port,
    }
}

fn tcp(port: u16) -> Target {
    Target::Tcp {
        host: "127.0.0.1".to_owned(),
        port,
    }
}

fn http_url(server: &Server) -> String {
    format!("http://{}", server.address())
}

fn https_url(server: &Server) -> String {
    format!("https://{}", server.address())
}

fn answering(reply: Reply) -> Server {
    Server::start(move |_| reply.clone())
}

/// An HTTPS server for 127.0.0.1, whose issuer is known.
fn trusted(reply: Reply) -> (Server, Ca, tempfile::TempDir) {
    let ca = Ca::new();
    let config = ca.issue("127.0.0.1", Validity::Now);
    let server = https(config, move |_| reply.clone());
    (server, ca, tempfile::tempdir().unwrap())
}

#[test]
fn a_nix_cache_is_reached_by_its_nix_cache_info() {
    let server = Server::start(|head| match head {
        _ if head.starts_with("GET /some/path/nix-cache-info HTTP/1.1\r\n") => Reply::ok(CACHE),
        _ => Reply::status("404 Not Found", ""),
    });
    let url = format!("{}/some/path/?priority=10", http_url(&server));
    let answer = Probe::of(cache(&url)).run();
    assert_eq!(
        answer.verdict,
        Verdict::Reached(vec![format!("nix-cache:{url}")])
    );
    assert_eq!(answer.addresses, [server.address().ip()]);
}

#[test]
fn a_caches_credentials_are_sent() {
    let server = answering(Reply::ok(CACHE));
    let url = format!("http://me:secret@{}", server.address());
    Probe::of(cache(url)).reached();
    let head = server.heads()[0].to_lowercase();
    assert!(head.contains("authorization: basic bwu6c2vjcmv0"), "{head}");
}

#[test]
fn a_private_cache_is_reached_over_verified_tls_only() {
    for status in ["401 Unauthorized", "403 Forbidden"] {
        let (server, ca, folder) = trusted(Reply::status(status, ""));
        let probe = Probe::of(cache(https_url(&server)));
        probe.trusting(&ca, &folder).reached();
        let server = answering(Reply::status(status, ""));
        let failed = Probe::of(cache(http_url(&server))).fails("unexpected_answer");
        assert!(failed.detail.contains(&status[..3]), "{failed:?}");
    }
}

#[test]
fn a_cache_that_is_not_there_is_an_unexpected_answer() {
    for reply in [Reply::status("404 Not Found", ""), Reply::ok("<html>")] {
        let (server, ca, folder) = trusted(reply);
        let probe = Probe::of(cache(https_url(&server)));
        probe.trusting(&ca, &folder).fails("unexpected_answer");
    }
}

#[test]
fn a_cache_is_followed_through_ten_redirects_and_no_more() {
    for (hops, reached) in [(10, true), (11, false)] {
        let server = Server::start(move |head| {
            let path = head.split(' ').nth(1).unwrap_or_default();
            let hop: u32 = path.trim_start_matches('/').parse().unwrap_or(0);
            match hop {
                hop if hop == hops => Reply::ok(CACHE),
                hop => Reply::redirect(&format!("/{}", hop + 1)),
            }
        });
        let verdict = Probe::of(cache(http_url(&server))).run().verdict;
        assert_eq!(matches!(verdict, Verdict::Reached(_)), reached, "{hops}");
    }
}

#[test]
fn an_https_target_is_reached_by_any_status_below_500() {
    for reply in [
        Reply::ok(""),
        Reply::redirect("http://elsewhere.invalid/"),
        Reply::status("404 Not Found", ""),
    ] {
        let (server, ca, folder) = trusted(reply);
        let probe = Probe::of(secure(https_url(&server)));
        probe.trusting(&ca, &folder).reached();
    }
    let (server, ca, folder) = trusted(Reply::status("503 Service Unavailable", ""));
    let probe = Probe::of(secure(https_url(&server)));
    probe.trusting(&ca, &folder).fails("unexpected_answer");
}

#[test]
fn an_http_target_is_reached_by_204_or_by_its_body() {
    let empty = answering(Reply::raw("HTTP/1.1 204 No Content\r\n\r\n"));
    Probe::of(plain(http_url(&empty))).reached();
    let online = answering(Reply::ok("NetworkManager is online\n"));
    Probe::of(expecting(&online, "NetworkManager is online")).reached();
    Probe::of(expecting(&online, "success")).fails("portal");
    Probe::of(plain(http_url(&online))).fails("portal");
}

#[test]
fn a_portal_is_known_by_its_redirect_its_page_and_its_status() {
    let redirect = answering(Reply::redirect("http://login.invalid/"));
    let page = answering(Reply::ok("<html>Welcome to the hotel</html>"));
    let status = answering(Reply::status("511 Network Authentication Required", ""));
    for portal in [&redirect, &page, &status] {
        Probe::of(cache(http_url(portal))).fails("portal");
        Probe::of(plain(http_url(portal))).fails("portal");
    }
}

#[test]
fn a_portals_login_page_over_tls_is_no_private_cache() {
    let (login, ca, folder) = trusted(Reply::status("403 Forbidden", ""));
    let to = https_url(&login);
    let portal = Server::http(listener("127.0.0.2:0"), move |_| Reply::redirect(&to));
    let probe = Probe::of(cache(http_url(&portal)));
    probe.trusting(&ca, &folder).fails("portal");
}

#[test]
fn a_body_is_read_no_further_than_it_takes() {
    let head = "HTTP/1.1 200 OK\r\n\r\n";
    let endless = answering(Reply::raw(format!("{head}{CACHE}")).endlessly("x".repeat(4096)));
    Probe::of(cache(http_url(&endless))).reached();
    let foreign = answering(Reply::raw(head).endlessly("<html>"));
    Probe::of(cache(http_url(&foreign))).fails("portal");
    let chunked = "Transfer-Encoding: chunked\r\n\r\n5\r\nStore\r\n";
    let slow = Reply::raw(format!("HTTP/1.1 200 OK\r\n{chunked}")).and(Reply::after(
        Duration::from_millis(50),
        Reply::raw("4\r\nDir:\r\n").and(Reply::hang()),
    ));
    Probe::of(cache(http_url(&answering(slow)))).reached();
}

#[test]
fn a_body_longer_than_64_kib_is_never_waited_for() {
    let expect = "x".repeat(100 * 1024);
    let server = answering(Reply::ok(&expect));
    Probe::of(expecting(&server, &expect)).fails("portal");
    let within = answering(Reply::ok(&expect));
    Probe::of(expecting(&within, &expect[..60 * 1024])).reached();
}

#[test]
fn what_does_not_speak_http_is_an_unexpected_answer() {
    let server = Server::speaking_first(Reply::raw("SSH-2.0-x\r\n").and(Reply::hang()));
    let failed = Probe::of(cache(http_url(&server))).fails("unexpected_answer");
    assert!(failed.detail.contains("does not speak HTTP"), "{failed:?}");
    let long = format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "x".repeat(1 << 20));
    let oversized = answering(Reply::raw(long));
    Probe::of(cache(http_url(&oversized))).fails("unexpected_answer");
}

#[test]
fn a_connection_that_is_closed_at_once_is_unreachable() {
    let server = Server::speaking_first(Reply::default());
    Probe::of(plain(http_url(&server))).fails("unreachable");
    Probe::of(ssh(server.port())).fails("unreachable");
    let failed = Probe::of(secure(https_url(&server))).fails("unreachable");
    assert!(failed.may_be_portal, "{failed:?}");
}

#[test]
fn a_refused_connection_names_who_refused_it() {
    let nobody = closed();
    let expected = format!("connection refused by {nobody}");
    for target in [
        plain(format!("http://{nobody}")),
        cache(format!("https://{nobody}")),
        ssh(nobody.port()),
        tcp(nobody.port()),
    ] {
        let https = matches!(target, Target::NixCache { .. });
        let failed = Probe::of(target).fails("unreachable");
        assert_eq!(failed.detail, expected);
        assert_eq!(failed.may_be_portal, https);
    }
}

#[test]
fn ssh_is_known_by_its_banner_which_may_follow_other_lines() {
    let pause = Duration::from_millis(20);
    let banner = Reply::after(pause, Reply::raw("SSH-2.0-OpenSSH_10\r\n")).and(Reply::hang());
    let server = Server::speaking_first(Reply::raw("Welcome\r\n").and(banner));
    Probe::of(ssh(server.port())).reached();
    let http = Server::speaking_first(Reply::raw("HTTP/1.1 400 Bad Request\r\n\r\n"));
    Probe::of(ssh(http.port())).fails("unexpected_answer");
    let endless = Server::speaking_first(Reply::default().endlessly("no banner\r\n"));
    Probe::of(ssh(endless.port())).fails("unexpected_answer");
}

#[test]
fn tcp_is_satisfied_by_an_accepted_connection() {
    let server = Server::speaking_first(Reply::hang());
    Probe::of(tcp(server.port())).reached();
}

#[test]
fn a_name_that_nobody_knows_is_a_matter_of_dns() {
    let host = "cache.invalid";
    let targets = [
        cache(format!("https://{host}")),
        plain(format!("http://{host}")),
        Target::Tcp {
            host: host.to_owned(),
            port: 1,
        },
    ];
    for target in targets {
        let failed = Probe::of(target).fails("dns");
        assert!(failed.detail.contains("cache.invalid does not resolve"));
        assert!(!failed.may_be_portal);
    }
}

#[test]
fn whoever_says_nothing_is_unreachable_when_the_time_is_up() {
    let silent = Server::speaking_first(Reply::hang());
    let targets = [
        plain(http_url(&silent)),
        secure(https_url(&silent)),
        ssh(silent.port()),
    ];
    let waits = targets.map(|target| {
        std::thread::spawn(move || {
            let failed = Probe::of(target).fails("unreachable");
            assert!(failed.detail.contains("no answer from 127"), "{failed:?}");
        })
    });
    for wait in waits {
        wait.join().unwrap();
    }
}

#[test]
fn all_groups_must_be_reached_and_of_each_group_one_target() {
    let (server, nobody) = (answering(Reply::ok(CACHE)), closed());
    let (good, bad) = (cache(http_url(&server)), tcp(nobody.port()));
    let any = vec![bad.clone(), good.clone()];
    let both = Probe::all(vec![any.clone(), vec![good.clone()]]).reached();
    assert_eq!(both, [good.to_string(), good.to_string()]);
    Probe::all(vec![any, vec![bad]]).fails("unreachable");
}

#[test]
fn a_target_that_hangs_delays_no_other_of_its_group() {
    let silent = Server::speaking_first(Reply::hang());
    let good = answering(Reply::ok(CACHE));
    let any = vec![cache(http_url(&silent)), cache(http_url(&good))];
    assert_eq!(
        Probe::all(vec![any]).reached(),
        [cache(http_url(&good)).to_string()]
    );
}

#[test]
fn the_failure_that_explains_most_is_told() {
    let portal = answering(Reply::redirect("http://login.invalid/"));
    let nobody = closed();
    let groups = vec![vec![tcp(nobody.port())], vec![cache(http_url(&portal))]];
    Probe::all(groups).fails("portal");
}

#[test]
fn nothing_to_probe_and_nonsense_are_unknown() {
    Probe::default().fails("unknown");
    Probe::all(vec![Vec::new()]).fails("unknown");
    Probe::of(cache("ftp://x")).fails("unknown");
    for request in ["", "{", "[]", "{\"wanted\":1}"] {
        let said = child(request.as_bytes(), &BTreeMap::new());
        let answer: Answer = serde_json::from_slice(&said).unwrap();
        assert!(
            matches!(&answer.verdict, Verdict::Failed { reason, .. } if reason == "unknown"),
            "{answer:?}"
        );
    }
}

#[test]
fn a_certificate_is_judged() {
    let ca = Ca::new();
    let folder = tempfile::tempdir().unwrap();
    let table = [
        ("127.0.0.1", Validity::Past, "has expired", false),
        ("127.0.0.1", Validity::Future, "is not valid yet", false),
        ("other.org", Validity::Now, "another name", true),
    ];
    for (name, validity, words, may_be_portal) in table {
        let server = https(ca.issue(name, validity), |_| Reply::ok(CACHE));
        let probe = Probe::of(cache(https_url(&server))).trusting(&ca, &folder);
        let failed = probe.fails("tls");
        assert!(failed.detail.contains(words), "{failed:?}");
        assert_eq!(failed.may_be_portal, may_be_portal, "{failed:?}");
    }
    let stranger = Ca::new().issue("127.0.0.1", Validity::Now);
    let server = https(stranger, |_| Reply::ok(CACHE));
    let probe = Probe::of(secure(https_url(&server))).trusting(&ca, &folder);
    let failed = probe.fails("tls");
    assert!(failed.detail.contains("somebody unknown"), "{failed:?}");
    assert!(failed.may_be_portal);
}

#[test]
fn who_does_not_speak_tls_is_a_matter_of_tls() {
    let server = Server::speaking_first(Reply::raw("HTTP/1.1 400 Bad Request\r\n\r\n"));
    let failed = Probe::of(secure(https_url(&server))).fails("tls");
    assert!(failed.may_be_portal, "{failed:?}");
}

#[test]
fn a_doubtful_certificate_is_a_portals_if_plain_http_is_answered_by_one() {
    let stranger = Ca::new();
    let (_, ca, folder) = trusted(Reply::default());
    let portal = [
        (Reply::redirect("http://login.invalid/"), "portal"),
        (Reply::ok("<html>log in</html>"), "portal"),
        (Reply::redirect("https://127.80.0.3/"), "tls"),
        (Reply::status("404 Not Found", ""), "tls"),
    ];
    // A portal answers on port 80, so each case has a loopback address of its own.
    for (place, (reply, expected)) in portal.into_iter().enumerate() {
        let address = format!("127.80.0.{}", place + 1);
        let port_80 = match TcpListener::bind((address.as_str(), 80)) {
            Ok(listener) => listener,
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                eprintln!("SKIPPED: port 80 may not be bound here");
                return;
            }
            Err(error) => panic!("{error}"),
        };
        let _http = Server::http(port_80, move |_| reply.clone());
        let config = stranger.issue(&address, Validity::Now);
        let server = tls::https_on(listener(&format!("{address}:0")), config, |_| Reply::ok(""));
        let probe = Probe::of(secure(https_url(&server))).trusting(&ca, &folder);
        let failed = probe.fails(expected);
        assert_eq!(failed.may_be_portal, expected == "tls");
    }
}

#[test]
fn the_ca_certificates_come_from_the_variables_then_from_nix_conf() {
    let (server, ca, folder) = trusted(Reply::ok(CACHE));
    let file = ca.write(folder.path());
    let target = || Probe::of(cache(https_url(&server)));
    target()
        .env("NIX_SSL_CERT_FILE", file.display().to_string())
        .reached();
    target()
        .env("SSL_CERT_FILE", file.display().to_string())
        .reached();
    let configured = Probe {
        ssl_cert_file: Some(file.clone()),
        ..target()
    };
    configured.reached();
    let overruled = target().env("NIX_SSL_CERT_FILE", "/nowhere.pem");
    let failed = overruled
        .env("SSL_CERT_FILE", file.display().to_string())
        .fails("tls");
    for word in ["/nowhere.pem", "NIX_SSL_CERT_FILE"] {
        assert!(failed.detail.contains(word), "{failed:?}");
    }
    std::fs::write(&file, "-----BEGIN CERTIFICATE-----\nnonsense").unwrap();
    let failed = target()
        .env("SSL_CERT_FILE", file.display().to_string())
        .fails("tls");
    assert!(failed.detail.contains("SSL_CERT_FILE"), "{failed:?}");
    let plain = answering(Reply::ok(CACHE));
    let unaffected = Probe::of(cache(http_url(&plain)));
    unaffected
        .env("SSL_CERT_FILE", file.display().to_string())
        .reached();
}

#[test]
fn through_an_http_proxy_the_name_goes_unresolved_and_the_way_out_is_the_proxys() {
    let cache_server = answering(Reply::ok(CACHE));
    let forwarding = proxy::http(cache_server.address());
    let probe = Probe::of(cache("http://cache.invalid"));
    let answer = probe.env("http_proxy", http_url(&forwarding)).run();
    assert!(matches!(answer.verdict, Verdict::Reached(_)), "{answer:?}");
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
