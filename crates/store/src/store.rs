//! The store: content by digest, access by link, tags as small records.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use oci::{Digest, ImageName, Verified};
use tokio::time::Instant;

use crate::checks::check::{Check, Checks};
use crate::content::blob::{Blob, Committed, Content};
use crate::content::ingest::Ingest;
use crate::content::limits::SMALL_MAX;
use crate::content::recent::{Changed, Recent};
use crate::content::settle::AppendError;
use crate::content::small;
use crate::content::unsynced::Unsynced;
use crate::disk::blocking::off_worker;
use crate::disk::slow::Slow;
use crate::disk::tenure::Tenure;
use crate::disk::timed::Clock;
use crate::events::Quarantined;
use crate::records::folder::Folder;
use crate::records::link::Links;
use crate::records::scope::{Kind, Link};
use crate::records::tag::Tags;
use crate::space::index::{Index, Reservation};
use crate::space::lease::Lease;
use crate::space::room::{Measured, Room};
use crate::space::standing::Standing;
use crate::space::usage::Usage;
use crate::tier::second::{Recalled, SecondTier};

/// Content and records on one disk. Clones share it.
#[derive(Clone)]
pub struct Store(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) folder: Folder,
    pub(crate) index: Arc<Index>,
    pub(crate) recent: Recent,
    pub(crate) unsynced: Arc<Unsynced>,
    pub(crate) links: Links,
    pub(crate) tags: Tags,
    pub(crate) room: Room,
    pub(crate) checks: Arc<Checks>,
    pub(crate) other_formats: Vec<String>,
    /// The time until which nothing new is stored, after a failed sync.
    pub(crate) no_fills_until: tokio::sync::watch::Sender<Option<Instant>>,
    pub(crate) tenure: Arc<Tenure>,
    /// Measures the operations of the disk.
    pub(crate) clock: Arc<Clock>,
    /// The second tier, asked for content that this disk does not have.
    pub(crate) tier: Arc<dyn SecondTier>,
}

impl Inner {
    /// The reason why content is not stored now, if there is one.
    fn warning(&self) -> Option<String> {
        let refused = self.tenure.last_known().err().map(|refusal| refusal.to_string());
        refused.or_else(|| self.room.health.warning())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.tenure.release();
    }
}

impl Store {
    /// True if the content is stored. The index answers without a disk access; until the scan at the start has ended,
    /// the file is opened by name.
    pub async fn holds(&self, digest: &Digest) -> bool {
        self.0.unsynced.holds(digest)
            || self.0.index.look(digest).is_some()
            || !self.0.index.usage().complete && matches!(self.blob(digest).await, Ok(Some(_)))
    }

