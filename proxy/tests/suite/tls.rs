//! TLS towards clients: the same answers as without TLS, one protocol, and a renewed certificate without a restart.

use std::io;
use std::sync::Arc;

use loadtest::image::Image;
use loadtest::tls::{Authority, Certificate};
use proxy::ServerTls;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::rig::{Heard, Plan, REGISTRY, Rig};

/// A proxy that speaks TLS, the authority its clients trust, and the files of its certificate.
struct Secured {
    rig: Rig,
    tls: ServerTls,
    authority: Authority,
    files: TempDir,
}

impl Secured {
    async fn start() -> (Self, Certificate) {
        let (authority, files) = (Authority::new(), tempfile::tempdir().unwrap());
        let first = authority.for_loopback();
        first.write_pem(files.path()).unwrap();
        let tls = ServerTls::load(files.path().join("cert.pem"), files.path().join("key.pem")).unwrap();
        let rig = Rig::with(Plan { tls: Some(tls.clone()), ..Plan::default() }).await;
        (Self { rig, tls, authority, files }, first)
    }

    async fn connect(&self, protocol: &str) -> io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.authority.pem().as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let stream = TcpStream::connect(self.rig.address).await.unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }

    /// The certificate that a new connection gets.
    async fn shown(&self) -> CertificateDer<'static> {
        let stream = self.connect("http/1.1").await.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
    }
}

async fn ask(stream: &mut TlsStream<TcpStream>, path: &str) -> Heard {
    let request =
        format!("GET /v2/{path}?ns={REGISTRY} HTTP/1.1\r\nHost: mirror\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    Heard::until_end(stream).await
}

#[tokio::test]
async fn a_pull_over_tls_is_whole_and_ends_with_a_close_notify() {
    let (secured, _) = Secured::start().await;
    let image = Image::with_layers(1, &[3 << 20]);
    secured.rig.upstream.add_image("org/app", "1", &image);
    let layer = &image.layers[0];
    for path in ["org/app/manifests/1".to_owned(), format!("org/app/blobs/{}", layer.digest)] {
        for _ in 0..2 {
            let mut stream = secured.connect("http/1.1").await.unwrap();
            let heard = ask(&mut stream, &path).await;
            assert!(heard.status == 200 && heard.is_whole(), "{path} {}", heard.status);
            assert!(heard.clean, "rustls tells an end without close_notify as an error");
        }
    }
}

#[tokio::test]
async fn a_client_that_speaks_only_http_2_is_refused_in_the_handshake() {
    let (secured, _) = Secured::start().await;
    assert!(secured.connect("h2").await.is_err());
    assert!(secured.connect("http/1.1").await.is_ok());
}

#[tokio::test]
async fn a_renewed_certificate_serves_new_connections_and_a_broken_pair_none() {
    let (secured, first) = Secured::start().await;
    assert_eq!(secured.shown().await, *first.der());
    let mut open = secured.connect("http/1.1").await.unwrap();

    let second = secured.authority.for_loopback();
    second.write_pem(secured.files.path()).unwrap();
    secured.tls.reload().unwrap();
    assert_eq!(secured.shown().await, *second.der());

    let (cert, elsewhere) = (secured.files.path().join("cert.pem"), tempfile::tempdir().unwrap());
    secured.authority.for_loopback().write_pem(elsewhere.path()).unwrap();
    std::fs::copy(elsewhere.path().join("cert.pem"), &cert).unwrap();
    assert!(secured.tls.reload().is_err(), "the key of another certificate");
    std::fs::write(&cert, "no certificate").unwrap();
    assert!(secured.tls.reload().is_err());
    assert_eq!(secured.shown().await, *second.der());

    assert_eq!(ask(&mut open, "org/app/manifests/1").await.status, 404, "an open connection goes on");
}
