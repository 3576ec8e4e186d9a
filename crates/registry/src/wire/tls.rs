//! TLS handshakes with rustls. The expiry of the certificate chain is recorded even if verification fails.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use oci::class::Class;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, InvalidMessage, RootCertStore, SignatureScheme,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::error::Reason;
use crate::observe::Certificate;
use crate::wire::build::BuildError;

/// The authorities of the system, loaded once (from `SSL_CERT_FILE` and `SSL_CERT_DIR` if they are set).
#[derive(Clone, Debug)]
pub struct Roots(Arc<RootCertStore>);

/// The path and content of a file of certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pem {
    pub(crate) path: PathBuf,
    pub(crate) bytes: Vec<u8>,
}

/// Makes TLS connections that trust one set of authorities. There is no switch that turns verification off.
#[derive(Clone)]
pub(crate) struct Tls {
    /// The configuration without a verifier: each connection gets a verifier of its own.
    base: ClientConfig,
    /// `None` if there is no authority at all. Every certificate is then from an unknown authority.
    verifier: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

/// The result of a handshake, and the certificate that the peer sent, if it sent one.
pub(crate) struct Handshake<S> {
    pub(crate) certificate: Option<Certificate>,
    pub(crate) outcome: Result<TlsStream<S>, TlsFailure>,
}

/// The failure of a handshake.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TlsFailure {
    pub(crate) class: Class,
    pub(crate) reason: Option<Reason>,
    pub(crate) message: String,
}

impl Roots {
    /// Loads the system's authorities. A minimal container image may have none; only the `ca_file`s are trusted then.
    pub fn from_system() -> Self {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Self(Arc::new(store))
    }

    /// No authorities.
    pub fn none() -> Self {
        Self(Arc::new(RootCertStore::empty()))
    }
}

impl Tls {
    /// TLS that trusts `roots` and the certificates of `files`.
    pub(crate) fn new(roots: &Roots, files: &[Pem]) -> Result<Self, BuildError> {
        let mut roots = Arc::clone(&roots.0);
        for file in files {
            add_file(Arc::make_mut(&mut roots), file)?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
            .build()
            .ok();
        let mut base = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("invariant: the provider supports TLS 1.2 and 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        base.alpn_protocols = vec![b"http/1.1".to_vec()];
        // A resumed session sends no certificate, so it could not be verified again and its expiry would not be
        // recorded.
        base.resumption = Resumption::disabled();
        Ok(Self { base, verifier, provider })
    }

    /// Makes a handshake over `stream` with `host` (a name, or an address without brackets).
    pub(crate) async fn connect<S>(&self, host: &str, stream: S) -> Handshake<S>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let Ok(name) = ServerName::try_from(host.to_owned()) else {
            let message = format!("{host} cannot be the name of a TLS server");
            let failure = TlsFailure { class: Class::TlsName, reason: None, message };
            return Handshake { certificate: None, outcome: Err(failure) };
        };
        let recorder = Arc::new(Recorder {
            verifier: self.verifier.clone(),
            provider: Arc::clone(&self.provider),
            seen: Mutex::new(None),
        });
        let mut config = self.base.clone();
        config.dangerous().set_certificate_verifier(Arc::<Recorder>::clone(&recorder));
        let outcome = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
        let certificate = recorder.seen().map(|seen| Certificate { host: host.to_owned(), ..seen });
        Handshake { certificate, outcome: outcome.map_err(|error| TlsFailure::of(&error)) }
    }
}

impl TlsFailure {
    /// Classifies an error of a handshake, or one that the peer sent later: in TLS 1.3, a missing client certificate is
    /// refused only after the handshake.
    pub(crate) fn of(error: &io::Error) -> Self {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        let (class, reason) = match inner {
            Some(tls) => name_failure(tls),
            None if error.kind() == io::ErrorKind::ConnectionReset => (Class::ConnectReset, None),
            None => (Class::TlsOther, Some(Reason::TlsClosed)),
        };
        let message = inner.map_or_else(|| error.to_string(), describe);
        Self { class, reason, message }
    }
}

fn name_failure(error: &rustls::Error) -> (Class, Option<Reason>) {
    use rustls::Error;
    match error {
        Error::InvalidCertificate(certificate) => name_certificate(certificate),
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            (Class::TlsOther, Some(Reason::PlainHttpOnTls))
        }
        Error::AlertReceived(_) => (Class::TlsOther, Some(Reason::TlsAlert)),
        Error::PeerIncompatible(_) | Error::NoApplicationProtocol => {
            (Class::TlsOther, Some(Reason::TlsIncompatible))
        }
        Error::NoCertificatesPresented => (Class::TlsOther, Some(Reason::BadCertificate)),
        _ => (Class::TlsOther, None),
    }
}

