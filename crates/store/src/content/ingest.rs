//! Turns a partial file into committed content, crash-safely (design decision 4).

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use oci::{Digest, Verified};

use super::blob::{Committed, Content};
use super::checkpoint::{Checkpoint, Checkpoints};
use super::settle::{AppendError, settle};
use super::spans::Spans;
use super::writers::Writer;
use crate::disk::blocking::off_worker;
use crate::disk::io::{Disk, File};
use crate::records::folder::Folder;
use crate::records::scope::Kind;
use crate::space::index::{Index, Reservation};
use crate::space::lease::Lease;

/// Content that is being written into the store. A digest has at most one ingest at a time; the [`Writer`] ensures
/// that.
///
/// All methods block except [`Ingest::begin`]. A dropped ingest keeps only the bytes that its last checkpoint covers.
pub struct Ingest {
    folder: Folder,
    index: Arc<Index>,
    digest: Digest,
    file: Arc<dyn File>,
    /// Total size, once known.
    length: Option<u64>,
    /// The bytes that are in the file.
    spans: Arc<Mutex<Spans>>,
    checkpoints: Checkpoints,
    /// The part of the store's budget that is reserved for this content.
    room: Reservation,
    writer: Arc<Writer>,
}

/// Verified content whose commit has not run yet.
pub(crate) struct Commit {
    ingest: Ingest,
    kind: Kind,
    verified: Verified,
}

