//! Real clients of a registry, and one that sees raw bytes.

pub mod containerd;
pub mod cri;
pub mod hosts;
pub mod http;
pub mod skopeo;
