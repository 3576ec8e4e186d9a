//! A small HTTP client for the mirror and its admin endpoint: one connection for each request.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, HOST};
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use node::MirrorUrl;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::process::trust::trusting;

/// The client.
pub(crate) struct Client {
    url: MirrorUrl,
    tls: Option<Arc<ClientConfig>>,
}

/// The reason for which no answer came.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    #[error("the name {0} cannot be resolved: {1}")]
    Resolve(String, io::Error),
    #[error("no connection: {0}")]
    Connect(io::Error),
    #[error("no connection within {} s: packets are dropped", CONNECT_LIMIT.as_secs())]
    ConnectTimeout,
    #[error("no TLS: {0}")]
    Tls(io::Error),
    #[error("no HTTP: {0}")]
    Http(String),
    #[error("nothing came for {} s", SILENCE_LIMIT.as_secs())]
    Silence,
    #[error("the body ended early: {0}")]
    Body(hyper::Error),
}

impl Client {
    /// A client for `url`, which trusts the authorities of `ca`, or else those of the system.
    pub(crate) fn new(url: &MirrorUrl, ca: Option<&Path>) -> Result<Self, String> {
        let tls = if url.is_plain() { None } else { Some(trusting(ca)?) };
        Ok(Self { url: url.clone(), tls })
    }

    /// Asks for `target`, a path with a query, and gives each piece of the body to `take`.
    pub(crate) async fn get(
        &self,
        target: &str,
        accept: &str,
        mut take: impl FnMut(&[u8]),
    ) -> Result<Response<()>, AskError> {
        let (head, mut body) = self.answer(target, accept).await?.into_parts();
        while let Some(frame) = timeout(SILENCE_LIMIT, body.frame()).await.map_err(|_| AskError::Silence)? {
            if let Ok(data) = frame.map_err(AskError::Body)?.into_data() {
                take(&data);
            }
        }
        Ok(Response::from_parts(head, ()))
    }

    async fn answer(&self, target: &str, accept: &str) -> Result<Response<Incoming>, AskError> {
        let stream = self.connect().await?;
        let Some(tls) = &self.tls else { return self.exchange(stream, target, accept).await };
        let host = self.host().to_owned();
        let name = ServerName::try_from(host).map_err(|error| AskError::Tls(io::Error::other(error)))?;
        let connected = timeout(SILENCE_LIMIT, TlsConnector::from(Arc::clone(tls)).connect(name, stream));
        let stream = connected.await.map_err(|_| AskError::Silence)?.map_err(AskError::Tls)?;
        self.exchange(stream, target, accept).await
    }

    async fn exchange<S>(&self, stream: S, target: &str, accept: &str) -> Result<Response<Incoming>, AskError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let http = |error: hyper::Error| AskError::Http(error.to_string());
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(http)?;
        tokio::spawn(connection);
        let request = Request::get(target)
            .header(HOST, self.url.authority())
            .header(ACCEPT, accept)
            .header(http::header::USER_AGENT, concat!("pullgate-check/", env!("CARGO_PKG_VERSION")))
            .body(Empty::<Bytes>::new())
            .map_err(|error| AskError::Http(error.to_string()))?;
        timeout(SILENCE_LIMIT, sender.send_request(request))
            .await
            .map_err(|_| AskError::Silence)?
            .map_err(http)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the mirror that the operator names, as a node connects to it"
    )]
    async fn connect(&self) -> Result<TcpStream, AskError> {
        let port = self.url.url().port_or_known_default().unwrap_or(80);
        let unresolved = |error| AskError::Resolve(self.host().to_owned(), error);
        let addresses: Vec<_> = lookup_host((self.host(), port)).await.map_err(unresolved)?.collect();
        let connected = timeout(CONNECT_LIMIT, TcpStream::connect(&*addresses)).await;
        connected.map_err(|_| AskError::ConnectTimeout)?.map_err(AskError::Connect)
    }

    fn host(&self) -> &str {
        self.url.url().host_str().unwrap_or_default().trim_matches(['[', ']'])
    }
}

/// A mirror in the cluster connects in milliseconds.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// The longest pause of an answer: above the 25 s for which the mirror itself waits for an upstream.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);
