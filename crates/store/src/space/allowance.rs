//! The part of the configuration that may change while a store is open: its budget and its pins.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use oci::ImageName;

/// The budget and the pins of a store.
pub(crate) struct Allowance {
    limit: AtomicU64,
    /// Bytes of the file system; 0 if it could not be asked.
    file_system: AtomicU64,
    pinned: ArcSwap<Vec<ImageName>>,
}

impl Allowance {
    /// An allowance of `limit` bytes of content, with these images pinned.
    pub(crate) fn new(limit: u64, file_system: Option<u64>, pinned: Vec<ImageName>) -> Self {
        let file_system = AtomicU64::new(file_system.unwrap_or(0));
        Self { limit: AtomicU64::new(limit), file_system, pinned: ArcSwap::from_pointee(pinned) }
    }

    /// Replaces the budget and the pins.
    pub(crate) fn replace(&self, limit: u64, file_system: Option<u64>, pinned: Vec<ImageName>) {
        self.file_system.store(file_system.unwrap_or(0), Ordering::Relaxed);
        self.pinned.store(Arc::new(pinned));
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// The images that the configuration pins.
    pub(crate) fn pinned(&self) -> Arc<Vec<ImageName>> {
        self.pinned.load_full()
    }

    /// Bytes of the file system that the store is on, if it could be asked.
    pub(crate) fn file_system(&self) -> Option<u64> {
        Some(self.file_system.load(Ordering::Relaxed)).filter(|bytes| *bytes > 0)
    }

    /// Bytes of content that the store may hold.
    pub(crate) fn limit(&self) -> u64 {
        self.limit.load(Ordering::Relaxed)
    }
}
