//! What is wrong on a node, from what was read there. Nothing here runs a program or asks a server.
//!
//! - [`runtime`]: containerd's version and effective configuration.
//! - [`hosts`]: the one folder in `certs.d` that containerd uses for a registry, and its file.

pub mod hosts;
pub mod runtime;

pub use runtime::{Runtime, Version};
