//! The checkpoint of a partial file records which of its bytes are durable. It is written while the fill continues.

use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use oci::Digest;
use serde::{Deserialize, Serialize};

use super::spans::Spans;
use super::writers::Writer;
use crate::disk::files::{read_whole, write_record};
use crate::disk::io::{Disk, File};
use crate::records::folder::Folder;

/// The bytes of a partial file that are durable.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    pub(crate) length: Option<u64>,
    /// Start and end (exclusive) of each interval, in order.
    pub(crate) kept: Spans,
}

/// Makes the checkpoints of one partial file, one at a time.
#[derive(Clone)]
pub(crate) struct Checkpoints {
    folder: Folder,
    digest: Digest,
    file: Arc<dyn File>,
    /// The lock that keeps other writers from the file while a checkpoint is made.
    writer: Option<Arc<Writer>>,
    progress: Arc<(Mutex<Progress>, Condvar)>,
}

/// A running checkpoint. It ends when this is dropped, even if the runtime drops the job before it starts.
struct Run(Checkpoints);

#[derive(Debug, Default)]
struct Progress {
    /// Number of bytes that the last checkpoint covers.
    kept: u64,
    running: bool,
    /// The error of the last checkpoint, until it is returned to the fill.
    failed: Option<io::Error>,
}

impl Checkpoint {
    /// The checkpoint at `path`; an empty one if it cannot be read.
    pub(crate) fn load(disk: &dyn Disk, path: &Path) -> Self {
        let line = read_whole(disk, path, CHECKPOINT_MAX).unwrap_or_default();
        serde_json::from_slice(&line).unwrap_or_default()
    }
}

impl Checkpoints {
    /// For the partial file of `digest`; an existing checkpoint covers `kept` bytes of it.
    pub(crate) fn new(
        folder: Folder,
        digest: Digest,
        file: Arc<dyn File>,
        writer: Arc<Writer>,
        kept: u64,
    ) -> Self {
        let (progress, writer) = (Progress { kept, ..Progress::default() }, Some(writer));
        Self { folder, digest, file, writer, progress: Arc::new((Mutex::new(progress), Condvar::new())) }
    }

    /// True if a checkpoint of `total` bytes is due, or if the last checkpoint failed.
    pub(crate) fn is_due(&self, total: u64) -> bool {
        let progress = self.progress();
        let uncovered = total.saturating_sub(progress.kept);
        progress.failed.is_some()
            || uncovered >= UNCOVERED_MAX
            || !progress.running && uncovered >= CHECKPOINT_EVERY
    }

    /// Begins a checkpoint on another thread if one is due. Blocks only while the running checkpoint is far behind.
    ///
    /// # Errors
    /// The disk error of the previous checkpoint: no byte of the file may be trusted.
    pub(crate) fn begin_if_due(
        &self,
        length: Option<u64>,
        total: u64,
        spans: impl FnOnce() -> Spans,
    ) -> io::Result<()> {
        if !self.is_due(total) {
            return Ok(());
        }
        let mut progress = self.progress();
        if progress.running {
            progress = self.idle(progress);
        }
        if let Some(error) = progress.failed.take() {
            return Err(error);
        }
        progress.running = total.saturating_sub(progress.kept) >= CHECKPOINT_EVERY;
        if progress.running {
            // Unlocks first: a runtime that shuts down drops the job at once, and that drop takes the lock.
            drop(progress);
            let (run, spans) = (Run(self.clone()), spans());
            tokio::task::spawn_blocking(move || {
                let made = run.0.write(length, spans);
                let mut progress = run.0.progress();
                match made {
                    Ok(kept) => progress.kept = kept,
                    Err(error) => progress.failed = Some(error),
                }
            });
        }
        Ok(())
    }

    /// Makes a checkpoint of `spans` now. Blocks.
    ///
    /// # Errors
    /// Any error of the disk: no byte of the file may be trusted.
    pub(crate) fn make(&self, length: Option<u64>, spans: Spans) -> io::Result<()> {
        self.stop()?;
        let kept = self.write(length, spans)?;
        self.progress().kept = kept;
        Ok(())
    }

    /// Waits until no checkpoint is being made. Blocks.
    ///
    /// # Errors
    /// The disk error of that checkpoint or of the previous one.
    pub(crate) fn stop(&self) -> io::Result<()> {
        self.idle(self.progress()).failed.take().map_or(Ok(()), Err)
    }

    /// Counts at most `total` bytes as covered, after the file was cut.
    pub(crate) fn cut(&self, total: u64) {
        let mut progress = self.progress();
        progress.kept = progress.kept.min(total);
    }

    /// Removes the checkpoint, so that the partial file is of no use to a later fill.
    pub(crate) fn remove(&self) -> io::Result<()> {
        self.folder.disk.remove(&self.folder.layout.checkpoint(&self.digest))
    }

    /// True if the partial file is still at its path. After the folder was wiped, a file at that path belongs to
    /// another writer.
    pub(crate) fn has_its_name(&self) -> bool {
        self.file.is_at(&self.folder.layout.partial(&self.digest))
    }

    /// Syncs the file, then records `kept`, which was taken before the sync: bytes that arrive during the sync are not
    /// covered.
    fn write(&self, length: Option<u64>, kept: Spans) -> io::Result<u64> {
        let total = kept.total();
        self.file.sync_data()?;
        if self.has_its_name() {
            let line = serde_json::to_vec(&Checkpoint { length, kept })
                .expect("invariant: a checkpoint is plain data");
            let Folder { layout, disk, .. } = &self.folder;
            write_record(&**disk, &layout.temporary(), &layout.checkpoint(&self.digest), &line)?;
        }
        Ok(total)
    }

    fn idle<'a>(&self, progress: MutexGuard<'a, Progress>) -> MutexGuard<'a, Progress> {
        let idle = self.progress.1.wait_while(progress, |progress| progress.running);
        idle.unwrap_or_else(PoisonError::into_inner)
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // Released before the waiters are notified, so that the next fill can write at once.
        self.0.writer = None;
        self.0.progress().running = false;
        self.0.progress.1.notify_all();
    }
}

/// Bytes after which a checkpoint begins. Together with the bytes that arrive while it is made, about 64 MiB are
/// fetched again after a crash (design decision 4).
const CHECKPOINT_EVERY: u64 = 32 << 20;
/// Bytes beyond the last checkpoint at which a fill waits for the running checkpoint.
const UNCOVERED_MAX: u64 = 256 << 20;
/// Largest checkpoint file that is read, bytes: more than the intervals of the largest blob need.
const CHECKPOINT_MAX: u64 = 1 << 20;
