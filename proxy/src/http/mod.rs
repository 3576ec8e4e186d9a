//! HTTP towards clients: sockets, request heads, and the bytes of responses.
//!
//! [`server`] accepts connections, over [`wire`] and perhaps [`tls`]; [`route`] reads a request's head and [`range`] its
//! `Range`. An [`answer`] or a [`failure`] becomes a response in [`respond`], the only file with status codes, with the cause in
//! its status line ([`reason`]) and the id of its request ([`request_id`]). The
//! [`body`] of a response is handed over in portions ([`portion`]) and counted as it leaves ([`meter`]).

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
