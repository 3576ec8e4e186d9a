//! The byte stream beneath TLS and HTTP, and how a plain forward proxy is spoken to over it.

use http::HeaderValue;
use tokio::io::{AsyncRead, AsyncWrite};

/// A byte stream that carries TLS and HTTP.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}
/// Any [`Io`].
pub(crate) type Stream = Box<dyn Io>;

/// How requests over a plain forward proxy differ: absolute form, and perhaps a credential for the proxy.
#[derive(Clone, Debug)]
pub(crate) struct Relay {
    pub(crate) authorization: Option<HeaderValue>,
}
