//! Committed content, open for reading.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

use super::buffers::{Buffer, Buffers};
use super::mapped::Mapped;
use crate::disk::blocking::off_worker;
use crate::disk::io::File;
use crate::space::lease::Lease;

/// An open committed file. Clones share it; it stays readable after the file is unlinked.
///
/// While a `Blob` exists, its content is not evicted. The cache of open files therefore holds [`Committed`] without the
/// lease.
#[derive(Clone, Debug)]
pub struct Blob {
    file: Arc<Committed>,
    #[allow(dead_code, reason = "held so that the content is not evicted")]
    lease: Lease,
}

/// The reader of the bytes of a window: the kernel or this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touch {
    /// Only the kernel reads them, to copy them to a plain socket: windows may be mapped pages of the file.
    Kernel,
    /// This process reads them, to encrypt or hash them: windows are copies.
    Process,
}

impl Blob {
    pub(crate) fn new(file: Arc<Committed>, lease: Lease) -> Self {
        Self { file, lease }
    }

    /// Size of the content, bytes.
    pub fn length(&self) -> u64 {
        self.file.length
    }

    /// The bytes, to be read by position.
    pub fn content(&self) -> &Content {
        &self.file.content
    }

    /// True if the content was hashed since the machine started.
    pub(crate) fn is_checked(&self) -> bool {
        self.file.checked.load(Ordering::Relaxed)
    }

    /// Notes that the content was hashed and is right.
    pub(crate) fn mark_checked(&self) {
        self.file.checked.store(true, Ordering::Relaxed);
    }

    /// The next window from `start`, which must lie before `end`; both within the blob.
    ///
    /// # Errors
    /// Any error of the disk; `UnexpectedEof` if the file was truncated; `Other` if a sync failed during its
    /// commit.
    pub async fn window(&self, start: u64, end: u64, touch: Touch) -> io::Result<Bytes> {
        if self.file.lost.load(Ordering::Relaxed) {
            return Err(io::Error::other("the disk lost the content before it was durable"));
        }
        match (&self.file.mapped, touch) {
            (Some(mapped), Touch::Kernel) => mapped.window(&self.file.content.file, start, end).await,
            _ => self.file.content.window(start, end - start).await,
        }
    }
}

/// A file whose content does not change any more.
#[derive(Debug)]
pub(crate) struct Committed {
    content: Content,
    length: u64,
    mapped: Option<Arc<Mapped>>,
    /// True if the content was hashed since the machine started.
    checked: AtomicBool,
    /// True if a sync of the file failed: the kernel may have dropped its pages.
    lost: AtomicBool,
}

impl Committed {
    /// A file of `length` bytes. `checked` says whether it was hashed since the last boot. The file is mapped if the
    /// disk supports it. May block.
    pub(crate) fn new(content: Content, length: u64, checked: bool) -> Self {
        let mapped = content.file.map(length).ok().map(|map| Arc::new(Mapped::new(map, length)));
        Self { content, length, mapped, checked: AtomicBool::new(checked), lost: AtomicBool::new(false) }
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Marks the file as lost after a failed sync: its readers get an error from now on.
    pub(crate) fn lose(&self) {
        self.lost.store(true, Ordering::Relaxed);
    }

    /// True if both are the same file.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.content.file.id() == other.content.file.id()
    }

    /// True if the file is known to be unlinked or truncated. Does not block.
    pub(crate) fn is_changed(&self) -> bool {
        self.mapped.is_some() && !self.content.file.is_intact(self.length)
    }

    /// True if the file can be served again without opening its path. Does not block.
    pub(crate) fn is_intact(&self) -> bool {
        self.mapped.is_some() && self.content.file.is_intact(self.length)
    }
}

/// The bytes of a committed file, or of a partial file that still grows.
#[derive(Clone, Debug)]
pub struct Content {
    file: Arc<dyn File>,
    buffers: Buffers,
}

impl Content {
    pub(crate) fn new(file: Arc<dyn File>, buffers: &Buffers) -> Self {
        Self { file, buffers: buffers.clone() }
    }

    pub(crate) fn file(&self) -> &Arc<dyn File> {
        &self.file
    }

    /// Reads `length` bytes at `offset`. Bytes that the kernel has in memory are read at once, others on the blocking
    /// pool.
    ///
    /// # Errors
    /// Any error of the disk; `UnexpectedEof` if the file is shorter, which does not happen to a committed
    /// file.
    pub async fn read(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        self.read_into(self.buffers.of(length), offset).await
    }

    /// Reads a window at `offset`: at most `most` bytes, fewer while many readers hold windows.
    ///
    /// # Errors
    /// As [`Content::read`].
    pub async fn window(&self, offset: u64, most: u64) -> io::Result<Bytes> {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        self.read_into(self.buffers.window(most), offset).await
    }

    async fn read_into(&self, mut buffer: Buffer, offset: u64) -> io::Result<Bytes> {
        if self.file.read_cached(offset, &mut buffer) {
            return Ok(buffer.freeze());
        }
        let file = self.file.clone();
        off_worker(move || match file.read_at(offset, &mut buffer)? {
            read if read == buffer.len() => Ok(buffer.freeze()),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        })
        .await
    }
}
