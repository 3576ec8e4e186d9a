//! Kubernetes, as far as image pulls need it: the images that workloads use, the secrets that pull them, events and nodes.
//!
//! ```text
//!   watch (index, secrets) ──► images ─┐
//!     │    └─────────────────► secret ─┴─► findings
//!   api (connection, single questions)
//! ```
//!
//! - [`images`]: the images of a workload (pure).
//! - [`secret`]: pull secrets as the kubelet reads them (pure).
//! - [`findings`]: what is wrong with them, with stable codes (pure).
//! - [`watch`]: the cluster as it is now; [`Discovery`] is its root.
//! - [`api`]: the connection to the API server; [`Reader`] asks it single questions.
//!
//! Nothing here asks a registry. A failing API server is never an error of the process: what could not be looked at is a
//! finding, with the rule of RBAC that would allow it.

pub mod api;
pub mod findings;
pub mod images;
mod node;
pub mod secret;
pub mod watch;

pub use api::{Context, Reader, connect};
pub use kube::Client;
pub use watch::{Discovery, PullLogin, Scope, Settings, Wanted};
