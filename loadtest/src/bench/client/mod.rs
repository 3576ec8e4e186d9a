//! Clients: raw sockets and as little else as possible, so that the server is what is measured.
//!
//! - [`drive`] keeps many connections busy from one thread (epoll): downloads and small requests alike.
//! - [`fetch`] takes one answer and tells when its first byte came.
//! - [`probe`] asks on a schedule and keeps the latencies.
//! - [`slow`] holds many answers open and hardly reads them.

mod drive;
mod fetch;
mod head;
mod probe;
mod slow;
pub(crate) mod tls;

use std::{
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

pub(crate) use drive::{Done, Load, Until, drive};
pub(crate) use fetch::{fetch, fetch_digest};
pub(crate) use probe::probe;
pub(crate) use slow::SlowReaders;

use rustix::net::{AddressFamily, SocketType, connect as connect_socket, socket, sockopt};
use rustls::ClientConfig;

use super::{Error, error::Doing};

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
    fn request(&self, keep: bool) -> String {
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

/// A connection; a small receive buffer makes a reader slow that does not read.
pub(crate) fn connect(addr: SocketAddr, receive_buffer: Option<usize>) -> Result<TcpStream, Error> {
    let what = format!("connecting to {addr}");
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).doing(what.as_str())?;
    if let Some(bytes) = receive_buffer {
        sockopt::set_socket_recv_buffer_size(&socket, bytes).doing("shrinking a receive buffer")?;
    }
    connect_socket(&socket, &addr).doing(what)?;
    let socket = TcpStream::from(socket);
    socket.set_nodelay(true).doing("setting TCP_NODELAY")?;
    socket.set_read_timeout(Some(SILENCE_LIMIT)).doing("setting a timeout")?;
    Ok(socket)
}

/// What containerd accepts, shortened.
const ACCEPT: &str =
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, */*";
/// Longest wait for a byte: a benchmark that hangs is one that failed.
const SILENCE_LIMIT: Duration = Duration::from_secs(60);
