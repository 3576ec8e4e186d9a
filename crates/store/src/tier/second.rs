//! The trait of a second tier: a larger, slower store for content, such as an object store shared by several instances.
//!
//! Only [`crate::Store::recall`] asks the second tier. The repository must have the link to the digest (design decision
//! 8), and the local disk must not have the content. The tier's bytes are hashed like any transfer and never trusted: a
//! tier may lose content or hold wrong bytes.

use std::fmt;
use std::io;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use oci::Digest;

/// A place for content below the local disk.
pub trait SecondTier: fmt::Debug + Send + Sync + 'static {
    /// Opens the content of `digest`; `None` when the tier does not have it.
    ///
    /// # Errors
    /// Any error of the tier. The caller treats it as a miss.
    fn open<'a>(&'a self, digest: &'a Digest) -> BoxFuture<'a, io::Result<Option<Recalled>>>;
}

/// Content that a second tier has. Its bytes are unverified.
pub struct Recalled {
    /// Size of the content that the tier reports, bytes.
    pub length: u64,
    /// The bytes, in order.
    pub bytes: BoxStream<'static, io::Result<Bytes>>,
}

/// No second tier: every digest is a miss.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTier;

impl SecondTier for NoTier {
    fn open<'a>(&'a self, _digest: &'a Digest) -> BoxFuture<'a, io::Result<Option<Recalled>>> {
        Box::pin(std::future::ready(Ok(None)))
    }
}

impl fmt::Debug for Recalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recalled").field("length", &self.length).finish_non_exhaustive()
    }
}
