//! Every call to the file system, behind a trait where tests put faults.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, DirBuilder, OpenOptions, TryLockError};
use std::io::{self, IoSliceMut, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use filemap::FileMap;
use rustix::fs::FallocateFlags;
use rustix::io::{Errno, ReadWriteFlags, preadv2};

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
pub struct Space {
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

/// Who has a lock file.
#[derive(Debug)]
pub(crate) enum Lock {
    /// We do, until this is dropped.
    Ours(fs::File),
    /// Another process, as it names itself.
    Theirs(String),
}

/// Tries for the lock at `path`, leaving `holder` in it for others to read.
pub(crate) fn try_lock(path: &Path, holder: &str) -> io::Result<Lock> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .custom_flags(NO_FOLLOW)
        .open(path)?;
    match file.try_lock() {
        // Somebody removed it meanwhile.
        Ok(()) if !is_at(&file, path) => try_lock(path, holder),
        Ok(()) => {
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(holder.as_bytes())?;
            Ok(Lock::Ours(file))
        }
        Err(TryLockError::WouldBlock) => {
            let mut theirs = String::new();
            file.take(HOLDER_MAX).read_to_string(&mut theirs)?;
            Ok(Lock::Theirs(if theirs.is_empty() { "another instance".to_owned() } else { theirs }))
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Is `file` what `path` names? If that cannot be told, nothing says that it is not.
pub(crate) fn is_at(file: &fs::File, path: &Path) -> bool {
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
        (_, Err(error)) => error.kind() != io::ErrorKind::NotFound,
        (Err(_), _) => true,
    }
}

/// How this process names itself in a lock file.
pub(crate) fn holder() -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("process {} on {}", std::process::id(), host.trim())
}

/// What tells one start of this machine from the next, where the system says (Linux, `random(4)`).
pub(crate) fn boot_id() -> Option<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned()).filter(|id| !id.is_empty())
}

/// The disk of this machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LocalDisk;

impl Disk for LocalDisk {
    fn make_dir(&self, path: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(OpenOptions::new().read(true).custom_flags(NO_FOLLOW).open(path)?))
    }

    fn open_partial(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        Ok(Arc::new(options.mode(FILE_MODE).custom_flags(NO_FOLLOW).open(path)?))
    }

    fn replace(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        fs::File::open(path)?.sync_all()
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let entries = match fs::read_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut list = Vec::new();
        for entry in entries {
            let entry = entry?;
            let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
            match entry.metadata() {
                Ok(data) => list.push(Entry {
                    name,
                    size: data.is_file().then_some(data.len()),
                    modified: data.modified().unwrap_or(SystemTime::UNIX_EPOCH),
                }),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(list)
    }

    fn names(&self, path: &Path) -> io::Result<Vec<String>> {
        match fs::read_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            entries => {
                entries?.filter_map(|entry| Some(Ok(entry.ok()?.file_name().to_str()?.to_owned()))).collect()
            }
        }
    }

    fn note_use(&self, path: &Path, at: SystemTime) -> io::Result<()> {
        OpenOptions::new().read(true).custom_flags(NO_FOLLOW).open(path)?.set_modified(at)
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        let found = rustix::fs::statvfs(path)?;
        Ok(Space {
            bytes: found.f_blocks.saturating_mul(found.f_frsize),
            free_bytes: found.f_bavail.saturating_mul(found.f_frsize),
            files: found.f_files,
            free_files: found.f_favail,
        })
    }
}

impl File for fs::File {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match FileExt::read_at(self, &mut buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn read_cached(&self, offset: u64, buffer: &mut [u8]) -> bool {
        let wanted = buffer.len();
        let read = preadv2(self, &mut [IoSliceMut::new(buffer)], offset, ReadWriteFlags::NOWAIT);
        read.is_ok_and(|read| read == wanted)
    }

    fn map(&self, length: u64) -> io::Result<FileMap> {
        if is_remote(rustix::fs::fstatfs(self)?.f_type) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        FileMap::new(self, length)
    }

    fn is_intact(&self, length: u64) -> bool {
        rustix::fs::fstat(self).is_ok_and(|stat| stat.st_nlink > 0 && stat.st_size as u64 == length)
    }

    fn id(&self) -> Option<(u64, u64)> {
        let stat = rustix::fs::fstat(self).ok()?;
        Some((stat.st_dev, stat.st_ino))
    }

    fn is_at(&self, path: &Path) -> bool {
        is_at(self, path)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn reserve(&self, length: u64) -> io::Result<()> {
        if length == 0 {
            return Ok(());
        }
        match rustix::fs::fallocate(self, FallocateFlags::KEEP_SIZE, 0, length) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(()),
            done => done.map_err(io::Error::from),
        }
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        Self::sync_data(self)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}

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

/// Does `error` say that the content is rotten, which another try will not change? All others are trouble of this process
/// or machine (no descriptors, no memory, no permission): the content may be right.
pub(crate) fn is_rot(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::UnexpectedEof
        || matches!(Errno::from_io_error(error), Some(Errno::IO | Errno::BADMSG | Errno::UCLEAN))
}

/// File systems whose files another machine or process may cut, or whose pages wait for one.
fn is_remote(kind: rustix::fs::FsWord) -> bool {
    REMOTE.contains(&(kind as u32))
}

/// The folder a path of the layout lies in.
pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| *parent != OsStr::new("")).unwrap_or(Path::new("."))
}

/// Files are for this user alone.
const FILE_MODE: u32 = 0o600;
/// No file of ours is a link; one that is was put there by somebody else.
const NO_FOLLOW: i32 = rustix::fs::OFlags::NOFOLLOW.bits() as i32;
/// Linux, `magic.h`: NFS, SMB, CIFS, SMB2, FUSE, Ceph, 9p, AFS, Lustre.
const REMOTE: [u32; 9] = [
    0x6969,
    0x517b,
    0xff53_4d42,
    0xfe53_4d42,
    0x6573_5546,
    0x00c3_6400,
    0x0102_1997,
    0x5346_414f,
    0x0bd0_0bd0,
];
/// Longest holder's name read from a lock file, bytes.
const HOLDER_MAX: u64 = 200;
