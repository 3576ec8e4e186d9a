//! Measures every operation on the disk, and reports slow ones, even while they still run.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use filemap::FileMap;
use tokio::time::Instant;

use super::io::{Disk, Entry, File, FileId, Space};
use super::slow::{Operation, SLOW, Slow};
use crate::events::Events;

/// The running operations of one disk.
pub(crate) struct Clock {
    running: Mutex<Running>,
    events: Arc<dyn Events>,
}

#[derive(Default)]
struct Running {
    next: u64,
    operations: HashMap<u64, Begun>,
}

struct Begun {
    operation: Operation,
    at: Instant,
    reported: bool,
}

impl Clock {
    pub(crate) fn new(events: Arc<dyn Events>) -> Self {
        Self { running: Mutex::default(), events }
    }

    /// Runs and measures `work`.
    fn time<T>(&self, operation: Operation, work: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let mut running = self.running();
        running.next += 1;
        let number = running.next;
        running.operations.insert(number, Begun { operation, at: began, reported: false });
        drop(running);
        let done = work();
        self.running().operations.remove(&number);
        let took = began.elapsed();
        if took >= SLOW {
            self.events.disk_slow(&Slow { operation, took, ended: true });
        }
        done
    }

    /// The longest-running operation, if it is already slow.
    pub(crate) fn slowest(&self) -> Option<Slow> {
        let running = self.running();
        let oldest = running.operations.values().min_by_key(|begun| begun.at)?;
        let slow = Slow { operation: oldest.operation, took: oldest.at.elapsed(), ended: false };
        Some(slow).filter(|slow| slow.took >= SLOW)
    }

    /// Reports running operations that have become slow.
    pub(crate) fn look(&self) {
        let mut slow = Vec::new();
        for begun in self.running().operations.values_mut() {
            let took = begun.at.elapsed();
            if took >= SLOW && !std::mem::replace(&mut begun.reported, true) {
                slow.push(Slow { operation: begun.operation, took, ended: false });
            }
        }
        for slow in slow {
            self.events.disk_slow(&slow);
        }
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// A disk whose operations are measured.
#[derive(Debug)]
pub(crate) struct TimedDisk {
    disk: Arc<dyn Disk>,
    clock: Arc<Clock>,
}

#[derive(Debug)]
struct TimedFile {
    file: Arc<dyn File>,
    clock: Arc<Clock>,
}

impl TimedDisk {
    pub(crate) fn new(disk: Arc<dyn Disk>, clock: Arc<Clock>) -> Self {
        Self { disk, clock }
    }

    fn timed(&self, file: Arc<dyn File>) -> Arc<dyn File> {
        Arc::new(TimedFile { file, clock: self.clock.clone() })
    }
}

impl Disk for TimedDisk {
    fn may_write(&self) -> io::Result<()> {
        self.disk.may_write()
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        self.clock.time(Operation::Note, || self.disk.make_dir(path))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        self.clock.time(Operation::Open, || self.disk.open(path)).map(|file| self.timed(file))
    }

    fn open_partial(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        self.clock.time(Operation::Open, || self.disk.open_partial(path)).map(|file| self.timed(file))
    }

    fn replace(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.clock.time(Operation::Rename, || self.disk.replace(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.clock.time(Operation::Remove, || self.disk.remove(path))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.clock.time(Operation::SyncFolder, || self.disk.sync_dir(path))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        self.clock.time(Operation::List, || self.disk.list(path))
    }

    fn names(&self, path: &Path) -> io::Result<Vec<String>> {
        self.clock.time(Operation::List, || self.disk.names(path))
    }

    fn note_use(&self, path: &Path, at: SystemTime) -> io::Result<()> {
        self.clock.time(Operation::Note, || self.disk.note_use(path, at))
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        self.clock.time(Operation::List, || self.disk.space(path))
    }
}

impl File for TimedFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.clock.time(Operation::Read, || self.file.read_at(offset, buffer))
    }

    fn read_cached(&self, offset: u64, buffer: &mut [u8]) -> bool {
        self.file.read_cached(offset, buffer)
    }

    fn bring_in(&self, work: &mut dyn FnMut() -> io::Result<()>) -> io::Result<()> {
        self.clock.time(Operation::Read, || self.file.bring_in(work))
    }

    fn map(&self, length: u64) -> io::Result<FileMap> {
        self.file.map(length)
    }

    fn is_intact(&self, length: u64) -> bool {
        self.file.is_intact(length)
    }

    fn id(&self) -> Option<FileId> {
        self.file.id()
    }

    fn is_at(&self, path: &Path) -> bool {
        self.file.is_at(path)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.clock.time(Operation::Write, || self.file.write_at(offset, bytes))
    }

    fn reserve(&self, length: u64) -> io::Result<()> {
        self.clock.time(Operation::Reserve, || self.file.reserve(length))
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.clock.time(Operation::Reserve, || self.file.truncate(length))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.clock.time(Operation::Sync, || self.file.sync_data())
    }

    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }
}
