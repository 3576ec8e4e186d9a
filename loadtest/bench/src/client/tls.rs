//! TLS like a node's, and a client that makes the handshake and then only counts bytes.

use std::{io::Write, net::TcpStream, sync::Arc};

use loadtest::tls::Certificate;
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, Stream,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use super::target::Target;
use crate::error::{Doing, Error};

/// Trusts exactly this certificate, and offers AES-128-GCM like Go's clients, so that all servers use the same cipher.
pub(crate) fn config(certificate: &Certificate) -> Arc<ClientConfig> {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites = vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256];
    let provider = Arc::new(provider);
    let pinned = Pinned { certificate: certificate.der().clone(), provider: Arc::clone(&provider) };
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("invariant: the suite is of TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(pinned))
        .with_no_client_auth();
    Arc::new(config)
}

/// A TLS session with the target's server; the handshake runs with the first write.
pub(crate) fn session(config: &Arc<ClientConfig>, target: &Target) -> Result<ClientConnection, Error> {
    let name = ServerName::IpAddress(target.addr.ip().into());
    ClientConnection::new(Arc::clone(config), name).map_err(|source| Error::Tls { addr: target.addr, source })
}

/// Makes the handshake and sends the request. The bytes of the answer are only counted, because decryption would cost
/// the client as much time as the server.
pub(crate) fn ask(config: &Arc<ClientConfig>, target: &Target, socket: &mut TcpStream) -> Result<(), Error> {
    let mut session = session(config, target)?;
    let request = target.request(false);
    let mut stream = Stream::new(&mut session, socket);
    stream
        .write_all(request.as_bytes())
        .and_then(|()| stream.flush())
        .doing(format!("TLS to {}", target.addr))
}

/// Verifies that the server presents the certificate made for this run.
#[derive(Debug)]
struct Pinned {
    certificate: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if *shown == self.certificate {
            return Ok(ServerCertVerified::assertion());
        }
        Err(rustls::CertificateError::UnknownIssuer.into())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
