//! The treatment of a new connection before any request: HTTP, TLS, or a fault.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::TlsAcceptor;

use super::wire::Wire;
use crate::tls::Certificate;

/// The treatment of new connections by a listener. To serve plain HTTP on a TLS port, set [`Greeting::Http`] on a
/// registry that was started with TLS: its `url()` stays `https`.
#[derive(Debug, Clone)]
pub enum Greeting {
    /// HTTP.
    Http,
    /// TLS with this certificate, then HTTP.
    Tls(Certificate),
    /// TLS that demands a client certificate.
    DemandClientCertificate(Certificate),
    /// Reads the ClientHello and sends a fatal alert with this number (40 is `handshake_failure`, 70
    /// `protocol_version`, 49 `access_denied`).
    Alert(u8),
    /// Reads the ClientHello (or the request) and closes the connection.
    CloseInHandshake,
    /// Closes the connection at once after accepting it.
    Close,
    /// Resets the connection at once after accepting it.
    Reset,
    /// Accepts the connection and sends nothing.
    Silence,
}

impl Greeting {
    /// Treats a new connection. Returns it ready for HTTP, or `None` if it has ended.
    pub(crate) async fn meet(self, mut socket: TcpStream) -> Option<Wire> {
        match self {
            Self::Http => Some(Wire::plain(socket)),
            Self::Tls(certificate) => accept(certificate.server_config(), socket).await,
            Self::DemandClientCertificate(certificate) => {
                accept(certificate.demanding_config(), socket).await
            }
            Self::Alert(description) => {
                read_some(&mut socket).await;
                // TLS record: alert (21), version 3.3, two bytes, fatal (2), description.
                let alert = [21, 3, 3, 0, 2, 2, description];
                socket.write_all(&alert).await.ok()?;
                Wire::plain(socket).finish().await;
                None
            }
            Self::CloseInHandshake => {
                read_some(&mut socket).await;
                Wire::plain(socket).finish().await;
                None
            }
            Self::Close => {
                Wire::plain(socket).finish().await;
                None
            }
            Self::Reset => {
                Wire::plain(socket).reset();
                None
            }
            Self::Silence => {
                Wire::plain(socket).closed().await;
                None
            }
        }
    }
}

async fn accept(config: std::sync::Arc<rustls::ServerConfig>, socket: TcpStream) -> Option<Wire> {
    match TlsAcceptor::from(config).accept(socket).await {
        Ok(stream) => Some(Wire::tls(stream)),
        Err(error) => {
            tracing::debug!(%error, "a client ended the handshake");
            None
        }
    }
}

/// Reads once, which is enough: on loopback a ClientHello arrives in one piece.
async fn read_some(socket: &mut TcpStream) {
    let mut hello = [0; 4096];
    if let Err(error) = socket.read(&mut hello).await {
        tracing::debug!(%error, "a client left before its first byte");
    }
}
