//! Compares committed content with its name. All callers that ask during a check share it; readers are not stopped.
//!
//! A hit is normally served without hashing (design decision 6), with two exceptions. Content that was committed before
//! the last boot of the machine is hashed when a client first asks for it. Content that the same client fetches whole
//! twice in quick succession is hashed too: the client may have found it wrong. Readers continue during the check at
//! the disk's speed; only the last piece of a whole body waits for the verdict.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moka::sync::Cache;
use oci::{Digest, Verifier};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use crate::content::blob::Blob;
use crate::content::limits::SMALL_MAX;
use crate::disk::blocking::off_worker;
use crate::disk::io::{File, FileId};
use crate::events::Quarantined;
use crate::space::room::Room;

/// A running check, or its verdict.
#[derive(Clone, Debug)]
pub struct Check(watch::Receiver<Option<Verdict>>);

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The content hashes to its name.
    Right,
    /// The content does not hash to its name, or cannot be read any more: it is quarantined.
    Wrong,
    /// The content could not be read, but the file itself is not at fault (for example too many open files); it stays.
    Unknown,
}

impl Check {
    fn of(verdict: Verdict) -> Self {
        Self(watch::channel(Some(verdict)).1)
    }

    /// Waits for the verdict. A check that was abandoned, as at the end of the process, ends as [`Verdict::Unknown`].
    pub async fn verdict(&self) -> Verdict {
        let mut result = self.0.clone();
        let verdict = result.wait_for(Option::is_some).await;
        verdict.ok().and_then(|verdict| *verdict).unwrap_or(Verdict::Unknown)
    }
}

/// The table entry of a running check. It is removed on drop, so that a panic does not block later checks.
struct Slot {
    checks: Arc<Checks>,
    key: Key,
}

/// A digest, and the identity of its file: another file may take the same path.
type Key = (Digest, Option<FileId>);

/// The checks of one store.
#[derive(Debug)]
pub(crate) struct Checks {
    running: Mutex<HashMap<Key, Check>>,
    /// Files that were recently found right: a reader that opened one before its check ended needs no second check.
    right: Cache<Key, ()>,
    /// For each digest, the last time at which a repeated request led to a check.
    repeated: Mutex<HashMap<Digest, Instant>>,
    turns: Semaphore,
}

impl Checks {
    /// A table without running checks.
    pub(crate) fn none() -> Self {
        Self {
            running: Mutex::default(),
            right: Cache::new(RIGHT_MAX),
            repeated: Mutex::default(),
            turns: Semaphore::new(AT_ONCE),
        }
    }

    /// True if a repeated request may now start a check of `digest`. It returns true at most once in
    /// [`REPEATED_EVERY`], and records `now` when it does.
    pub(crate) fn is_due(&self, digest: &Digest, now: Instant) -> bool {
        let mut repeated = self.repeated.lock().unwrap_or_else(PoisonError::into_inner);
        repeated.retain(|_, at| now.saturating_duration_since(*at) < REPEATED_EVERY);
        if repeated.contains_key(digest) || repeated.len() >= REPEATED_MAX {
            return false;
        }
        repeated.insert(digest.clone(), now);
        true
    }

    /// Begins to hash `blob`, or joins the running check. The content is not evicted during the check. Wrong content is
    /// quarantined for `reason` before the verdict is published.
    pub(crate) fn begin(
        self: &Arc<Self>,
        room: &Room,
        digest: &Digest,
        blob: &Blob,
        reason: Quarantined,
    ) -> Check {
        let key = (digest.clone(), blob.content().file().id());
        let mut running = self.running();
        if let Some(check) = running.get(&key) {
            return check.clone();
        }
        if reason == Quarantined::Boot && self.right.contains_key(&key) {
            blob.mark_checked();
            return Check::of(Verdict::Right);
        }
        let (result, check) = watch::channel(None);
        running.insert(key.clone(), Check(check.clone()));
        room.folder.events.checking(reason);
        let (checks, room, blob) = (Arc::clone(self), room.clone(), blob.clone());
        tokio::spawn(async move {
            let slot = Slot { checks, key };
            let verdict = slot.checks.run(&room, &slot.key, &blob, reason).await;
            drop(slot);
            result.send_replace(Some(verdict));
        });
        Check(check)
    }

    async fn run(&self, room: &Room, key: &Key, blob: &Blob, reason: Quarantined) -> Verdict {
        let (digest, file) = key;
        // The response headers wait for the check of small content, so it does not queue.
        let _turn = match blob.length() > SMALL_MAX {
            true => self.turns.acquire().await.ok(),
            false => None,
        };
        let hashed = hash(blob.content().file(), digest).await;
        // If another file has taken the path since, this verdict does not apply to it; it gets its own check.
        let in_place = is_in_place(room, digest, blob).await;
        match hashed {
            Ok(true) => {
                blob.mark_checked();
                if file.is_some() {
                    self.right.insert(key.clone(), ());
                }
                if in_place {
                    room.hashed(digest).await;
                }
                Verdict::Right
            }
            Ok(false) => {
                if in_place {
                    room.quarantine(digest, reason).await;
                }
                Verdict::Wrong
            }
            Err(error) if !in_place => {
                room.folder.events.disk_failed(&error);
                Verdict::Unknown
            }
            Err(error) if room.cannot_read(digest, &error).await => Verdict::Wrong,
            Err(_) => Verdict::Unknown,
        }
    }

    fn running(&self) -> MutexGuard<'_, HashMap<Key, Check>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.checks.running().remove(&self.key);
    }
}

/// True if `blob` is still the file at the path of `digest`.
async fn is_in_place(room: &Room, digest: &Digest, blob: &Blob) -> bool {
    let (file, path) = (Arc::clone(blob.content().file()), room.folder.layout.blob(digest));
    off_worker(move || Ok(file.is_at(&path))).await.unwrap_or(true)
}

/// True if all of `file` hashes to `digest`.
async fn hash(file: &Arc<dyn File>, digest: &Digest) -> io::Result<bool> {
    let mut verifier = Verifier::new(digest.clone());
    loop {
        let (moved, read) = hash_piece(file, verifier).await?;
        verifier = moved;
        if read == 0 {
            return Ok(verifier.finish().is_ok());
        }
    }
}

/// Reads the next piece and hashes it on the blocking pool; 0 bytes at the end.
pub(crate) async fn hash_piece(
    file: &Arc<dyn File>,
    mut verifier: Verifier,
) -> io::Result<(Verifier, usize)> {
    let file = Arc::clone(file);
    off_worker(move || {
        let mut piece = vec![0; PIECE];
        let read = file.read_at(verifier.length(), &mut piece)?;
        verifier.update(&piece[..read]);
        Ok((verifier, read))
    })
    .await
}

/// Bytes read at a time.
const PIECE: usize = 1 << 20;
/// Large contents that are hashed at the same time. The limit leaves disk bandwidth to the readers.
const AT_ONCE: usize = 2;
/// Maximum number of files remembered as right: more than can be open during their checks.
const RIGHT_MAX: u64 = 4096;
/// Shortest time between two checks of one digest that repeated requests cause.
const REPEATED_EVERY: Duration = Duration::from_secs(3600);
/// Maximum number of digests that repeated requests may have checked within [`REPEATED_EVERY`].
const REPEATED_MAX: usize = 4096;
