//! `nix-cache`, `https` and `http` targets: statuses, redirects, bodies and portals.

use std::time::Duration;

use miniz_oxide::deflate::compress_to_vec;

use super::*;
use crate::support::http::listener;
use crate::support::tls::https_on;

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
        ProbeResult::Reached(vec![format!("nix-cache:{url}")])
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
fn a_caches_lines_come_in_any_order_with_any_ending() {
    for body in [
        "WantMassQuery: 1\nStoreDir: /nix/store\nPriority: 41\n",
        "\u{feff}StoreDir: /nix/store\r\nPriority: 30\r\n",
        "Priority: 30\nStoreDir:/nix/store",
    ] {
        Probe::of(cache(http_url(&answering(Reply::ok(body))))).reached();
    }
}

#[test]
fn a_cache_for_another_store_is_an_unexpected_answer() {
    let info = Reply::ok("WantMassQuery: 1\nStoreDir: /gnu/store\n");
    let plain = answering(info.clone());
    let (server, ca, folder) = trusted(info);
    let over_tls = Probe::of(cache(https_url(&server))).trusting(&ca, &folder);
    let over_http = Probe::of(cache(http_url(&plain)));
    for probe in [over_tls, over_http] {
        let failed = probe.fails("unexpected_answer");
        assert!(failed.detail.contains("\"/gnu/store\""), "{failed:?}");
    }
    let both = answering(Reply::ok(&format!("{CACHE}StoreDir: /gnu/store\n")));
    Probe::of(cache(http_url(&both))).fails("unexpected_answer");
}

fn packed(coding: &str, body: &[u8]) -> Reply {
    let length = body.len();
    let head = format!("Content-Encoding: {coding}\r\nContent-Length: {length}\r\n\r\n");
    Reply::raw(format!("HTTP/1.1 200 OK\r\n{head}")).and(Reply::raw(body))
}

/// [`CACHE`] with gzip's header, its checksum and its length.
fn gzip() -> Vec<u8> {
    let header = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    let trailer = [CHECKSUM, u32::try_from(CACHE.len()).unwrap()].map(u32::to_le_bytes);
    let packed = compress_to_vec(CACHE.as_bytes(), 6);
    [&header[..], &packed, trailer.as_flattened()].concat()
}

/// gzip's of [`CACHE`].
const CHECKSUM: u32 = 0x6192_2cc9;

#[test]
fn an_answer_that_is_packed_though_nobody_asked_is_unpacked() {
    let body = gzip();
    for coding in ["gzip", "X-Gzip", "identity, gzip", "none, gzip"] {
        let server = answering(packed(coding, &body));
        Probe::of(cache(http_url(&server))).reached();
        let head = server.heads()[0].to_lowercase();
        assert!(head.contains("accept-encoding: identity\r\n"), "{head}");
    }
    let lying = answering(packed("gzip", CACHE.as_bytes()));
    Probe::of(cache(http_url(&lying))).fails("portal");
}

#[test]
fn header_lines_that_curl_passes_over_do_not_matter() {
    let many = "X: y\r\n".repeat(300);
    let odd = [
        "X Y: z",
        "X-Y : z",
        "X-Y: a\r\n  b",
        ": z",
        "X(y): z",
        "X: a\u{1}b",
    ];
    let odd = odd.iter().map(|line| format!("{line}\r\n"));
    for lines in odd.chain([many]) {
        let head = format!(
            "HTTP/1.1 200 OK\r\n{lines}Content-Length: {}\r\n\r\n",
            CACHE.len()
        );
        let server = answering(Reply::raw(head + CACHE));
        Probe::of(cache(http_url(&server))).reached();
    }
}

#[test]
fn an_answer_that_is_cut_short_proves_nothing() {
    let head = "HTTP/1.1 200 OK\r\n";
    let chunk = format!(
        "Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{CACHE}\r\n",
        CACHE.len()
    );
    for rest in [format!("Content-Length: 400\r\n\r\n{CACHE}"), chunk] {
        let server = answering(Reply::raw(format!("{head}{rest}")));
        let failed = Probe::of(cache(http_url(&server))).fails("unreachable");
        assert!(failed.detail.contains("too early"), "{failed:?}");
    }
    let whole = gzip();
    let server = answering(packed("gzip", &whole[..whole.len() - 9]));
    let failed = Probe::of(cache(http_url(&server))).fails("unexpected_answer");
    assert!(failed.detail.contains("cut short"), "{failed:?}");
    let portal =
        "HTTP/1.1 302 Found\r\nLocation: http://login.invalid/\r\nContent-Length: 9\r\n\r\n";
    Probe::of(plain(http_url(&answering(Reply::raw(portal))))).fails("portal");
}

