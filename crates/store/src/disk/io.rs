//! Every call to the file system, behind traits where tests put faults.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use filemap::FileMap;

/// The file calls of a store. All of them block.
pub(crate) trait Disk: fmt::Debug + Send + Sync {
    /// Succeeds if open files may be written.
    fn may_write(&self) -> io::Result<()> {
        Ok(())
    }
    /// Makes a folder, and the folders above it, for this user alone. A folder that exists is no error.
    fn make_dir(&self, path: &Path) -> io::Result<()>;
    /// Opens a file to read, following no link.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>>;
    /// Opens a file to read and write, made if missing, following no link.
    fn open_partial(&self, path: &Path) -> io::Result<Arc<dyn File>>;
    /// Renames a file and replaces the one at `to`; readers that have that one open read on.
    fn replace(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file. A file that does not exist is no error.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a folder durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Names, sizes and times of the files and folders in a folder; an empty list when the folder does not exist.
    fn list(&self, path: &Path) -> io::Result<Vec<Entry>>;
    /// Names in a folder, without a look at each; an empty list when the folder does not exist.
    fn names(&self, path: &Path) -> io::Result<Vec<String>>;
    /// Writes the time of the last use into the file's own times.
    fn note_use(&self, path: &Path, at: SystemTime) -> io::Result<()>;
    /// The space of the file system that the folder is on.
    fn space(&self, path: &Path) -> io::Result<Space>;
}

/// The size of a file system, and its free space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Space {
    /// Bytes of the file system.
    pub(crate) bytes: u64,
    /// Bytes that this user may still write.
    pub(crate) free_bytes: u64,
    /// Files that it can hold; 0 where it has no such limit.
    pub(crate) files: u64,
    /// Files that it can still take.
    pub(crate) free_files: u64,
}

/// The identity of a file with its content. An inode number alone is none: a file system gives it to the next file once
/// the last reader has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FileId {
    /// Device of the file system, major and minor number.
    pub device: (u32, u32),
    /// Inode number.
    pub inode: u64,
    /// The time at which the file was made, seconds and nanoseconds; zero where the file system keeps none.
    pub born: (i64, u32),
}

/// An open file, read and written by position.
pub(crate) trait File: fmt::Debug + Send + Sync {
    /// Reads at `offset`. The result is smaller than the buffer only at the end of the file.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
    /// Fills the buffer from memory, without waiting for the disk. `false` if that is not possible; the buffer is then
    /// undefined.
    fn read_cached(&self, _offset: u64, _buffer: &mut [u8]) -> bool {
        false
    }
    /// Runs `work`, which brings mapped bytes of the file into memory: a disk that measures its reads measures it, too.
    fn bring_in(&self, work: &mut dyn FnMut() -> io::Result<()>) -> io::Result<()> {
        work()
    }
    /// Maps a file whose content does not change any more.
    ///
    /// # Errors
    /// `Unsupported` where mapping does not work; the file is then read by position.
    fn map(&self, _length: u64) -> io::Result<FileMap> {
        Err(io::ErrorKind::Unsupported.into())
    }
    /// True if the file still has a name and `length` bytes. Asked of mapped files only, where the answer does not
    /// block.
    fn is_intact(&self, _length: u64) -> bool {
        false
    }
    /// The file's identity, whatever its name. Does not block.
    fn id(&self) -> Option<FileId>;
    /// True if the file is the one at `path`.
    fn is_at(&self, path: &Path) -> bool;
    /// Writes all of `bytes` at `offset`.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Sets aside space up to `length` without changing the size, where the file system supports it.
    fn reserve(&self, length: u64) -> io::Result<()>;
    /// Cuts the file to `length`.
    fn truncate(&self, length: u64) -> io::Result<()>;
    /// Makes the data durable (fdatasync). After a failure the file must not be trusted: Linux may drop its pages.
    fn sync_data(&self) -> io::Result<()>;
    /// Size of the file, bytes.
    fn size(&self) -> io::Result<u64>;
}

/// An entry of a folder.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// The name. Names that are not text are left out: the store makes none.
    pub(crate) name: String,
    /// Size of a file in bytes; `None` for a folder.
    pub(crate) size: Option<u64>,
    /// The time at which the file was written, or the time that [`Disk::note_use`] was given.
    pub(crate) modified: SystemTime,
}
