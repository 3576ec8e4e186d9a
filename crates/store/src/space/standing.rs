//! The standing of a store: its limits, and what takes its space.

use crate::checks::progress::Scrubbed;

/// How the store stands: what it may hold, what else takes space, and what is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Bytes it may hold.
    pub limit_bytes: u64,
    /// Bytes that running fills have or may still write.
    pub reserved_bytes: u64,
    /// Bytes of fills that were paused or broke, kept for the next request.
    pub partial_bytes: u64,
    /// Bytes removed while they were read, free when the last reader is gone.
    pub unlinked_bytes: u64,
    /// Objects of pinned images.
    pub pinned_objects: u64,
    /// Why content is not stored just now.
    pub warning: Option<String>,
    /// Stores of other versions in the cache folder, which nobody here uses: remove them to have their space.
    pub reclaimable: Vec<String>,
    /// How far the scrub is.
    pub scrubbed: Scrubbed,
}
