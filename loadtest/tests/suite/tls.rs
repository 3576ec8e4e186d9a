//! Faults of certificates and handshakes.

use std::{io, sync::Arc, time::Duration};

use loadtest::{
    registry::{Greeting, Registry},
    tls::Authority,
};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, Error, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
    time_provider::TimeProvider,
};
use tokio::{io::AsyncReadExt, net::TcpStream};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::client::{exchange, get, within};

const LOOPBACK: &[&str] = &["localhost", "127.0.0.1"];

#[tokio::test]
async fn a_good_certificate_serves() {
    let authority = Authority::new();
    let registry = Registry::start_tls(authority.for_loopback()).await.unwrap();
    assert!(registry.url().starts_with("https://127.0.0.1:"));
    let mut stream = connect(&registry, &authority, "127.0.0.1").await.unwrap();
    assert_eq!(exchange(&mut stream, "GET", "/v2/", &[]).await.unwrap().unwrap().status, 200);
    connect(&registry, &authority, "localhost").await.unwrap();
}

#[tokio::test]
async fn a_certificate_expires_at_the_given_time() {
    let authority = Authority::new();
    let registry = Registry::start_tls(authority.expiring(LOOPBACK, 3 * DAY)).await.unwrap();
    connect_after(2 * DAY, &registry, &authority, "localhost").await.unwrap();
    let late = connect_after(4 * DAY, &registry, &authority, "localhost").await.unwrap_err();
    assert!(matches!(refusal_in(&late), Error::InvalidCertificate(CertificateError::ExpiredContext { .. })));
}

#[tokio::test]
async fn every_invalid_certificate_fails_for_its_own_reason() {
    let (authority, other) = (Authority::new(), Authority::new());
    let registry = Registry::start_tls(authority.for_loopback()).await.unwrap();
    for (certificate, expected) in [
        (authority.expired(LOOPBACK), "expired"),
        (authority.not_yet_valid(LOOPBACK), "not yet valid"),
        (authority.certificate(&["registry.example"]), "name"),
        (other.for_loopback(), "issuer"),
    ] {
        registry.greet(Greeting::Tls(certificate));
        let Error::InvalidCertificate(error) = refusal(&registry, &authority).await else {
            panic!("{expected}")
        };
        let seen = match error {
            CertificateError::ExpiredContext { .. } => "expired",
            CertificateError::NotValidYetContext { .. } => "not yet valid",
            CertificateError::NotValidForNameContext { .. } => "name",
            CertificateError::UnknownIssuer => "issuer",
            other => panic!("{expected}: {other:?}"),
        };
        assert_eq!(seen, expected);
    }
}

#[tokio::test]
async fn handshakes_that_fail() {
    let authority = Authority::new();
    let registry = Registry::start_with(Greeting::Alert(40)).await.unwrap();
    let alert = refusal(&registry, &authority).await;
    assert_eq!(alert, Error::AlertReceived(AlertDescription::HandshakeFailure));

    registry.greet(Greeting::Http);
    let plain = refusal(&registry, &authority).await;
    assert!(matches!(plain, Error::InvalidMessage(_)), "plain HTTP on a TLS port: {plain:?}");

    registry.greet(Greeting::CloseInHandshake);
    let closed = connect(&registry, &authority, "localhost").await.unwrap_err();
    assert_eq!(closed.kind(), io::ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn a_client_certificate_is_demanded() {
    let authority = Authority::new();
    let registry =
        Registry::start_with(Greeting::DemandClientCertificate(authority.for_loopback())).await.unwrap();
    let mut stream = connect(&registry, &authority, "localhost").await.unwrap();
    let error = exchange(&mut stream, "GET", "/v2/", &[]).await.unwrap_err();
    let inner = error.get_ref().unwrap().downcast_ref::<Error>().unwrap();
    assert_eq!(*inner, Error::AlertReceived(AlertDescription::CertificateRequired));
}

#[tokio::test]
async fn sockets_that_only_accept() {
    let registry = Registry::start().await.unwrap();
    let mut bytes = Vec::new();
    for (greeting, ends) in
        [(Greeting::Close, Some(true)), (Greeting::Reset, Some(false)), (Greeting::Silence, None)]
    {
        registry.greet(greeting);
        let mut stream = TcpStream::connect(registry.addr()).await.unwrap();
        let read = tokio::time::timeout(Duration::from_millis(200), stream.read_to_end(&mut bytes)).await;
        assert_eq!(read.ok().map(|read| read.is_ok()), ends);
    }
    registry.greet(Greeting::Http);
    assert_eq!(get(&registry, "/v2/").await.status, 200);
}

#[tokio::test]
async fn the_authority_is_written_for_ca_file_settings() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    let authority = Authority::new();
    authority.write_pem(&path).unwrap();
    let read = CertificateDer::from_pem_file(&path).unwrap();
    assert_eq!(read, CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap());
}

async fn refusal(registry: &Registry, authority: &Authority) -> Error {
    refusal_in(&connect(registry, authority, "localhost").await.unwrap_err())
}

fn refusal_in(error: &io::Error) -> Error {
    error.get_ref().unwrap().downcast_ref::<Error>().unwrap().clone()
}

async fn connect(registry: &Registry, authority: &Authority, name: &str) -> io::Result<TlsStream<TcpStream>> {
    connect_after(Duration::ZERO, registry, authority, name).await
}

/// Connects with a clock that is ahead.
async fn connect_after(
    ahead: Duration,
    registry: &Registry,
    authority: &Authority,
    name: &str,
) -> io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    let config =
        ClientConfig::builder_with_details(Arc::new(aws_lc_rs::default_provider()), Arc::new(Ahead(ahead)))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
    let socket = TcpStream::connect(registry.addr()).await.unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    within(TlsConnector::from(Arc::new(config)).connect(name, socket)).await
}

#[derive(Debug)]
struct Ahead(Duration);

impl TimeProvider for Ahead {
    fn current_time(&self) -> Option<UnixTime> {
        let now = UnixTime::now().as_secs() + self.0.as_secs();
        Some(UnixTime::since_unix_epoch(Duration::from_secs(now)))
    }
}

const DAY: Duration = Duration::from_secs(86_400);
