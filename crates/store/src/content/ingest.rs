//! From a partial file to committed content, crash-safely (design decision 4).

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use oci::{Digest, Verified};
use serde::{Deserialize, Serialize};

use super::blob::{Blob, Committed, Content};
use super::settle::{AppendError, settle};
use super::spans::Spans;
use super::writers::Writer;
use crate::disk::blocking::off_worker;
use crate::disk::files::{read_whole, write_record};
use crate::disk::io::{Disk, File};
use crate::records::folder::Folder;
use crate::records::scope::Kind;
use crate::space::index::{Index, Reservation};

/// One content on its way into the store. There is at most one for a digest; its [`Writer`] sees to that.
///
/// All methods block except [`Ingest::begin`]. A dropped ingest leaves what its last checkpoint covers.
pub struct Ingest {
    folder: Folder,
    index: Arc<Index>,
    digest: Digest,
    file: Arc<dyn File>,
    /// Total size, once known.
    length: Option<u64>,
    /// The bytes that are in the file.
    spans: Arc<Mutex<Spans>>,
    /// Number of bytes that the last checkpoint covers.
    kept: u64,
    /// The part of the store's budget that this content has.
    room: Reservation,
    writer: Arc<Writer>,
}

/// The bytes of a partial file that are durable.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Checkpoint {
    length: Option<u64>,
    /// Start and end (exclusive) of each interval, in order.
    kept: Spans,
}

/// Writes bytes that lie ahead of the rest. Its method blocks.
#[derive(Clone)]
pub struct Patch {
    disk: Arc<dyn Disk>,
    file: Arc<dyn File>,
    spans: Arc<Mutex<Spans>>,
    #[allow(dead_code, reason = "held so that nobody else writes the file while a write is under way")]
    writer: Arc<Writer>,
}

impl Ingest {
    /// Opens the partial file of `digest`, with the bytes that an earlier fill left in it.
    pub(crate) async fn begin(
        folder: Folder,
        index: Arc<Index>,
        digest: Digest,
        writer: Writer,
    ) -> io::Result<Self> {
        off_worker(move || {
            // The reservation comes before the file is opened: from here on nobody evicts it.
            let room = index.resume(&digest);
            let opened = Self::open(&folder, &digest).inspect_err(|_| index.pause(&digest, room.bytes()));
            let (file, Checkpoint { length, kept: spans }) = opened?;
            let kept = spans.total();
            let spans = Arc::new(Mutex::new(spans));
            let writer = Arc::new(writer);
            Ok(Self { folder, index, digest, file, length, spans, kept, room, writer })
        })
        .await
    }

    /// The partial file of `digest`, and its checkpoint.
    fn open(folder: &Folder, digest: &Digest) -> io::Result<(Arc<dyn File>, Checkpoint)> {
        let file = folder.open_new(&folder.layout.partial(digest))?;
        let mut checkpoint = Checkpoint::load(&*folder.disk, &folder.layout.checkpoint(digest));
        checkpoint.kept.cut(file.size()?);
        file.truncate(checkpoint.kept.end())?;
        Ok((file, checkpoint))
    }

