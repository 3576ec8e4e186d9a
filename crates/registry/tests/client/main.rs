//! Tests of the client against a registry that misbehaves on demand. Every failure is real, and the client must report
//! the right class.

#![allow(clippy::disallowed_methods, reason = "tests stand in for forward proxies and other peers")]

mod answers;
mod auth;
mod bodies;
mod breaker;
mod endpoints;
mod quota;
mod redirects;
mod setup;
mod way;
