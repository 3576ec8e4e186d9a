//! Makes room for new content by evicting, within the budget and the free space that the file system must keep.

use std::io;
use std::sync::{Arc, PoisonError};

use oci::Digest;
use tokio::time::Instant;

use super::allowance::{Allowance, Fit, floor};
use super::health::Health;
use super::index::{Index, Reservation};
use super::partials::Victim;
use super::storing::StopReason;
use crate::checks::progress::{Progress, Scrubbed};
use crate::content::recent::Recent;
use crate::disk::blocking::off_worker;
use crate::disk::io::Space;
use crate::disk::rot::is_rot;
use crate::events::{Evicted, Quarantined};
use crate::records::folder::Folder;
use crate::records::link::Links;
use crate::records::pins;
use crate::records::tag::Tags;

/// The parts of a store that make room and remove content. Clones share them; none of them holds the folder's lock.
#[derive(Clone)]
pub(crate) struct Room {
    pub(crate) folder: Folder,
    pub(crate) index: Arc<Index>,
    pub(crate) health: Arc<Health>,
    pub(crate) links: Links,
    pub(crate) tags: Tags,
    pub(crate) recent: Recent,
    pub(crate) allowance: Arc<Allowance>,
    /// Admits one eviction at a time.
    pub(crate) turn: Arc<tokio::sync::Mutex<()>>,
    pub(crate) scrub: Arc<Progress>,
}

/// The amount that must be evicted before new content can be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Need {
    reason: Evicted,
    /// Bytes; files if the reason is [`Evicted::FreeFiles`].
    amount: u64,
}

impl Need {
    /// The reason to stop storing if the need cannot be met.
    fn stops(self) -> StopReason {
        match self.reason {
            Evicted::FreeBytes => StopReason::Full,
            Evicted::FreeFiles => StopReason::NoInodes,
            Evicted::Size | Evicted::Purge => StopReason::InUse,
        }
    }

    fn detail(self) -> String {
        let what = if self.reason == Evicted::FreeFiles { "files" } else { "bytes" };
        let Self { reason, amount } = self;
        format!("the cache's file system lacks {amount} {what} ({reason}); pulls pass through, unstored")
    }
}

impl Room {
    /// Reserves `bytes`, and evicts to make room for them. `None` if they cannot be stored.
    pub(crate) async fn reserve(&self, bytes: u64) -> Option<Reservation> {
        let limit = self.allowance.limit();
        if bytes > limit {
            self.health
                .note_trouble(format!("{bytes} bytes are more than the whole cache may hold ({limit})"));
            return None;
        }
        let occupied = self.index.occupied();
        if bytes > limit.saturating_sub(occupied.reserved + occupied.unlinked) {
            // Evicting all committed content would not make enough room.
            self.health.note_trouble(format!("no room for {bytes} bytes beside the fills under way"));
            return None;
        }
        for _ in 0..ATTEMPTS {
            let need = match self.index.reserve(bytes, limit) {
                Err(amount) => Need { reason: Evicted::Size, amount },
                Ok(room) => match self.below_floor(bytes).await {
                    None => {
                        self.health.has_room(bytes);
                        return Some(room);
                    }
                    Some(need) => need,
                },
            };
            if !self.evict(need).await {
                let detail = format!(
                    "no room for {bytes} bytes ({}): everything is in use or pinned, or not yet counted",
                    need.reason
                );
                self.health.lacks_room(need.stops(), detail, bytes);
                return None;
            }
        }
        None
    }

    /// Brings the store back within its limits.
    pub(crate) async fn settle(&self) {
        let (total, limit) = (self.index.occupied().total(), self.allowance.limit());
        if total > limit {
            self.evict(Need { reason: Evicted::Size, amount: total - limit }).await;
        }
        if let Some(need) = self.below_floor(0).await
            && !self.evict(need).await
            && self.index.usage().complete
        {
            self.health.lacks_room(need.stops(), need.detail(), 0);
        }
    }

