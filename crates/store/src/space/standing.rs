//! The standing of a store: its limits, and what takes its space.

use crate::checks::progress::Scrubbed;

/// The standing of a store: its limit, the space it takes, and its trouble.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Bytes of content that it may hold.
    pub limit_bytes: u64,
    /// Bytes that running fills have written or may still write.
    pub reserved_bytes: u64,
    /// Bytes of partial files that nobody writes, kept for the next request.
    pub partial_bytes: u64,
    /// Bytes of content that was removed while it was read; free when the last reader is gone.
    pub unlinked_bytes: u64,
    /// Number of objects of pinned images.
    pub pinned_objects: u64,
    /// The reason why content is not stored now, if there is one.
    pub warning: Option<String>,
    /// Names of the stores of other versions in the cache folder. Nobody uses them here: remove them to have their
    /// space.
    pub reclaimable: Vec<String>,
    /// Progress of the scrub.
    pub scrubbed: Scrubbed,
}
