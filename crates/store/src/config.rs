//! The configuration of a store, and the reasons why it may not open.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use oci::ImageName;

/// The folder of a store, its budget and its pinned images.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// The cache folder; created with mode 0700 when missing.
    pub dir: PathBuf,
    /// Budget for content, bytes. `None`: 80 % of the file system.
    pub max_size: Option<u64>,
    /// Pinned images. The content that their tags name now is never evicted.
    pub pinned: Vec<ImageName>,
    /// Time to wait for another instance to release the folder.
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
        /// The text that the holder left in the lock file (process id and host).
        holder: String,
    },
    /// The folder cannot be created or written.
    #[error("cache folder {dir}: {source}; give a folder this user may write")]
    Folder {
        /// The folder.
        dir: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}
