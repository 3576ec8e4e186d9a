//! Committed content, open for reading.

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::disk::File;
use super::index::Lease;

/// An open committed file. Clones share the descriptor; reading goes on after the file is removed.
///
/// While one is held, its content is not evicted: who remembers files must remember their [`Content`] alone.
#[derive(Clone, Debug)]
pub struct Blob {
    content: Content,
    length: u64,
    #[allow(dead_code, reason = "held so that the content is not evicted")]
    lease: Lease,
}

impl Blob {
    pub(super) fn new(content: Content, length: u64, lease: Lease) -> Self {
        Self { content, length, lease }
    }

    /// Its size, bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Its bytes, to read by position.
    pub fn content(&self) -> &Content {
        &self.content
    }
}

/// Bytes of a file that is committed or grows.
#[derive(Clone, Debug)]
pub struct Content(Arc<dyn File>);

impl Content {
    pub(super) fn new(file: Arc<dyn File>) -> Self {
        Self(file)
    }

    /// Reads `length` bytes at `offset`: at once what the kernel has in memory, off the workers what it must fetch.
    ///
    /// # Errors
    /// The disk's; `UnexpectedEof` when the file is shorter, which committed files never are.
    pub async fn read(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        let mut buffer = BytesMut::zeroed(length);
        if self.0.read_cached(offset, &mut buffer) {
            return Ok(buffer.freeze());
        }
        let file = self.0.clone();
        off_worker(move || match file.read_at(offset, &mut buffer)? {
            read if read == length => Ok(buffer.freeze()),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        })
        .await
    }
}

/// Runs file work where it may block.
pub(super) async fn off_worker<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}
