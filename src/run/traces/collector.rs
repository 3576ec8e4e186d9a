//! The HTTP client for the collector: one connection for each export, which is rare.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::HOST;
use http::{HeaderValue, Request, Response, Uri, uri::Scheme};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use opentelemetry_http::{HttpClient, HttpError};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use super::variables::Variables;
use crate::process::trust::trusting;

/// The client. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Collector(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// `None` if the endpoint has no TLS.
    tls: Option<Arc<ClientConfig>>,
    timeout: Duration,
    /// The error of the last request that got no answer. The exporter's own error does not have it.
    fault: Mutex<Option<String>>,
}

/// The reason why a request got no answer.
#[derive(Debug, thiserror::Error)]
enum ExchangeError {
    #[error("the endpoint names no host")]
    NoHost,
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    #[error("no TLS: {0}")]
    Tls(io::Error),
    #[error("the answer is no HTTP or broke off: {0}")]
    Http(#[from] hyper::Error),
    #[error("the answer is too long or broke off")]
    Body,
    #[error("no answer within {0:?}")]
    Timeout(Duration),
}

/// The authorities for the collector cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the file of OTEL_EXPORTER_OTLP_CERTIFICATE cannot be used: {0}")]
pub(super) struct CertificateError(String);

impl Collector {
    /// A client for the configured endpoint.
    pub(super) fn new(variables: &Variables) -> Result<Self, CertificateError> {
        let tls = if variables.tls {
            Some(trusting(variables.certificate.as_deref()).map_err(CertificateError)?)
        } else {
            None
        };
        Ok(Self(Arc::new(Inner { tls, timeout: variables.timeout, fault: Mutex::default() })))
    }

    /// Takes the error of the last request that got no answer.
    pub(super) fn fault(&self) -> Option<String> {
        self.0.fault.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    async fn ask(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ExchangeError> {
        let (uri, limit) = (request.uri().clone(), self.0.timeout);
        let asked = async {
            let host = uri.host().ok_or(ExchangeError::NoHost)?.trim_matches(['[', ']']);
            let stream = connect(host, port(&uri)).await.map_err(ExchangeError::Connect)?;
            let Some(tls) = &self.0.tls else { return exchange(stream, request).await };
            let name = ServerName::try_from(host.to_owned()).map_err(|_| ExchangeError::NoHost)?;
            let connected = TlsConnector::from(Arc::clone(tls)).connect(name, stream).await;
            exchange(connected.map_err(ExchangeError::Tls)?, request).await
        };
        tokio::time::timeout(limit, asked).await.unwrap_or(Err(ExchangeError::Timeout(limit)))
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answered = self.ask(request).await;
        let fault = answered.as_ref().err().map(ToString::to_string);
        *self.0.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
        Ok(answered?)
    }
}

#[expect(clippy::disallowed_methods, reason = "the collector that the operator names, never a registry")]
async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    TcpStream::connect((host, port)).await
}

/// Sends the request and reads the whole answer.
async fn exchange<S>(stream: S, request: Request<Bytes>) -> Result<Response<Bytes>, ExchangeError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // The end of this set ends the connection.
    let mut driving = JoinSet::new();
    driving.spawn(connection);
    let answer = sender.send_request(in_origin_form(request)).await?;
    let (head, body) = answer.into_parts();
    let body = Limited::new(body, ANSWER_MAX).collect().await.map_err(|_| ExchangeError::Body)?;
    Ok(Response::from_parts(head, body.to_bytes()))
}

/// The request as it goes to a server: a path, and the host in a header.
fn in_origin_form(request: Request<Bytes>) -> Request<Full<Bytes>> {
    let mut request = request.map(Full::new);
    let authority = request.uri().authority().map(|it| it.as_str().rsplit('@').next().unwrap_or_default());
    if let Some(host) = authority.and_then(|host| HeaderValue::from_str(host).ok()) {
        request.headers_mut().insert(HOST, host);
    }
    let path = request.uri().path_and_query().cloned();
    *request.uri_mut() = path.map_or_else(Uri::default, Uri::from);
    request
}

fn port(uri: &Uri) -> u16 {
    let default = if uri.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 };
    uri.port_u16().unwrap_or(default)
}

/// The longest answer of a collector that is read.
const ANSWER_MAX: usize = 64 << 10;
