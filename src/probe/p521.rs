//! ECDSA over P-521, which OpenSSL has and ring has not.

use p521::ecdsa::signature::hazmat::PrehashVerifier;
use p521::ecdsa::{DerSignature, VerifyingKey};
use ring::digest::{self, digest};
use rustls::SignatureScheme;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{
    AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id,
};

/// ring's algorithms, and these.
pub(super) fn with_p521(ring: WebPkiSupportedAlgorithms) -> WebPkiSupportedAlgorithms {
    // Leaked, as the type wants them to live as long as the program; it is asked for once.
    WebPkiSupportedAlgorithms {
        all: [ring.all, ALL].concat().leak(),
        mapping: [ring.mapping, MAPPING].concat().leak(),
    }
}

type Algorithm = &'static dyn SignatureVerificationAlgorithm;

const ALL: &[Algorithm] = &[&SHA256, &SHA384, &SHA512];
const MAPPING: &[(SignatureScheme, &[Algorithm])] =
    &[(SignatureScheme::ECDSA_NISTP521_SHA512, &[&SHA512])];

const SHA256: P521 = P521(alg_id::ECDSA_SHA256, &digest::SHA256);
const SHA384: P521 = P521(alg_id::ECDSA_SHA384, &digest::SHA384);
const SHA512: P521 = P521(alg_id::ECDSA_SHA512, &digest::SHA512);

/// P-521 with a hash.
#[derive(Debug)]
struct P521(AlgorithmIdentifier, &'static digest::Algorithm);

impl SignatureVerificationAlgorithm for P521 {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let key = VerifyingKey::from_sec1_bytes(public_key).map_err(|_| InvalidSignature)?;
        let signature = DerSignature::try_from(signature).map_err(|_| InvalidSignature)?;
        key.verify_prehash(digest(self.1, message).as_ref(), &signature)
            .map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_P521
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.0
    }
}
