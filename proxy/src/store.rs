//! The disk: content by digest, permission by link, tags as small records.
//!
//! Files are the truth (design decision 2). Content is committed once and never changed; records are one line of
//! JSON each, replaced whole. Whatever cannot be read is absent: a wiped or broken folder is a cold cache.
//!
//! ```text
//! lock                          held by one instance; names its holder
//! v1/blobs/<alg>/ab/<hex>       raw bytes that hash to their name
//! v1/partial/<alg>-<hex>        a fill under way or paused, with its checkpoint `.map`
//! v1/links/<scope>/ab/<digest>  a repository may see a digest (names of scopes are hashed)
//! v1/tags/<repository>/<tag>    what a tag meant when last asked (names are hashed)
//! v1/tmp/                       records and small content on their way; emptied at start
//! ```

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use registry::{Digest, Verified};

use crate::watch::Watch;

mod blob;
mod link;
mod tag;

pub use blob::Blob;
pub use link::{Kind, Link, Links, Scope};
pub use tag::{TagRecord, Tags};

/// Content and records on one disk. Clones share it.
#[derive(Clone, Debug)]
pub struct Store {}

/// Where and how much to store.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// The cache folder; created with mode 0700 when missing.
    pub dir: PathBuf,
    /// Budget for content, bytes.
    pub max_size: u64,
    /// How long to wait for another instance to let go of the folder.
    pub lock_wait: Duration,
}

/// The store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another instance holds the folder.
    #[error("cache folder {dir} is held by {holder}; give this instance its own folder, or a lock_wait")]
    Locked {
        /// The folder.
        dir: PathBuf,
        /// What the holder wrote into the lock file (process id and host).
        holder: String,
    },
    /// The folder cannot be created or written.
    #[error("cache folder {dir}: {source}; give a folder this user may write")]
    Folder {
        /// The folder.
        dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// What the store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Committed objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Has the scan at start seen all of them?
    pub complete: bool,
}

impl Store {
    /// Takes the folder's lock, waiting up to `lock_wait`, and begins to index what is there in the background.
    ///
    /// # Errors
    /// [`OpenError::Locked`] when the wait is over, [`OpenError::Folder`] when the folder cannot be used.
    pub async fn open(_config: StoreConfig, _watch: Arc<dyn Watch>) -> Result<Self, OpenError> {
        unimplemented!()
    }

    /// Opens committed content; `None` when it is not there.
    ///
    /// # Errors
    /// The disk's, already told to the watch. Treat them as a miss.
    pub async fn blob(&self, _digest: &Digest) -> io::Result<Option<Blob>> {
        unimplemented!()
    }

    /// Content of at most 4 MiB, from memory if it was asked for lately. Unreadable is `None`.
    pub async fn read_small(&self, _digest: &Digest) -> Option<Bytes> {
        unimplemented!()
    }

    /// Commits small content that was verified; in memory it is kept even if the disk fails.
    ///
    /// # Errors
    /// The disk's, already told to the watch.
    pub async fn put(&self, _kind: Kind, _bytes: Bytes, _verified: &Verified) -> io::Result<()> {
        unimplemented!()
    }

    /// Which scope may see which digest.
    pub fn links(&self) -> &Links {
        unimplemented!()
    }

    /// What tags meant when last asked.
    pub fn tags(&self) -> &Tags {
        unimplemented!()
    }

    /// What it holds.
    pub fn usage(&self) -> Usage {
        unimplemented!()
    }
}
