//! The words of a tag: its present meaning, and a move from one meaning to the next.

use std::time::{Duration, SystemTime};

use oci::Digest;

/// The meaning of a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagRecord {
    /// Digest of the manifest that the tag names; stored before the record moves to it.
    pub digest: Digest,
    /// The manifest's `Content-Type`.
    pub media_type: String,
    /// The time of the upstream's answer, wall time to the millisecond. It lies in the future if the clock was set
    /// back.
    pub checked_at: SystemTime,
    /// The time since which the upstream says that it no longer has the tag.
    pub gone_at: Option<SystemTime>,
}

/// A change of a tag's meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagMove {
    /// Digest of the manifest that the tag named before.
    pub from: Digest,
    /// Digest of the manifest that it named then.
    pub to: Digest,
    /// The time at which the upstream first said so.
    pub at: SystemTime,
}

/// A record that is further ahead of the clock than this was written by a wrong clock.
pub const CLOCK_STEP: Duration = Duration::from_secs(60);
