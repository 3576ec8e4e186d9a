//! The state that watches and the keeper of secrets write, and that everyone reads.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::index::Index;
use super::lines::Lines;

/// The index, the states of the watches, and a number that grows with every change.
#[derive(Debug)]
pub(super) struct Shared {
    index: Mutex<Index>,
    lines: Mutex<Lines>,
    revision: watch::Sender<u64>,
}

impl Default for Shared {
    fn default() -> Self {
        Self { index: Mutex::default(), lines: Mutex::default(), revision: watch::Sender::new(0) }
    }
}

impl Shared {
    pub(super) fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something changed.
    pub(super) fn changed(&self) {
        self.revision.send_modify(|revision| *revision += 1);
    }

    /// Wakes up at every change.
    pub(super) fn revision(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }
}
