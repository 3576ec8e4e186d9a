//! Real clients of a registry, and an HTTP client that returns raw bytes.

pub mod chromium;
pub mod containerd;
pub mod cri;
pub mod hosts;
pub mod http;
pub mod skopeo;
