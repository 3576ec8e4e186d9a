//! Counts of classified texts, for a running process.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::classify::classify;
use crate::reading::Reading;

/// Counts the texts that a process classified, and those that no rule knew. The owner exports the counts as metrics.
#[derive(Debug, Default)]
pub struct Tally {
    texts: AtomicU64,
    unknown: AtomicU64,
}

impl Tally {
    /// [`classify`], counted.
    pub fn classify(&self, text: &str) -> Reading {
        let reading = classify(text);
        self.texts.fetch_add(1, Ordering::Relaxed);
        self.unknown.fetch_add(u64::from(reading.is_unknown()), Ordering::Relaxed);
        reading
    }

    /// The number of texts so far.
    pub fn texts(&self) -> u64 {
        self.texts.load(Ordering::Relaxed)
    }

    /// The number of texts so far that no rule knew.
    pub fn unknown(&self) -> u64 {
        self.unknown.load(Ordering::Relaxed)
    }
}
