//! The proxy between raw clients and the misbehaving registry, over real sockets.
//!
//! The files lie beside each other because each is one chapter of these stories and uses no other file except `rig`.

#![allow(clippy::unwrap_used)]
#![allow(clippy::disallowed_methods, reason = "the clients of these tests dial the proxy themselves")]

mod bodies;
mod breaker;
mod complete;
mod crowd;
mod eviction;
mod faults;
mod freshness;
mod hostile;
mod outages;
mod pulls;
mod ranges;
mod rig;
mod tenants;
mod tls;
mod tolerance;
