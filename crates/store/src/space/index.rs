//! What is committed, by digest and size, who reads it, and what space is spoken for. Rebuilt at start from names;
//! never asked whether content exists: opening goes by name.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use oci::Digest;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::condemned::Condemned;
use super::evict::{Order, Tier};
use super::lease::Lease;
use super::partials::Partials;
use super::usage::{Occupied, Usage};
use super::victim::Victim;
use crate::content::writers::Writers;
use crate::events::Events;
use crate::records::scope::Kind;
use crate::records::tag_record::CLOCK_STEP;

/// The index of one store, shared by all who read, fill and clean.
#[derive(Debug, Default)]
pub(crate) struct Index {
    known: Mutex<Known>,
    /// Who writes partial files.
    pub(crate) writers: Writers,
    /// There may be too much, or less than believed: the janitor should look.
    pub(crate) concern: Notify,
    pub(crate) condemned: Condemned,
    /// A partial file that was to leave has left, or could not.
    parted: Condvar,
    scanned: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Known {
    order: Order<Digest>,
    leases: HashMap<Digest, Weak<()>>,
    used: HashMap<Digest, Used>,
    /// Served by range lately: whoever reads so comes back for the next part.
    ranged: HashMap<Digest, Instant>,
    partials: Partials,
    /// Bytes running fills may still write, and what they wrote.
    reserved: u64,
    /// Removed while somebody read: their bytes are free when the last reader is gone.
    unlinked: Vec<(Weak<()>, u64)>,
    pinned: Arc<HashSet<Digest>>,
    /// Taken out by an eviction and perhaps not yet removed, or out while the scan at start may still have them on its
    /// list: opening them enters nothing, nor does the scan.
    leaving: HashSet<Digest>,
    lost: bool,
    /// Hashed since the machine started.
    checked: HashSet<Digest>,
    /// When anything was last asked for.
    asked_at: Option<Instant>,
    complete: bool,
}

/// When content was last asked for.
#[derive(Clone, Copy, Debug)]
struct Used {
    at: SystemTime,
    /// The same, or when it was found on the disk, by a clock that nobody sets.
    seen: Instant,
    /// Does the file say so, too?
    noted: bool,
}

/// Space spoken for by a fill; free again when dropped.
#[derive(Debug)]
pub struct Reservation {
    index: Arc<Index>,
    bytes: u64,
}

impl Index {
    /// Content was committed.
    pub(crate) fn add(&self, digest: &Digest, kind: Kind, size: u64) -> Lease {
        self.condemned.pardon(digest);
        let mut known = self.known();
        known.order.insert(digest.clone(), kind.into(), size, Instant::now());
        known.leaving.remove(digest);
        known.checked.insert(digest.clone());
        known.used.insert(digest.clone(), Used::now(true));
        known.lease(digest)
    }

    /// A scan at `now` found content, the longest unused first. What a clock ahead called used tomorrow is used now, and
    /// its file is told: it would be the last to leave after each start.
    pub(crate) fn restore(
        &self,
        digest: &Digest,
        tier: Tier,
        size: u64,
        used_at: SystemTime,
        now: SystemTime,
    ) {
        let mut known = self.known();
        if !known.leaving.contains(digest) && !self.condemned.holds(digest) {
            known.order.restore(digest.clone(), tier, size, Instant::now());
            known
                .used
                .entry(digest.clone())
                .or_insert(Used { at: used_at.min(now), ..Used::now(used_at <= now + CLOCK_STEP) });
        }
    }

    /// These were hashed since the machine started, by an earlier life of the process.
    pub(crate) fn believe(&self, digests: HashSet<Digest>) {
        self.known().checked.extend(digests);
    }

    /// It may not be what was hashed.
    pub(crate) fn doubt(&self, digest: &Digest) {
        self.known().checked.remove(digest);
    }

    /// It was hashed just now, if it is still here.
    pub(crate) fn hashed(&self, digest: &Digest) {
        let mut known = self.known();
        if known.order.size(digest).is_some() {
            known.checked.insert(digest.clone());
        }
    }

