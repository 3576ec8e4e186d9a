//! The index: committed content by digest and size, its readers, and the reserved space. It is rebuilt from the file
//! names at the start. It does not decide whether content can be served: files are opened by name.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use oci::Digest;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::condemned::Condemned;
use super::evict::{Order, Rank};
use super::lease::Lease;
use super::partials::{Partials, Victim};
use super::usage::{Occupied, Usage};
use crate::content::writers::Writers;
use crate::events::Events;
use crate::records::scope::Kind;
use crate::records::tag_record::CLOCK_STEP;

/// The index of one store, shared by all its readers, fills and cleaners.
#[derive(Debug, Default)]
pub(crate) struct Index {
    known: Mutex<Known>,
    /// The writers of partial files.
    pub(crate) writers: Writers,
    /// Wakes the janitor: the store may be above its limit, or files of the index may be missing.
    pub(crate) concern: Notify,
    pub(crate) condemned: Condemned,
    /// Signals that the removal of a partial file has ended, successfully or not.
    parted: Condvar,
    scanned: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Known {
    order: Order<Digest>,
    leases: HashMap<Digest, Weak<()>>,
    used: HashMap<Digest, Used>,
    /// The time at which content was last served by range: its reader is expected to ask for the next part.
    ranged: HashMap<Digest, Instant>,
    partials: Partials,
    /// Bytes that running fills have written or may still write.
    reserved: u64,
    /// Content that was removed while it was read: its bytes become free when the last reader has ended.
    unlinked: Vec<(Weak<()>, u64)>,
    pinned: Arc<HashSet<Digest>>,
    /// Content that has left the index, but whose file may not be removed yet, or may be in the list that the scan at
    /// the start made before. Neither the scan nor the opening of the file adds this content to the index again.
    leaving: HashSet<Digest>,
    lost: bool,
    /// The digests that were hashed since the machine started.
    checked: HashSet<Digest>,
    /// The time of the last request for any content.
    asked_at: Option<Instant>,
    complete: bool,
}

/// The last use of content.
#[derive(Clone, Copy, Debug)]
struct Used {
    at: SystemTime,
    /// `at` by the monotonic clock, or the time at which the content was found on the disk.
    seen: Instant,
    /// Whether `at` has been written into the file's timestamps.
    noted: bool,
}

/// Space that is reserved for a fill; it is released on drop.
#[derive(Debug)]
pub struct Reservation {
    index: Arc<Index>,
    bytes: u64,
}

impl Index {
    /// Adds committed content that was hashed.
    pub(crate) fn add(&self, digest: &Digest, kind: Kind, size: u64) {
        self.enter(digest, kind, size);
        self.known().checked.insert(digest.clone());
    }

    /// Adds content whose file may have been replaced since: it counts as not hashed.
    pub(crate) fn enter(&self, digest: &Digest, kind: Kind, size: u64) {
        self.condemned.forget(digest);
        let mut known = self.known();
        known.order.insert(digest.clone(), kind.into(), size, Instant::now());
        known.leaving.remove(digest);
        known.used.insert(digest.clone(), Used::now(true));
    }

    /// Adds content that a scan at `now` found; the caller adds the least recently used first. A last use in the
    /// future, which a wrong clock wrote, counts as `now` and is corrected in the file: otherwise the content would be
    /// evicted last after every start.
    pub(crate) fn restore(
        &self,
        digest: &Digest,
        rank: Rank,
        size: u64,
        used_at: SystemTime,
        now: SystemTime,
    ) {
        let mut known = self.known();
        if !known.leaving.contains(digest) && !self.condemned.holds(digest) {
            known.order.restore(digest.clone(), rank, size, Instant::now());
            known
                .used
                .entry(digest.clone())
                .or_insert(Used { at: used_at.min(now), ..Used::now(used_at <= now + CLOCK_STEP) });
        }
    }

    /// Notes digests that an earlier process hashed since the machine started.
    pub(crate) fn mark_checked(&self, digests: HashSet<Digest>) {
        self.known().checked.extend(digests);
    }

    /// Notes that the content may have changed since it was hashed.
    pub(crate) fn mark_unchecked(&self, digest: &Digest) {
        self.known().checked.remove(digest);
    }

    /// Notes that the content was hashed, if it is still in the index.
    pub(crate) fn hashed(&self, digest: &Digest) {
        let mut known = self.known();
        if known.order.size(digest).is_some() {
            known.checked.insert(digest.clone());
        }
    }