/// The message of an error, with the dates of a certificate as text. rustls prints them as UNIX seconds.
fn describe(error: &rustls::Error) -> String {
    use CertificateError as E;
    // humantime formats dates up to the year 9999, which is also the last year of X.509 (RFC 5280, 4.1.2.5).
    let date = |at: UnixTime| {
        let seconds = at.as_secs().min(LAST_DATE);
        humantime::format_rfc3339_seconds(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    };
    match error {
        rustls::Error::InvalidCertificate(E::ExpiredContext { time, not_after }) => {
            format!("the certificate expired at {}; the clock here says {}", date(*not_after), date(*time))
        }
        rustls::Error::InvalidCertificate(E::NotValidYetContext { time, not_before }) => format!(
            "the certificate is not valid before {}; the clock here says {}",
            date(*not_before),
            date(*time)
        ),
        other => other.to_string(),
    }
}

fn name_certificate(error: &CertificateError) -> (Class, Option<Reason>) {
    use CertificateError as E;
    match error {
        E::UnknownIssuer => (Class::TlsUnknownCa, None),
        E::Expired | E::ExpiredContext { .. } => (Class::TlsExpired, None),
        E::NotValidYet | E::NotValidYetContext { .. } => (Class::TlsNotYetValid, None),
        E::NotValidForName | E::NotValidForNameContext { .. } => (Class::TlsName, None),
        _ => (Class::TlsOther, Some(Reason::BadCertificate)),
    }
}

/// Verifies as rustls does, and records the expiry of the chain and the result.
#[derive(Debug)]
struct Recorder {
    verifier: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
    /// The chain; its host is empty.
    seen: Mutex<Option<Certificate>>,
}

impl Recorder {
    fn seen(&self) -> Option<Certificate> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verdict = match &self.verifier {
            Some(verifier) => verifier.verify_server_cert(end_entity, intermediates, name, ocsp, now),
            None => Err(CertificateError::UnknownIssuer.into()),
        };
        if let Some(not_after) = earliest_end(end_entity, intermediates) {
            let (not_before, issuer) = begin_and_issuer(end_entity);
            let host = String::new();
            let seen = Some(Certificate { host, not_before, not_after, issuer, verified: verdict.is_ok() });
            *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
        }
        verdict
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// The earliest end of validity among the readable certificates.
fn earliest_end(end_entity: &CertificateDer<'_>, others: &[CertificateDer<'_>]) -> Option<SystemTime> {
    std::iter::once(end_entity)
        .chain(others)
        .filter_map(|der| {
            let (_, certificate) = X509Certificate::from_der(der).ok()?;
            Some(moment(certificate.validity().not_after.timestamp()))
        })
        .min()
}

/// The beginning of the validity of a certificate, and its issuer, shortened and without control characters.
fn begin_and_issuer(der: &CertificateDer<'_>) -> (Option<SystemTime>, String) {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else { return (None, String::new()) };
    let issuer = certificate.issuer().to_string();
    let issuer = issuer.chars().filter(|c| !c.is_control()).take(ISSUER_MAX).collect();
    (Some(moment(certificate.validity().not_before.timestamp())), issuer)
}

/// The time of UNIX seconds; 1970 for earlier ones.
fn moment(seconds: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

fn add_file(store: &mut RootCertStore, file: &Pem) -> Result<(), BuildError> {
    let broken = |reason: String| BuildError::CaFile { path: file.path.clone(), reason };
    let mut found = 0;
    for certificate in CertificateDer::pem_slice_iter(&file.bytes) {
        let certificate = certificate.map_err(|error| broken(error.to_string()))?;
        store.add(certificate).map_err(|error| broken(error.to_string()))?;
        found += 1;
    }
    if found == 0 {
        return Err(broken("holds no certificate".to_owned()));
    }
    Ok(())
}

/// Longest text of an issuer, in characters.
const ISSUER_MAX: usize = 200;
/// 9999-12-31T23:59:59Z in UNIX seconds.
const LAST_DATE: u64 = 253_402_300_799;
