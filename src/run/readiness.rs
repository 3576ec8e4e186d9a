//! Readiness for traffic. The process is not ready while it starts or drains; failing upstreams or disks do not matter.

use std::sync::Arc;

use tokio::sync::watch;

/// The phase of the process's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Not serving yet, for example while waiting for the cache folder.
    Starting,
    /// Serving.
    Ready,
    /// Stopping: running transfers finish.
    Draining,
}

/// The shared phase. The serving task sets it, and the admin endpoint reads it.
#[derive(Clone)]
pub(crate) struct Readiness(Arc<watch::Sender<Phase>>);

impl Default for Readiness {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(Phase::Starting)))
    }
}

impl Readiness {
    /// Enters a phase.
    pub(crate) fn enter(&self, phase: Phase) {
        self.0.send_replace(phase);
    }

    /// The present phase.
    pub(crate) fn phase(&self) -> Phase {
        *self.0.borrow()
    }
}

impl Phase {
    /// The name of the phase in answers and on the status page.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Draining => "draining",
        }
    }
}
