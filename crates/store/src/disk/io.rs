//! Every call to the file system, behind traits so that tests can inject faults.

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
    /// Creates a folder and its parents, accessible to this user only. A folder that exists is no error.
    fn make_dir(&self, path: &Path) -> io::Result<()>;
    /// Opens a file for reading; does not follow a symbolic link.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>>;
    /// Opens a file for reading and writing, and creates it if missing; does not follow a symbolic link.
    fn open_partial(&self, path: &Path) -> io::Result<Arc<dyn File>>;
    /// Renames a file and replaces the file at `to`; readers that have the replaced file open can still read it.
    fn replace(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file. A file that does not exist is no error.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a folder durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Names, sizes and times of the files and folders in a folder; an empty list when the folder does not exist.
    fn list(&self, path: &Path) -> io::Result<Vec<Entry>>;
    /// Names in a folder, without a stat of each; an empty list when the folder does not exist.
    fn names(&self, path: &Path) -> io::Result<Vec<String>>;
    /// Records the time of the last use in the file's timestamps.
    fn note_use(&self, path: &Path, at: SystemTime) -> io::Result<()>;
    /// The size and free space of the file system that contains the folder.
    fn space(&self, path: &Path) -> io::Result<Space>;
}

/// The size of a file system, and its free space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Space {
    /// Bytes of the file system.
    pub(crate) bytes: u64,
    /// Bytes that this user may still write.
    pub(crate) free_bytes: u64,
    /// Number of files (inodes) that the file system can hold; 0 if it has no such limit.
    pub(crate) files: u64,
    /// Number of files (inodes) that are still free.
    pub(crate) free_files: u64,
}

/// The identity of a file. An inode number alone is not enough: the file system reuses it after the last reader has
/// closed the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FileId {
    /// Device of the file system, major and minor number.
    pub device: (u32, u32),
    /// Inode number.
    pub inode: u64,
    /// The creation time of the file, seconds and nanoseconds; zero if the file system does not keep it.
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
    /// Runs `work`, which loads mapped bytes of the file into memory. A disk that measures its reads measures this,
    /// too.
    fn bring_in(&self, work: &mut dyn FnMut() -> io::Result<()>) -> io::Result<()> {
        work()
    }
    /// Maps a file whose content does not change any more.
    ///
    /// # Errors
    /// `Unsupported` if the file cannot be mapped; it is then read by position.
    fn map(&self, _length: u64) -> io::Result<FileMap> {
        Err(io::ErrorKind::Unsupported.into())
    }
    /// True if the file is still linked and has `length` bytes. Called for mapped files only, where it does not block.
    fn is_intact(&self, _length: u64) -> bool {
        false
    }
    /// The file's identity, which does not depend on its path. Does not block.
    fn id(&self) -> Option<FileId>;
    /// True if the file is the one at `path`.
    fn is_at(&self, path: &Path) -> bool;
    /// Writes all of `bytes` at `offset`.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Allocates disk space up to `length` without changing the size, if the file system supports it.
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
    /// The name. Names that are not UTF-8 are left out: the store does not create any.
    pub(crate) name: String,
    /// Size of a file in bytes; `None` for a folder.
    pub(crate) size: Option<u64>,
    /// The time of the last write, or the time that [`Disk::note_use`] set.
    pub(crate) modified: SystemTime,
}
