//! Content that is not what its name says, on a disk that would not remove it: as good as not there.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use oci::Digest;

/// The condemned of one store.
#[derive(Debug, Default)]
pub(crate) struct Condemned(Mutex<HashSet<Digest>>);

impl Condemned {
    /// It is wrong, and lies there still.
    pub(crate) fn add(&self, digest: &Digest) {
        let mut condemned = self.condemned();
        if condemned.len() >= CONDEMNED_MAX {
            // Whichever is forgotten is found out again.
            let any = condemned.iter().next().cloned();
            any.map(|any| condemned.remove(&any));
        }
        condemned.insert(digest.clone());
    }

    /// It is removed, or right content has taken its place.
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

/// Remembered at most, some 100 bytes each: more than a disk has wrong files before it is replaced.
const CONDEMNED_MAX: usize = 65_536;
