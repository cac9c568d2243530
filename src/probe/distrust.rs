//! Why a TLS connection did not come about, in words. Pure.

use rustls::{AlertDescription, CertificateError, Error};

use super::fault::{Doubt, Fault, FaultKind};
use super::trust::{SelfSigned, webpki_error};

/// A TLS failure with `place`; `tcp` is the target that asks the same place without TLS, if there is one. The server
/// `wants_certificate` if it has asked for a client's.
pub(super) fn untrusted(
    place: &str,
    tcp: Option<&str>,
    error: &Error,
    wants_certificate: bool,
) -> Fault {
    let error = match error {
        Error::AlertReceived(_) if wants_certificate => {
            &Error::AlertReceived(AlertDescription::CertificateRequired)
        }
        error => error,
    };
    let (doubt, detail) = told(place, error);
    let detail = match tcp {
        _ if doubt != Doubt::Unsupported => detail,
        None => format!("{detail}; {OPENSSL_MAY}"),
        Some(tcp) => format!("{detail}; {OPENSSL_MAY}: the target {tcp} asks without TLS"),
    };
    Fault::new(FaultKind::Certificate(doubt), detail)
}

const OPENSSL_MAY: &str = "OpenSSL, and so Nix, may accept it";

fn told(place: &str, error: &Error) -> (Doubt, String) {
    let about = |doubt, what: &str| (doubt, format!("{place} {what}"));
    match error {
        Error::InvalidCertificate(error) => {
            let (doubt, what) = certificate(error);
            (doubt, format!("the certificate of {place} {what}"))
        }
        // The wall clock stands before 1970.
        Error::FailedToGetCurrentTime => (
            Doubt::NotYetValid,
            format!("the certificate of {place} is not valid yet, by this machine's date"),
        ),
        Error::AlertReceived(alert) => self::alert(place, *alert),
        Error::PeerIncompatible(_) => about(Doubt::Unsupported, NOTHING_IN_COMMON),
        Error::InvalidMessage(_) => about(Doubt::Other, "does not speak TLS"),
        Error::NoCertificatesPresented => about(Doubt::Other, "sends no certificate"),
        Error::PeerMisbehaved(_)
        | Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. }
        | Error::DecryptError
        | Error::PeerSentOversizedRecord => about(Doubt::Other, "violates the TLS protocol"),
        _ => about(Doubt::Other, "fails the TLS handshake"),
    }
}

const NOTHING_IN_COMMON: &str = "and this program have no TLS version, cipher or key type in common \
    (here: TLS 1.3, and TLS 1.2 with ECDHE and AEAD)";

fn alert(place: &str, alert: AlertDescription) -> (Doubt, String) {
    use AlertDescription as A;
    let (doubt, what) = match alert {
        A::HandshakeFailure | A::ProtocolVersion | A::InsufficientSecurity => {
            (Doubt::Unsupported, NOTHING_IN_COMMON.to_owned())
        }
        A::CertificateRequired => (Doubt::Other, "asks for a client certificate".to_owned()),
        A::UnrecognisedName => (Doubt::Other, "does not serve that host name".to_owned()),
        other => {
            let number = u8::from(other);
            let what = format!("refuses the TLS connection (alert {number})");
            (Doubt::Other, what)
        }
    };
    (doubt, format!("{place} {what}"))
}

fn certificate(error: &CertificateError) -> (Doubt, String) {
    use CertificateError as C;
    let (doubt, what) = match error {
        C::Expired | C::ExpiredContext { .. } => {
            (Doubt::Expired, "has expired, by this machine's date")
        }
        C::NotValidYet | C::NotValidYetContext { .. } => (
            Doubt::NotYetValid,
            "is not valid yet, by this machine's date",
        ),
        C::NotValidForName | C::NotValidForNameContext { .. } => {
            (Doubt::Name, "does not match the host name")
        }
        C::UnknownIssuer => (Doubt::Issuer, "has an unknown issuer"),
        // That of a stranger who took a known issuer's name.
        C::BadSignature => (Doubt::Issuer, "has a signature that cannot be verified"),
        C::InvalidPurpose | C::InvalidPurposeContext { .. } => {
            (Doubt::Other, "is not a server certificate")
        }
        C::UnsupportedSignatureAlgorithmContext {
            signature_algorithm_id,
            ..
        } => return unknown_algorithm(signature_algorithm_id, &[]),
        C::UnsupportedSignatureAlgorithmForPublicKeyContext {
            signature_algorithm_id,
            public_key_algorithm_id,
        } => return unknown_algorithm(signature_algorithm_id, public_key_algorithm_id),
        C::Other(other) if other.0.is::<SelfSigned>() => (
            Doubt::Issuer,
            "is self-signed and not among the trusted ones",
        ),
        other => rare(webpki_error(other)),
    };
    (doubt, what.to_owned())
}

