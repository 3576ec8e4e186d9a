//! The misbehaving registry must misbehave exactly as told, and behave otherwise: seen from a raw socket, from TLS,
//! and from skopeo.

#![allow(clippy::unwrap_used)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "raw clients of a test on real time")]

mod client;
mod deliveries;
mod good;
mod hosts;
mod images;
mod statuses;
mod tls;
