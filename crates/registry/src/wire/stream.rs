//! The byte stream below TLS and HTTP, and the settings of requests to a plain forward proxy.

use http::HeaderValue;
use tokio::io::{AsyncRead, AsyncWrite};

/// A byte stream that carries TLS and HTTP.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}
/// A boxed [`Io`].
pub(crate) type Stream = Box<dyn Io>;

/// The connection leads to a plain forward proxy: requests use the absolute form, and may carry a credential for the
/// proxy.
#[derive(Clone, Debug)]
pub(crate) struct Relay {
    pub(crate) authorization: Option<HeaderValue>,
}
