//! The images of the cluster, as targets of the prober.
//!
//! - [`follow`]: connects to the cluster, follows it, and applies a changed configuration.
//! - [`assign`]: from a wanted image to an assignment with the client of its credential.
//! - [`unnamed`]: keeps the numbers of credentials out of metrics.
//! - [`view`]: counts for the status page and for metrics.

pub(crate) mod assign;
mod follow;
pub(crate) mod unnamed;
pub(crate) mod view;

pub(crate) use assign::registry_itself;
pub(crate) use follow::follow;