    /// True if the content was hashed since the machine started.
    pub(crate) fn is_checked(&self, digest: &Digest) -> bool {
        self.known().checked.contains(digest)
    }

    /// The digests that were hashed since the machine started.
    pub(crate) fn checked(&self) -> HashSet<Digest> {
        self.known().checked.clone()
    }

    /// The number of digests that were hashed since the machine started.
    pub(crate) fn count_checked(&self) -> usize {
        self.known().checked.len()
    }

    /// Notes that content is being opened. Returns its size and a lease if it is in the index.
    pub(crate) fn opening(&self, digest: &Digest) -> Option<(u64, Lease)> {
        let mut known = self.known();
        let size = known.order.size(digest)?;
        known.touch(digest);
        Some((size, known.lease(digest)))
    }

    /// Adds content that was opened without being in the index, and returns a lease.
    pub(crate) fn found(&self, digest: &Digest, size: u64) -> Lease {
        let mut known = self.known();
        if !known.leaving.contains(digest) && !self.condemned.holds(digest) {
            known.order.restore(digest.clone(), Rank::Blob, size, Instant::now());
            known.touch(digest);
        }
        known.lease(digest)
    }

    /// A lease of content that is not in the index yet; it stays valid after [`Index::add`].
    pub(crate) fn lease(&self, digest: &Digest) -> Lease {
        self.known().lease(digest)
    }

    /// Notes a use that was answered from memory.
    pub(crate) fn touch(&self, digest: &Digest) {
        self.known().touch(digest);
    }

    /// Notes a use that was answered by range.
    pub(crate) fn ranged(&self, digest: &Digest) {
        self.known().ranged.insert(digest.clone(), Instant::now());
    }

    /// Removes content from the index, because its file is gone or is being removed. Returns its size. Its bytes stay
    /// on the disk while it is being read.
    pub(crate) fn remove(&self, digest: &Digest) -> Option<u64> {
        self.known().remove(digest)
    }

    /// Notes that content is wrong and that its file could not be removed.
    pub(crate) fn condemn(&self, digest: &Digest) {
        let mut known = self.known();
        self.condemned.add(digest);
        // A reader may have opened the file and added it to the index in the meantime.
        known.remove(digest);
    }

    /// Notes that content of the index was not on the disk: other files may be gone, too.
    pub(crate) fn missed(&self, digest: &Digest) {
        let mut known = self.known();
        if known.remove(digest).is_some() {
            known.lost = true;
            self.concern.notify_one();
        }
    }

    /// True if [`Index::missed`] found a lost file since the last call of this function.
    pub(crate) fn take_lost(&self) -> bool {
        std::mem::take(&mut self.known().lost)
    }

    /// Forgets content that is not among `present`, and idle partial files that are not among `partials`, unless they
    /// were added or used after `since`.
    pub(crate) fn retain(&self, present: &HashSet<Digest>, partials: &HashSet<Digest>, since: Instant) {
        let mut known = self.known();
        let gone: Vec<_> = known.order.keys().filter(|digest| !present.contains(*digest)).cloned().collect();
        for digest in gone {
            if known.used.get(&digest).is_none_or(|used| used.seen < since) {
                known.remove(&digest);
            }
        }
        known.partials.retain(partials, since);
    }

    /// Reserves `bytes` if the bytes on the disk and the reserved bytes stay within `limit`. `Err` is the number of
    /// bytes above the limit.
    pub(crate) fn reserve(self: &Arc<Self>, bytes: u64, limit: u64) -> Result<Reservation, u64> {
        let mut known = self.known();
        let total = known.occupied().total().saturating_add(bytes);
        if total > limit {
            return Err(total - limit);
        }
        known.reserved += bytes;
        Ok(Reservation { index: self.clone(), bytes })
    }

    /// Reserves the space of the partial file that an earlier fill left. Blocks while that file is being removed.
    pub(crate) fn resume(self: &Arc<Self>, digest: &Digest) -> Reservation {
        let is_leaving = |known: &mut Known| known.partials.is_leaving(digest);
        let stayed = self.parted.wait_while(self.known(), is_leaving);
        let mut known = stayed.unwrap_or_else(PoisonError::into_inner);
        let bytes = known.partials.resume(digest);
        known.reserved += bytes;
        Reservation { index: self.clone(), bytes }
    }

