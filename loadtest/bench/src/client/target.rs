//! A request to send, and the treatment of the body of its answer.

use std::{net::SocketAddr, sync::Arc};

use rustls::ClientConfig;

/// A request: a server, a path, and the trust in the server's certificate.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// The server.
    pub(crate) addr: SocketAddr,
    /// Path and query.
    pub(crate) path: String,
    /// The paths of the other requests of one pull, for a load of whole pulls: each connection asks for all paths in
    /// turn, and pulls as another node each time.
    pub(crate) rest: Vec<String>,
    /// The TLS configuration that trusts the server, if it serves TLS.
    pub(crate) tls: Option<Arc<ClientConfig>>,
}

/// The treatment of a body's bytes by a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// The client copies them into a buffer, like every real client.
    Copy,
    /// The kernel drops them (`MSG_TRUNC`), which leaves the most time to the server.
    Discard,
}

impl Target {
    /// A request over plain HTTP.
    pub(crate) fn plain(addr: SocketAddr, path: &str) -> Self {
        Self { addr, path: path.to_owned(), rest: Vec::new(), tls: None }
    }

    /// The text of the request with this number on the connection with this index.
    pub(super) fn request_in_turn(&self, connection: usize, number: usize) -> String {
        let paths = 1 + self.rest.len();
        let path = (number % paths).checked_sub(1).map_or(&self.path, |rest| &self.rest[rest]);
        let node = format!("X-Pullgate-Node: node-{connection}-{}\r\n", number / paths);
        self.text(path, if self.rest.is_empty() { "" } else { &node }, true)
    }

    /// The text of the request; with `keep` the connection stays open after the answer.
    pub(super) fn request(&self, keep: bool) -> String {
        self.text(&self.path, "", keep)
    }

    fn text(&self, path: &str, more: &str, keep: bool) -> String {
        let Self { addr, .. } = self;
        let connection = if keep { "keep-alive" } else { "close" };
        format!(
            "GET {path} HTTP/1.1\r\nHost: {addr}\r\nAccept: {ACCEPT}\r\n{more}Connection: {connection}\r\n\r\n"
        )
    }
}

impl Reading {
    /// The name in the table.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::Copy => "copying",
            Self::Discard => "discarding",
        }
    }
}

/// The `Accept` header of containerd, shortened.
const ACCEPT: &str =
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, */*";
