//! The wire: from a URL to the head of an answer and its body.
//!
//! - `transport` sends one request, over a connection of `pool` or one that `dial` opens. `target` names where a
//!   connection goes, `stream` carries its bytes, `forward` passes a forward proxy.
//! - `dns` resolves names and keeps the last good answer in `last_good`; `listening` knows our own addresses.
//! - `tls` makes handshakes with the certificates that `authorities` reads; `build` is why that fails at the start.
//! - `body` holds a body to its promises; `read` reads a short one to its end.

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