#[test]
fn a_redirect_s_login_is_sent_to_nobody_and_ours_to_its_own_server_only() {
    let heads_of = |to: fn(&str) -> String| {
        let other = Server::http(listener("127.0.0.2:0"), |_| Reply::ok(CACHE));
        let to = to(&other.address().to_string());
        let asked = Server::start(move |head| match head {
            _ if head.starts_with("GET /nix-cache-info ") => Reply::redirect(&to),
            _ => Reply::ok(CACHE),
        });
        let url = format!("http://me:own@{}", asked.address());
        Probe::of(cache(url)).reached();
        (asked.heads(), other.heads())
    };
    let authorized = |head: &String| head.to_lowercase().contains("\r\nauthorization:");
    for to in [
        |other: &str| format!("http://you:theirs@{other}/"),
        |other: &str| format!("http://{other}/"),
        |other: &str| format!("//you:theirs@{other}/"),
    ] {
        let (asked, other) = heads_of(to);
        assert!(authorized(&asked[0]), "{asked:?}");
        assert_eq!(other.len(), 1);
        assert!(!authorized(&other[0]), "{other:?}");
    }
    let (asked, _) = heads_of(|_| "/moved".to_owned());
    assert!(asked.iter().all(authorized), "{asked:?}");
    assert_eq!(asked.len(), 2);
}

#[test]
fn a_coding_that_cannot_be_read_is_named_with_a_target_that_works() {
    let (server, ca, folder) = trusted(packed("br", b"\x0b"));
    let url = https_url(&server);
    let failed = Probe::of(cache(&url))
        .trusting(&ca, &folder)
        .fails("unexpected_answer");
    assert!(failed.detail.contains("\"br\""), "{failed:?}");
    let instead = format!("{url}/nix-cache-info");
    assert!(failed.detail.contains(&instead), "{failed:?}");
    Probe::of(secure(instead)).trusting(&ca, &folder).reached();
}

/// Two HTTPS servers of one issuer, at 127.0.0.1 and 127.0.0.2: the first redirects to the second.
fn led_elsewhere(reply: Reply) -> (Server, Server, Ca, tempfile::TempDir) {
    let ca = Ca::new();
    let there = ca.issue("127.0.0.2", Validity::Now);
    let other = https_on(listener("127.0.0.2:0"), there, move |_| reply.clone());
    let to = format!("{}/info", https_url(&other));
    let here = ca.issue("127.0.0.1", Validity::Now);
    let asked = https(here, move |_| Reply::redirect(&to));
    (asked, other, ca, tempfile::tempdir().unwrap())
}

#[test]
fn a_cache_may_have_its_info_delivered_by_another_host() {
    let (asked, _other, ca, folder) = led_elsewhere(Reply::ok(CACHE));
    let probe = Probe::of(cache(https_url(&asked)));
    probe.trusting(&ca, &folder).reached();
    let plain = answering(Reply::ok(CACHE));
    let to = http_url(&plain);
    let asked = https(ca.issue("127.0.0.1", Validity::Now), move |_| {
        Reply::redirect(&to)
    });
    let downgraded = Probe::of(cache(https_url(&asked)));
    downgraded.trusting(&ca, &folder).reached();
}

#[test]
fn another_servers_refusal_proves_nothing_of_the_cache() {
    for status in ["401 Unauthorized", "403 Forbidden"] {
        let (asked, _other, ca, folder) = led_elsewhere(Reply::status(status, "log in"));
        let probe = Probe::of(cache(https_url(&asked))).trusting(&ca, &folder);
        let failed = probe.fails("unexpected_answer");
        let words = "127.0.0.2, to which 127.0.0.1 redirects, answers";
        assert!(failed.detail.contains(words), "{failed:?}");
    }
    // On another port there may be another service, and curl takes no login there.
    let (other, ca, folder) = trusted(Reply::status("403 Forbidden", ""));
    let to = https_url(&other);
    let asked = https(ca.issue("127.0.0.1", Validity::Now), move |_| {
        Reply::redirect(&to)
    });
    let probe = Probe::of(cache(https_url(&asked))).trusting(&ca, &folder);
    probe.fails("unexpected_answer");
    let plain = answering(Reply::status("403 Forbidden", ""));
    let to = http_url(&plain);
    let asked = https(ca.issue("127.0.0.1", Validity::Now), move |_| {
        Reply::redirect(&to)
    });
    let probe = Probe::of(cache(https_url(&asked))).trusting(&ca, &folder);
    probe.fails("unexpected_answer");
}

#[test]
fn a_private_cache_may_redirect_to_itself_before_it_refuses() {
    let ca = Ca::new();
    let folder = tempfile::tempdir().unwrap();
    let server = https(ca.issue("127.0.0.1", Validity::Now), |head| {
        match head.split(' ').nth(1) {
            Some("/nix-cache-info") => Reply::redirect("/private/nix-cache-info"),
            _ => Reply::status("401 Unauthorized", ""),
        }
    });
    let probe = Probe::of(cache(https_url(&server)));
    probe.trusting(&ca, &folder).reached();
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
        assert_eq!(
            matches!(verdict, ProbeResult::Reached(_)),
            reached,
            "{hops}"
        );
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
        Reply::raw("11\r\nDir: /nix/store\r\n\r\n0\r\n\r\n").and(Reply::hang()),
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