/// Writes bytes at any offset, out of order. Its method blocks.
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
            // Reserves before the file is opened: from here on the file is not evicted.
            let room = index.resume(&digest);
            let opened = Self::open(&folder, &digest).inspect_err(|_| index.pause(&digest, room.bytes()));
            let (file, Checkpoint { length, kept: spans }) = opened?;
            let writer = Arc::new(writer);
            let of = (folder.clone(), digest.clone(), file.clone(), writer.clone());
            let checkpoints = Checkpoints::new(of.0, of.1, of.2, of.3, spans.total());
            let spans = Arc::new(Mutex::new(spans));
            Ok(Self { folder, index, digest, file, length, spans, checkpoints, room, writer })
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

    /// The bytes that are in the file. Bytes that an earlier fill left are unverified, like all others.
    pub fn spans(&self) -> MutexGuard<'_, Spans> {
        held(&self.spans)
    }

    /// A writer for bytes that arrive out of order.
    pub fn patch(&self) -> Patch {
        let Self { folder, file, spans, writer, .. } = self;
        Patch { disk: folder.disk.clone(), file: file.clone(), spans: spans.clone(), writer: writer.clone() }
    }

    /// The total size in bytes, if an earlier fill or [`Ingest::expect`] has set it.
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// The growing file, to be read.
    pub fn content(&self) -> Content {
        Content::new(self.file.clone(), &self.folder.buffers)
    }

    /// Cuts the file to `end` bytes; `end` lies within the file.
    pub fn cut(&mut self, end: u64) -> io::Result<()> {
        self.checkpoints.stop()?;
        if end == 0 {
            // The checkpoint is removed first. If it still existed after the cut, it would list holes of the file as
            // durable bytes.
            self.checkpoints.remove()?;
        }
        self.file.truncate(end)?;
        let mut spans = held(&self.spans);
        spans.cut(end);
        self.checkpoints.cut(spans.total());
        Ok(())
    }

    /// Bytes of the store's budget that are reserved for this content.
    pub fn room(&self) -> u64 {
        self.room.bytes()
    }

    /// Sets the total size, takes over the reservation `room`, and allocates the disk space, so that a full disk is
    /// noticed before the transfer.
    pub fn expect(&mut self, length: u64, room: Reservation) -> io::Result<()> {
        self.length = Some(length);
        self.room.join(room);
        self.file.reserve(length)
    }

    /// Reads bytes that are in the file already, so that they can be hashed.
    pub fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset, buffer)
    }

    /// Writes `pieces` one after another from `at` on, and begins a checkpoint if one is due.
    ///
    /// # Errors
    /// After [`AppendError::Write`], earlier bytes can still be read. After [`AppendError::Sync`], any byte in the file
    /// may be wrong.
    pub fn append(&mut self, at: u64, pieces: &[Bytes]) -> Result<(), AppendError> {
        self.patch().write(at, pieces)?;
        self.checkpoint_if_due()
    }

    /// True if a checkpoint is due, or if the last one failed.
    pub fn is_checkpoint_due(&self) -> bool {
        self.checkpoints.is_due(self.spans().total())
    }

    /// Begins a checkpoint if enough bytes arrived since the last one, in or out of order. The fill continues during
    /// the checkpoint.
    ///
    /// # Errors
    /// [`AppendError::Sync`], as for [`Ingest::append`]: the previous checkpoint failed.
    pub fn checkpoint_if_due(&mut self) -> Result<(), AppendError> {
        let total = self.spans().total();
        self.room.cover(total);
        let begun = self.checkpoints.begin_if_due(self.length, total, || held(&self.spans).clone());
        begun.map_err(AppendError::Sync)
    }

    /// Makes the bytes durable and leaves them for the next fill.
    pub fn keep(self) -> io::Result<()> {
        if self.spans().total() == 0 {
            return self.discard();
        }
        let spans = self.spans().clone();
        // Truncating frees the disk space that was allocated for the missing bytes.
        let cut = self.file.truncate(spans.end());
        let kept = cut.and_then(|()| self.checkpoints.make(self.length, spans.clone()));
        if self.checkpoints.has_its_name() {
            self.index.pause(&self.digest, spans.end());
        }
        kept
    }

    /// Removes the file. Readers that have it open can still read it.
    pub fn discard(self) -> io::Result<()> {
        // Waits for the running checkpoint to end; its result does not matter, because the bytes are thrown away.
        let _ = self.checkpoints.stop();
        self.checkpoints.remove()?;
        let Folder { layout, disk, .. } = &self.folder;
        disk.remove(&layout.partial(&self.digest))
    }

    /// Ends the ingest with verified content. Returns the file, which can be served at once, its lease, and the commit,
    /// which may run later.
    ///
    /// # Errors
    /// [`AppendError::Write`] if the file and the content differ in length; the file is removed then.
    pub(crate) fn verify(
        self,
        kind: Kind,
        verified: Verified,
    ) -> Result<(Arc<Committed>, Lease, Commit), AppendError> {
        let length = verified.length();
        let checked = self.file.size().and_then(|size| match size == length {
            true => Ok(()),
            false => Err(io::Error::other("the file is not as long as what was verified")),
        });
        match checked {
            Ok(()) => {
                let file = Committed::new(self.content(), length, true);
                let lease = self.index.lease(&self.digest);
                Ok((Arc::new(file), lease, Commit { ingest: self, kind, verified }))
            }
            Err(error) => {
                let _ = self.discard();
                Err(AppendError::Write(error))
            }
        }
    }
}

impl Commit {
    /// Commits: syncs the data, renames the file into place, syncs the folders. Blocks.
    ///
    /// # Errors
    /// The errors of [`Ingest::append`]; the partial file is removed then.
    pub(crate) fn run(self) -> Result<(), AppendError> {
        let Self { ingest, kind, verified } = self;
        let Folder { layout, disk, events, boot, .. } = &ingest.folder;
        let (partial, digest) = (layout.partial(&ingest.digest), &ingest.digest);
        let settled = ingest
            .checkpoints
            .stop()
            .map_err(AppendError::Sync)
            .and_then(|()| settle(&**disk, &*ingest.file, &partial, &layout.blob(digest), &verified));
        let _ = ingest.checkpoints.remove();
        settled.inspect_err(|_| drop(disk.remove(&partial)))?;
        ingest.index.enter(digest, kind, verified.length());
        // Another program may have replaced the file already, and only the file of this ingest was hashed.
        if ingest.file.is_at(&layout.blob(digest)) {
            ingest.index.mark_checked(HashSet::from([digest.clone()]));
            boot.note(digest);
        }
        events.committed(kind, verified.length());
        ingest.index.tell(&**events);
        Ok(())
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