fn rare(error: Option<&webpki::Error>) -> (Doubt, &'static str) {
    use webpki::Error as E;
    match error {
        Some(E::UnsupportedCertVersion) => (
            Doubt::Unsupported,
            "is X.509 version 1, of which this program reads only version 3",
        ),
        Some(E::CaUsedAsEndEntity) => (
            Doubt::Unsupported,
            "is a CA's own, which this program accepts only from among the trusted ones",
        ),
        Some(E::UnsupportedCriticalExtension) => (
            Doubt::Unsupported,
            "has a critical extension that this program does not know",
        ),
        Some(E::NameConstraintViolation) => {
            (Doubt::Name, "violates the name constraints of its issuer")
        }
        _ => (Doubt::Other, "is malformed, or its chain is"),
    }
}

/// Algorithms that OpenSSL knows and ring does not, by their object identifiers in DER.
const ALGORITHMS: [(&[u8], &str); 6] = [
    (&[0x2b, 0x81, 4, 0, 0x23], "a P-521 key"),
    (&[0x2b, 0x81, 4, 0, 0x0a], "a secp256k1 key"),
    (
        &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 4],
        "ECDSA with SHA-512",
    ),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1], "SHA-1"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5], "SHA-1"),
    (&[0x2b, 0x65, 0x71], "Ed448"),
];

fn unknown_algorithm(signature: &[u8], key: &[u8]) -> (Doubt, String) {
    let contains = |bytes: &[u8], id: &[u8]| bytes.windows(id.len()).any(|part| part == id);
    let mut known = ALGORITHMS.iter();
    let found = known.find(|(id, _)| contains(key, id) || contains(signature, id));
    let with = found.map_or("an algorithm", |(_, name)| name);
    let what = format!("is signed with {with}, which this program does not know");
    (Doubt::Unsupported, what)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::OtherError;

    use super::*;

    fn doubt(error: &Error) -> Doubt {
        match untrusted("x.org:443", None, error, false).kind {
            FaultKind::Certificate(doubt) => doubt,
            other => panic!("{other:?}"),
        }
    }

    fn other(error: webpki::Error) -> Error {
        CertificateError::Other(OtherError(Arc::new(error))).into()
    }

    #[test]
    fn an_impostor_of_an_issuer_is_as_unknown_as_any() {
        for error in [
            CertificateError::UnknownIssuer,
            CertificateError::BadSignature,
            CertificateError::Other(OtherError(Arc::new(SelfSigned))),
        ] {
            assert_eq!(doubt(&error.into()), Doubt::Issuer);
        }
    }

    #[test]
    fn a_clock_before_1970_is_a_matter_of_validity() {
        assert_eq!(doubt(&Error::FailedToGetCurrentTime), Doubt::NotYetValid);
    }

    #[test]
    fn what_openssl_may_accept_is_told_with_a_target_that_works() {
        let p521 = CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext {
            signature_algorithm_id: vec![6, 8, 42, 134, 72, 206, 61, 4, 3, 2],
            public_key_algorithm_id: vec![
                6, 7, 42, 134, 72, 206, 61, 2, 1, 6, 5, 43, 129, 4, 0, 35,
            ],
        };
        let table = [
            (p521.into(), "P-521"),
            (other(webpki::Error::UnsupportedCertVersion), "version 1"),
            (other(webpki::Error::CaUsedAsEndEntity), "a CA's own"),
            (
                Error::AlertReceived(AlertDescription::HandshakeFailure),
                "in common",
            ),
        ];
        for (error, words) in table {
            let fault = untrusted("x.org:443", Some("tcp://x.org:443"), &error, false);
            let may = "Nix, may accept it: the target tcp://x.org:443";
            for words in [words, may] {
                assert!(fault.detail.contains(words), "{}", fault.detail);
            }
            assert_eq!(doubt(&error), Doubt::Unsupported);
        }
        let nobodys = untrusted("x.org:443", None, &other(webpki::Error::BadDer), false);
        assert!(!nobodys.detail.contains("Nix"), "{}", nobodys.detail);
    }

    #[test]
    fn no_error_is_told_in_rusts_own_words() {
        let errors = [
            other(webpki::Error::MalformedExtensions),
            other(webpki::Error::MaximumPathDepthExceeded),
            CertificateError::ApplicationVerificationFailure.into(),
            CertificateError::BadEncoding.into(),
            Error::AlertReceived(AlertDescription::Unknown(200)),
            Error::General("BadThing".to_owned()),
            Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType),
        ];
        for error in errors {
            let detail = untrusted("x.org:443", None, &error, false).detail;
            let camel = detail.as_bytes().windows(2);
            let is_camel =
                |pair: &[u8]| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase();
            assert!(!camel.into_iter().any(is_camel), "{detail}");
        }
    }
}
