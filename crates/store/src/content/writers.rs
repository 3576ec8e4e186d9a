//! The digests whose partial files are being written: each has one writer.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use oci::Digest;

/// The digests that have a writer. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Writers(Arc<Mutex<HashSet<Digest>>>);

/// The right to write one partial file; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Writer {
    writers: Writers,
    digest: Digest,
}

impl Writers {
    /// The right to write the partial file of `digest`; `None` if another writer has it.
    pub(crate) fn admit(&self, digest: &Digest) -> Option<Writer> {
        let admitted = self.held().insert(digest.clone());
        admitted.then(|| Writer { writers: self.clone(), digest: digest.clone() })
    }

    fn held(&self) -> MutexGuard<'_, HashSet<Digest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.writers.held().remove(&self.digest);
    }
}
