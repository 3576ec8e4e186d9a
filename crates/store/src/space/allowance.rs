//! The part of the configuration that may change while a store is open: its budget and its pins.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use oci::ImageName;

/// The budget and the pins of a store.
pub(crate) struct Allowance {
    limit: AtomicU64,
    /// Bytes of the file system; 0 if it could not be asked.
    file_system: AtomicU64,
    pinned: ArcSwap<Vec<ImageName>>,
    /// The budget and the file system that were last reported as not fitting together.
    misfit: Mutex<Option<(u64, u64)>>,
}

/// Whether the budget fits into the file system.
pub(crate) enum Fit {
    /// As before.
    Unchanged,
    /// The budget is more than what may be used of a file system of so many bytes.
    Oversized(u64),
    /// It fits again.
    Fits(u64),
}

impl Allowance {
    /// An allowance of `limit` bytes of content, with these images pinned.
    pub(crate) fn new(limit: u64, file_system: Option<u64>, pinned: Vec<ImageName>) -> Self {
        let file_system = AtomicU64::new(file_system.unwrap_or(0));
        let pinned = ArcSwap::from_pointee(pinned);
        Self { limit: AtomicU64::new(limit), file_system, pinned, misfit: Mutex::default() }
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

    /// Notes the size of the file system. True if it is another than before.
    pub(crate) fn resized(&self, bytes: u64) -> bool {
        self.file_system.swap(bytes, Ordering::Relaxed) != bytes
    }

    /// Compares the budget with the file system, and remembers the result for the next call.
    pub(crate) fn fit(&self) -> Fit {
        let Some(file_system) = self.file_system() else { return Fit::Unchanged };
        let limit = self.limit();
        let now = (limit > usable(file_system)).then_some((limit, file_system));
        let before = std::mem::replace(&mut *self.misfit.lock().unwrap_or_else(PoisonError::into_inner), now);
        match (before, now) {
            (before, now) if before == now => Fit::Unchanged,
            (_, Some(_)) => Fit::Oversized(file_system),
            (_, None) => Fit::Fits(file_system),
        }
    }

    /// Bytes of content that the store may hold.
    pub(crate) fn limit(&self) -> u64 {
        self.limit.load(Ordering::Relaxed)
    }
}

/// The part of `all` bytes or files of a file system that stays free for others.
pub(crate) fn floor(all: u64) -> u64 {
    all / 100 * FLOOR_PERCENT
}

/// The bytes that the cache may use of a file system of `all` bytes.
pub(crate) fn usable(all: u64) -> u64 {
    all - floor(all)
}

/// Part of the file system's bytes, and of its files, that stays free for others, per cent.
const FLOOR_PERCENT: u64 = 5;
