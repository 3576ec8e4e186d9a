//! Partial files that nobody writes: the order in which they leave, and those that are just being removed.

use std::collections::{HashMap, HashSet};

use oci::Digest;
use tokio::time::Instant;

/// A file that an eviction takes.
#[derive(Debug)]
pub(crate) enum Victim {
    /// Committed content that has left the index, and its bytes. [`crate::space::index::Index::has_left`] is called
    /// when it is removed.
    Committed(Digest, u64),
    /// A partial file that nobody writes, and its bytes. No fill goes on with it until
    /// [`crate::space::index::Index::has_parted`].
    Partial(Digest, u64),
}

/// Partial files by digest. Each counts until it is removed.
#[derive(Debug, Default)]
pub(crate) struct Partials(HashMap<Digest, Partial>);

#[derive(Debug)]
struct Partial {
    bytes: u64,
    paused_at: Instant,
    /// Whether the file is being removed.
    leaving: bool,
}

impl Partials {
    /// Notes that a fill was left with `bytes` on the disk.
    pub(crate) fn pause(&mut self, digest: &Digest, bytes: u64) {
        if bytes > 0 {
            let partial = Partial { bytes, paused_at: Instant::now(), leaving: false };
            self.0.insert(digest.clone(), partial);
        }
    }

    /// Takes out a partial file because a fill goes on with it, and returns its bytes.
    pub(crate) fn resume(&mut self, digest: &Digest) -> u64 {
        self.0.remove(digest).map_or(0, |partial| partial.bytes)
    }

    /// The partial file that has waited longest of those that stay, and the time since which it waits.
    pub(crate) fn oldest(&self) -> Option<(Digest, Instant)> {
        let staying = self.0.iter().filter(|(_, partial)| !partial.leaving);
        let (digest, oldest) = staying.min_by_key(|(_, partial)| partial.paused_at)?;
        Some((digest.clone(), oldest.paused_at))
    }

    /// Marks a partial file as being removed.
    pub(crate) fn evict(&mut self, digest: &Digest) -> Option<Victim> {
        let partial = self.0.get_mut(digest)?;
        partial.leaving = true;
        Some(Victim::Partial(digest.clone(), partial.bytes))
    }

    pub(crate) fn is_leaving(&self, digest: &Digest) -> bool {
        self.0.get(digest).is_some_and(|partial| partial.leaving)
    }

    /// Notes that a file that was to be removed is `removed`, or stays.
    pub(crate) fn has_left(&mut self, digest: &Digest, removed: bool) {
        if removed {
            self.0.remove(digest);
        } else if let Some(partial) = self.0.get_mut(digest) {
            partial.leaving = false;
        }
    }

    /// Forgets files that are not among `present`, unless they came after `since`.
    pub(crate) fn retain(&mut self, present: &HashSet<Digest>, since: Instant) {
        self.0.retain(|digest, partial| partial.paused_at >= since || present.contains(digest));
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.0.values().map(|partial| partial.bytes).sum()
    }
}
