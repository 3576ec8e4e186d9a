//! What the workloads of the cluster need, as discovery saw it last.

use std::sync::{Arc, Mutex, PoisonError};

use cluster::images::{Use, WorkloadId};
use cluster::watch::WatchState;
use cluster::{Discovery, Wanted};

/// The latest look at the cluster; empty while no cluster is looked at.
#[derive(Clone, Default)]
pub(crate) struct Needs(Arc<Mutex<Option<Arc<Known>>>>);

/// What the workloads need.
pub(crate) struct Known {
    /// The images that nodes would pull, with their workloads.
    pub(crate) wanted: Vec<Wanted>,
    /// The uses of images that no node can pull, or may pull.
    pub(crate) unpullable: Vec<(WorkloadId, Use)>,
    /// The number of watches that do not work, so that workloads may be missing.
    pub(crate) silent: usize,
}

impl Known {
    /// Looks at the cluster.
    pub(crate) fn of(discovery: &Discovery, wanted: Vec<Wanted>) -> Self {
        let silent = discovery.watches().iter().filter(|(_, state)| *state != WatchState::Live).count();
        Self { wanted, unpullable: discovery.unpullable(), silent }
    }
}

impl Needs {
    /// The latest look.
    pub(crate) fn get(&self) -> Option<Arc<Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces it.
    pub(crate) fn set(&self, known: Known) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(known));
    }

    /// The cluster is not looked at any more.
    pub(crate) fn clear(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
