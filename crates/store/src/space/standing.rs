//! The standing of a store: its limits, the use of its space, and its trouble.

use super::allowance;
use super::storing::Stopped;
use crate::checks::progress::Scrubbed;
use crate::disk::slow::Spell;

/// The limit of a store, the space it uses, and its trouble.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Bytes of content that the store may hold.
    pub limit_bytes: u64,
    /// Bytes that running fills have written or may still write.
    pub reserved_bytes: u64,
    /// Bytes of idle partial files, kept for the next request.
    pub partial_bytes: u64,
    /// Bytes of content that was removed while it was read; they become free when the last reader has ended.
    pub unlinked_bytes: u64,
    /// Number of objects of pinned images.
    pub pinned_objects: u64,
    /// Size of the file system of the cache folder, bytes; `None` if unknown. A `limit_bytes` above it is never reached.
    pub file_system_bytes: Option<u64>,
    /// The reason why the store cannot store, and the time since when; `None` if it can.
    pub stopped: Option<Stopped>,
    /// The slow spell of the disk, while it lasts.
    pub slow: Option<Spell>,
    /// The reason why content is not stored now, or was recently not stored.
    pub warning: Option<String>,
    /// Names of the folders of other format versions in the cache folder. This version does not use them; remove them
    /// to free their space.
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