    /// Notes that a fill stopped with `bytes` on the disk.
    pub(crate) fn pause(&self, digest: &Digest, bytes: u64) {
        self.known().partials.pause(digest, bytes);
    }

    /// Chooses the next victim: removes content from the index, or marks a partial file as being removed. Idle partial
    /// files go first, oldest first, except recent ones, which go last because their fills may soon continue.
    pub(crate) fn evict(&self, now: Instant) -> Option<Victim> {
        let mut known = self.known();
        let fresh = |since: Instant| now.saturating_duration_since(since) < IN_USE;
        let oldest = known.partials.oldest();
        if let Some((digest, _)) = oldest.as_ref().filter(|(_, paused_at)| !fresh(*paused_at)) {
            return known.partials.evict(digest);
        }
        let Known { order, leases, ranged, pinned, .. } = &mut *known;
        let spared = |digest: &Digest| {
            pinned.contains(digest)
                || leases.get(digest).is_some_and(|lease| lease.strong_count() > 0)
                || ranged.get(digest).is_some_and(|since| fresh(*since))
        };
        if let Some((digest, size)) = order.evict(spared) {
            known.forget(&digest);
            known.leaving.insert(digest.clone());
            return Some(Victim::Committed(digest, size));
        }
        known.partials.evict(&oldest?.0)
    }

    /// Marks the oldest idle partial file as being removed, and returns it.
    pub(crate) fn evict_partial(&self) -> Option<Victim> {
        let mut known = self.known();
        let (digest, _) = known.partials.oldest()?;
        known.partials.evict(&digest)
    }

    /// Notes that the removal of a partial file has ended; `removed` is false if it failed.
    pub(crate) fn partial_has_left(&self, digest: &Digest, removed: bool) {
        self.known().partials.has_left(digest, removed);
        self.parted.notify_all();
    }

    /// Notes that the removal of content that [`Index::evict`] returned has ended.
    pub(crate) fn has_left(&self, digest: &Digest) {
        self.known().leaving.remove(digest);
    }

    /// Sets the digests that must not be evicted.
    pub(crate) fn pin(&self, pinned: HashSet<Digest>) {
        self.known().pinned = Arc::new(pinned);
    }

    /// The digests that must not be evicted.
    pub(crate) fn pinned(&self) -> Arc<HashSet<Digest>> {
        self.known().pinned.clone()
    }

    /// True if the content is being read now.
    pub(crate) fn is_read(&self, digest: &Digest) -> bool {
        self.known().leases.get(digest).is_some_and(|lease| lease.strong_count() > 0)
    }

    /// The time of the last use, if the content is in the index.
    pub(crate) fn used_at(&self, digest: &Digest) -> Option<SystemTime> {
        self.known().used.get(digest).map(|used| used.at)
    }

    /// At most `most` digests whose last use is not yet in their file's timestamps, with the time of that use. They
    /// count as noted from now on.
    pub(crate) fn take_unnoted(&self, most: usize) -> Vec<(Digest, SystemTime)> {
        let mut known = self.known();
        let unnoted = known.used.iter_mut().filter(|(_, used)| !used.noted).take(most);
        unnoted
            .map(|(digest, used)| {
                used.noted = true;
                (digest.clone(), used.at)
            })
            .collect()
    }

    /// All committed digests, in their order.
    pub(crate) fn digests(&self) -> Vec<Digest> {
        let mut digests: Vec<_> = self.known().order.keys().cloned().collect();
        digests.sort_unstable();
        digests
    }

    /// Size in bytes and kind, if the content is in the index.
    pub(crate) fn look(&self, digest: &Digest) -> Option<(u64, Kind)> {
        let known = self.known();
        Some((known.order.size(digest)?, known.order.rank(digest)?.into()))
    }

    /// Notes that the scan at the start has ended.
    pub(crate) fn complete(&self) {
        let mut known = self.known();
        known.complete = true;
        // Evictions wait for the scan, so `leaving` holds only content that left during the scan.
        known.leaving.clear();
        let Known { checked, order, .. } = &mut *known;
        checked.retain(|digest| order.size(digest).is_some());
        drop(known);
        self.scanned.send_replace(true);
        self.concern.notify_one();
    }

