//! Valid and invalid certificates, from authorities made for one test.

use std::{
    fs, io,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
};

use crate::digest::sha256;

/// A certificate authority made for one test. A second authority serves as an unknown one.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A server certificate with its key.
#[derive(Clone)]
pub struct Certificate {
    chain: Vec<CertificateDer<'static>>,
    key: Arc<PrivateKeyDer<'static>>,
    pem: Arc<Pem>,
    authority: CertificateDer<'static>,
}

/// The certificate chain and the key in PEM.
struct Pem {
    chain: String,
    key: String,
}

/// The period of validity of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Validity {
    Now,
    Left(Duration),
    Over(Duration),
    Past,
    Future,
}

impl Authority {
    /// A new authority.
    pub fn new() -> Self {
        let key = new_key();
        let mut params = CertificateParams::default();
        // The name is unique: with equal names a client would report a bad signature, not an unknown authority.
        let name = format!("loadtest authority {}", &sha256(key.public_key_raw())[7..15]);
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, key).expect(GENERATES);
        Self { issuer }
    }

    /// A valid certificate for these names and addresses.
    pub fn certificate(&self, names: &[&str]) -> Certificate {
        self.issue(names, Validity::Now)
    }

    /// A valid certificate for `localhost` and `127.0.0.1`.
    pub fn for_loopback(&self) -> Certificate {
        self.certificate(&["localhost", "127.0.0.1"])
    }

    /// A certificate that expired on 2001-01-01.
    pub fn expired(&self, names: &[&str]) -> Certificate {
        self.issue(names, Validity::Past)
    }

    /// A certificate that expired this time ago.
    pub fn expired_for(&self, names: &[&str], time: Duration) -> Certificate {
        self.issue(names, Validity::Over(time))
    }

    /// A valid certificate that expires after `left`, for tests of the alert before expiry.
    pub fn expiring(&self, names: &[&str], left: Duration) -> Certificate {
        self.issue(names, Validity::Left(left))
    }

    /// A certificate that becomes valid on 2190-01-01.
    pub fn not_yet_valid(&self, names: &[&str]) -> Certificate {
        self.issue(names, Validity::Future)
    }

    /// The authority's own certificate, PEM.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Writes the authority's certificate to a file, for `ca_file` settings.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_pem(&self, path: &Path) -> io::Result<()> {
        fs::write(path, self.pem())
    }

    fn issue(&self, names: &[&str], validity: Validity) -> Certificate {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("a DNS name or an address");
        params.distinguished_name.push(DnType::CommonName, "loadtest server");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        (params.not_before, params.not_after) = match validity {
            Validity::Now => (date_time_ymd(2020, 1, 1), date_time_ymd(2190, 1, 1)),
            Validity::Left(left) => (date_time_ymd(2020, 1, 1), (SystemTime::now() + left).into()),
            Validity::Over(time) => (date_time_ymd(2020, 1, 1), (SystemTime::now() - time).into()),
            Validity::Past => (date_time_ymd(2000, 1, 1), date_time_ymd(2001, 1, 1)),
            Validity::Future => (date_time_ymd(2190, 1, 1), date_time_ymd(2191, 1, 1)),
        };
        let key = new_key();
        let certificate = params.signed_by(&key, &self.issuer).expect(GENERATES);
        let pem = Pem { chain: certificate.pem(), key: key.serialize_pem() };
        Certificate {
            pem: Arc::new(pem),
            chain: vec![certificate.der().clone()],
            key: Arc::new(PrivatePkcs8KeyDer::from(key.serialize_der()).into()),
            authority: self.issuer.der().clone(),
        }
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl Certificate {
    /// The certificate without its chain, DER.
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.chain[0]
    }

    /// Writes `cert.pem` and `key.pem` into a folder, for servers that read files.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write_pem(&self, folder: &Path) -> io::Result<()> {
        fs::write(folder.join("cert.pem"), &self.pem.chain)?;
        fs::write(folder.join("key.pem"), &self.pem.key)
    }

    /// The configuration of a server that presents this certificate: HTTP/1.1, without session resumption, so that every
    /// connection verifies the certificate.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        self.config(WebPkiClientVerifier::no_client_auth())
    }

    /// Like [`server_config`](Self::server_config), but clients must present a certificate of the same authority.
    pub fn demanding_config(&self) -> Arc<ServerConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.clone()).expect(GENERATES);
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
            .build()
            .expect(GENERATES);
        self.config(verifier)
    }

    fn config(&self, verifier: Arc<dyn ClientCertVerifier>) -> Arc<ServerConfig> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect(GENERATES)
            .with_client_cert_verifier(verifier)
            .with_single_cert(self.chain.clone(), self.key.clone_key())
            .expect(GENERATES);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Arc::new(config)
    }
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate").finish_non_exhaustive()
    }
}

fn new_key() -> KeyPair {
    KeyPair::generate().expect(GENERATES)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

const GENERATES: &str = "invariant: keys and certificates of fixed shape can be made";
