//! The report of a slow disk operation: the operation, and the time it took.

use std::fmt;
use std::time::{Duration, SystemTime};

oci::labels! {
    /// An operation of the store on its disk.
    Operation {
        /// A file is opened.
        Open = "open";
        /// Bytes of a file are read, or loaded into memory.
        Read = "read";
        /// Bytes of a file are written.
        Write = "write";
        /// Disk space is allocated for a file, or a file is truncated.
        Reserve = "reserve";
        /// The data of a file is made durable.
        Sync = "sync";
        /// A file is renamed into place.
        Rename = "rename";
        /// The names in a folder are made durable.
        SyncFolder = "sync_folder";
        /// A file is removed.
        Remove = "remove";
        /// The entries of a folder, or the space of the file system, are read.
        List = "list";
        /// A folder is created, or the timestamps of a file are written.
        Note = "note";
    }
}

/// An operation that took longer than [`SLOW`], or that has already run longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slow {
    /// The operation.
    pub operation: Operation,
    /// Time since it began.
    pub took: Duration,
    /// Whether the operation has ended. A slow operation is reported once while it runs, and once at its end.
    pub ended: bool,
}

/// A time in which operations of the disk were slow again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spell {
    /// The time at which the first slow operation was noticed.
    pub since: SystemTime,
    /// Slow operations that have ended.
    pub operations: u64,
    /// The operation that took longest.
    pub longest: Slow,
    /// The operation that was slow last, or runs longest now.
    pub last: Slow,
}

impl fmt::Display for Slow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.ended { "took" } else { "has taken" };
        let seconds = self.took.as_secs_f64();
        write!(f, "the operation `{}` of the cache's disk {state} {seconds:.1} s", self.operation)
    }
}

impl Spell {
    /// A spell that begins with `slow`.
    pub(crate) fn new(slow: &Slow) -> Self {
        Self { since: SystemTime::now(), operations: u64::from(slow.ended), longest: *slow, last: *slow }
    }

    /// Adds a report of a slow operation.
    pub(crate) fn add(&mut self, slow: &Slow) {
        self.operations += u64::from(slow.ended);
        self.last = *slow;
        if slow.took > self.longest.took {
            self.longest = *slow;
        }
    }
}

/// Time without a slow operation, or without a failure to store, after which the end of that trouble is reported. Trouble
/// that comes with every pull is reported once, not with every pull.
pub const CALM: Duration = Duration::from_secs(30);
/// Time after which an operation is slow: the class of a request that waited for it is `disk_slow`.
pub const SLOW: Duration = Duration::from_secs(1);