    /// Checks whether a store that could not store content can store it again.
    pub(crate) async fn look_again(&self) {
        let Some(stopped) = self.health.stopped() else { return };
        if stopped.reason == StopReason::FolderLost {
            // The folder's tenure (`disk::tenure`) checks whether the folder is there again.
            return;
        }
        let (needed, limit) = (self.health.needed(), self.allowance.limit());
        if let Some(need) = self.below_floor(needed).await {
            if needed == 0 {
                self.health.lacks_room(need.stops(), need.detail(), 0);
            }
            return;
        }
        let in_use = if stopped.reason == StopReason::InUse { needed } else { 0 };
        if self.index.occupied().total().saturating_add(in_use.max(1)) > limit {
            return;
        }
        let folder = self.folder.clone();
        match off_worker(move || folder.try_out()).await {
            Ok(()) => self.health.resume(),
            Err(error) => self.health.cannot_store(&error),
        }
    }

    /// Reports the size of the file system, and whether the budget fits into it if that has changed.
    pub(crate) fn report_size(&self) {
        let (events, limit) = (&self.folder.events, self.allowance.limit());
        if let Some(bytes) = self.allowance.file_system() {
            events.file_system(bytes);
        }
        match self.allowance.fit() {
            Fit::Unchanged => {}
            Fit::Oversized(file_system) => events.oversized(limit, file_system),
            Fit::Fits(file_system) => events.fits(limit, file_system),
        }
    }

    /// Refreshes the set of pinned digests.
    pub(crate) async fn pin(&self) {
        let pinned = self.allowance.pinned();
        if !pinned.is_empty() || !self.index.pinned().is_empty() {
            self.index.pin(pins::closure(&self.folder, &self.tags, &pinned).await);
        }
    }

    /// Removes content, its links, and its copies in memory. Open readers are not affected.
    pub(crate) async fn remove(&self, digest: &Digest, reason: Evicted) -> io::Result<()> {
        let size = self.index.remove(digest);
        self.unlink(digest).await?;
        if let Some(size) = size {
            self.folder.events.evicted(reason, size);
        }
        self.index.tell(&*self.folder.events);
        Ok(())
    }

    /// Removes idle partial files, and returns their bytes.
    pub(crate) async fn clear_partials(&self) -> io::Result<u64> {
        let _turn = self.turn.lock().await;
        let mut bytes = 0;
        while let Some(partial) = self.index.evict_partial() {
            bytes += self.remove_victim(partial, Evicted::Purge).await?;
        }
        Ok(bytes)
    }

    /// Quarantines wrong content: it is no longer served, even if its file cannot be removed; open readers are not
    /// affected. Its links stay, so that the same repositories can see it after it is fetched again.
    pub(crate) async fn quarantine(&self, digest: &Digest, reason: Quarantined) {
        self.recent.forget(digest).await;
        self.index.remove(digest);
        self.index.tell(&*self.folder.events);
        self.folder.events.quarantined(reason);
        if let Err(error) = self.remove_file(digest).await {
            self.index.condemn(digest);
            self.folder.events.disk_failed(&error);
        }
    }

    /// Reports that the disk could not read content. Quarantines the content and returns true if `error` means that it
    /// is damaged.
    pub(crate) async fn cannot_read(&self, digest: &Digest, error: &io::Error) -> bool {
        self.folder.events.disk_failed(error);
        let rotten = is_rot(error);
        if rotten {
            self.quarantine(digest, Quarantined::Unreadable).await;
        }
        rotten
    }

    /// Notes that content was hashed and has its digest. It is not hashed again until the next boot.
    pub(crate) async fn hashed(&self, digest: &Digest) {
        if self.index.is_checked(digest) {
            return;
        }
        self.index.hashed(digest);
        self.note(digest).await;
    }

    /// Writes to the boot record that content was hashed.
    pub(crate) async fn note(&self, digest: &Digest) {
        let (folder, digest) = (self.folder.clone(), digest.clone());
        let noted = off_worker(move || {
            folder.boot.note(&digest);
            Ok(())
        });
        let _ = noted.await;
    }

    /// The progress of the scrub.
    pub(crate) fn progress(&self) -> Scrubbed {
        *self.scrub.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the progress of the scrub, and reports it to the sink.
    pub(crate) fn scrubbed(&self, change: impl FnOnce(&mut Scrubbed)) {
        let mut scrubbed = self.scrub.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut scrubbed);
        self.folder.events.scrubbed(&scrubbed);
    }

    /// Evicts until `need` is met. `false` if it cannot be met.
    async fn evict(&self, need: Need) -> bool {
        let _turn = self.turn.lock().await;
        if !self.index.usage().complete {
            return false;
        }
        self.pin().await;
        let mut freed = 0;
        while freed < need.amount {
            let Some(victim) = self.index.evict(Instant::now()) else { break };
            match self.remove_victim(victim, need.reason).await {
                Ok(bytes) => freed += if need.reason == Evicted::FreeFiles { 1 } else { bytes },
                Err(error) => {
                    self.folder.events.disk_failed(&error);
                    break;
                }
            }
        }
        self.index.tell(&*self.folder.events);
        freed >= need.amount
    }

