//! Real clients of a registry, and an HTTP client that sees raw bytes.

pub mod containerd;
pub mod cri;
pub mod hosts;
pub mod http;
pub mod skopeo;
