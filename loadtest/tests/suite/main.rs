//! The misbehaving registry must misbehave exactly as told, and behave otherwise: seen from a raw socket, from TLS,
//! and from skopeo.

#![allow(clippy::unwrap_used)]

mod client;
mod deliveries;
mod good;
mod hosts;
mod images;
mod statuses;
mod tls;