    /// Was it hashed since the machine started?
    pub(crate) fn is_checked(&self, digest: &Digest) -> bool {
        self.known().checked.contains(digest)
    }

    /// What was, of that which is here.
    pub(crate) fn checked(&self) -> HashSet<Digest> {
        self.known().checked.clone()
    }

    /// How much of it there is.
    pub(crate) fn count_checked(&self) -> usize {
        self.known().checked.len()
    }

    /// Content is being opened: if it is known, its size and a lease.
    pub(crate) fn opening(&self, digest: &Digest) -> Option<(u64, Lease)> {
        let mut known = self.known();
        let size = known.order.size(digest)?;
        known.touch(digest);
        Some((size, known.lease(digest)))
    }

    /// Content that was not known was opened.
    pub(crate) fn found(&self, digest: &Digest, size: u64) -> Lease {
        let mut known = self.known();
        if !known.leaving.contains(digest) && !self.condemned.holds(digest) {
            known.order.restore(digest.clone(), Tier::Content, size, Instant::now());
            known.touch(digest);
        }
        known.lease(digest)
    }

    /// It was answered from memory.
    pub(crate) fn touch(&self, digest: &Digest) {
        self.known().touch(digest);
    }

    /// Part of it was answered.
    pub(crate) fn ranged(&self, digest: &Digest) {
        self.known().ranged.insert(digest.clone(), Instant::now());
    }

    /// Content is gone, or is being removed; who reads it keeps its bytes on the disk.
    pub(crate) fn remove(&self, digest: &Digest) -> Option<u64> {
        self.known().remove(digest)
    }

    /// Content is wrong, and the disk would not remove it.
    pub(crate) fn condemn(&self, digest: &Digest) {
        let mut known = self.known();
        self.condemned.add(digest);
        // Somebody may have opened it meanwhile.
        known.remove(digest);
    }

    /// Known content was not there: others may be gone, too.
    pub(crate) fn missed(&self, digest: &Digest) {
        let mut known = self.known();
        if known.remove(digest).is_some() {
            known.lost = true;
            self.concern.notify_one();
        }
    }

    /// Was something missed since this was last asked?
    pub(crate) fn take_lost(&self) -> bool {
        std::mem::take(&mut self.known().lost)
    }

    /// Forgets content that is not among `present`, and fills nobody works at that are not among `partials`, unless they
    /// came or were used after `since`.
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

    /// Speaks for `bytes` if all that is held and spoken for stays within `limit`; `Err`: bytes too many.
    pub(crate) fn reserve(self: &Arc<Self>, bytes: u64, limit: u64) -> Result<Reservation, u64> {
        let mut known = self.known();
        let total = known.occupied().total().saturating_add(bytes);
        if total > limit {
            return Err(total - limit);
        }
        known.reserved += bytes;
        Ok(Reservation { index: self.clone(), bytes })
    }

    /// A fill begins with what an earlier one left. Blocks while that is being removed.
    pub(crate) fn resume(self: &Arc<Self>, digest: &Digest) -> Reservation {
        let is_leaving = |known: &mut Known| known.partials.is_leaving(digest);
        let stayed = self.parted.wait_while(self.known(), is_leaving);
        let mut known = stayed.unwrap_or_else(PoisonError::into_inner);
        let bytes = known.partials.resume(digest);
        known.reserved += bytes;
        Reservation { index: self.clone(), bytes }
    }

    /// A fill was left with `bytes` on the disk.
    pub(crate) fn pause(&self, digest: &Digest, bytes: u64) {
        self.known().partials.pause(digest, bytes);
    }

