//! Idle partial files: the order in which they are evicted, and those that are being removed now.

use std::collections::{HashMap, HashSet};

use oci::Digest;
use tokio::time::Instant;

/// A file that an eviction removes.
#[derive(Debug)]
pub(crate) enum Victim {
    /// Committed content that was removed from the index, and its bytes. When its file is removed, call
    /// [`crate::space::index::Index::has_left`].
    Committed(Digest, u64),
    /// An idle partial file, and its bytes. No fill resumes it until [`crate::space::index::Index::partial_has_left`] is
    /// called.
    Partial(Digest, u64),
}

/// Idle partial files by digest. A file is counted until it is removed.
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
    /// Notes that a fill stopped with `bytes` on the disk.
    pub(crate) fn pause(&mut self, digest: &Digest, bytes: u64) {
        if bytes > 0 {
            let partial = Partial { bytes, paused_at: Instant::now(), leaving: false };
            self.0.insert(digest.clone(), partial);
        }
    }

    /// Removes a partial file from the table because a fill resumes it, and returns its bytes.
    pub(crate) fn resume(&mut self, digest: &Digest) -> u64 {
        self.0.remove(digest).map_or(0, |partial| partial.bytes)
    }

    /// The partial file that was paused longest ago and is not being removed, and the time at which it was paused.
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

    /// Notes that the removal of a file has ended; `removed` is false if it failed and the file stays.
    pub(crate) fn has_left(&mut self, digest: &Digest, removed: bool) {
        if removed {
            self.0.remove(digest);
        } else if let Some(partial) = self.0.get_mut(digest) {
            partial.leaving = false;
        }
    }

    /// Forgets files that are not among `present`, unless they were added after `since`.
    pub(crate) fn retain(&mut self, present: &HashSet<Digest>, since: Instant) {
        self.0.retain(|digest, partial| partial.paused_at >= since || present.contains(digest));
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.0.values().map(|partial| partial.bytes).sum()
    }
}
