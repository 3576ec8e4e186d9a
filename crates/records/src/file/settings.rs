//! The place of the record file and the bounds of its contents.

use std::path::PathBuf;
use std::time::Duration;

/// The settings of a record file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The path of the file. SQLite creates `-wal`, `-shm` or `-journal` beside it, and this crate a `.lock`.
    pub file: PathBuf,
    /// Records that began longer ago are removed.
    pub max_age: Duration,
    /// Oldest records are removed while the file holds more bytes than this.
    pub max_size: u64,
    /// Maximum number of records and verdicts that wait to be written; further ones are lost and counted.
    pub queue: usize,
    /// True if the rollback journal is used even where a write-ahead log could be used. For network file systems.
    pub rollback_journal: bool,
    /// The time for which a write waits for another process that holds the database.
    pub busy_timeout: Duration,
    /// The time for which dropping the recorder may wait for the queue to be written.
    pub flush_timeout: Duration,
}

impl Settings {
    /// The default settings of this file: 30 days, 1 GiB, a queue of 1024.
    pub fn new(file: impl Into<PathBuf>) -> Self {
        Self {
            file: file.into(),
            max_age: Duration::from_secs(30 * 24 * 60 * 60),
            max_size: 1 << 30,
            queue: 1024,
            rollback_journal: false,
            busy_timeout: Duration::from_secs(2),
            flush_timeout: Duration::from_secs(5),
        }
    }
}
