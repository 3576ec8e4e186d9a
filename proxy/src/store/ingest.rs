//! From a partial file to committed content, crash-safely (design decision 4).

use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use registry::{Digest, Verified};
use serde::{Deserialize, Serialize};

use super::blob::{Blob, Content, off_worker};
use super::disk::{Disk, File, parent, read_whole};
use super::index::{Index, Reservation};
use super::link::Kind;
use super::record::{Folder, RECORD_MAX, write_record};

/// One content on its way into the store. There is at most one for a digest: flights see to that.
///
/// Its methods block, but for [`Ingest::begin`]. Dropped, it leaves what its last checkpoint covers.
pub(crate) struct Ingest {
    folder: Folder,
    index: Arc<Index>,
    digest: Digest,
    file: Arc<dyn File>,
    /// Total size, once known.
    length: Option<u64>,
    /// Bytes in the file, from its beginning on.
    end: u64,
    /// Bytes the checkpoint covers.
    kept: u64,
    /// Its part of the budget.
    room: Reservation,
}

/// Which bytes of a partial file are durable. Intervals, though fills are sequential so far, so that ranges fetched
/// ahead need no other format.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Checkpoint {
    length: Option<u64>,
    /// Start and end (exclusive) of each interval, in order.
    kept: Vec<(u64, u64)>,
}

impl Ingest {
    /// Opens the partial file of `digest`, with what an earlier fill left in it.
    pub(super) async fn begin(folder: Folder, index: Arc<Index>, digest: Digest) -> io::Result<Self> {
        off_worker(move || {
            let file = folder.open_new(&folder.layout.partial(&digest))?;
            let room = index.resume(&digest);
            let checkpoint = Checkpoint::load(&*folder.disk, &folder.layout.checkpoint(&digest));
            let kept = checkpoint.prefix().min(file.size()?);
            file.truncate(kept)?;
            Ok(Self { folder, index, digest, file, length: checkpoint.length, end: kept, kept, room })
        })
        .await
    }

    /// Bytes in the file. Those an earlier fill left are unverified like the rest.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// The size an earlier fill learned.
    pub(crate) fn length(&self) -> Option<u64> {
        self.length
    }

    /// The growing file, for readers.
    pub(crate) fn content(&self) -> Content {
        Content::new(self.file.clone())
    }

    /// Cuts the file to `end`, which lies in it.
    pub(crate) fn cut(&mut self, end: u64) -> io::Result<()> {
        self.file.truncate(end)?;
        self.end = end;
        self.kept = self.kept.min(end);
        Ok(())
    }

    /// Bytes of the budget it has.
    pub(crate) fn room(&self) -> u64 {
        self.room.bytes()
    }

    /// Learns the total size, takes its part of the budget and sets space aside, so that a full disk is known before
    /// the transfer.
    pub(crate) fn expect(&mut self, length: u64, room: Reservation) -> io::Result<()> {
        self.length = Some(length);
        self.room.join(room);
        self.file.reserve(length)
    }

    /// Reads what is there already, to hash it.
    pub(crate) fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset, buffer)
    }

    /// Appends `pieces`; every 64 MiB a checkpoint is made. After an error [`Ingest::end`] is as before.
    ///
    /// # Errors
    /// [`AppendError::Write`] leaves what was there readable; after [`AppendError::Sync`] nothing in the file may
    /// be trusted.
    pub(crate) fn append(&mut self, pieces: &[Bytes]) -> Result<(), AppendError> {
        let mut end = self.end;
        for piece in pieces {
            self.file.write_at(end, piece).map_err(AppendError::Write)?;
            end += piece.len() as u64;
        }
        self.end = end;
        self.room.cover(end);
        if self.end - self.kept >= CHECKPOINT_EVERY {
            self.checkpoint().map_err(AppendError::Sync)?;
        }
        Ok(())
    }

    /// Makes what is there durable and leaves it for the next fill.
    pub(crate) fn keep(mut self) -> io::Result<()> {
        if self.end == 0 {
            return self.discard();
        }
        let kept = self.checkpoint();
        self.index.pause(&self.digest, self.end);
        kept
    }

    /// Removes the file; who has it open reads on.
    pub(crate) fn discard(self) -> io::Result<()> {
        let Folder { layout, disk, .. } = &self.folder;
        disk.remove(&layout.checkpoint(&self.digest))?;
        disk.remove(&layout.partial(&self.digest))
    }

    /// Commits: data synced, renamed without replacing, folder synced.
    ///
    /// # Errors
    /// As [`Ingest::append`]; the partial file's name is gone then.
    pub(crate) fn commit(self, kind: Kind, verified: &Verified) -> Result<Blob, AppendError> {
        let Folder { layout, disk, watch } = &self.folder;
        let partial = layout.partial(&self.digest);
        let settled = settle(&**disk, &*self.file, &partial, &layout.blob(&self.digest), verified);
        let _ = disk.remove(&layout.checkpoint(&self.digest));
        settled.inspect_err(|_| drop(disk.remove(&partial)))?;
        let lease = self.index.add(&self.digest, kind, verified.length());
        watch.committed(kind, verified.length());
        self.index.tell(&**watch);
        Ok(Blob::new(self.content(), verified.length(), lease))
    }

    fn checkpoint(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        let checkpoint = Checkpoint { length: self.length, kept: vec![(0, self.end)] };
        let line = serde_json::to_vec(&checkpoint).expect("invariant: a checkpoint is plain data");
        let Folder { layout, disk, .. } = &self.folder;
        write_record(&**disk, &layout.temporary(), &layout.checkpoint(&self.digest), &line)?;
        self.kept = self.end;
        Ok(())
    }
}

impl Checkpoint {
    fn load(disk: &dyn Disk, path: &Path) -> Self {
        let line = read_whole(disk, path, RECORD_MAX).unwrap_or_default();
        serde_json::from_slice(&line).unwrap_or_default()
    }

    /// Bytes kept from the beginning on.
    fn prefix(&self) -> u64 {
        self.kept.first().filter(|(start, _)| *start == 0).map_or(0, |(_, end)| *end)
    }
}

/// Why pieces could not be appended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AppendError {
    /// A write failed; what was written before stands.
    #[error("writing: {0}")]
    Write(io::Error),
    /// A sync failed; the pages before it may be lost.
    #[error("syncing: {0}")]
    Sync(io::Error),
}

impl AppendError {
    /// What the disk said.
    pub(crate) fn into_disk(self) -> io::Error {
        match self {
            Self::Write(error) | Self::Sync(error) => error,
        }
    }
}

/// Makes `file`, which lies at `from`, committed content at `to`.
pub(super) fn settle(
    disk: &dyn Disk,
    file: &dyn File,
    from: &Path,
    to: &Path,
    verified: &Verified,
) -> Result<(), AppendError> {
    file.sync_data().map_err(AppendError::Sync)?;
    publish(disk, file, from, to, verified).map_err(AppendError::Write)
}

fn publish(disk: &dyn Disk, file: &dyn File, from: &Path, to: &Path, verified: &Verified) -> io::Result<()> {
    if file.size()? != verified.length() {
        return Err(io::Error::other("the file is not as long as what was verified"));
    }
    let shard = parent(to);
    disk.make_dir(shard)?;
    if !disk.publish(from, to)? {
        disk.remove(from)?;
    }
    disk.sync_dir(shard)?;
    disk.sync_dir(parent(shard))
}

/// At most so many bytes are fetched again after a crash (design decision 4).
const CHECKPOINT_EVERY: u64 = 64 << 20;
