//! The store: content by digest, permission by link, tags as small records.

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

use crate::content::settle::{self, AppendError};
use crate::disk::blocking::off_worker;
use crate::disk::tenure::Tenure;
use crate::events::Quarantined;
use crate::records::folder::Folder;
use crate::records::link::Links;
use crate::records::scope::{Kind, Link};
use crate::records::tag::Tags;
use crate::space::index::{Index, Reservation};
use crate::space::lease::Lease;

use crate::space::room::{self, Room};
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
    pub(crate) links: Links,
    pub(crate) tags: Tags,
    pub(crate) room: Room,
    pub(crate) checks: Arc<Checks>,
    pub(crate) other_formats: Vec<String>,
    /// A sync failed: until then nothing new is stored.
    pub(crate) distrusted_until: tokio::sync::watch::Sender<Option<Instant>>,
    pub(crate) tenure: Arc<Tenure>,
    /// Where content may come from when this disk does not have it.
    pub(crate) tier: Arc<dyn SecondTier>,
}

impl Inner {
    /// Why content is not stored just now.
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
    /// Is it here? By the index, without a look at the disk; by name while the scan at start has not seen all.
    pub async fn holds(&self, digest: &Digest) -> bool {
        self.0.index.look(digest).is_some()
            || !self.0.index.usage().complete && matches!(self.blob(digest).await, Ok(Some(_)))
    }

    /// Opens committed content; `None` when it is not there.
    ///
    /// # Errors
    /// The disk's, already told to the sink. Treat them as a miss.
    pub async fn blob(&self, digest: &Digest) -> io::Result<Option<Blob>> {
        if self.0.index.condemned.holds(digest) {
            return Ok(None);
        }
        let known = self.0.index.opening(digest);
        match self.0.recent.file(digest) {
            Ok(Some(file)) => return Ok(Some(self.leased(digest, known, file))),
            Ok(None) => {}
            // What lies there now, if anything, was put there by somebody else.
            Err(Changed) => self.0.index.doubt(digest),
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
            Err(error) => Err(self.told(error)),
        }
    }

    /// What must be waited for before all of `blob` may leave: a look at it, if it was not hashed since the machine
    /// started, or if the client has `repeated` its request for all of it. `None`: nothing.
    pub fn check(&self, digest: &Digest, blob: &Blob, repeated: bool) -> Option<Check> {
        let reason = match blob.is_checked() {
            false => Quarantined::Boot,
            true if repeated && self.0.checks.is_due(digest, Instant::now()) => Quarantined::Repeat,
            true => return None,
        };
        Some(self.0.checks.begin(&self.0.room, digest, blob, reason))
    }

    /// Asks the second tier for content. `_earned` is the link that lets the repository see the digest (design decision
    /// 8); the caller has looked for the content on this disk and missed ([`Store::blob`]). The bytes that come are
    /// unverified, and go the way of a fill. A tier that fails counts as one that misses.
    pub async fn recall(&self, digest: &Digest, _earned: &Link) -> Option<Recalled> {
        let opened = self.0.tier.open(digest).await;
        opened.inspect_err(|error| tracing::debug!(%digest, %error, "the second tier failed")).ok().flatten()
    }

    /// Content of at most 4 MiB, from memory if it was asked for lately, else hashed before it is given. Unreadable is
    /// `None`.
    pub async fn read_small(&self, digest: &Digest) -> Option<Bytes> {
        self.0.index.touch(digest);
        self.0.recent.small(digest, self.load_small(digest)).await
    }

    /// Commits small content that was verified; in memory it is kept even if the disk fails.
    ///
    /// # Errors
    /// The disk's, already told to the sink.
    pub async fn put(&self, kind: Kind, bytes: Bytes, verified: &Verified) -> io::Result<()> {
        self.0.recent.keep_small(verified.digest(), bytes.clone()).await;
        let (folder, verified) = (self.0.folder.clone(), verified.clone());
        let (index, digest) = (&self.0.index, verified.digest().clone());
        let (size, checked) = (verified.length(), index.is_checked(&digest));
        let written = off_worker(move || {
            let target = folder.layout.blob(verified.digest());
            let present = || folder.disk.open(&target).and_then(|file| file.size()).ok();
            if checked && present() == Some(verified.length()) {
                return Ok(false);
            }
            let temporary = folder.layout.temporary();
            let settled = folder.open_new(&temporary).and_then(|file| {
                file.write_at(0, &bytes)?;
                settle::settle(&*folder.disk, &*file, &temporary, &target, &verified)
                    .map_err(AppendError::into_disk)
            });
            settled.inspect_err(|_| drop(folder.disk.remove(&temporary))).map(|()| true)
        });
        if written.await.map_err(|error| self.told(error))? {
            index.add(&digest, kind, size);
            self.0.room.note(&digest).await;
            self.0.folder.events.committed(kind, size);
            index.tell(&*self.0.folder.events);
        }
        Ok(())
    }

