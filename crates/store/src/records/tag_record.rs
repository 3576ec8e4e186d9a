//! The types of a tag: the manifest that it names now, and a move from one manifest to the next.

use std::time::{Duration, SystemTime};

use oci::Digest;

/// The manifest that a tag names, and when the upstream last said so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagRecord {
    /// Digest of the manifest that the tag names; stored before the record moves to it.
    pub digest: Digest,
    /// The manifest's `Content-Type`.
    pub media_type: String,
    /// The time of the upstream's answer, wall time in milliseconds. It lies in the future if the clock was set back
    /// since.
    pub checked_at: SystemTime,
    /// The time at which the upstream first answered that it no longer has the tag.
    pub gone_at: Option<SystemTime>,
}

/// A move of a tag to another manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagMove {
    /// Digest of the manifest that the tag named before.
    pub from: Digest,
    /// Digest of the manifest that the tag named afterwards.
    pub to: Digest,
    /// The time at which the upstream first gave the new digest.
    pub at: SystemTime,
}

/// A record that is further ahead of the clock than this was written by a wrong clock.
pub const CLOCK_STEP: Duration = Duration::from_secs(60);
