//! The progress of the scrub, for people to see.

use std::sync::Mutex;

/// How far the present round is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scrubbed {
    /// Objects looked at in this round.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects this round began with.
    pub of_objects: u64,
    /// Rounds that came to their end since the start.
    pub rounds: u64,
    /// Objects found wrong since the start.
    pub wrong: u64,
}

impl Scrubbed {
    /// How much of the round is done, from 0 to 1; 1 when nothing is to be done.
    pub fn ratio(&self) -> f64 {
        if self.of_objects == 0 { 1.0 } else { self.objects as f64 / self.of_objects as f64 }
    }
}

/// The progress of a store's scrub.
pub(crate) type Progress = Mutex<Scrubbed>;
