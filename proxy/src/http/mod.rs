//! HTTP towards clients: sockets, request heads, and the bytes of responses.
//!
//! [`server`] accepts connections, through [`wire`] and, if configured, [`tls`]. [`route`] reads the head of a request,
//! and [`range`] its `Range` header. [`respond`] turns an [`answer`] or a [`failure`] into a response. It is the only
//! file with status codes, and the cause of a failure goes into the status line ([`reason`]). Each request has an id ([`request_id`]). The [`body`] of a
//! response is handed over in portions ([`portion`]) and counted as it leaves ([`meter`]).

pub(crate) mod answer;
pub(crate) mod body;
pub(crate) mod failure;
pub(crate) mod meter;
pub(crate) mod outcome;
pub(crate) mod portion;
pub(crate) mod range;
mod reason;
pub(crate) mod request_id;
pub(crate) mod respond;
pub(crate) mod route;
pub(crate) mod server;
pub(crate) mod tls;
mod wire;
