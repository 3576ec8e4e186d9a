//! A real Kubernetes: etcd, API server, controller manager and scheduler of one release, and a node.
//!
//! [`ControlPlane`] is everything except nodes. All of it listens on loopback, keeps its files in a scratch folder, and
//! is ended by the ids of its processes.

mod api;
mod cage;
mod cgroups;
mod control_plane;
mod identity;
mod node;
mod owned;
pub mod workload;

pub use api::{Api, Refused, Watch};
pub use control_plane::ControlPlane;
pub use node::Node;
