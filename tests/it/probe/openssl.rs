//! Servers as OpenSSL makes them, with what our TLS does not have.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Child;
use std::time::Duration;

use super::*;
use crate::support::http::closed;

const LEAF: &str = "subjectAltName=IP:127.0.0.1";

/// `openssl s_server`, serving the files of its folder.
struct OpenSsl {
    child: Child,
    address: SocketAddr,
}

impl OpenSsl {
    fn start(folder: &Path, options: &[&str]) -> Self {
        std::fs::write(folder.join("nix-cache-info"), CACHE).unwrap();
        let address = closed();
        let mut command = Command::new("openssl");
        command.args(["s_server", "-WWW", "-quiet", "-key", "leaf.key"]);
        command.args(["-cert", "leaf.crt", "-accept", &address.to_string()]);
        let command = command.args(options).current_dir(folder);
        let child = command.stderr(Stdio::null()).spawn().unwrap();
        let server = Self { child, address };
        while TcpStream::connect(address).is_err() {
            std::thread::sleep(Duration::from_millis(5));
        }
        server
    }
}

impl Drop for OpenSsl {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn openssl(folder: &Path, line: &str) {
    let mut command = Command::new("openssl");
    let output = command.args(line.split(' ')).current_dir(folder).output();
    let output = output.expect("openssl is installed");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {line}: {said}");
}

/// A CA's and a server's certificate below it, with keys made as these options say.
fn issue(folder: &Path, ca: &str, leaf: &str, extensions: Option<&str>) {
    openssl(
        folder,
        &format!("req -x509 -nodes {ca} -keyout ca.key -out ca.crt -subj /CN=ca"),
    );
    openssl(
        folder,
        &format!("req -nodes {leaf} -keyout leaf.key -out leaf.csr -subj /CN=127.0.0.1"),
    );
    let mut sign =
        "x509 -req -in leaf.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out leaf.crt".to_owned();
    if let Some(extensions) = extensions {
        std::fs::write(folder.join("extensions"), extensions).unwrap();
        sign += " -extfile extensions";
    }
    openssl(folder, &sign);
}

fn probe(server: &OpenSsl, folder: &Path) -> Probe {
    let target = cache(format!("https://{}", server.address));
    let bundle = folder.join("ca.crt");
    Probe::of(target).env("SSL_CERT_FILE", bundle.display().to_string())
}

const P256: &str = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1";
const P521: &str = "-newkey ec -pkeyopt ec_paramgen_curve:secp521r1";

#[test]
#[ignore = "needs openssl"]
fn a_key_on_p_521_is_as_good_as_any() {
    // TLS 1.2 also wants the server's own curve for the key exchange.
    for (ca, leaf, version) in [
        (P521, P256, "-tls1_2"),
        (P521, P256, "-tls1_3"),
        (P521, P521, "-tls1_3"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        issue(folder.path(), ca, leaf, Some(LEAF));
        let server = OpenSsl::start(folder.path(), &[version]);
        probe(&server, folder.path()).reached();
    }
}

#[test]
#[ignore = "needs openssl"]
fn a_signature_on_p_521_that_is_not_the_issuers_is_refused() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    issue(folder.path(), P521, P256, Some(LEAF));
    issue(other.path(), P521, P256, Some(LEAF));
    let server = OpenSsl::start(folder.path(), &[]);
    let failed = probe(&server, other.path()).fails("tls");
    assert!(failed.detail.contains("cannot be verified"), "{failed:?}");
}

#[test]
#[ignore = "needs openssl"]
fn what_openssl_has_and_we_have_not_is_said_with_a_target_that_works() {
    let cbc = ["-no_tls1_3", "-cipher", "ECDHE-ECDSA-AES256-SHA384"];
    let table: [(Option<&str>, &[&str], &str); 3] = [
        (None, &[], "X.509 version 1"),
        (
            Some(LEAF),
            &cbc,
            "no TLS version, cipher or key type in common",
        ),
        (
            Some("basicConstraints=CA:TRUE\nsubjectAltName=IP:127.0.0.1"),
            &[],
            "is a CA's own",
        ),
    ];
    for (extensions, options, words) in table {
        let folder = tempfile::tempdir().unwrap();
        issue(folder.path(), P256, P256, extensions);
        let server = OpenSsl::start(folder.path(), options);
        let failed = probe(&server, folder.path()).fails("tls");
        let instead = format!("tcp://{}", server.address);
        for words in [words, "and so Nix, may accept it", &instead] {
            assert!(failed.detail.contains(words), "{failed:?}");
        }
        Probe::of(instead.parse().unwrap()).reached();
    }
}

#[test]
#[ignore = "needs openssl"]
fn a_server_that_wants_a_client_certificate_is_told_apart_from_one_with_nothing_in_common() {
    for version in ["-tls1_2", "-tls1_3"] {
        let folder = tempfile::tempdir().unwrap();
        issue(folder.path(), P256, P256, Some(LEAF));
        let server = OpenSsl::start(folder.path(), &[version, "-Verify", "1"]);
        let failed = probe(&server, folder.path()).fails("tls");
        let words = "asks for a client certificate";
        assert!(failed.detail.contains(words), "{version}: {failed:?}");
        assert!(!failed.detail.contains("tcp://"), "{version}: {failed:?}");
    }
}
