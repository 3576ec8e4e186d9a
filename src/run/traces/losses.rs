//! Counts pulls on their way to the collector, and traces that are lost there.

use std::sync::atomic::{AtomicUsize, Ordering};

use metrics::counter;

use crate::run::metric_names::TRACES_LOST;

/// The pulls that were taken and are neither exported nor lost.
#[derive(Default)]
pub(super) struct Backlog(AtomicUsize);

/// The reason that a trace is lost.
#[derive(Clone, Copy)]
pub(super) enum Loss {
    /// More pulls ended than could be exported.
    QueueFull,
    /// The collector did not take it.
    ExportFailed,
    /// The process ended before the collector had taken it.
    Shutdown,
}

impl Backlog {
    /// Adds a pull.
    pub(super) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// The pulls that are left.
    pub(super) fn left(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Takes away traces that were exported or lost, and pulls that the sampler left out.
    pub(super) fn settle(&self, number: usize) {
        self.0.fetch_sub(number, Ordering::Relaxed);
    }
}

impl Loss {
    /// Every reason.
    pub(super) const ALL: &[Self] = &[Self::QueueFull, Self::ExportFailed, Self::Shutdown];

    /// Counts lost traces.
    pub(super) fn count(self, number: usize) {
        let reason = match self {
            Self::QueueFull => "queue_full",
            Self::ExportFailed => "export_failed",
            Self::Shutdown => "shutdown",
        };
        counter!(TRACES_LOST, "reason" => reason).increment(number as u64);
    }
}
