//! The misbehaving registry must show exactly the faults that its rules name, and no others. The tests use raw sockets, TLS and skopeo.

#![allow(clippy::unwrap_used)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "raw clients of a test on real time")]

mod client;
mod deliveries;
mod good;
mod hosts;
mod images;
mod statuses;
mod tls;