    /// Removes a victim from the disk. Content that cannot be removed is added to the index again.
    async fn remove_victim(&self, victim: Victim, reason: Evicted) -> io::Result<u64> {
        let bytes = match victim {
            Victim::Partial(digest, bytes) => {
                let (index, Folder { disk, layout, .. }) = (self.index.clone(), self.folder.clone());
                // This job runs to its end even if the caller is dropped: a fill may wait for it.
                off_worker(move || {
                    let checkpoint = disk.remove(&layout.checkpoint(&digest));
                    let removed = checkpoint.and_then(|()| disk.remove(&layout.partial(&digest)));
                    index.partial_has_left(&digest, removed.is_ok());
                    removed
                })
                .await?;
                bytes
            }
            Victim::Committed(digest, bytes) => {
                let removed = self.unlink(&digest).await;
                self.index.has_left(&digest);
                if let Err(error) = removed {
                    self.index.found(&digest, bytes);
                    return Err(error);
                }
                bytes
            }
        };
        self.folder.events.evicted(reason, bytes);
        Ok(bytes)
    }

    async fn unlink(&self, digest: &Digest) -> io::Result<()> {
        // Links are removed first: a link that is put from here on belongs to content that is fetched again.
        self.links.revoke(digest).await?;
        self.recent.forget(digest).await;
        self.remove_file(digest).await
    }

    async fn remove_file(&self, digest: &Digest) -> io::Result<()> {
        let (disk, path) = (self.folder.disk.clone(), self.folder.layout.blob(digest));
        off_worker(move || disk.remove(&path)).await?;
        self.index.condemned.forget(digest);
        Ok(())
    }

    /// The amount that must be evicted before `bytes` more can be written. `None` if the file system has enough space,
    /// or if its space is unknown.
    async fn below_floor(&self, bytes: u64) -> Option<Need> {
        let (disk, dir) = (self.folder.disk.clone(), self.folder.layout.dir().to_owned());
        let space = off_worker(move || disk.space(&dir)).await.ok()?;
        if self.allowance.resized(space.bytes) {
            self.report_size();
        }
        lacks(&space, bytes)
    }
}

/// The amount that must be evicted, so that the floor of a file system with this `space` stays free when `bytes` more
/// are written.
fn lacks(space: &Space, bytes: u64) -> Option<Need> {
    let short = |all: u64, left: u64| floor(all).checked_sub(left).filter(|short| *short > 0);
    let bytes = short(space.bytes, space.free_bytes.saturating_sub(bytes));
    let files = short(space.files, space.free_files);
    let need = |reason| move |amount| Need { reason, amount };
    bytes.map(need(Evicted::FreeBytes)).or(files.map(need(Evicted::FreeFiles)))
}

/// The budget and the file system of a cache folder.
pub(crate) struct Measured {
    /// The largest number of bytes of content: `max_size`, or [`USUAL_LIMIT_PERCENT`] of the file system if no
    /// `max_size` is given.
    pub(crate) limit: u64,
    /// The size of the file system in bytes; `None` if it could not be read.
    pub(crate) file_system: Option<u64>,
    /// True if the file system has less free space than the floor that must stay free.
    pub(crate) is_tight: bool,
}

impl Measured {
    /// Reads the size of the file system.
    pub(crate) async fn of(folder: &Folder, max_size: Option<u64>) -> Self {
        let folder = folder.clone();
        let space = off_worker(move || folder.disk.space(folder.layout.dir())).await.ok();
        let file_system = space.map(|space| space.bytes);
        let usual = file_system.map_or(u64::MAX, |bytes| bytes / 100 * USUAL_LIMIT_PERCENT);
        let is_tight = space.is_some_and(|space| lacks(&space, 0).is_some());
        Self { limit: max_size.unwrap_or(usual), file_system, is_tight }
    }
}

/// The number of attempts to make room for one fill. Several are needed because other fills may take the freed space.
const ATTEMPTS: usize = 3;
/// The budget if none is configured, in per cent of the file system.
const USUAL_LIMIT_PERCENT: u64 = 80;
