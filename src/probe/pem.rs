//! The certificates of a PEM bundle. rustls' own reader takes the time that secrets need, which is half of a probe over TLS.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rustls::pki_types::CertificateDer;

const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
/// Every line that begins or ends something does so.
const DASHES: &[u8] = b"-----";

/// All of them; what is malformed or something else is passed over.
pub(super) fn certificates(text: &[u8]) -> impl Iterator<Item = CertificateDer<'static>> {
    let mut body = None;
    let lines = text.split(|byte| matches!(byte, b'\n' | b'\r'));
    lines.filter_map(move |line| {
        let line = line.trim_ascii();
        if line == BEGIN {
            body = Some(Vec::new());
            return None;
        }
        if line.starts_with(DASHES) {
            return BASE64_STANDARD
                .decode(body.take()?)
                .ok()
                .map(CertificateDer::from);
        }
        if let Some(body) = &mut body {
            body.extend_from_slice(line);
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rustls::pki_types::pem::PemObject;

    use super::*;

    fn armoured(der: &[u8], ending: &str) -> String {
        let text = BASE64_STANDARD.encode(der);
        let lines = text.as_bytes().chunks(64).map(String::from_utf8_lossy);
        let lines: Vec<_> = lines.collect();
        let body = lines.join(ending);
        format!(
            "-----BEGIN CERTIFICATE-----{ending}{body}{ending}-----END CERTIFICATE-----{ending}"
        )
    }

    #[test]
    fn what_is_no_certificate_or_malformed_is_passed_over() {
        let mut text = b"# \xc9milie's CAs\n".to_vec();
        text.extend(armoured(b"first", "\n").bytes());
        text.extend(b"-----BEGIN CERTIFICATE-----\n???\n-----END CERTIFICATE-----\n");
        text.extend(b"-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n");
        text.extend(armoured(b"second", "\n").trim_end().bytes());
        let found: Vec<_> = certificates(&text).map(|one| one.to_vec()).collect();
        assert_eq!(found, [&b"first"[..], b"second"]);
    }

    #[test]
    fn what_does_not_end_is_no_certificate() {
        assert_eq!(
            certificates(b"-----BEGIN CERTIFICATE-----\nc2Vj\n").count(),
            0
        );
    }

    proptest! {
        #[test]
        fn a_bundle_is_read_as_rustls_reads_it(
            all in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..200), 0..4),
            ending in prop::sample::select(vec!["\n", "\r\n"]),
        ) {
            let text: String = all.iter().map(|der| armoured(der, ending)).collect();
            let theirs: Vec<_> = CertificateDer::pem_slice_iter(text.as_bytes()).flatten().collect();
            prop_assert_eq!(certificates(text.as_bytes()).collect::<Vec<_>>(), theirs);
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(text: Vec<u8>) {
            let _ = certificates(&text).count();
        }
    }
}
