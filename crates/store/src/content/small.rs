//! The commit of small content: it is written to a temporary file, synced, and renamed into place.

use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use oci::Verified;

use super::settle::{AppendError, settle};
use crate::disk::io::File;
use crate::records::folder::Folder;
use crate::records::scope::Kind;
use crate::space::index::Index;

/// Commits `bytes` as a `kind`, unless the same content is stored and was hashed since the machine started. Blocks.
///
/// # Errors
/// Any error of the disk; nothing of the content is left then.
pub(crate) fn commit(
    folder: &Folder,
    index: &Index,
    kind: Kind,
    bytes: &Bytes,
    verified: &Verified,
) -> Result<(), AppendError> {
    let (digest, size) = (verified.digest(), verified.length());
    let target = folder.layout.blob(digest);
    let present = || folder.disk.open(&target).and_then(|file| file.size());
    if index.is_checked(digest) && present().is_ok_and(|present| present == size) {
        return Ok(());
    }
    let temporary = folder.layout.temporary();
    let written = write(folder, &temporary, bytes).map_err(AppendError::Write);
    let settled = written.and_then(|file| settle(&*folder.disk, &*file, &temporary, &target, verified));
    settled.inspect_err(|_| drop(folder.disk.remove(&temporary)))?;
    index.add(digest, kind, size);
    folder.boot.note(digest);
    folder.events.committed(kind, size);
    index.tell(&*folder.events);
    Ok(())
}

fn write(folder: &Folder, path: &Path, bytes: &Bytes) -> io::Result<Arc<dyn File>> {
    let file = folder.open_new(path)?;
    file.write_at(0, bytes)?;
    Ok(file)
}
