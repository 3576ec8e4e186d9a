//! The handle through which pulls are recorded; recording never blocks.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::error::OpenError;
use super::journal::JournalMode;
use super::loss::{Counts, LossReason, RecorderStatus};
use super::settings::Settings;
use super::store::Store;
use super::writer::{Job, Shared, Writer, queued_objects};
use crate::incident::Incident;
use crate::record::pull::PullRecord;
use crate::record::verdict::Verdict;
use crate::time::Timestamp;

/// Maximum number of objects of all pulls in the queue. It bounds the memory of the queue, because pulls differ in
/// their number of objects.
const QUEUED_OBJECTS_MAX: usize = 65_536;

/// Sends records to the thread that writes them. Dropping it waits for the queue, for at most
/// [`Settings::flush_timeout`].
pub struct Recorder {
    shared: Arc<Shared>,
    running: Option<Running>,
}

/// The state in which a record file was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The journal in use.
    pub journal: JournalMode,
    /// The new name of a corrupt file that was moved aside, so that a new file could be created.
    pub moved_aside: Option<PathBuf>,
}

struct Running {
    jobs: SyncSender<Job>,
    /// Closed when the writer has ended.
    ended: Mutex<Receiver<()>>,
    flush_timeout: Duration,
}

impl Recorder {
    /// Opens the record file and starts its writer. `now` names a corrupt file that is moved aside.
    ///
    /// # Errors
    ///
    /// If the file cannot or must not be written: see [`OpenError`]. The caller continues with [`Self::off`].
    pub fn open(settings: Settings, now: Timestamp) -> Result<(Self, Opened), OpenError> {
        let store = Store::open(&settings, now)?;
        let opened = Opened { journal: store.journal, moved_aside: store.moved_aside.clone() };
        let file = settings.file.clone();
        let started = Self::start(store, settings);
        started.map(|recorder| (recorder, opened)).map_err(|source| OpenError::Io { path: file, source })
    }

    /// A recorder that keeps no record. It counts each record as lost.
    pub fn off() -> Self {
        let shared = Shared { counts: Counts::default(), queued_objects: AtomicUsize::new(0) };
        Self { shared: Arc::new(shared), running: None }
    }

    pub(super) fn start(store: Store, settings: Settings) -> std::io::Result<Self> {
        let shared = Arc::new(Shared { counts: Counts::default(), queued_objects: AtomicUsize::new(0) });
        if let Some(moved) = &store.moved_aside {
            shared.counts.tell_moved(moved.clone());
        }
        let (jobs, queue) = sync_channel(settings.queue.max(1));
        let (end, ended) = sync_channel::<()>(0);
        let flush_timeout = settings.flush_timeout;
        let writer = Writer { store, settings, shared: Arc::clone(&shared) };
        std::thread::Builder::new().name("records".to_owned()).spawn(move || {
            writer.run(&queue);
            drop(end);
        })?;
        Ok(Self { shared, running: Some(Running { jobs, ended: Mutex::new(ended), flush_timeout }) })
    }

    /// Queues the record of a pull. Never blocks: if the queue is full, the record is lost and counted.
    pub fn record(&self, pull: PullRecord) {
        self.send(Job::Pull(Box::new(pull)));
    }

    /// Queues the verdict of a probe. Never blocks: if the queue is full, the verdict is lost and counted.
    pub fn verdict(&self, verdict: Verdict) {
        self.send(Job::Verdict(Box::new(verdict)));
    }

    /// Queues the state of an incident, which replaces its last state in the file. Never blocks: if the queue is full, the
    /// state is lost and counted.
    pub fn incident(&self, incident: Incident) {
        self.send(Job::Incident(Box::new(incident)));
    }

    /// Waits until everything that was queued before is written or lost. False if that takes longer than `timeout`.
    /// Blocks the thread: use it only at shutdown and in tests, never during a pull.
    pub fn flush(&self, timeout: Duration) -> bool {
        let Some(running) = &self.running else { return true };
        let (done, wait) = sync_channel(1);
        let mut job = Job::Flush(done);
        // The queue may be full: each turn gives the writer a part of the time to make room.
        let turns = 100;
        for _ in 0..turns {
            match running.jobs.try_send(job) {
                Ok(()) => return wait.recv_timeout(timeout).is_ok(),
                Err(TrySendError::Full(back)) => job = back,
                Err(TrySendError::Disconnected(_)) => return true,
            }
            let _ = wait.recv_timeout(timeout / turns);
        }
        false
    }

    /// The counts of records written and lost so far.
    pub fn status(&self) -> RecorderStatus {
        self.shared.counts.status()
    }

    fn send(&self, job: Job) {
        let counts = &self.shared.counts;
        let Some(running) = &self.running else { return counts.lose(LossReason::Off, 1) };
        let objects = queued_objects(&job);
        let queued = self.shared.queued_objects.fetch_add(objects, Ordering::Relaxed);
        let sent = if queued.saturating_add(objects) > QUEUED_OBJECTS_MAX {
            Err(LossReason::QueueFull)
        } else {
            running.jobs.try_send(job).map_err(|error| match error {
                TrySendError::Full(_) => LossReason::QueueFull,
                TrySendError::Disconnected(_) => LossReason::Closed,
            })
        };
        if let Err(reason) = sent {
            self.shared.queued_objects.fetch_sub(objects, Ordering::Relaxed);
            counts.lose(reason, 1);
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        if let Some(Running { jobs, ended, flush_timeout }) = self.running.take() {
            drop(jobs);
            // Returns early if the writer ends, which closes the channel.
            let ended = ended.into_inner().unwrap_or_else(PoisonError::into_inner);
            let _ = ended.recv_timeout(flush_timeout);
        }
    }
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").field("status", &self.status()).finish_non_exhaustive()
    }
}
