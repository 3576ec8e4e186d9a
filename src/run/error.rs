//! The errors for which the process cannot start or must end.

use std::net::SocketAddr;

use registry::client::BuildError;

use crate::process::exit::Exit;

/// The process cannot start, or must end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address} (key {key}): {source}")]
    Listen {
        /// The configuration key.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// The system's error.
        source: std::io::Error,
    },
    /// An upstream's client cannot be built.
    #[error("upstream {id}: {source}")]
    Upstream {
        /// The upstream's short id.
        id: String,
        /// The cause.
        source: BuildError,
    },
    /// The prober's clients cannot be built.
    #[error(transparent)]
    Plan(#[from] BuildError),
    /// The cache folder cannot be opened.
    #[error(transparent)]
    Store(#[from] store::OpenError),
    /// The proxy's certificate cannot be used.
    #[error("{key}: {source}")]
    Tls {
        /// The configuration key.
        key: &'static str,
        /// The cause.
        source: proxy::TlsError,
    },
    /// The metrics recorder cannot be built.
    #[error("metrics: {0}")]
    Metrics(#[from] metrics_exporter_prometheus::BuildError),
    /// A bug: the server ended although no signal requested it.
    #[error("the mirror's server ended by itself; this is a bug, please report it with the log")]
    Broken,
    /// Signals cannot be waited for.
    #[error("signals: {0}")]
    Signal(std::io::Error),
}

impl StartError {
    /// The exit status for this error.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Metrics(_) | Self::Signal(_) | Self::Broken => Exit::Unexpected,
            _ => Exit::Usage,
        }
    }
}
