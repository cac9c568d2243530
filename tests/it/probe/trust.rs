//! Certificates, those who vouch for them, and portals that cannot have any.

use std::net::TcpListener;

use super::*;
use crate::support::http::listener;
use crate::support::tls;

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
#[ignore = "needs root, to bind port 80"]
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
        let port_80 = TcpListener::bind((address.as_str(), 80)).expect("may bind port 80");
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
