//! Small files: they are read whole, and written whole to a temporary file that is renamed into place.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::io::{Disk, File};

/// Reads a small file whole; one that is longer than `limit` is an error.
pub(crate) fn read_whole(disk: &dyn Disk, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = disk.open(path)?;
    let size = file.size()?;
    if size > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "longer than such files are"));
    }
    let mut bytes = vec![0; size as usize];
    let read = file.read_at(0, &mut bytes)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// The folder that contains a path of the layout.
pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| *parent != OsStr::new("")).unwrap_or(Path::new("."))
}

pub(crate) fn open_new(disk: &dyn Disk, path: &Path) -> io::Result<Arc<dyn File>> {
    match disk.open_partial(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            disk.make_dir(parent(path))?;
            disk.open_partial(path)
        }
        opened => opened,
    }
}

/// Writes `line` to `temporary` and renames that file to `path`. Creates the folder of `path` if it is missing.
pub(crate) fn write_record(disk: &dyn Disk, temporary: &Path, path: &Path, line: &[u8]) -> io::Result<()> {
    let written = (|| {
        open_new(disk, temporary)?.write_at(0, line)?;
        match disk.replace(temporary, path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                disk.make_dir(parent(path))?;
                disk.replace(temporary, path)
            }
            done => done,
        }
    })();
    if written.is_err() {
        let _ = disk.remove(temporary);
    }
    written
}
