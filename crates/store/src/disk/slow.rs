//! The report of a slow disk operation: the operation, and the time it took.

use std::time::Duration;

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

/// Time after which an operation is slow: the class of a request that waited for it is `disk_slow`.
pub const SLOW: Duration = Duration::from_secs(1);
