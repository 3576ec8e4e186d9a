//! The words of a store that cannot store: pulls pass through it meanwhile.

use std::io;
use std::time::SystemTime;

use rustix::io::Errno;

oci::labels! {
    /// The reason why content cannot be stored.
    StopReason {
        /// The file system has too few bytes left, and nothing that could leave would make enough room.
        Full = "full";
        /// The file system can take too few files more.
        NoInodes = "no_inodes";
        /// This process, or the machine, may open no more files.
        NoOpenFiles = "no_open_files";
        /// The file system is read-only.
        ReadOnly = "read_only";
        /// This user may not write the cache folder.
        NoPermission = "no_permission";
        /// The budget is taken by content that is in use or pinned.
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
    /// The same for people, with its evidence.
    pub detail: String,
    /// The time at which this reason began.
    pub since: SystemTime,
}

impl StopReason {
    /// The reason that `error` is for storing nothing at all; `None` if it may concern one file alone.
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
