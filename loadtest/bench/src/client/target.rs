//! A request to send, and what to do with the body that comes back.

use std::{net::SocketAddr, sync::Arc};

use rustls::ClientConfig;

/// What to ask whom for.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// The server.
    pub(crate) addr: SocketAddr,
    /// Path and query.
    pub(crate) path: String,
    /// How to trust it, when it serves TLS.
    pub(crate) tls: Option<Arc<ClientConfig>>,
}

/// What a client does with the bytes of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Copies them into a buffer, as every real client does.
    Copy,
    /// Has the kernel drop them (`MSG_TRUNC`): leaves the most time to the server.
    Discard,
}

impl Target {
    /// Plain HTTP.
    pub(crate) fn plain(addr: SocketAddr, path: &str) -> Self {
        Self { addr, path: path.to_owned(), tls: None }
    }

    /// The request; the connection stays open when `keep` says so.
    pub(super) fn request(&self, keep: bool) -> String {
        let Self { addr, path, .. } = self;
        let connection = if keep { "keep-alive" } else { "close" };
        format!("GET {path} HTTP/1.1\r\nHost: {addr}\r\nAccept: {ACCEPT}\r\nConnection: {connection}\r\n\r\n")
    }
}

impl Reading {
    /// For the table.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::Copy => "copying",
            Self::Discard => "discarding",
        }
    }
}

/// What containerd accepts, shortened.
const ACCEPT: &str =
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, */*";
