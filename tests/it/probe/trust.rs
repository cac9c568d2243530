//! Certificates, those who vouch for them, and portals that cannot have any.

use std::net::TcpListener;
use std::sync::Arc;

use rustls::ServerConfig;
use tempfile::TempDir;

use super::*;
use crate::support::http::listener;
use crate::support::tls::{self, SelfSigned};

#[test]
fn a_certificate_is_judged() {
    let ca = Ca::new();
    let folder = tempfile::tempdir().unwrap();
    let table = [
        ("127.0.0.1", Validity::Past, "has expired", false),
        ("127.0.0.1", Validity::Future, "is not valid yet", false),
        ("other.org", Validity::Now, "does not match", true),
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
    assert!(failed.detail.contains("unknown issuer"), "{failed:?}");
    assert!(failed.may_be_portal);
}

fn own(names: &[&str]) -> SelfSigned {
    SelfSigned {
        common_name: "127.0.0.1",
        names: names.iter().map(ToString::to_string).collect(),
        is_ca: true,
        validity: Validity::Now,
    }
}

/// Probes a server that has this certificate, with `pem` as all that is trusted.
fn probed((config, _): (Arc<ServerConfig>, String), pem: &str) -> (Server, Probe, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("bundle.pem");
    std::fs::write(&bundle, pem).unwrap();
    let server = https(config, |_| Reply::ok(CACHE));
    let probe = Probe::of(cache(https_url(&server)));
    let probe = probe.env("NIX_SSL_CERT_FILE", bundle.display().to_string());
    (server, probe, folder)
}

#[test]
fn a_certificate_that_is_itself_trusted_is_accepted_whoever_signed_it() {
    let server_only = SelfSigned {
        is_ca: false,
        ..own(&["127.0.0.1"])
    };
    let of_a_stranger = Ca::new().issue_with_pem("127.0.0.1", Validity::Now);
    for made in [
        own(&["127.0.0.1"]).make(),
        server_only.make(),
        of_a_stranger,
    ] {
        let pem = Ca::new().pem() + &made.1;
        let (_server, probe, _folder) = probed(made, &pem);
        probe.reached();
    }
}

#[test]
fn without_alternative_names_the_common_name_counts() {
    let made = own(&[]).make();
    let pem = made.1.clone();
    let (_server, probe, _folder) = probed(made, &pem);
    probe.reached();
}

#[test]
fn a_trusted_certificate_must_fit_in_name_and_dates_all_the_same() {
    let expired = SelfSigned {
        validity: Validity::Past,
        ..own(&["127.0.0.1"])
    };
    let early = SelfSigned {
        validity: Validity::Future,
        ..own(&[])
    };
    let named = SelfSigned {
        common_name: "nas.lan",
        ..own(&[])
    };
    let table = [
        (expired, "has expired"),
        (early, "is not valid yet"),
        (own(&["nas.lan"]), "does not match the host name"),
        (named, "does not match the host name"),
    ];
    for (certificate, words) in table {
        let made = certificate.make();
        let pem = made.1.clone();
        let (_server, probe, _folder) = probed(made, &pem);
        let failed = probe.fails("tls");
        assert!(failed.detail.contains(words), "{failed:?}");
    }
}

#[test]
fn a_strangers_self_signed_certificate_is_called_that() {
    let others = own(&["127.0.0.1"]).make();
    let (_server, probe, _folder) = probed(own(&["127.0.0.1"]).make(), &others.1);
    let failed = probe.fails("tls");
    assert!(
        failed.detail.contains("is self-signed and not"),
        "{failed:?}"
    );
    assert!(failed.may_be_portal);
}

#[test]
fn who_does_not_speak_tls_is_a_matter_of_tls() {
    let server = Server::speaking_first(Reply::raw("HTTP/1.1 400 Bad Request\r\n\r\n"));
    let failed = Probe::of(secure(https_url(&server))).fails("tls");
    assert!(failed.detail.ends_with(" does not speak TLS"), "{failed:?}");
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
