//! What is committed, by digest and size: rebuilt at start from names, never asked whether content exists.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use registry::Digest;

use super::Usage;

/// Sizes of committed objects. Opening goes by name, so an object the scan has not reached is served all the same.
#[derive(Debug, Default)]
pub(super) struct Index(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    sizes: HashMap<Digest, u64>,
    bytes: u64,
    complete: bool,
}

impl Index {
    pub(super) fn add(&self, digest: &Digest, size: u64) -> Usage {
        let mut known = self.known();
        let before = known.sizes.insert(digest.clone(), size).unwrap_or(0);
        known.bytes = known.bytes - before + size;
        known.usage()
    }

    pub(super) fn remove(&self, digest: &Digest) -> Usage {
        let mut known = self.known();
        let size = known.sizes.remove(digest).unwrap_or(0);
        known.bytes -= size;
        known.usage()
    }

    /// The scan at start is through.
    pub(super) fn complete(&self) -> Usage {
        let mut known = self.known();
        known.complete = true;
        known.usage()
    }

    pub(super) fn usage(&self) -> Usage {
        self.known().usage()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn usage(&self) -> Usage {
        Usage { objects: self.sizes.len() as u64, bytes: self.bytes, complete: self.complete }
    }
}
