//! Verified content that is not durable yet: it is served from here until its commit has ended (design decision 4a).
//!
//! A client waits for the hash, not for the disk. A crash may lose content that is still here, but it cannot leave a
//! damaged file under a committed name, since the file gets that name only after its data is synced. The memory and the
//! open files of such content have a budget: when it is spent, the client waits for earlier commits.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use oci::Digest;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit, watch};

use super::blob::Committed;
use crate::space::lease::Lease;

/// The unsynced content of one store.
#[derive(Debug)]
pub(crate) struct Unsynced {
    content: Mutex<Content>,
    /// Free budget for small content, bytes.
    bytes: Arc<Semaphore>,
    /// Free budget for open files.
    files: Arc<Semaphore>,
    /// Free turns for commits: of small content, and of files.
    turns: [Semaphore; 2],
    /// Changes whenever content leaves this table, or a follow-up job ends.
    departures: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Content {
    small: HashMap<Digest, Bytes>,
    files: HashMap<Digest, (Arc<Committed>, Lease)>,
    /// Numbers of the commits and follow-up jobs that are still running.
    running: BTreeSet<u64>,
    /// The next number for `running`.
    next: u64,
}

/// The entry of one unsynced content. Dropping it ends the entry: the commit has succeeded or failed.
#[derive(Debug)]
pub(crate) struct Place {
    unsynced: Arc<Unsynced>,
    digest: Digest,
    size: Size,
    number: u64,
    #[allow(dead_code, reason = "held so that the budget counts the content")]
    budget: OwnedSemaphorePermit,
}

/// A job that follows a commit; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct FollowUp(Arc<Unsynced>, u64);

/// Small content is kept in memory, other content in its open file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    Small,
    File,
}

impl Unsynced {
    pub(crate) fn new() -> Self {
        Self {
            content: Mutex::default(),
            bytes: Arc::new(Semaphore::new(BYTES_MAX)),
            files: Arc::new(Semaphore::new(FILES_MAX)),
            turns: [(); 2].map(|()| Semaphore::new(AT_ONCE)),
            departures: watch::Sender::new(()),
        }
    }

    /// Adds small content; waits while the budget is spent. `None` if the same content is already in the table.
    pub(crate) async fn small(self: &Arc<Self>, digest: &Digest, bytes: &Bytes) -> Option<Place> {
        let cost = bytes.len().clamp(1, BYTES_MAX) as u32;
        let budget = self.bytes.clone().acquire_many_owned(cost).await.expect("invariant: never closed");
        let mut content = self.content();
        if content.small.contains_key(digest) {
            return None;
        }
        content.small.insert(digest.clone(), bytes.clone());
        let number = content.begin();
        Some(Place { unsynced: self.clone(), digest: digest.clone(), size: Size::Small, number, budget })
    }

    /// Waits while the budget of open files is spent.
    pub(crate) async fn admit_file(&self) -> OwnedSemaphorePermit {
        self.files.clone().acquire_owned().await.expect("invariant: never closed")
    }

    /// Adds an open file. The caller is the only writer of `digest`.
    pub(crate) fn file(
        self: &Arc<Self>,
        digest: &Digest,
        file: (Arc<Committed>, Lease),
        budget: OwnedSemaphorePermit,
    ) -> Place {
        let mut content = self.content();
        content.files.insert(digest.clone(), file);
        let number = content.begin();
        Place { unsynced: self.clone(), digest: digest.clone(), size: Size::File, number, budget }
    }

    /// Small content that is not durable yet.
    pub(crate) fn small_of(&self, digest: &Digest) -> Option<Bytes> {
        self.content().small.get(digest).cloned()
    }

    /// An open file that is not durable yet, with its lease.
    pub(crate) fn file_of(&self, digest: &Digest) -> Option<(Arc<Committed>, Lease)> {
        self.content().files.get(digest).cloned()
    }

    /// True if the commit of `digest` has not ended.
    pub(crate) fn holds(&self, digest: &Digest) -> bool {
        let content = self.content();
        content.small.contains_key(digest) || content.files.contains_key(digest)
    }

    /// Returns when the commit of `digest` has succeeded or failed.
    pub(crate) async fn ended(&self, digest: &Digest) {
        self.until(|| !self.holds(digest)).await;
    }

    /// Begins a job that follows a commit; [`Unsynced::all_ended`] waits for it as well.
    pub(crate) fn follow_up(self: &Arc<Self>) -> FollowUp {
        let number = self.content().begin();
        FollowUp(self.clone(), number)
    }

    /// Returns when every commit and follow-up job that is running now has ended.
    pub(crate) async fn all_ended(&self) {
        let later = self.content().next;
        self.until(|| self.content().running.first().is_none_or(|oldest| *oldest >= later)).await;
    }

    async fn until(&self, condition: impl Fn() -> bool) {
        let mut departures = self.departures.subscribe();
        while !condition() {
            let _ = departures.changed().await;
        }
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Content {
    fn begin(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        self.running.insert(number);
        number
    }
}

impl Place {
    /// Waits until the commit may begin. The number of commits is limited because they use threads that readers need,
    /// too.
    pub(crate) async fn turn(&self) -> SemaphorePermit<'_> {
        self.unsynced.turns[self.size as usize].acquire().await.expect("invariant: never closed")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut content = self.unsynced.content();
        match self.size {
            Size::Small => drop(content.small.remove(&self.digest)),
            Size::File => drop(content.files.remove(&self.digest)),
        }
        content.running.remove(&self.number);
        drop(content);
        self.unsynced.departures.send_replace(());
    }
}

impl Drop for FollowUp {
    fn drop(&mut self) {
        self.0.content().running.remove(&self.1);
        self.0.departures.send_replace(());
    }
}

/// Small content that may be unsynced, bytes.
const BYTES_MAX: usize = 64 << 20;
/// Open files that may be unsynced.
const FILES_MAX: usize = 256;
/// Commits of small content that run at a time; the same number applies to files.
const AT_ONCE: usize = 8;