    /// Takes out what leaves next. Fills nobody works at go first, the oldest of them, but for fresh ones, which go
    /// last: who paused may be back.
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
            return Some(Victim::Content(digest, size));
        }
        known.partials.evict(&oldest?.0)
    }

    /// Takes out a fill that nobody works at.
    pub(crate) fn evict_partial(&self) -> Option<Victim> {
        let mut known = self.known();
        let (digest, _) = known.partials.oldest()?;
        known.partials.evict(&digest)
    }

    /// A fill that was taken out is `removed`, or is there still.
    pub(crate) fn has_parted(&self, digest: &Digest, removed: bool) {
        self.known().partials.has_left(digest, removed);
        self.parted.notify_all();
    }

    /// What [`Index::evict`] took is removed.
    pub(crate) fn has_left(&self, digest: &Digest) {
        self.known().leaving.remove(digest);
    }

    /// What must not be evicted, from now on.
    pub(crate) fn pin(&self, pinned: HashSet<Digest>) {
        self.known().pinned = Arc::new(pinned);
    }

    /// What must not be evicted.
    pub(crate) fn pinned(&self) -> Arc<HashSet<Digest>> {
        self.known().pinned.clone()
    }

    /// Is it read just now?
    pub(crate) fn is_read(&self, digest: &Digest) -> bool {
        self.known().leases.get(digest).is_some_and(|lease| lease.strong_count() > 0)
    }

    /// When it was last asked for, if it is here.
    pub(crate) fn used_at(&self, digest: &Digest) -> Option<SystemTime> {
        self.known().used.get(digest).map(|used| used.at)
    }

    /// Content whose last use its file does not tell, at most `most`; told from now on.
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

    /// Everything committed, in the order of digests.
    pub(crate) fn digests(&self) -> Vec<Digest> {
        let mut digests: Vec<_> = self.known().order.keys().cloned().collect();
        digests.sort_unstable();
        digests
    }

    /// Size and kind, if it is here.
    pub(crate) fn look(&self, digest: &Digest) -> Option<(u64, Kind)> {
        let known = self.known();
        Some((known.order.size(digest)?, known.order.tier(digest)?.into()))
    }

    /// The scan at start is through.
    pub(crate) fn complete(&self) {
        let mut known = self.known();
        known.complete = true;
        // Evictions wait for the scan: what is left here is what left during it.
        known.leaving.clear();
        let Known { checked, order, .. } = &mut *known;
        checked.retain(|digest| order.size(digest).is_some());
        drop(known);
        self.scanned.send_replace(true);
        self.concern.notify_one();
    }

    /// Returns when it is.
    pub(crate) async fn scanned(&self) {
        let _ = self.scanned.subscribe().wait_for(|scanned| *scanned).await;
    }

    pub(crate) fn usage(&self) -> Usage {
        let known = self.known();
        let (content, manifests) = (known.order.holds(Tier::Content), known.order.holds(Tier::Manifest));
        Usage { objects: content.0 + manifests.0, bytes: content.1 + manifests.1, complete: known.complete }
    }

    /// Tells the sink what is held.
    pub(crate) fn tell(&self, events: &dyn Events) {
        for kind in Kind::ALL {
            let (objects, bytes) = self.known().order.holds((*kind).into());
            events.holds(*kind, objects, bytes);
        }
    }

    /// Bytes on the disk.
    pub(crate) fn occupied(&self) -> Occupied {
        self.known().occupied()
    }

    /// Was nothing asked for so long, and is nothing being filled?
    pub(crate) fn is_quiet(&self, time: Duration) -> bool {
        let known = self.known();
        known.reserved == 0 && known.asked_at.is_none_or(|at| at.elapsed() >= time)
    }

    /// Forgets leases and ranges that ended.
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
            committed: self.order.holds(Tier::Content).1 + self.order.holds(Tier::Manifest).1,
            reserved: self.reserved,
            partial: self.partials.bytes(),
            unlinked: self.unlinked.iter().map(|(_, bytes)| bytes).sum(),
        }
    }
}

impl Reservation {
    /// Bytes spoken for.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes `other` in.
    pub fn join(&mut self, mut other: Self) {
        self.bytes += std::mem::take(&mut other.bytes);
    }

    /// Is at least `bytes` from now on: a fill of unknown length has written so much.
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

impl From<Kind> for Tier {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Manifest => Self::Manifest,
            Kind::Blob => Self::Content,
        }
    }
}

impl From<Tier> for Kind {
    fn from(tier: Tier) -> Self {
        match tier {
            Tier::Manifest => Self::Manifest,
            Tier::Content => Self::Blob,
        }
    }
}

/// Who read a range, or paused a fill, may be back for so long (design decision 5).
const IN_USE: Duration = Duration::from_secs(600);
