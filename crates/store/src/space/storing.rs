//! The types of a store that cannot store; pulls pass through while it cannot.

use std::io;
use std::time::SystemTime;

use rustix::io::Errno;

oci::labels! {
    /// The reason why content cannot be stored.
    StopReason {
        /// The file system has too few free bytes, and eviction cannot free enough.
        Full = "full";
        /// The file system has too few free inodes.
        NoInodes = "no_inodes";
        /// This process or the machine has no file descriptors left.
        NoOpenFiles = "no_open_files";
        /// The file system is read-only.
        ReadOnly = "read_only";
        /// This user may not write the cache folder.
        NoPermission = "no_permission";
        /// Content that is in use or pinned takes the whole budget.
        InUse = "in_use";
        /// The disk fails.
        DiskFailed = "disk_failed";
        /// The lock of the cache folder is lost.
        FolderLost = "folder_lost";
    }
}

/// The state of a store that cannot store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// The reason.
    pub reason: StopReason,
    /// The reason as text, with its evidence.
    pub detail: String,
    /// The time at which this reason began.
    pub since: SystemTime,
}

impl StopReason {
    /// The reason that `error` gives to stop storing; `None` if the error may concern only one file.
    pub(crate) fn of(error: &io::Error) -> Option<Self> {
        match Errno::from_io_error(error) {
            Some(Errno::MFILE | Errno::NFILE) => Some(Self::NoOpenFiles),
            Some(Errno::ACCESS | Errno::PERM) => Some(Self::NoPermission),
            _ => match error.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Some(Self::Full),
                io::ErrorKind::ReadOnlyFilesystem => Some(Self::ReadOnly),
                _ => None,
            },
        }
    }
}
