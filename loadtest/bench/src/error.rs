//! The reasons why a benchmark could not be taken.

use std::{io, path::PathBuf, time::Duration};

/// The reasons why a benchmark could not be taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The machine refused something.
    #[error("{what}: {source}")]
    Io {
        /// The action that failed.
        what: String,
        /// The system's error.
        source: io::Error,
    },
    /// A program to compare with is not installed.
    #[error("{command} is not installed: run tests/setup, or install the package {package}")]
    Missing {
        /// The command.
        command: &'static str,
        /// The package that brings it.
        package: &'static str,
    },
    /// The pullgate binary does not exist.
    #[error("no pullgate at {0}: build it with `cargo build --release`, or name it with --pullgate")]
    NoPullgate(PathBuf),
    /// A server did not start.
    #[error("{server} did not say {what} within {limit:?}; its log ends: {log}")]
    Start {
        /// The server.
        server: String,
        /// The event that was awaited.
        what: String,
        /// The time limit.
        limit: Duration,
        /// The end of its output.
        log: String,
    },
    /// A server gave an answer that cannot be measured.
    #[error("{0}")]
    Answer(String),
    /// A TLS handshake failed.
    #[error("TLS to {addr}: {source}")]
    Tls {
        /// The server.
        addr: std::net::SocketAddr,
        /// The cause.
        source: rustls::Error,
    },
}

/// Names the action that failed when the system refuses.
pub(crate) trait Doing<T> {
    /// Adds `what` to the error: the action that failed.
    fn doing(self, what: impl Into<String>) -> Result<T, Error>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, what: impl Into<String>) -> Result<T, Error> {
        self.map_err(|source| Error::Io { what: what.into(), source: source.into() })
    }
}
