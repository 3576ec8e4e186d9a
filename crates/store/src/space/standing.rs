//! The standing of a store: its limits, and what takes its space.

use super::allowance;
use super::storing::Stopped;
use crate::checks::progress::Scrubbed;
use crate::disk::slow::Spell;

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
    /// Bytes of the file system that the cache folder is on; `None` if it could not be asked.
    pub file_system_bytes: Option<u64>,
    /// Set while the store cannot store.
    pub stopped: Option<Stopped>,
    /// Set while the disk is slow.
    pub slow: Option<Spell>,
    /// The reason why content is not stored now, or was not lately.
    pub warning: Option<String>,
    /// Names of the stores of other versions in the cache folder. Nobody uses them here: remove them to have their
    /// space.
    pub reclaimable: Vec<String>,
    /// Progress of the scrub.
    pub scrubbed: Scrubbed,
}

impl Standing {
    /// True if the limit is more than the cache may use of its file system: it is never reached.
    pub fn is_oversized(&self) -> bool {
        self.file_system_bytes.is_some_and(|bytes| self.limit_bytes > allowance::usable(bytes))
    }
}
