//! Counts the bytes of a fill and reports its outcome exactly once.

use std::sync::Arc;
use std::time::Duration;

use oci::{Class, RegistryHost};
use tokio::time::Instant;

use crate::flight::events::{Events, FillEnd, FillOutcome};

/// Counts one fill. Dropping it before the end reports the fill as failed.
pub(super) struct Tally {
    events: Arc<dyn Events>,
    registry: RegistryHost,
    bytes: u64,
    began: Option<Instant>,
    /// The time to the last byte. The commit is left out, because the upstream has no part in it.
    took: Option<Duration>,
    ended: bool,
}

impl Tally {
    pub(super) fn new(events: Arc<dyn Events>, registry: RegistryHost) -> Self {
        events.fill_started(&registry);
        Self { events, registry, bytes: 0, began: None, took: None, ended: false }
    }

    /// Notes that the first headers were judged.
    pub(super) fn begin(&mut self) {
        self.began = Some(Instant::now());
    }

    pub(super) fn has_begun(&self) -> bool {
        self.began.is_some()
    }

    pub(super) fn add(&mut self, bytes: u64) {
        self.bytes += bytes;
    }

    /// Notes that the last byte came.
    pub(super) fn arrived(&mut self) {
        self.took = self.began.map(|began| began.elapsed());
    }

    pub(super) fn end(&mut self, outcome: FillOutcome) {
        self.ended = true;
        let so_far = || self.began.map(|began| began.elapsed());
        let transfer = self.took.or_else(so_far).unwrap_or_default();
        self.events.fill_ended(&self.registry, &FillEnd { outcome, bytes: self.bytes, transfer });
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        if !self.ended {
            self.end(FillOutcome::Failed(Class::Unknown));
        }
    }
}
