//! What a store says of a tag: its present meaning, and a move from one meaning to the next.

use std::time::{Duration, SystemTime};

use oci::Digest;

/// What a tag meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagRecord {
    /// The manifest it named; stored before the record moved.
    pub digest: Digest,
    /// The manifest's `Content-Type`.
    pub media_type: String,
    /// When the upstream was asked and said so, wall time to the millisecond. A clock set back can put it in the future.
    pub checked_at: SystemTime,
    /// Since when the upstream says that it no longer has the tag.
    pub gone_at: Option<SystemTime>,
}

/// A change of what a tag means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagMove {
    /// What it meant before.
    pub from: Digest,
    /// What it meant then.
    pub to: Digest,
    /// When the upstream said so first.
    pub at: SystemTime,
}

/// A record that is further ahead of the clock than this was written by a clock that was wrong.
pub const CLOCK_STEP: Duration = Duration::from_secs(60);
