//! The authentication of requests: the challenges of registries, and the credentials and tokens that we send.
//!
//! - `challenge` reads the challenge of a registry; `token` exchanges and caches bearer tokens; `credential` writes
//!   Basic headers and removes secrets from texts; `caller` is a client's own token; `authorize` chooses the
//!   authorization of a request.

pub(crate) mod authorize;
pub mod caller;
pub mod challenge;
pub(crate) mod credential;
pub mod token;