    /// Opens committed content; `None` if it is not stored.
    ///
    /// # Errors
    /// Any error of the disk, already reported to the sink. The caller treats it as a miss.
    pub async fn blob(&self, digest: &Digest) -> io::Result<Option<Blob>> {
        if self.0.index.condemned.holds(digest) {
            return Ok(None);
        }
        if let Some((file, lease)) = self.0.unsynced.file_of(digest) {
            return Ok(Some(Blob::new(file, lease)));
        }
        // Small content has no file before its commit.
        self.0.unsynced.ended(digest).await;
        let known = self.0.index.opening(digest);
        match self.0.recent.file(digest) {
            Ok(Some(file)) => return Ok(Some(self.leased(digest, known, file))),
            Ok(None) => {}
            // A file that is now at that path comes from another program.
            Err(Changed) => self.0.index.mark_unchecked(digest),
        }
        let (folder, path) = (self.0.folder.clone(), self.0.folder.layout.blob(digest));
        let checked = self.0.index.is_checked(digest);
        let opened = off_worker(move || {
            let file = folder.disk.open(&path)?;
            let length = file.size()?;
            let content = Content::new(file, &folder.buffers);
            Ok((length, Arc::new(Committed::new(content, length, checked))))
        });
        match opened.await {
            Ok((length, _)) if is_wrong(length, digest, known.as_ref().map(|(size, _)| *size)) => {
                self.quarantine(digest, Quarantined::Size).await;
                Ok(None)
            }
            Ok((_, file)) => {
                self.0.recent.keep_file(digest, &file);
                Ok(Some(self.leased(digest, known, file)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.0.index.missed(digest);
                Ok(None)
            }
            Err(error) => Err(self.report(error)),
        }
    }

    /// The check that must end before the last piece of `blob` is sent. It is needed if the content was not hashed
    /// since the machine started, or if the client has `repeated` its request for the whole blob. `None` if no check is
    /// needed.
    pub fn check(&self, digest: &Digest, blob: &Blob, repeated: bool) -> Option<Check> {
        let reason = match blob.is_checked() {
            false => Quarantined::Boot,
            true if repeated && self.0.checks.is_due(digest, Instant::now()) => Quarantined::Repeat,
            true => return None,
        };
        Some(self.0.checks.begin(&self.0.room, digest, blob, reason))
    }

    /// Asks the second tier for content. `_earned` is the link that lets the repository see the digest (design decision
    /// 8). The caller asks [`Store::blob`] first and calls this only for content that is not on this disk. The returned
    /// bytes are unverified and are to be ingested like a fill. An error of the tier counts as a miss.
    pub async fn recall(&self, digest: &Digest, _earned: &Link) -> Option<Recalled> {
        let opened = self.0.tier.open(digest).await;
        opened.inspect_err(|error| tracing::debug!(%digest, %error, "the second tier failed")).ok().flatten()
    }

    /// Content of at most 4 MiB, from memory, or read from the disk and hashed. `None` if it cannot be read.
    pub async fn read_small(&self, digest: &Digest) -> Option<Bytes> {
        if let Some(bytes) = self.0.unsynced.small_of(digest) {
            return Some(bytes);
        }
        self.0.index.touch(digest);
        self.0.recent.small(digest, self.load_small(digest)).await
    }

    /// Stores verified small content. It is served from memory at once, and committed in the background; it stays in
    /// memory even if the disk fails. Waits only while the budget of unsynced content is spent (design decision 4a).
    pub async fn put(&self, kind: Kind, bytes: Bytes, verified: &Verified) {
        self.0.recent.keep_small(verified.digest(), bytes.clone()).await;
        let Some(place) = self.0.unsynced.small(verified.digest(), &bytes).await else { return };
        let (store, verified) = (self.clone(), verified.clone());
        tokio::spawn(async move {
            let turn = place.turn().await;
            let committing = store.clone();
            let committed = off_worker(move || {
                let Inner { folder, index, .. } = &*committing.0;
                Ok(small::commit(folder, index, kind, &bytes, &verified))
            });
            if let Err(error) = committed.await.unwrap_or_else(|error| Err(AppendError::Write(error))) {
                store.cannot_store(error);
            }
            drop(turn);
        });
    }

    /// Ends a fill with verified content. Returns a blob that can be served at once; the commit runs in the background.
    /// Waits only while the budget of unsynced content is spent (design decision 4a). If a later sync fails, readers of
    /// the blob get an error; a crash before the commit loses the content.
    ///
    /// # Errors
    /// [`AppendError::Write`] if the file and the content differ in length; the file is removed then.
    pub async fn commit(&self, ingest: Ingest, kind: Kind, verified: Verified) -> Result<Blob, AppendError> {
        let budget = self.0.unsynced.admit_file().await;
        let digest = verified.digest().clone();
        let ended = off_worker(move || Ok(ingest.verify(kind, verified))).await;
        let (file, lease, commit) = ended.map_err(AppendError::Write)??;
        let place = self.0.unsynced.file(&digest, (file.clone(), lease.clone()), budget);
        let blob = Blob::new(file.clone(), lease);
        let store = self.clone();
        tokio::spawn(async move {
            let turn = place.turn().await;
            // The lock of the folder is held until the commit has ended.
            let committing = store.clone();
            let committed = off_worker(move || {
                let ended = commit.run();
                drop(committing);
                Ok(ended)
            });
            match committed.await.unwrap_or_else(|error| Err(AppendError::Write(error))) {
                Ok(()) => store.keep_open(&digest, &file).await,
                Err(error) => {
                    if matches!(error, AppendError::Sync(_)) {
                        file.lose();
                    }
                    store.commit_failed(error);
                }
            }
            drop(turn);
        });
        Ok(blob)
    }

    /// Keeps a committed file open, so that its replacement by another file is noticed. The file is reopened for
    /// reading only: a file system with a file open for writing cannot be remounted read-only.
    async fn keep_open(&self, digest: &Digest, written: &Arc<Committed>) {
        let (folder, path, length) =
            (self.0.folder.clone(), self.0.folder.layout.blob(digest), written.length());
        let opened = off_worker(move || {
            let file = folder.disk.open(&path)?;
            Ok(Arc::new(Committed::new(Content::new(file, &folder.buffers), length, true)))
        });
        // If the file cannot be opened now, the handle that was written through is kept instead.
        let kept = opened.await.unwrap_or_else(|_| Arc::clone(written));
        self.0.recent.keep_file(digest, &kept);
        if !kept.is_same(written) || kept.is_changed() {
            self.0.index.mark_unchecked(digest);
        }
    }

    /// Returns when everything that was put or committed before is durable, or its commit has failed.
    pub async fn flush(&self) {
        self.0.unsynced.all_ended().await;
    }

    /// The links, which say what digests a scope may see.
    pub fn links(&self) -> &Links {
        &self.0.links
    }

    /// The records of tags.
    pub fn tags(&self) -> &Tags {
        &self.0.tags
    }

    /// The committed content.
    pub fn usage(&self) -> Usage {
        self.0.index.usage()
    }

    /// Begins to store content that arrives in pieces, or resumes it.
    ///
    /// # Errors
    /// `ResourceBusy` while the content has another writer; any error of the disk, already reported to the sink.
    pub async fn ingest(&self, digest: &Digest) -> io::Result<Ingest> {
        let writer = self.0.index.writers.admit(digest).ok_or(io::ErrorKind::ResourceBusy)?;
        let begun = Ingest::begin(self.0.folder.clone(), self.0.index.clone(), digest.clone(), writer);
        begun.await.map_err(|error| self.report(error))
    }

    /// Returns when the scan at the start has ended.
    pub async fn scanned(&self) {
        self.0.index.scanned().await;
    }

    /// Number of times that content left the store. While it does not change, content that was found is still stored.
    pub fn departures(&self) -> u64 {
        self.0.recent.departures()
    }

    /// Closes files that were not used recently.
    pub fn tidy(&self) {
        self.0.recent.tidy();
    }

    /// The limit of the store, the space it uses, and its trouble.
    pub fn standing(&self) -> Standing {
        let occupied = self.0.index.occupied();
        Standing {
            limit_bytes: self.0.room.allowance.limit(),
            reserved_bytes: occupied.reserved,
            partial_bytes: occupied.partial,
            unlinked_bytes: occupied.unlinked,
            pinned_objects: self.0.index.pinned().len() as u64,
            file_system_bytes: self.0.room.allowance.file_system(),
            stopped: self.0.room.health.stopped(),
            slow: self.0.room.health.spell(self.0.clock.slowest()),
            warning: self.0.warning(),
            reclaimable: self.0.other_formats.clone(),
            scrubbed: self.0.room.progress(),
        }
    }

    /// The longest-running slow disk operation, else the last slow one that was reported within `time`. A request that
    /// was late at that time has waited for the disk, not for the upstream: its class is `disk_slow`.
    pub fn slow_disk(&self, time: Duration) -> Option<Slow> {
        self.0.clock.slowest().or_else(|| self.0.room.health.slow_within(time))
    }

    /// Sets the budget and the pinned images ([`crate::StoreConfig`]); content above the budget is evicted soon.
    pub async fn allow(&self, max_size: Option<u64>, pinned: Vec<ImageName>) {
        let measured = Measured::of(&self.0.folder, max_size).await;
        self.0.room.allowance.replace(measured.limit, measured.file_system, pinned);
        self.0.room.report_size();
        self.0.index.concern.notify_one();
    }

    /// True if the folder may still be written. If the lock file was removed, the lock is taken again, unless another
    /// instance already has it.
    pub async fn holds_folder(&self) -> bool {
        let tenure = self.0.tenure.clone();
        off_worker(move || tenure.assure()).await.is_ok()
    }

    /// Notes that a range of `digest` is being served. Its reader is expected to ask for the rest, so the content is
    /// kept for a while.
    pub fn served_by_range(&self, digest: &Digest) {
        self.0.index.ranged(digest);
    }

    /// Reserves `bytes`, and evicts the least useful content for them. `None` if the bytes must not be stored, for
    /// example for a while after a failed sync.
    pub async fn reserve(&self, bytes: u64) -> Option<Reservation> {
        let trusted = self.0.no_fills_until.borrow().is_none_or(|until| Instant::now() >= until);
        if trusted { self.0.room.reserve(bytes).await } else { None }
    }

    /// Reports that the disk failed a fill. After a failed sync nothing new is stored for a while: further fills would
    /// probably fail the same way, and each would break its readers.
    pub fn commit_failed(&self, error: AppendError) {
        if matches!(error, AppendError::Sync(_)) {
            self.0.no_fills_until.send_replace(Some(Instant::now() + FILL_PAUSE));
        }
        self.cannot_store(error);
    }

    fn cannot_store(&self, error: AppendError) {
        let error = self.report(error.into_disk());
        self.0.room.health.cannot_store(&error);
    }

    /// Reports `error` to the sink and returns it.
    pub fn report(&self, error: io::Error) -> io::Error {
        self.0.folder.events.disk_failed(&error);
        error
    }

    /// Reports that the disk could not read committed content. Quarantines the content and returns true if `error`
    /// means that it is damaged.
    pub async fn cannot_read(&self, digest: &Digest, error: &io::Error) -> bool {
        self.0.room.cannot_read(digest, error).await
    }

    /// Quarantines wrong content; open readers are not affected.
    async fn quarantine(&self, digest: &Digest, reason: Quarantined) {
        self.0.room.quarantine(digest, reason).await;
    }

    fn leased(&self, digest: &Digest, known: Option<(u64, Lease)>, file: Arc<Committed>) -> Blob {
        let lease = known.map_or_else(|| self.0.index.found(digest, file.length()), |(_, lease)| lease);
        Blob::new(file, lease)
    }

    async fn load_small(&self, digest: &Digest) -> Option<Bytes> {
        let blob = self.blob(digest).await.ok()??;
        let length = usize::try_from(blob.length()).ok().filter(|length| *length as u64 <= SMALL_MAX)?;
        let bytes = blob.content().read(0, length).await.map_err(|error| self.report(error)).ok()?;
        if digest.verify(&bytes).is_err() {
            self.quarantine(digest, if blob.is_checked() { Quarantined::Read } else { Quarantined::Boot })
                .await;
            return None;
        }
        if !blob.is_checked() {
            blob.mark_checked();
            self.0.room.hashed(digest).await;
        }
        Some(bytes)
    }
}

/// True if the size of an open file differs from its size at the commit, or if the file is empty without being empty
/// content: a power loss may leave empty files.
fn is_wrong(length: u64, digest: &Digest, known: Option<u64>) -> bool {
    known.is_some_and(|known| known != length) || length == 0 && digest.verify(b"").is_err()
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Store").field(&self.0.folder.layout.dir()).finish()
    }
}

/// Time for which a disk is not written after a failed sync.
const FILL_PAUSE: Duration = Duration::from_secs(30);