    /// Returns when the scan at the start has ended.
    pub(crate) async fn scanned(&self) {
        let _ = self.scanned.subscribe().wait_for(|scanned| *scanned).await;
    }

    pub(crate) fn usage(&self) -> Usage {
        let known = self.known();
        let (content, manifests) = (known.order.holds(Rank::Blob), known.order.holds(Rank::Manifest));
        Usage { objects: content.0 + manifests.0, bytes: content.1 + manifests.1, complete: known.complete }
    }

    /// Reports the objects and bytes of each kind to the sink.
    pub(crate) fn tell(&self, events: &dyn Events) {
        for kind in Kind::ALL {
            let (objects, bytes) = self.known().order.holds((*kind).into());
            events.holds(*kind, objects, bytes);
        }
    }

    /// Bytes on the disk, by the reason that keeps them there.
    pub(crate) fn occupied(&self) -> Occupied {
        self.known().occupied()
    }

    /// True if there was no request within `time`, and no fill runs.
    pub(crate) fn is_quiet(&self, time: Duration) -> bool {
        let known = self.known();
        known.reserved == 0 && known.asked_at.is_none_or(|at| at.elapsed() >= time)
    }

    /// Forgets leases and range reads that have ended.
    pub(crate) fn prune(&self, now: Instant) {
        let mut known = self.known();
        known.leases.retain(|_, lease| lease.strong_count() > 0);
        known.ranged.retain(|_, since| now.saturating_duration_since(*since) < IN_USE);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Used {
    fn now(noted: bool) -> Self {
        Self { at: SystemTime::now(), seen: Instant::now(), noted }
    }
}

impl Known {
    fn lease(&mut self, digest: &Digest) -> Lease {
        let lease = self.leases.get(digest).and_then(Weak::upgrade);
        lease.unwrap_or_else(|| {
            let lease = Lease::default();
            self.leases.insert(digest.clone(), Arc::downgrade(&lease));
            lease
        })
    }

    fn touch(&mut self, digest: &Digest) {
        self.asked_at = Some(Instant::now());
        self.order.touch(digest, Instant::now());
        if let Some(used) = self.used.get_mut(digest) {
            *used = Used::now(false);
        } else if self.order.size(digest).is_some() {
            self.used.insert(digest.clone(), Used::now(false));
        }
    }

    fn remove(&mut self, digest: &Digest) -> Option<u64> {
        self.checked.remove(digest);
        if !self.complete {
            self.leaving.insert(digest.clone());
        }
        let size = self.order.remove(digest)?;
        if let Some(lease) = self.leases.get(digest).filter(|lease| lease.strong_count() > 0) {
            self.unlinked.push((lease.clone(), size));
        }
        self.forget(digest);
        Some(size)
    }

    fn forget(&mut self, digest: &Digest) {
        self.checked.remove(digest);
        self.leases.remove(digest);
        self.used.remove(digest);
        self.ranged.remove(digest);
    }

    fn occupied(&mut self) -> Occupied {
        self.unlinked.retain(|(lease, _)| lease.strong_count() > 0);
        Occupied {
            committed: self.order.holds(Rank::Blob).1 + self.order.holds(Rank::Manifest).1,
            reserved: self.reserved,
            partial: self.partials.bytes(),
            unlinked: self.unlinked.iter().map(|(_, bytes)| bytes).sum(),
        }
    }
}

impl Reservation {
    /// Bytes reserved.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds `other` to this reservation.
    pub fn join(&mut self, mut other: Self) {
        self.bytes += std::mem::take(&mut other.bytes);
    }

    /// Grows to at least `bytes`, regardless of the budget: a fill of unknown length has already written this many
    /// bytes.
    pub fn cover(&mut self, bytes: u64) {
        if bytes > self.bytes {
            self.index.known().reserved += bytes - self.bytes;
            self.bytes = bytes;
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.index.known().reserved -= self.bytes;
    }
}

impl From<Kind> for Rank {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Manifest => Self::Manifest,
            Kind::Blob => Self::Blob,
        }
    }
}

impl From<Rank> for Kind {
    fn from(rank: Rank) -> Self {
        match rank {
            Rank::Manifest => Self::Manifest,
            Rank::Blob => Self::Blob,
        }
    }
}

/// Time within which a client that read a range, or a paused fill, is expected to continue (design decision 5).
const IN_USE: Duration = Duration::from_secs(600);
