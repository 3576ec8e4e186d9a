//! Does committed content still hash to its name? Looked at once for all who ask, beside those who read it.
//!
//! Hits trust the commit (design decision 6). What was committed before the machine last started is hashed when it is
//! first asked for, and so is what the same client fetches whole again at once: it may have found it wrong. Readers go
//! on meanwhile, at the disk's speed, but for the last piece of a whole body, which waits for the verdict.

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
use crate::disk::io::File;
use crate::events::Quarantined;
use crate::space::room::Room;

/// A check under way, or its verdict.
#[derive(Clone, Debug)]
pub struct Check(watch::Receiver<Option<Verdict>>);

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It hashes to its name.
    Right,
    /// It does not, or cannot be read any more: it is quarantined.
    Wrong,
    /// It could not be read, for reasons that are not its own; it stays.
    Unknown,
}

impl Check {
    fn of(verdict: Verdict) -> Self {
        Self(watch::channel(Some(verdict)).1)
    }

    /// Waits for the verdict. A check that was given up, as at the end of the process, has none.
    pub async fn verdict(&self) -> Verdict {
        let mut told = self.0.clone();
        let verdict = told.wait_for(Option::is_some).await;
        verdict.ok().and_then(|verdict| *verdict).unwrap_or(Verdict::Unknown)
    }
}

/// A check's place among those under way; given up however it ends, so that another may begin.
struct Place {
    checks: Arc<Checks>,
    key: Key,
}

/// A digest, and which of the files that had its name one after another is being checked.
type Key = (Digest, Option<(u64, u64)>);

/// The checks of one store.
#[derive(Debug)]
pub(crate) struct Checks {
    running: Mutex<HashMap<Key, Check>>,
    /// Files that were found right lately: who opened one before that need not ask again.
    right: Cache<Key, ()>,
    /// When content was last checked because a client came back for it.
    repeated: Mutex<HashMap<Digest, Instant>>,
    turns: Semaphore,
}

impl Checks {
    /// Nothing is being checked.
    pub(crate) fn none() -> Self {
        Self {
            running: Mutex::default(),
            right: Cache::new(RIGHT_MAX),
            repeated: Mutex::default(),
            turns: Semaphore::new(AT_ONCE),
        }
    }

    /// May content be checked because a client came back for it? At most once in [`REPEATED_EVERY`], and then not again.
    pub(crate) fn is_due(&self, digest: &Digest, now: Instant) -> bool {
        let mut repeated = self.repeated.lock().unwrap_or_else(PoisonError::into_inner);
        repeated.retain(|_, at| now.saturating_duration_since(*at) < REPEATED_EVERY);
        if repeated.contains_key(digest) || repeated.len() >= REPEATED_MAX {
            return false;
        }
        repeated.insert(digest.clone(), now);
        true
    }

    /// Has `blob` hashed, unless somebody began before; it is not evicted meanwhile. What is wrong is quarantined for
    /// `reason` before anybody hears of it.
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
            blob.believe();
            return Check::of(Verdict::Right);
        }
        let (told, check) = watch::channel(None);
        running.insert(key.clone(), Check(check.clone()));
        room.folder.events.checking(reason);
        let (checks, room, blob) = (Arc::clone(self), room.clone(), blob.clone());
        tokio::spawn(async move {
            let place = Place { checks, key };
            let verdict = place.checks.judge(&room, &place.key, &blob, reason).await;
            drop(place);
            told.send_replace(Some(verdict));
        });
        Check(check)
    }

    async fn judge(&self, room: &Room, key: &Key, blob: &Blob, reason: Quarantined) -> Verdict {
        let (digest, file) = key;
        // Small content is waited for before headers leave: it need not queue.
        let _turn = match blob.length() > SMALL_MAX {
            true => self.turns.acquire().await.ok(),
            false => None,
        };
        let hashed = hash(blob.content().file(), digest).await;
        // What has taken its place meanwhile is checked by itself.
        let in_place = is_in_place(room, digest, blob).await;
        match hashed {
            Ok(true) => {
                blob.believe();
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

impl Drop for Place {
    fn drop(&mut self) {
        self.checks.running().remove(&self.key);
    }
}

/// Is `blob` what lies under its name?
async fn is_in_place(room: &Room, digest: &Digest, blob: &Blob) -> bool {
    let (file, path) = (Arc::clone(blob.content().file()), room.folder.layout.blob(digest));
    off_worker(move || Ok(file.is_at(&path))).await.unwrap_or(true)
}

/// Does all of `file` hash to `digest`?
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

/// Reads the next piece and hashes it, where it may block; 0 bytes at the end.
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

/// Read at a time, bytes.
const PIECE: usize = 1 << 20;
/// Large content hashed at a time, so that those who come after a boot are also served.
const AT_ONCE: usize = 2;
/// Files remembered as right, at most: all that may be open while they are checked, and more.
const RIGHT_MAX: u64 = 4096;
/// How often one content is checked because clients come back for it.
const REPEATED_EVERY: Duration = Duration::from_secs(3600);
/// Contents checked so within that time, at most.
const REPEATED_MAX: usize = 4096;
