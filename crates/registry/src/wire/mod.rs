//! HTTP requests to upstreams: names, connections, TLS, answers and their bodies.
//!
//! - `transport` sends one request over a connection from `pool` or a new one from `dial`. `target` is the destination
//!   of a connection, `stream` its byte stream, and `forward` opens tunnels through forward proxies.
//! - `dns` resolves names, and `last_good` keeps the last good answers; `listening` holds the addresses at which this
//!   process listens.
//! - `tls` makes handshakes, and `authorities` reads the trusted certificates; `build` has the error of a client that
//!   cannot be built.
//! - `body` streams a body and enforces its limits; `read` reads a short body into memory.

pub(crate) mod authorities;
pub mod body;
pub(crate) mod build;
pub(crate) mod dial;
pub mod dns;
mod forward;
mod last_good;
pub mod listening;
pub(crate) mod pool;
pub(crate) mod read;
mod stream;
pub(crate) mod target;
pub mod tls;
pub(crate) mod transport;
