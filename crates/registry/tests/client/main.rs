//! The client against a registry that misbehaves on demand: every failure is provoked for real and must be named right.

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
