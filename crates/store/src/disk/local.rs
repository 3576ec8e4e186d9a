//! The file system of this machine.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, IoSliceMut};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use filemap::FileMap;
use rustix::fs::{AtFlags, FallocateFlags, StatxFlags, statx};
use rustix::io::{Errno, ReadWriteFlags, preadv2};

use super::io::{Disk, Entry, File, FileId, Space};

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

    fn id(&self) -> Option<FileId> {
        // The time of the last write is not part of the identity: `note_use` changes it.
        let wanted = StatxFlags::INO | StatxFlags::BTIME;
        let stat = statx(self, "", AtFlags::EMPTY_PATH, wanted).ok()?;
        let device = (stat.stx_dev_major, stat.stx_dev_minor);
        let born = (stat.stx_btime.tv_sec, stat.stx_btime.tv_nsec);
        Some(FileId { device, inode: stat.stx_ino, born })
    }

    fn is_at(&self, path: &Path) -> bool {
        match (self.metadata(), fs::symlink_metadata(path)) {
            (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
            (_, Err(error)) => error.kind() != io::ErrorKind::NotFound,
            (Err(_), _) => true,
        }
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

/// True for file systems on which another machine may truncate a file, or on which reading a page waits for another
/// machine or process.
fn is_remote(kind: rustix::fs::FsWord) -> bool {
    REMOTE.contains(&(kind as u32))
}

/// Mode of files: only this user may access them.
pub(crate) const FILE_MODE: u32 = 0o600;
/// Symbolic links are not followed: the store creates none, so another program made it.
pub(crate) const NO_FOLLOW: i32 = rustix::fs::OFlags::NOFOLLOW.bits() as i32;
/// The types of remote file systems (Linux, `magic.h`): NFS, SMB, CIFS, SMB2, FUSE, Ceph, 9p, AFS, Lustre.
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
