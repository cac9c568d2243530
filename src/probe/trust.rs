//! Whether a server is who it says it is: as webpki judges, and besides as OpenSSL does, with which Nix reads.
//!
//! OpenSSL accepts a certificate that is itself among the trusted ones, whoever issued it and even if it is a CA's: the
//! self-signed one of a server at home. And where a certificate has no alternative names, its common name counts.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};
use webpki::EndEntityCert;

/// Judges servers by a set of trusted certificates.
#[derive(Debug)]
pub(super) struct Verifier {
    /// The certificates as issuers.
    roots: RootCertStore,
    /// The certificates themselves.
    trusted: Vec<CertificateDer<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

/// The certificate is signed with its own key, and not among the trusted ones.
#[derive(Debug, thiserror::Error)]
#[error("self-signed, and not trusted")]
pub(super) struct SelfSigned;

impl Verifier {
    /// A verifier, and how many of the certificates can be issuers.
    pub(super) fn new(
        trusted: Vec<CertificateDer<'static>>,
        algorithms: WebPkiSupportedAlgorithms,
    ) -> (Self, usize) {
        let mut roots = RootCertStore::empty();
        let (issuers, _) = roots.add_parsable_certificates(trusted.iter().cloned());
        let verifier = Self {
            roots,
            trusted,
            algorithms,
        };
        (verifier, issuers)
    }

    /// What is left of an error of the chain when the certificate itself is looked for among the trusted ones.
    ///
    /// webpki judges a certificate's own dates before all else, so they fit where it only doubts the issuer.
    fn or_trusted_itself(
        &self,
        certificate: &CertificateDer<'_>,
        error: Error,
    ) -> Result<(), Error> {
        match error {
            error if !doubts_issuer(&error) => Err(error),
            _ if self.trusted.contains(certificate) => Ok(()),
            _ if is_self_issued(certificate) => {
                Err(CertificateError::Other(OtherError(Arc::new(SelfSigned))).into())
            }
            error => Err(error),
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let parsed = ParsedCertificate::try_from(end_entity)?;
        verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &self.roots,
            intermediates,
            now,
            self.algorithms.all,
        )
        .or_else(|error| self.or_trusted_itself(end_entity, error))?;
        verify_server_name(&parsed, server_name)
            .or_else(|error| or_common_name(end_entity, server_name, error))?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// webpki's own error, where rustls has no word for it.
pub(super) fn webpki_error(error: &CertificateError) -> Option<&webpki::Error> {
    match error {
        CertificateError::Other(OtherError(error)) => error.downcast_ref(),
        _ => None,
    }
}

fn doubts_issuer(error: &Error) -> bool {
    use CertificateError as C;
    let Error::InvalidCertificate(error) = error else {
        return false;
    };
    matches!(
        error,
        C::UnknownIssuer
            | C::BadSignature
            | C::UnsupportedSignatureAlgorithmContext { .. }
            | C::UnsupportedSignatureAlgorithmForPublicKeyContext { .. }
    ) || webpki_error(error) == Some(&webpki::Error::CaUsedAsEndEntity)
}

fn is_self_issued(certificate: &CertificateDer<'_>) -> bool {
    EndEntityCert::try_from(certificate).is_ok_and(|parsed| parsed.issuer() == parsed.subject())
}

fn or_common_name(
    certificate: &CertificateDer<'_>,
    wanted: &ServerName<'_>,
    error: Error,
) -> Result<(), Error> {
    let Error::InvalidCertificate(CertificateError::NotValidForNameContext { presented, .. }) =
        &error
    else {
        return Err(error);
    };
    let parsed = EndEntityCert::try_from(certificate);
    let fits = parsed.is_ok_and(|parsed| {
        common_name(parsed.subject()).is_some_and(|name| is_named(wanted, name))
    });
    if presented.is_empty() && fits {
        Ok(())
    } else {
        Err(error)
    }
}

fn is_named(wanted: &ServerName<'_>, name: &str) -> bool {
    let host = wanted.to_str();
    let below = match wanted {
        ServerName::DnsName(_) => host.split_once('.').map(|(_, below)| below),
        _ => None,
    };
    let wildcard = below.zip(name.strip_prefix("*.").filter(|rest| rest.contains('.')));
    host.eq_ignore_ascii_case(name) || wildcard.is_some_and(|(a, b)| a.eq_ignore_ascii_case(b))
}

/// The last common name of a subject: sets of pairs of a type and a text (RFC 5280, section 4.1.2.4).
fn common_name(mut subject: &[u8]) -> Option<&str> {
    const COMMON_NAME: &[u8] = &[0x55, 4, 3];
    let mut sets = std::iter::from_fn(|| next(&mut subject));
    let mut names = std::iter::from_fn(|| {
        let mut pair = next(&mut sets.next()?)?;
        Some((next(&mut pair)?, next(&mut pair)?))
    })
    .filter(|(kind, _)| *kind == COMMON_NAME);
    let (_, name) = names.by_ref().last()?;
    std::str::from_utf8(name).ok()
}

/// Takes the next value off some DER. Only the short form of a length, up to 127, is read: a common name has 64
/// characters at most.
fn next<'a>(der: &mut &'a [u8]) -> Option<&'a [u8]> {
    let [_tag, length @ ..=0x7f, rest @ ..] = *der else {
        return None;
    };
    let (value, rest) = rest.split_at_checked(usize::from(*length))?;
    *der = rest;
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(name: &str) -> ServerName<'static> {
        ServerName::try_from(name.to_owned()).unwrap()
    }

    #[test]
    fn a_common_name_is_the_hosts_or_a_wildcard_for_one_label() {
        let table = [
            ("nas.lan", "nas.lan", true),
            ("nas.lan", "NAS.LAN", true),
            ("nas.home.lan", "*.home.lan", true),
            ("a.nas.home.lan", "*.home.lan", false),
            // As curl has it: not for a whole top-level domain.
            ("nas.lan", "*.lan", false),
            ("nas", "*", false),
            ("nas.lan", "*.", false),
            ("nas.lan", "nas", false),
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "*.0.2.1", false),
            ("2001:db8::1", "2001:db8::1", true),
        ];
        for (host, name, fits) in table {
            assert_eq!(is_named(&wanted(host), name), fits, "{host} {name}");
        }
    }

    /// A set of one pair.
    fn rdn(kind: u8, text: &str) -> Vec<u8> {
        let length = |bytes: &[u8]| u8::try_from(bytes.len()).unwrap();
        let tagged = |tag: u8, bytes: &[u8]| [&[tag, length(bytes)], bytes].concat();
        let pair = [tagged(6, &[0x55, 4, kind]), tagged(0x0c, text.as_bytes())];
        tagged(0x31, &tagged(0x30, &pair.concat()))
    }

    #[test]
    fn the_last_common_name_of_a_subject_is_found() {
        let subject = [rdn(10, "Home"), rdn(3, "old.lan"), rdn(3, "nas.lan")].concat();
        assert_eq!(common_name(&subject), Some("nas.lan"));
        assert_eq!(common_name(&rdn(10, "Home")), None);
        assert_eq!(common_name(&[]), None);
    }

    #[test]
    fn a_subject_that_is_cut_short_has_no_name_and_is_no_panic() {
        let subject = rdn(3, "nas.lan");
        for length in 0..subject.len() {
            assert_eq!(common_name(&subject[..length]), None);
        }
        assert_eq!(common_name(&[0x31, 0x82, 1, 0]), None);
    }
}
