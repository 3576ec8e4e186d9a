//! A disk whose n-th operation fails, for tests.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use rustix::process::{Signal, getpid, kill_process};

use super::disk::{Disk, Entry, File, LocalDisk, Space};
use super::{OpenError, Store, StoreConfig};
use crate::watch::Watch;

/// What a failing operation does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// Fails with this error number; later ones succeed.
    Once(i32),
    /// Fails with this error number, and so does every later one.
    Always(i32),
    /// So many reads fail with this error number, and nothing else does.
    Reads(i32),
    /// A write stores half of its bytes, then fails for want of space.
    ShortWrite,
    /// The process is killed on the spot (SIGKILL) instead; in the middle of a write.
    Kill,
}

/// Counts operations down to a fault.
#[derive(Clone, Debug)]
pub(crate) struct Trap(Arc<(AtomicI64, Mutex<Fault>, Mutex<Option<Space>>)>);

impl Trap {
    /// A trap that is not set.
    pub(crate) fn unset() -> Self {
        Self(Arc::new((AtomicI64::new(i64::MAX), Mutex::new(Fault::ShortWrite), Mutex::new(None))))
    }

    /// The operation after `operations` more fails.
    pub(crate) fn set(&self, operations: i64, fault: Fault) {
        *self.0.1.lock().unwrap() = fault;
        self.0.0.store(operations, Ordering::SeqCst);
    }

    /// From now on the file system says it has this much.
    pub(super) fn says(&self, space: Space) {
        *self.0.2.lock().unwrap() = Some(space);
    }

    /// Did it go off since it was set?
    pub(crate) fn went_off(&self) -> bool {
        self.0.0.load(Ordering::SeqCst) < 0
    }

    /// The fault of this operation, if it is to fail.
    fn step(&self) -> Option<Fault> {
        let fault = *self.0.1.lock().unwrap();
        if matches!(fault, Fault::Reads(_)) {
            return None;
        }
        let left = self.0.0.fetch_sub(1, Ordering::SeqCst);
        match fault {
            Fault::Always(_) => (left <= 0).then_some(fault),
            _ => (left == 0).then_some(fault),
        }
    }

    fn pass_read(&self) -> io::Result<()> {
        let fault = *self.0.1.lock().unwrap();
        match fault {
            Fault::Reads(errno) if self.0.0.fetch_sub(1, Ordering::SeqCst) > 0 => {
                Err(io::Error::from_raw_os_error(errno))
            }
            _ => self.pass(),
        }
    }

    fn pass(&self) -> io::Result<()> {
        match self.step() {
            None => Ok(()),
            Some(Fault::Once(errno) | Fault::Always(errno) | Fault::Reads(errno)) => {
                Err(io::Error::from_raw_os_error(errno))
            }
            Some(Fault::ShortWrite) => Err(full()),
            Some(Fault::Kill) => die(),
        }
    }
}

/// Opens a store on a disk with `trap`.
pub(crate) async fn open(
    trap: &Trap,
    config: StoreConfig,
    watch: Arc<dyn Watch>,
) -> Result<Store, OpenError> {
    Store::open_on(Arc::new(FaultyDisk(trap.clone())), config, watch).await
}

#[derive(Debug)]
struct FaultyDisk(Trap);

#[derive(Debug)]
struct FaultyFile(Arc<dyn File>, Trap);

impl Disk for FaultyDisk {
    fn make_dir(&self, path: &Path) -> io::Result<()> {
        self.0.pass()?;
        LocalDisk.make_dir(path)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        self.0.pass()?;
        Ok(Arc::new(FaultyFile(LocalDisk.open(path)?, self.0.clone())))
    }

    fn open_partial(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        self.0.pass()?;
        Ok(Arc::new(FaultyFile(LocalDisk.open_partial(path)?, self.0.clone())))
    }

    fn publish(&self, from: &Path, to: &Path) -> io::Result<bool> {
        self.0.pass()?;
        LocalDisk.publish(from, to)
    }

    fn replace(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.pass()?;
        LocalDisk.replace(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.pass()?;
        LocalDisk.remove(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.0.pass()?;
        LocalDisk.sync_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        self.0.pass()?;
        LocalDisk.list(path)
    }

    fn names(&self, path: &Path) -> io::Result<Vec<String>> {
        self.0.pass()?;
        LocalDisk.names(path)
    }

    fn note_use(&self, path: &Path, at: SystemTime) -> io::Result<()> {
        self.0.pass()?;
        LocalDisk.note_use(path, at)
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        self.0.pass()?;
        match *self.0.0.2.lock().unwrap() {
            Some(space) => Ok(space),
            None => LocalDisk.space(path),
        }
    }
}

impl File for FaultyFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.1.pass_read()?;
        self.0.read_at(offset, buffer)
    }

    fn is_at(&self, path: &Path) -> bool {
        self.0.is_at(path)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        match self.1.step() {
            None => self.0.write_at(offset, bytes),
            Some(Fault::ShortWrite) => {
                self.0.write_at(offset, &bytes[..bytes.len() / 2])?;
                Err(full())
            }
            Some(Fault::Kill) => {
                self.0.write_at(offset, &bytes[..bytes.len() / 2])?;
                die()
            }
            Some(Fault::Once(errno) | Fault::Always(errno) | Fault::Reads(errno)) => {
                Err(io::Error::from_raw_os_error(errno))
            }
        }
    }

    fn reserve(&self, length: u64) -> io::Result<()> {
        self.1.pass()?;
        self.0.reserve(length)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.1.pass()?;
        self.0.truncate(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.1.pass()?;
        self.0.sync_data()
    }

    fn size(&self) -> io::Result<u64> {
        self.1.pass()?;
        self.0.size()
    }
}

/// Ends this process as `kill -9` does: nothing is flushed, nothing is dropped.
fn die() -> ! {
    let _ = kill_process(getpid(), Signal::KILL);
    unreachable!("a process survived SIGKILL")
}

fn full() -> io::Error {
    io::ErrorKind::StorageFull.into()
}
