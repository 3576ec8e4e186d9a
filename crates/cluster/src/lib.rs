//! Kubernetes, as far as image pulls need it: the images that workloads use, and the secrets that pull them.
//!
//! - [`images`]: the images of a workload (pure).
//! - [`secret`]: pull secrets as the kubelet reads them (pure).
//! - [`findings`]: what is wrong with them, with stable codes (pure).

pub mod findings;
pub mod images;
pub mod secret;