    /// The bytes that are in the file. Those that an earlier fill left are unverified like the rest.
    pub fn spans(&self) -> MutexGuard<'_, Spans> {
        held(&self.spans)
    }

    /// A writer for bytes that come out of order.
    pub fn patch(&self) -> Patch {
        let Self { folder, file, spans, writer, .. } = self;
        Patch { disk: folder.disk.clone(), file: file.clone(), spans: spans.clone(), writer: writer.clone() }
    }

    /// The total size in bytes, if an earlier fill or [`Ingest::expect`] learned it.
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// The growing file, to be read.
    pub fn content(&self) -> Content {
        Content::new(self.file.clone(), &self.folder.buffers)
    }

    /// Cuts the file to `end` bytes; `end` lies within the file.
    pub fn cut(&mut self, end: u64) -> io::Result<()> {
        if end == 0 {
            // The checkpoint is removed first: one that outlives the cut would cover holes before later bytes.
            let Folder { layout, disk, .. } = &self.folder;
            disk.remove(&layout.checkpoint(&self.digest))?;
        }
        self.file.truncate(end)?;
        let mut spans = held(&self.spans);
        spans.cut(end);
        self.kept = self.kept.min(spans.total());
        Ok(())
    }

    /// Bytes of the store's budget that this content has.
    pub fn room(&self) -> u64 {
        self.room.bytes()
    }

    /// Learns the total size, takes `room` and sets disk space aside, so that a full disk shows before the transfer.
    pub fn expect(&mut self, length: u64, room: Reservation) -> io::Result<()> {
        self.length = Some(length);
        self.room.join(room);
        self.file.reserve(length)
    }

    /// Reads bytes that are in the file already, so that they can be hashed.
    pub fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset, buffer)
    }

    /// Writes `pieces` one after another from `at` on. A checkpoint is made after every 64 MiB.
    ///
    /// # Errors
    /// [`AppendError::Write`] leaves earlier bytes readable; after [`AppendError::Sync`] no byte in the file may be
    /// trusted.
    pub fn append(&mut self, at: u64, pieces: &[Bytes]) -> Result<(), AppendError> {
        self.patch().write(at, pieces)?;
        self.checkpoint_if_due()
    }

    /// True if 64 MiB came since the last checkpoint.
    pub fn is_checkpoint_due(&self) -> bool {
        self.spans().total() - self.kept >= CHECKPOINT_EVERY
    }

    /// Makes a checkpoint when 64 MiB came since the last, in or out of order.
    ///
    /// # Errors
    /// [`AppendError::Sync`], as [`Ingest::append`].
    pub fn checkpoint_if_due(&mut self) -> Result<(), AppendError> {
        let total = self.spans().total();
        self.room.cover(total);
        if total - self.kept < CHECKPOINT_EVERY {
            return Ok(());
        }
        self.checkpoint().map_err(AppendError::Sync)
    }

    /// Makes the bytes durable and leaves them for the next fill.
    pub fn keep(mut self) -> io::Result<()> {
        if self.spans().total() == 0 {
            return self.discard();
        }
        let end = self.spans().end();
        // The truncation gives back space that was set aside for the rest.
        let kept = self.file.truncate(end).and_then(|()| self.checkpoint());
        if self.has_its_name() {
            self.index.pause(&self.digest, end);
        }
        kept
    }

    /// Removes the file. Readers that have it open read on.
    pub fn discard(self) -> io::Result<()> {
        let Folder { layout, disk, .. } = &self.folder;
        disk.remove(&layout.checkpoint(&self.digest))?;
        disk.remove(&layout.partial(&self.digest))
    }

    /// Commits: data synced, renamed into place, folder synced.
    ///
    /// # Errors
    /// As [`Ingest::append`]; the partial file is removed then.
    pub fn commit(self, kind: Kind, verified: &Verified) -> Result<Blob, AppendError> {
        let Folder { layout, disk, events, .. } = &self.folder;
        let partial = layout.partial(&self.digest);
        let settled = settle(&**disk, &*self.file, &partial, &layout.blob(&self.digest), verified);
        let _ = disk.remove(&layout.checkpoint(&self.digest));
        settled.inspect_err(|_| drop(disk.remove(&partial)))?;
        let lease = self.index.add(&self.digest, kind, verified.length());
        self.folder.boot.note(&self.digest);
        events.committed(kind, verified.length());
        self.index.tell(&**events);
        let file = Committed::new(self.content(), verified.length(), true);
        Ok(Blob::new(Arc::new(file), lease))
    }

    /// True if the partial file still has its name. If somebody wiped the folder, a file of that name is another's.
    fn has_its_name(&self) -> bool {
        self.file.is_at(&self.folder.layout.partial(&self.digest))
    }

    fn checkpoint(&mut self) -> io::Result<()> {
        // The spans are copied before the sync: bytes that come meanwhile are not covered.
        let kept = self.spans().clone();
        let total = kept.total();
        self.file.sync_data()?;
        if !self.has_its_name() {
            self.kept = total;
            return Ok(());
        }
        let checkpoint = Checkpoint { length: self.length, kept };
        let line = serde_json::to_vec(&checkpoint).expect("invariant: a checkpoint is plain data");
        let Folder { layout, disk, .. } = &self.folder;
        write_record(&**disk, &layout.temporary(), &layout.checkpoint(&self.digest), &line)?;
        self.kept = total;
        Ok(())
    }
}

impl Checkpoint {
    fn load(disk: &dyn Disk, path: &Path) -> Self {
        let line = read_whole(disk, path, CHECKPOINT_MAX).unwrap_or_default();
        serde_json::from_slice(&line).unwrap_or_default()
    }
}

impl Patch {
    /// Writes `pieces` at `at`.
    ///
    /// # Errors
    /// [`AppendError::Write`], which leaves earlier bytes readable.
    pub fn write(&self, at: u64, pieces: &[Bytes]) -> Result<(), AppendError> {
        self.disk.may_write().map_err(AppendError::Write)?;
        let mut end = at;
        for piece in pieces {
            self.file.write_at(end, piece).map_err(AppendError::Write)?;
            end += piece.len() as u64;
        }
        held(&self.spans).insert(at..end);
        Ok(())
    }
}

fn held(spans: &Mutex<Spans>) -> MutexGuard<'_, Spans> {
    spans.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes between two checkpoints: at most so many are fetched again after a crash (design decision 4).
const CHECKPOINT_EVERY: u64 = 64 << 20;
/// Longest checkpoint that is read, bytes: more than the intervals of the largest blob take.
const CHECKPOINT_MAX: u64 = 1 << 20;
