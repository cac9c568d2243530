//! The CA certificates, found as Nix finds them and read only when something asks over TLS.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::fault::{Fault, FaultKind};
use super::p521::with_p521;
use super::trust::Verifier;
use crate::sys::{files, limits};

/// Some hundred certificates have less than one megabyte.
const LONGEST: u64 = 16 << 20;

/// Where systems keep their bundle, in the order in which they are looked for.
const SYSTEM: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/nix/var/nix/profiles/default/etc/ssl/certs/ca-bundle.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// TLS settings, made when they are first needed.
#[derive(Debug)]
pub(super) struct Tls {
    bundle: Option<Bundle>,
    trusting: OnceCell<Result<ClientConfig, Fault>>,
}

/// A file of CA certificates and who named it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Bundle {
    file: PathBuf,
    named_by: &'static str,
}

impl Tls {
    /// Chooses the bundle: `NIX_SSL_CERT_FILE`, `SSL_CERT_FILE`, nix.conf's, the system's.
    pub(super) fn new(env: &dyn Fn(&str) -> Option<String>, nix_conf: Option<&Path>) -> Self {
        Self {
            bundle: named(env, nix_conf).or_else(systems),
            trusting: OnceCell::new(),
        }
    }

    /// Settings for a connection; without TLS nothing is read, and nobody would be trusted.
    pub(super) fn settings(&self, needed: bool) -> Result<ClientConfig, Fault> {
        if !needed {
            return client(verifier(Vec::new()).0);
        }
        self.trusting
            .get_or_init(|| client(read(self.bundle.as_ref())?))
            .clone()
    }
}

fn named(env: &dyn Fn(&str) -> Option<String>, nix_conf: Option<&Path>) -> Option<Bundle> {
    let variable = |name: &'static str| {
        let file = env(name).filter(|value| !value.is_empty())?;
        Some(Bundle {
            file: file.into(),
            named_by: name,
        })
    };
    let configured = || {
        nix_conf.map(|file| Bundle {
            file: file.to_owned(),
            named_by: "nix.conf's ssl-cert-file",
        })
    };
    variable("NIX_SSL_CERT_FILE")
        .or_else(|| variable("SSL_CERT_FILE"))
        .or_else(configured)
}

fn systems() -> Option<Bundle> {
    let file = SYSTEM.into_iter().find(|file| Path::new(file).exists())?;
    Some(Bundle {
        file: file.into(),
        named_by: "the system",
    })
}

fn client(verifier: Verifier) -> Result<ClientConfig, Fault> {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| Fault::new(FaultKind::Roots, format!("TLS cannot be set up: {e}")))?;
    // "Dangerous" is what rustls calls every verifier that is not its own.
    let builder = builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    Ok(builder.with_no_client_auth())
}

fn verifier(trusted: Vec<CertificateDer<'static>>) -> (Verifier, usize) {
    let ring = default_provider().signature_verification_algorithms;
    Verifier::new(trusted, with_p521(ring))
}

fn read(bundle: Option<&Bundle>) -> Result<Verifier, Fault> {
    let bundle = bundle.ok_or_else(|| {
        let advice = "no CA certificates are installed; name a file with NIX_SSL_CERT_FILE";
        Fault::new(FaultKind::Roots, advice)
    })?;
    let text =
        files::read(&bundle.file, LONGEST).map_err(|e| unusable(bundle, &limits::refusal(&e)))?;
    let certificates = CertificateDer::pem_slice_iter(&text).filter_map(Result::ok);
    match verifier(certificates.collect()) {
        (_, 0) => Err(unusable(bundle, "it holds no CA certificate")),
        (verifier, _) => Ok(verifier),
    }
}

fn unusable(bundle: &Bundle, why: &str) -> Fault {
    let Bundle { file, named_by } = bundle;
    let file = file.display();
    let detail = format!("the CA certificates {file}, named by {named_by}, cannot be used: {why}");
    Fault::new(FaultKind::Roots, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(env: &[(&str, &str)], nix_conf: Option<&str>) -> Option<String> {
        let read = |name: &str| {
            let found = env.iter().find(|(n, _)| *n == name);
            found.map(|(_, v)| (*v).to_owned())
        };
        named(&read, nix_conf.map(Path::new)).map(|b| b.file.display().to_string())
    }

    #[test]
    fn nixs_variable_comes_first_then_openssls_then_nix_conf() {
        let both = [("NIX_SSL_CERT_FILE", "/a"), ("SSL_CERT_FILE", "/b")];
        assert_eq!(chosen(&both, Some("/c")).as_deref(), Some("/a"));
        assert_eq!(chosen(&both[1..], Some("/c")).as_deref(), Some("/b"));
        assert_eq!(chosen(&[], Some("/c")).as_deref(), Some("/c"));
        let empty = [("NIX_SSL_CERT_FILE", "")];
        assert_eq!(chosen(&empty, None), None);
    }

    #[test]
    fn a_missing_file_is_named_together_with_its_variable() {
        let env = |name: &str| (name == "SSL_CERT_FILE").then(|| "/nowhere.crt".to_owned());
        let fault = Tls::new(&env, None).settings(true).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Roots);
        assert!(fault.detail.contains("/nowhere.crt"), "{}", fault.detail);
        assert!(fault.detail.contains("SSL_CERT_FILE"), "{}", fault.detail);
    }

    #[test]
    fn a_broken_bundle_does_no_harm_where_tls_is_not_needed() {
        let env = |name: &str| (name == "SSL_CERT_FILE").then(|| "/nowhere.crt".to_owned());
        assert!(Tls::new(&env, None).settings(false).is_ok());
    }
}
