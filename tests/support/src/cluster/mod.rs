//! A real Kubernetes: etcd, API server, controller manager and scheduler of one release, and a node.
//!
//! - [`Cluster`] is all of it, with pullgate between the node and a registry. It starts in about six seconds, so each
//!   test has its own.
//! - [`ControlPlane`] is everything except the node, for tests of a client of the API server.
//! - [`Node`] is a containerd and a kubelet. Its pods need `hostNetwork: true`, because there is no network for them.
//! - [`Namespace`] creates pods and secrets and waits for what becomes of them.
//! - [`workload`] makes the images.
//!
//! All of it listens on loopback and keeps its files in a scratch folder. The node's processes have their own mounts and
//! process ids: they end with the node, and the kernel ends them and all others if the test is killed. The node needs
//! root and control groups that can be written. It was tried with those of version 1.

mod api;
mod cage;
mod cgroups;
mod control_plane;
mod identity;
mod namespace;
mod node;
mod owned;
mod whole;
pub mod workload;

pub use api::{Api, Refused, Watch};
pub use control_plane::ControlPlane;
pub use namespace::{Event, Namespace, pod};
pub use node::Node;
pub use whole::{Cluster, Settings};
