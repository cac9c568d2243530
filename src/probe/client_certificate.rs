//! Whether a server asks for a client certificate, which there never is.
//!
//! In TLS 1.3 its refusal says so. In TLS 1.2 (RFC 5246, 7.4.6) it is the same alert as when there is no cipher in common.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;

/// Notes that one was asked for.
#[derive(Debug, Default)]
pub(super) struct ClientCertificate(AtomicBool);

impl ClientCertificate {
    /// Whether one was asked for.
    pub(super) fn was_asked_for(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl ResolvesClientCert for ClientCertificate {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.store(true, Ordering::Relaxed);
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}
