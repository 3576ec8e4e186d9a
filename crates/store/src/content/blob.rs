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

/// An open committed file. Clones share it; reading goes on after the file is removed.
///
/// While one is held, its content is not evicted: who remembers files must remember [`Committed`] alone.
#[derive(Clone, Debug)]
pub struct Blob {
    file: Arc<Committed>,
    #[allow(dead_code, reason = "held so that the content is not evicted")]
    lease: Lease,
}

/// Who touches the bytes of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touch {
    /// The kernel alone, on their way to a plain socket: windows may be pages of the file itself.
    Kernel,
    /// This process, to encrypt or to hash: windows are copies.
    Process,
}

impl Blob {
    pub(crate) fn new(file: Arc<Committed>, lease: Lease) -> Self {
        Self { file, lease }
    }

    /// Its size, bytes.
    pub fn length(&self) -> u64 {
        self.file.length
    }

    /// Its bytes, to read by position.
    pub fn content(&self) -> &Content {
        &self.file.content
    }

    /// Was it hashed since the machine started?
    pub(crate) fn is_checked(&self) -> bool {
        self.file.checked.load(Ordering::Relaxed)
    }

    /// It was hashed just now.
    pub(crate) fn believe(&self) {
        self.file.checked.store(true, Ordering::Relaxed);
    }

    /// The next window from `start`, which must lie before `end`; both within the blob.
    ///
    /// # Errors
    /// The disk's; `UnexpectedEof` when the file was cut.
    pub async fn window(&self, start: u64, end: u64, touch: Touch) -> io::Result<Bytes> {
        match (&self.file.mapped, touch) {
            (Some(mapped), Touch::Kernel) => mapped.window(&self.file.content.file, start, end).await,
            _ => self.file.content.window(start, end - start).await,
        }
    }
}

/// A file whose content will not change.
#[derive(Debug)]
pub(crate) struct Committed {
    content: Content,
    length: u64,
    mapped: Option<Arc<Mapped>>,
    /// Was it hashed since the machine started?
    checked: AtomicBool,
}

impl Committed {
    /// A file with its size, and whether it was hashed since the machine started. It is mapped if that is any good; may
    /// block.
    pub(crate) fn new(content: Content, length: u64, checked: bool) -> Self {
        let mapped = content.file.map(length).ok().map(|map| Arc::new(Mapped::new(map, length)));
        Self { content, length, mapped, checked: AtomicBool::new(checked) }
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Can it be served again without a look at its path? Does not block.
    pub(crate) fn is_intact(&self) -> bool {
        self.mapped.is_some() && self.content.file.is_intact(self.length)
    }
}

/// Bytes of a file that is committed or grows.
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

    /// Reads `length` bytes at `offset`: at once what the kernel has in memory, off the workers what it must fetch.
    ///
    /// # Errors
    /// The disk's; `UnexpectedEof` when the file is shorter, which committed files never are.
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
