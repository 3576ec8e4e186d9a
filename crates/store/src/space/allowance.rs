//! The part of the configuration that may change while a store is open: its budget and its pins.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use oci::ImageName;

/// The budget and the pins of a store.
pub(crate) struct Allowance {
    limit: AtomicU64,
    pinned: ArcSwap<Vec<ImageName>>,
}

impl Allowance {
    /// An allowance of `limit` bytes of content, with these images pinned.
    pub(crate) fn new(limit: u64, pinned: Vec<ImageName>) -> Self {
        Self { limit: AtomicU64::new(limit), pinned: ArcSwap::from_pointee(pinned) }
    }

    /// Replaces the budget and the pins.
    pub(crate) fn replace(&self, limit: u64, pinned: Vec<ImageName>) {
        self.pinned.store(Arc::new(pinned));
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// The images that the configuration pins.
    pub(crate) fn pinned(&self) -> Arc<Vec<ImageName>> {
        self.pinned.load_full()
    }

    /// Bytes of content that the store may hold.
    pub(crate) fn limit(&self) -> u64 {
        self.limit.load(Ordering::Relaxed)
    }
}
