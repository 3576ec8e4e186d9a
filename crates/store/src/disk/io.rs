//! Every call to the file system, behind traits where tests put faults.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use filemap::FileMap;

/// The file calls of the store. All of them block.
pub(crate) trait Disk: fmt::Debug + Send + Sync {
    /// May files that are open be written on?
    fn may_write(&self) -> io::Result<()> {
        Ok(())
    }
    /// Makes a folder and those above it, for this user alone; one that exists is fine.
    fn make_dir(&self, path: &Path) -> io::Result<()>;
    /// Opens a file to read, following no link.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>>;
    /// Opens a file to read and write, made if missing, following no link.
    fn open_partial(&self, path: &Path) -> io::Result<Arc<dyn File>>;
    /// Renames, replacing what was there; who has that open reads on.
    fn replace(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file; one that is not there is fine.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a folder durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Names and sizes in a folder, `size` being `None` for folders; nothing when it is not there.
    fn list(&self, path: &Path) -> io::Result<Vec<Entry>>;
    /// Names in a folder, without a look at each; nothing when it is not there.
    fn names(&self, path: &Path) -> io::Result<Vec<String>>;
    /// Notes in the file's own times when it was last used.
    fn note_use(&self, path: &Path, at: SystemTime) -> io::Result<()>;
    /// The file system the folder is on.
    fn space(&self, path: &Path) -> io::Result<Space>;
}

/// What a file system has, and what is left of it for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Space {
    /// Bytes of the file system.
    pub(crate) bytes: u64,
    /// Bytes we may still write.
    pub(crate) free_bytes: u64,
    /// Files it can hold; 0 where it has no such limit.
    pub(crate) files: u64,
    /// Files it can still take.
    pub(crate) free_files: u64,
}

/// An open file, read and written by position.
pub(crate) trait File: fmt::Debug + Send + Sync {
    /// Reads at `offset`; fewer bytes than the buffer takes only at the end.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
    /// Fills the buffer from memory, without waiting for the disk: `false`, and an undefined buffer, if that cannot be.
    fn read_cached(&self, _offset: u64, _buffer: &mut [u8]) -> bool {
        false
    }
    /// Maps a file that will not change any more.
    ///
    /// # Errors
    /// `Unsupported` where that is no good; the file is then read by position.
    fn map(&self, _length: u64) -> io::Result<FileMap> {
        Err(io::ErrorKind::Unsupported.into())
    }
    /// Has it still a name, and `length` bytes? Asked of mapped files only, where the answer needs no waiting.
    fn is_intact(&self, _length: u64) -> bool {
        false
    }
    /// Which file it is, whatever its name: device and inode number. Does not block.
    fn id(&self) -> Option<(u64, u64)>;
    /// Is it what `path` names?
    fn is_at(&self, path: &Path) -> bool;
    /// Writes all of `bytes` at `offset`.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Sets aside space up to `length` without changing the size, where the file system can.
    fn reserve(&self, length: u64) -> io::Result<()>;
    /// Cuts the file to `length`.
    fn truncate(&self, length: u64) -> io::Result<()>;
    /// Makes the data durable (fdatasync). After a failure the file must not be trusted: Linux may drop its pages.
    fn sync_data(&self) -> io::Result<()>;
    /// Its size, bytes.
    fn size(&self) -> io::Result<u64>;
}

/// A name in a folder.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// The name, if it is text; the store makes no other.
    pub(crate) name: String,
    /// Bytes, `None` for a folder.
    pub(crate) size: Option<u64>,
    /// When it was written, or used as far as [`Disk::note_use`] was told.
    pub(crate) modified: SystemTime,
}
