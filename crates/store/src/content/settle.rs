//! The commit of a file: sync its data, rename it into place, sync its folders (design decision 4).

use std::io;
use std::path::Path;

use oci::Verified;

use crate::disk::files::parent;
use crate::disk::io::{Disk, File};

/// The reason why pieces could not be written or committed.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// A write failed; bytes that were written before are kept.
    #[error("writing: {0}")]
    Write(io::Error),
    /// A sync failed; bytes that were written before may be lost.
    #[error("syncing: {0}")]
    Sync(io::Error),
}

impl AppendError {
    /// The disk's error.
    pub(crate) fn into_disk(self) -> io::Error {
        match self {
            Self::Write(error) | Self::Sync(error) => error,
        }
    }
}

/// Commits `file`, whose path is `from`, as `to`.
pub(crate) fn settle(
    disk: &dyn Disk,
    file: &dyn File,
    from: &Path,
    to: &Path,
    verified: &Verified,
) -> Result<(), AppendError> {
    file.sync_data().map_err(AppendError::Sync)?;
    publish(disk, file, from, to, verified).map_err(AppendError::Write)
}

fn publish(disk: &dyn Disk, file: &dyn File, from: &Path, to: &Path, verified: &Verified) -> io::Result<()> {
    if file.size()? != verified.length() {
        return Err(io::Error::other("the file is not as long as what was verified"));
    }
    if !file.is_at(from) {
        return Err(io::Error::new(io::ErrorKind::NotFound, "somebody removed the file while it was filled"));
    }
    let shard = parent(to);
    disk.make_dir(shard)?;
    // A file that is already at `to` is replaced: either it could not be opened, or its content is wrong and it could
    // not be removed. The new file is verified.
    disk.replace(from, to)?;
    disk.sync_dir(shard)?;
    disk.sync_dir(parent(shard))
}
