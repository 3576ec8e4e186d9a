//! Pull secrets as the kubelet reads them. Pure.
//!
//! The rules are those of the kubelet, not those of docker: see kubernetes `pkg/credentialprovider`, files `secrets.go`,
//! `config.go` and `keyring.go`. They differ from the docker client's where a pull then fails on the node only.
//!
//! - [`document`]: from a Secret to its entries and faults.
//! - [`host_key`]: the key of an entry, and whether it covers an image.
//! - [`keyring`]: all entries of a pod's secrets, and those that the kubelet would use for an image, in its order.
//! - [`near`]: a key that was meant for an image and does not cover it.
//! - [`expiry`]: the time at which a password ends, if the password itself tells.
//!
//! Contents are [`oci::Secret`]: no `Debug` of a type here prints one.

mod document;
mod expiry;
mod host_key;
mod keyring;
mod near;

pub use document::{Entry, Fault, Login, PullSecret};
pub use expiry::{Expiry, Witness};
pub use host_key::HostKey;
pub use keyring::{Keyring, Match};
pub use near::{Near, Slip};
