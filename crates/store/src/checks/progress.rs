//! The progress of the scrub, for display.

use std::sync::Mutex;

/// Progress of the current scrub round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scrubbed {
    /// Objects read in this round.
    pub objects: u64,
    /// Bytes read in this round.
    pub bytes: u64,
    /// Objects that were stored when this round began.
    pub of_objects: u64,
    /// Rounds that ended since the process started.
    pub rounds: u64,
    /// Objects found wrong since the process started.
    pub wrong: u64,
}

impl Scrubbed {
    /// Part of the round that is done, from 0 to 1; 1 when there is nothing to do.
    pub fn ratio(&self) -> f64 {
        if self.of_objects == 0 { 1.0 } else { self.objects as f64 / self.of_objects as f64 }
    }
}

/// The progress of a store's scrub, shared between the scrub and its displays.
pub(crate) type Progress = Mutex<Scrubbed>;
