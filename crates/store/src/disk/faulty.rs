//! A disk that fails or delays chosen operations, for tests.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use rustix::process::{Signal, getpid, kill_process};

use super::io::{Disk, Entry, File, FileId, Space};
use super::local::LocalDisk;
use crate::config::{OpenError, StoreConfig};
use crate::events::Events;
use crate::store::Store;

/// The effect of a failing operation.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// This operation fails with this error number; later operations succeed.
    Once(i32),
    /// This operation and every later one fail with this error number.
    Always(i32),
    /// As many reads as [`Trap::set`] was given fail with this error number; other operations succeed.
    Reads(i32),
    /// A write stores half of its bytes, then fails because the disk is full.
    ShortWrite,
    /// The process is killed (SIGKILL) during the operation; a write is cut in the middle.
    Kill,
}

/// Counts down operations, then causes a fault.
#[derive(Clone)]
pub struct Trap(Arc<State>);

struct State {
    left: AtomicI64,
    fault: Mutex<Fault>,
    space: Mutex<Option<Space>>,
    rule: Mutex<Option<Rule>>,
    sync_takes: Mutex<Duration>,
}

/// A call on a path, before or after it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// The path is about to be opened to read.
    Open,
    /// The path is about to be made, written or replaced.
    Change,
    /// The path is about to be removed.
    Remove,
    /// The path was removed; an error of the rule has no effect.
    Removed,
}

/// A function that is called for each call on a path, and may make it fail.
type Rule = Arc<dyn Fn(Call, &Path) -> io::Result<()> + Send + Sync>;

impl Trap {
    /// A trap that lets every operation pass.
    pub fn unset() -> Self {
        Self(Arc::new(State {
            left: AtomicI64::new(i64::MAX),
            fault: Mutex::new(Fault::ShortWrite),
            space: Mutex::default(),
            rule: Mutex::default(),
            sync_takes: Mutex::default(),
        }))
    }

    /// Lets `operations` more operations pass; the next one fails.
    pub fn set(&self, operations: i64, fault: Fault) {
        *self.0.fault.lock().unwrap() = fault;
        self.0.left.store(operations, Ordering::SeqCst);
    }

    /// From now on the file system reports this space; with `None`, its real space.
    #[cfg(test)]
    pub(crate) fn says(&self, space: impl Into<Option<Space>>) {
        *self.0.space.lock().unwrap() = space.into();
    }

    /// From now on `rule` is called for each call on a path.
    pub fn rule(&self, rule: impl Fn(Call, &Path) -> io::Result<()> + Send + Sync + 'static) {
        *self.0.rule.lock().unwrap() = Some(Arc::new(rule));
    }

    /// From now on the file system is read-only, until [`Trap::unruled`].
    pub fn read_only(&self) {
        self.rule(
            |call, _| if call == Call::Open { Ok(()) } else { Err(io::ErrorKind::ReadOnlyFilesystem.into()) },
        );
    }

    /// Adds this time to each later sync of a file or folder.
    pub fn slow_syncs(&self, by: Duration) {
        *self.0.sync_takes.lock().unwrap() = by;
    }

    fn sync(&self) -> io::Result<()> {
        let delay = *self.0.sync_takes.lock().unwrap();
        std::thread::sleep(delay);
        self.pass()
    }

    /// Removes the rule.
    pub fn unruled(&self) {
        *self.0.rule.lock().unwrap() = None;
    }

    /// True if the fault has happened since the trap was set.
    pub fn went_off(&self) -> bool {
        self.0.left.load(Ordering::SeqCst) < 0
    }

    /// The fault of this operation, if it fails.
    fn step(&self) -> Option<Fault> {
        let fault = *self.0.fault.lock().unwrap();
        if matches!(fault, Fault::Reads(_)) {
            return None;
        }
        let left = self.0.left.fetch_sub(1, Ordering::SeqCst);
        match fault {
            Fault::Always(_) => (left <= 0).then_some(fault),
            _ => (left == 0).then_some(fault),
        }
    }

    fn pass_read(&self) -> io::Result<()> {
        let fault = *self.0.fault.lock().unwrap();
        match fault {
            Fault::Reads(errno) if self.0.left.fetch_sub(1, Ordering::SeqCst) > 0 => {
                Err(io::Error::from_raw_os_error(errno))
            }
            _ => self.pass(),
        }
    }

    fn call(&self, call: Call, path: &Path) -> io::Result<()> {
        self.pass()?;
        self.ask(call, path)
    }

    fn ask(&self, call: Call, path: &Path) -> io::Result<()> {
        // The lock is not held while the rule runs: the rule may make calls itself.
        let rule = self.0.rule.lock().unwrap().clone();
        rule.map_or(Ok(()), |rule| rule(call, path))
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
pub async fn open(trap: &Trap, config: StoreConfig, events: Arc<dyn Events>) -> Result<Store, OpenError> {
    Store::open_on(Arc::new(FaultyDisk(trap.clone())), config, events).await
}

impl fmt::Debug for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Trap")
    }
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
        self.0.call(Call::Open, path)?;
        Ok(Arc::new(FaultyFile(LocalDisk.open(path)?, self.0.clone())))
    }

    fn open_partial(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        self.0.call(Call::Change, path)?;
        Ok(Arc::new(FaultyFile(LocalDisk.open_partial(path)?, self.0.clone())))
    }

    fn replace(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.call(Call::Change, to)?;
        LocalDisk.replace(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.call(Call::Remove, path)?;
        LocalDisk.remove(path)?;
        self.0.ask(Call::Removed, path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.0.sync()?;
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
        self.0.call(Call::Change, path)?;
        LocalDisk.note_use(path, at)
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        self.0.pass()?;
        match *self.0.0.space.lock().unwrap() {
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

    fn id(&self) -> Option<FileId> {
        self.0.id()
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
        self.1.sync()?;
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
