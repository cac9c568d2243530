//! A certificate authority of our own, and HTTPS servers with any certificate of its making.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    IsCa, KeyPair, date_time_ymd,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::http::{Heads, Reply, Server, Stream, listener, respond};

/// An issuer of certificates.
pub struct Ca(CertifiedIssuer<'static, KeyPair>);

/// From when to when a certificate is valid.
#[derive(Clone, Copy, Debug)]
pub enum Validity {
    /// 1975 to 4096.
    Now,
    /// 1975 to 2000.
    Past,
    /// 4000 to 4096.
    Future,
}

impl Ca {
    /// Makes a new one, which nobody else knows.
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        // Two issuers of one name would be told apart by their signatures only.
        let name = format!("issuer {}", COUNT.fetch_add(1, Ordering::Relaxed));
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// Its certificate.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Writes its certificate into a folder, to be named by `NIX_SSL_CERT_FILE`.
    pub fn write(&self, folder: &Path) -> PathBuf {
        let file = folder.join("ca.pem");
        std::fs::write(&file, self.pem()).unwrap();
        file
    }

    /// Issues a server's certificate for a name or an address.
    pub fn issue(&self, name: &str, validity: Validity) -> Arc<ServerConfig> {
        self.issue_with_pem(name, validity).0
    }

    /// The same, with the certificate itself.
    pub fn issue_with_pem(&self, name: &str, validity: Validity) -> (Arc<ServerConfig>, String) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        validity.put_into(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (serving(&certificate, &key), certificate.pem())
    }
}

/// What a server's own certificate is like that nobody else has signed.
#[derive(Clone, Debug)]
pub struct SelfSigned {
    /// The common name.
    pub common_name: &'static str,
    /// The alternative names.
    pub names: Vec<String>,
    /// It is a CA's, as `openssl req -x509` makes it.
    pub is_ca: bool,
    /// From when to when it is valid.
    pub validity: Validity,
}

impl SelfSigned {
    /// Makes it: a server's configuration, and the certificate itself.
    pub fn make(self) -> (Arc<ServerConfig>, String) {
        let mut params = CertificateParams::new(self.names).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, self.common_name);
        if self.is_ca {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        self.validity.put_into(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        (serving(&certificate, &key), certificate.pem())
    }
}

impl Validity {
    fn put_into(self, params: &mut CertificateParams) {
        let (from, to) = match self {
            Self::Now => (1975, 4096),
            Self::Past => (1975, 2000),
            Self::Future => (4000, 4096),
        };
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
    }
}

fn serving(certificate: &Certificate, key: &KeyPair) -> Arc<ServerConfig> {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    Arc::new(config)
}

/// Serves HTTPS on 127.0.0.1.
pub fn https(
    config: Arc<ServerConfig>,
    answer: impl Fn(&str) -> Reply + Send + Sync + 'static,
) -> Server {
    https_on(listener("127.0.0.1:0"), config, answer)
}

/// Serves HTTPS on a listener of one's own.
pub fn https_on(
    listener: TcpListener,
    config: Arc<ServerConfig>,
    answer: impl Fn(&str) -> Reply + Send + Sync + 'static,
) -> Server {
    let heads = Heads::default();
    let seen = heads.clone();
    Server::serve(listener, heads, move |stream| {
        let session = ServerConnection::new(config.clone()).unwrap();
        let mut stream = StreamOwned::new(session, stream);
        respond(&mut stream, &seen, &answer);
    })
}

impl Stream for StreamOwned<ServerConnection, TcpStream> {
    fn finish(&mut self) {
        self.conn.send_close_notify();
        let _ = self.conn.complete_io(&mut self.sock);
    }
}
