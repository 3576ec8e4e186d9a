//! Reads the credential of a registry from its source whenever a token is needed.
//!
//! ```text
//!   Origin ── source ── docker_config ── keyring: chooses the entry for an image
//!               │
//!               └── helper, provider ── process: programs, run under a time limit
//!                        └── answers: keeps each answer for its lifetime
//! ```
//!
//! An [`Origin`] names files and programs and never holds a secret; [`Origin::source`] makes the live
//! [`oci::CredentialSource`] of it. Errors name files, entries and programs, never contents.

mod answers;
mod docker_config;
mod helper;
mod keyring;
mod origin;
mod process;
mod program;
mod provider;
mod source;
#[cfg(test)]
mod testing;

pub use origin::{Helper, Origin, Provider};
pub use source::Place;