    /// Which scope may see which digest.
    pub fn links(&self) -> &Links {
        &self.0.links
    }

    /// What tags meant when last asked.
    pub fn tags(&self) -> &Tags {
        &self.0.tags
    }

    /// What it holds.
    pub fn usage(&self) -> Usage {
        self.0.index.usage()
    }

    /// Begins, or goes on with, content that comes in pieces.
    ///
    /// # Errors
    /// `ResourceBusy` while somebody writes it; the disk's, already told to the sink.
    pub async fn ingest(&self, digest: &Digest) -> io::Result<Ingest> {
        let writer = self.0.index.writers.admit(digest).ok_or(io::ErrorKind::ResourceBusy)?;
        let begun = Ingest::begin(self.0.folder.clone(), self.0.index.clone(), digest.clone(), writer);
        begun.await.map_err(|error| self.told(error))
    }

    /// Returns when the scan at start has seen everything.
    pub async fn scanned(&self) {
        self.0.index.scanned().await;
    }

    /// How often something left: while this stands still, what was there is there.
    pub fn departures(&self) -> u64 {
        self.0.recent.departures()
    }

    /// Closes files that nobody asked for lately.
    pub fn tidy(&self) {
        self.0.recent.tidy();
    }

    /// What it may hold, what else takes space, and what is wrong.
    pub fn standing(&self) -> Standing {
        let occupied = self.0.index.occupied();
        Standing {
            limit_bytes: self.0.room.allowance.limit(),
            reserved_bytes: occupied.reserved,
            partial_bytes: occupied.partial,
            unlinked_bytes: occupied.unlinked,
            pinned_objects: self.0.index.pinned().len() as u64,
            warning: self.0.warning(),
            reclaimable: self.0.other_formats.clone(),
            scrubbed: self.0.room.progress(),
        }
    }

    /// Keeps to this budget and these pins from now on ([`StoreConfig`]); what is too much leaves soon.
    pub async fn allow(&self, max_size: Option<u64>, pinned: Vec<ImageName>) {
        let limit = room::limit(&self.0.folder, max_size).await;
        self.0.room.allowance.replace(limit, pinned);
        self.0.index.concern.notify_one();
    }

    /// Is the folder still ours to write? A lock that somebody removed is taken anew, unless another instance was faster.
    pub async fn holds_folder(&self) -> bool {
        let tenure = self.0.tenure.clone();
        off_worker(move || tenure.assure()).await.is_ok()
    }

    /// A part of `digest` is being answered: who reads so comes back, and it stays for a while.
    pub fn served_by_range(&self, digest: &Digest) {
        self.0.index.ranged(digest);
    }

    /// Room for `bytes` more, on a disk that can be trusted; what has been of least use leaves for it. `None`: they
    /// are not to be stored.
    pub async fn reserve(&self, bytes: u64) -> Option<Reservation> {
        let trusted = self.0.distrusted_until.borrow().is_none_or(|until| Instant::now() >= until);
        if trusted { self.0.room.reserve(bytes).await } else { None }
    }

    /// The disk failed a fill. After a failed sync nothing new is stored for a while: every fill would end the same
    /// way, after its readers had begun.
    pub fn lost_faith(&self, error: AppendError) {
        if matches!(error, AppendError::Sync(_)) {
            self.0.distrusted_until.send_replace(Some(Instant::now() + DISTRUST));
        }
        self.told(error.into_disk());
    }

    /// Tells the sink of `error` and gives it back.
    pub fn told(&self, error: io::Error) -> io::Error {
        self.0.folder.events.disk_failed(&error);
        error
    }

    /// The disk would not give committed content back: if the content is to blame, it is taken out of reach. Was it?
    pub async fn cannot_read(&self, digest: &Digest, error: &io::Error) -> bool {
        self.0.room.cannot_read(digest, error).await
    }

    /// Takes content that is not what its name says out of reach; who has it open reads on.
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
        let bytes = blob.content().read(0, length).await.map_err(|error| self.told(error)).ok()?;
        if digest.verify(&bytes).is_err() {
            self.quarantine(digest, if blob.is_checked() { Quarantined::Read } else { Quarantined::Boot })
                .await;
            return None;
        }
        if !blob.is_checked() {
            blob.believe();
            self.0.room.hashed(digest).await;
        }
        Some(bytes)
    }
}

/// Has an open file another size than it was committed with? Empty files are what power losses leave.
fn is_wrong(length: u64, digest: &Digest, known: Option<u64>) -> bool {
    known.is_some_and(|known| known != length) || length == 0 && digest.verify(b"").is_err()
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Store").field(&self.0.folder.layout.dir()).finish()
    }
}

/// How long a disk is left alone after a failed sync.
const DISTRUST: Duration = Duration::from_secs(30);
