//! Wrong content that the disk would not remove. It counts as absent.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use oci::Digest;

/// The digests of such content in one store.
#[derive(Debug, Default)]
pub(crate) struct Condemned(Mutex<HashSet<Digest>>);

impl Condemned {
    /// Notes that the content of `digest` is wrong and cannot be removed.
    pub(crate) fn add(&self, digest: &Digest) {
        let mut condemned = self.condemned();
        if condemned.len() >= CONDEMNED_MAX {
            // A digest that is forgotten is found out again at its next check.
            let any = condemned.iter().next().cloned();
            any.map(|any| condemned.remove(&any));
        }
        condemned.insert(digest.clone());
    }

    /// Notes that the content was removed, or that right content has taken its place.
    pub(crate) fn pardon(&self, digest: &Digest) {
        self.condemned().remove(digest);
    }

    pub(crate) fn holds(&self, digest: &Digest) -> bool {
        self.condemned().contains(digest)
    }

    fn condemned(&self) -> MutexGuard<'_, HashSet<Digest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Digests remembered at most, of some 100 bytes each: more wrong files than a disk has before it is replaced.
const CONDEMNED_MAX: usize = 65_536;
