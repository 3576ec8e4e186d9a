//! Wrong content whose file could not be removed. It counts as absent.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use oci::Digest;

/// The digests of the condemned content of one store.
#[derive(Debug, Default)]
pub(crate) struct Condemned(Mutex<HashSet<Digest>>);

impl Condemned {
    /// Notes that the content of `digest` is wrong and cannot be removed.
    pub(crate) fn add(&self, digest: &Digest) {
        let mut condemned = self.condemned();
        if condemned.len() >= CONDEMNED_MAX {
            // A forgotten digest is found wrong again at its next check.
            let any = condemned.iter().next().cloned();
            any.map(|any| condemned.remove(&any));
        }
        condemned.insert(digest.clone());
    }

    /// Notes that the file was removed, or that right content has replaced it.
    pub(crate) fn forget(&self, digest: &Digest) {
        self.condemned().remove(digest);
    }

    pub(crate) fn holds(&self, digest: &Digest) -> bool {
        self.condemned().contains(digest)
    }

    fn condemned(&self) -> MutexGuard<'_, HashSet<Digest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Maximum number of digests, of some 100 bytes each. A disk is replaced before it has so many wrong files.
const CONDEMNED_MAX: usize = 65_536;
